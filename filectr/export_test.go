package filectr

var Cleaned = func(name string, head []byte) (string, string, Kind) {
	name = cleanName(name)
	mime, kind := typeOf(head, name)
	return name, mime, kind
}

var Packed = packed

var InTime = inTime

// NudgeReviews has the reviews looked through, as the clock of tests wakes nobody.
func (c *Center) NudgeReviews() { c.nudge() }
