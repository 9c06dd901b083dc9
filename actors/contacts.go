package actors

import (
	"context"
	"errors"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Contacts is where people keep whom they know and what they asked each other for.
// It is a part of Journal, as a request is accepted in the same commit that lets
// somebody into a session.
type Contacts interface {
	// CommitContacts makes a change durable as a whole. ErrChanged: a row is not as
	// the change found it, and nothing is written.
	CommitContacts(ctx context.Context, change *ContactChange) error

	// Pair gives what two people keep of each other and the request that waits
	// between them, all as of one moment.
	Pair(ctx context.Context, user, other protocol.UserID) (*Pair, error)
	// ContactsOf gives the contacts of user with ids behind after ("": from the first
	// on) in order of their ids, limit at most, and the version of them all, which
	// rises with every change.
	ContactsOf(ctx context.Context, user, after protocol.UserID, limit int) ([]*ContactRow, int64, error)
	// Blocked gives those of ids whom user has blocked.
	Blocked(ctx context.Context, user protocol.UserID, ids []protocol.UserID) ([]protocol.UserID, error)

	// Request gives one request, or protocol.NotFound.
	Request(ctx context.Context, id string) (*protocol.Request, error)
	// Asked gives the waiting request for what like asks for (its kind, from, target and
	// user; of FRIEND in either direction), expired or not; nil: there is none.
	Asked(ctx context.Context, like *protocol.Request) (*protocol.Request, error)
	// RequestsOf gives requests from and to a user, the newest first: of kind GROUP
	// with a user in it that is whom they are to, without one nobody but its from.
	RequestsOf(ctx context.Context, user protocol.UserID, page RequestPage) ([]*protocol.Request, error)
	// RequestsInto gives the requests of those who ask to be let into a session, the newest first.
	RequestsInto(ctx context.Context, session protocol.SessionID, page RequestPage) ([]*protocol.Request, error)
	// WaitingInto gives those of several sessions that wait, limit at most, in no
	// order. What it costs is that of the sessions with such a request, not of all.
	WaitingInto(ctx context.Context, sessions []protocol.SessionID, limit int) ([]*protocol.Request, error)
}

// RequestPage bounds a list of requests.
type RequestPage struct {
	After   RequestPlace // the last one that is known already; zero: from the newest on
	Limit   int
	Waiting bool // only those with callBackType 1, expired ones too
}

// RequestPlace orders requests: the newest first.
type RequestPlace struct {
	CreateTime int64
	ID         string
}

// ErrChanged is what a store says of a change whose rows are not as it found them.
var ErrChanged = errors.New("the rows changed meanwhile")

// ContactRow is what one user keeps of another. A row that says neither friend nor
// blocked is none.
type ContactRow struct {
	User    protocol.UserID // whose it is
	Other   protocol.UserID
	Version int64 // of what was read, 0: there was none; a commit gives it another
	Friend  bool
	Blocked bool
	Remark  string
	Tags    []string
	Since   int64 // of the friendship, Unix milliseconds
}

// Kept says whether there is anything to keep.
func (c *ContactRow) Kept() bool { return c.Friend || c.Blocked }

// Pair is what two people keep of each other, and the FRIEND request that waits
// between them, expired or not; nil: none.
type Pair struct {
	Mine, Theirs ContactRow
	Waiting      *protocol.Request
	Open         bool // one of them is no human, so that they need not be friends; no store sets it
}

// ContactChange is what is written in one commit.
type ContactChange struct {
	// Contacts are rows as they are from now on, with the Version they were read with.
	Contacts []*ContactRow
	Requests []RequestChange

	// Versions are set by the commit: per user of Contacts the version of all its contacts.
	Versions map[protocol.UserID]int64
}

// RequestChange is a request as it is from now on.
type RequestChange struct {
	Request *protocol.Request
	Was     int64  // its callBackType until now; 0: it is new, and nothing like it may wait
	Instead string // of a new one: the id of an expired one like it that waits
}
