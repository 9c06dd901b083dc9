package protocol

import "encoding/json"

// IsPress says whether c is a press of a card's button, or another deed that a card
// stands for: type card, with a word as data.troupe.action. Nobody is shown it by itself.
// Some 2 µs for a card of 200 bytes; other types are not looked into.
func (c *Content) IsPress() bool {
	if c.GetType() != ContentType_CARD || c.Data == "" {
		return false
	}
	var data struct {
		Troupe struct {
			Action string `json:"action"`
		} `json:"troupe"`
	}
	// Data that has another shape is another application's.
	return json.Unmarshal([]byte(c.Data), &data) == nil && data.Troupe.Action != ""
}

// Shows says whether e is a message that people are shown, and so may be its session's
// last one: of kind message and not quiet. It stays so when e is recalled.
func (e *Entry) Shows() bool { return e.Kind == Kind_MESSAGE && !e.Quiet }

// Counts says whether e is unread by whoever did not write it and has not read so far.
// Stores, actors and clients all count by this.
func (e *Entry) Counts() bool { return e.Shows() && !e.Recalled && !e.Expired }
