package protocol

import (
	"encoding/json"
	"slices"
)

// IsPress says whether c is a press of a card's button, or another deed that a card
// stands for: type card, with a word as data.troupe.action. Nobody is shown it by itself.
// Some 2 µs for a card of 200 bytes; other types are not looked into.
func (c *Content) IsPress() bool { return c.Press() != "" }

// Press is the action of a press; "": c is none.
func (c *Content) Press() string {
	if c.GetType() != ContentType_CARD || c.Data == "" {
		return ""
	}
	var data struct {
		Troupe struct {
			Action string `json:"action"`
		} `json:"troupe"`
	}
	if json.Unmarshal([]byte(c.Data), &data) != nil {
		return "" // another application's
	}
	return data.Troupe.Action
}

// Offers says whether c is a card that offers an action, by a button or its form, and is
// not done.
func (c *Content) Offers(action string) bool {
	if c.GetType() != ContentType_CARD || c.Data == "" || action == "" {
		return false
	}
	type offer struct {
		Action string `json:"action"`
	}
	var card struct {
		Buttons []offer         `json:"buttons"`
		Form    offer           `json:"form"`
		Done    json.RawMessage `json:"done"`
	}
	if json.Unmarshal([]byte(c.Data), &card) != nil || len(card.Done) > 0 && string(card.Done) != "null" {
		return false
	}
	return card.Form.Action == action || slices.Contains(card.Buttons, offer{action})
}

// Shows says whether e is a message that people are shown, and so may be its session's
// last one: of kind message and not quiet. It stays so when e is recalled.
func (e *Entry) Shows() bool { return e.Kind == Kind_MESSAGE && !e.Quiet }

// Counts says whether e is unread by whoever did not write it and has not read so far.
// Stores, actors and clients all count by this.
func (e *Entry) Counts() bool { return e.Shows() && !e.Recalled && !e.Expired }
