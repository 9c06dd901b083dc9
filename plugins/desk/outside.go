package desk

import (
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Incoming is what came from outside for a bot: an event of kind webhook.
type Incoming struct {
	Plugin  string
	Bot     protocol.UserID
	Session protocol.SessionID
	ID      string // the same one is the same event
	Body    string
}

// Hook is an address at which others tell a bot something in a session.
type Hook struct {
	ID      string
	Name    string
	Created time.Time
}
