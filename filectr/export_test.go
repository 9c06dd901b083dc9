package filectr

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
)

var Cleaned = func(name string, head []byte) (string, string, Kind) {
	name = cleanName(name)
	mime, kind := typeOf(head, name)
	return name, mime, kind
}

var Packed = packed

var InTime = inTime

// NudgeReviews has the reviews looked through, as the clock of tests wakes nobody.
func (c *Center) NudgeReviews() { c.nudge() }

// Places are places, for tests.
type Places struct{ *places }

func NewPlaces(n int) Places { return Places{newPlaces(n)} }

func (p Places) Take(user protocol.UserID) (func(), error) { return p.take(user, false) }

func (p Places) Wait(ctx context.Context, user protocol.UserID) (func(), error) {
	return p.wait(ctx, user, false)
}

// Uploading is how many places are taken.
func (c *Center) Uploading() int { return len(c.uploads.all) }
