package actors

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Robots runs the bots that are members of sessions. Its methods do not block, but for
// Rule, which is called away from every mailbox.
type Robots interface {
	// Offer says what became durable in a session of which bots are members. Of one
	// session it is told in order. What is lost is found by seq: the log is the truth.
	Offer(o *Offer)
	// Stop says that a member does not want the rest of a bot's draft.
	Stop(session protocol.SessionID, bot protocol.UserID, stream string, by protocol.UserID)
	// Judges says whether somebody is to see what sender writes in a session before
	// others do. Then Rule is asked.
	Judges(session *protocol.SessionInfo, bots []protocol.UserID, sender protocol.UserID) bool
	// Rule says what becomes of a message. An error is told to the sender: nothing is stored.
	Rule(ctx context.Context, t *Trial) (*Ruling, error)
}

// Offer is what a session tells Robots. Nobody changes what is in it.
type Offer struct {
	Session protocol.SessionID
	Info    *protocol.SessionInfo // without members
	Bots    []protocol.UserID     // the bots that are members of it now
	Entries []*protocol.Entry     // in order
}

// Trial is a message that nobody has seen yet.
type Trial struct {
	Session *protocol.SessionInfo
	Bots    []protocol.UserID
	Sender  *protocol.Identity
	Message *protocol.MsgSend
	Edit    bool // of a message that is there already
}

// Ruling is what becomes of a message. nil, or one without a State, leaves it as it is.
type Ruling struct {
	State   string            // rewritten, held or rejected, as protocol.Deal says
	By      protocol.UserID   // the moderator
	Reason  string            // for people
	Content *protocol.Content // with rewritten
}

// Draft is a part of what a bot is writing.
type Draft struct {
	Session protocol.SessionID
	Bot     protocol.UserID
	Stream  string // the clientMsgId of the message that it becomes
	ReplyTo string
	At      int64 // where Text begins, in bytes of UTF-8 of what there is; 0: anew
	Text    string
	Over    string // "": it goes on; cancelled or failed: it ends without a message
}
