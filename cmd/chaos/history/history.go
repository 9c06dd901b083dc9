// Package history is what a chaos run writes down: what every client asked and
// was told, what the nemesis did, and what was there at the end. It knows
// nothing of the server, so that a checker can be fed histories made by hand.
package history

// What happened. An operation is one Invoke and at most one OK, Fail or Info
// with the same Op; without an end it is as indeterminate as with Info.
const (
	Invoke = "invoke"
	OK     = "ok"   // answered: done, and durable
	Fail   = "fail" // answered: definitely not done, and never will be
	Info   = "info" // nobody knows: no answer came, or one that says nothing

	Open    = "open"    // a connection is authenticated: Resumed, Offset, Rows
	Missed  = "missed"  // none came about, at Node from Began on
	Closed  = "closed"  // a connection ended
	Push    = "push"    // an entry was delivered
	Receipt = "receipt" // By's read mark was delivered
	Unread  = "unread"  // the user's own read mark and count were delivered
	Heads   = "heads"   // a heartbeat's changed heads
	Update  = "update"  // a session's row changed, or (Gone) went

	Kill  = "kill"  // of the nemesis: SIGKILL was sent
	Start = "start" // a process was started
	Ready = "ready" // and answered that it is ready
	Fault = "fault" // something else begins that may go wrong: Verb says what
	Mend  = "mend"  // and it is over
	Left  = "left"  // a node that was asked to stop is gone
	Stall = "stall" // the run itself could do nothing from Began on: the machine was busy with other things
)

// The verbs of operations.
const (
	Send   = "send"
	Edit   = "edit"
	Recall = "recall"
	React  = "react"
	Read   = "read"
	Create = "create"
	Add    = "add"
	Remove = "remove"
	Sync   = "sync"
)

// Stop is the fault of being asked to stop, by SIGTERM.
const Stop = "rolling restart"

// Event is one line of a history. T is in nanoseconds of one monotonic clock
// that all clients of a run share.
type Event struct {
	T      int64  `json:"t"`
	What   string `json:"what"`
	Client string `json:"client,omitempty"` // one device of User
	User   string `json:"user,omitempty"`
	Conn   int    `json:"conn,omitempty"` // counts the client's connections from 1
	Node   string `json:"node,omitempty"` // where that connection led to; of the nemesis: which it did something to
	Dark   bool   `json:"dark,omitempty"` // of a fault: nothing can be acknowledged until it is mended
	Deaf   bool   `json:"deaf,omitempty"` // of a fault: the node's clients are not heard, and are not told so

	Op      int64    `json:"op,omitempty"` // unique in a run
	Verb    string   `json:"verb,omitempty"`
	Session string   `json:"session,omitempty"`
	Cmid    string   `json:"cmid,omitempty"`
	Text    string   `json:"text,omitempty"`
	Target  string   `json:"target,omitempty"` // the message id an edit, recall or reaction is for
	Members []string `json:"members,omitempty"`
	After   int64    `json:"after,omitempty"` // of sync

	Seq       int64    `json:"seq,omitempty"` // answered; asked for, of a read mark
	ID        string   `json:"id,omitempty"`  // the message id answered
	CreatedAt int64    `json:"createdAt,omitempty"`
	Duplicate bool     `json:"duplicate,omitempty"`
	Code      string   `json:"code,omitempty"` // of a failure
	Head      int64    `json:"head,omitempty"`
	More      bool     `json:"more,omitempty"`
	GoneUpTo  int64    `json:"goneUpTo,omitempty"`
	Entries   []*Entry `json:"entries,omitempty"` // of sync

	Entry   *Entry           `json:"entry,omitempty"` // of push
	Offset  int64            `json:"offset,omitempty"`
	Epoch   string           `json:"epoch,omitempty"`
	Resumed bool             `json:"resumed,omitempty"`
	From    int64            `json:"from,omitempty"`  // the offset a resume was asked from
	Began   int64            `json:"began,omitempty"` // of open, missed: when it was asked for; of a stall
	Rows    []Row            `json:"rows,omitempty"`  // of open, and of update
	Next    bool             `json:"next,omitempty"`  // of open: the list of rows goes on
	Heads   map[string]int64 `json:"heads,omitempty"`
	By      string           `json:"by,omitempty"`
	ReadSeq int64            `json:"readSeq,omitempty"`
	Unread  int64            `json:"unread,omitempty"`
	Total   int64            `json:"total,omitempty"`
	Gone    bool             `json:"gone,omitempty"`
}

// Entry is one entry of a session's log as somebody saw it.
type Entry struct {
	Session   string   `json:"session"`
	Seq       int64    `json:"seq"`
	ID        string   `json:"id"`
	Kind      string   `json:"kind,omitempty"` // "" is a message
	Sender    string   `json:"sender,omitempty"`
	Cmid      string   `json:"cmid,omitempty"`
	Text      string   `json:"text,omitempty"`
	CreatedAt int64    `json:"createdAt,omitempty"`
	Target    int64    `json:"target,omitempty"`
	Members   []string `json:"members,omitempty"`
	Recalled  bool     `json:"recalled,omitempty"`
	Expired   bool     `json:"expired,omitempty"`
	Dealt     bool     `json:"dealt,omitempty"` // moderation changed it or holds it back; known of a dump only
}

// Row is one session in somebody's home list.
type Row struct {
	Session string `json:"session"`
	Head    int64  `json:"head"`
	Read    int64  `json:"read"`
	Unread  int64  `json:"unread"`
}

// History is a whole run.
type History struct {
	Seed    int64    `json:"seed"`
	Events  []*Event `json:"-"` // of all clients and the nemesis, by T
	Reads   []Log    `json:"reads"`
	Homes   []Home   `json:"homes"`
	Dump    Dump     `json:"dump"`
	Allowed int64    `json:"allowed"` // nanoseconds a restarted server may take to be ready
	Leaves  int64    `json:"leaves"`  // nanoseconds that a node may take to stop; 0: not judged
	Lag     int64    `json:"lag"`     // nanoseconds after which all nodes know what one has acknowledged
	Answers int64    `json:"answers"` // nanoseconds after which every session answers again, whatever happened; 0: not judged
}

// Log is what one user read of one session at the end, by one path.
type Log struct {
	Path    string   `json:"path"` // ws, rest
	User    string   `json:"user"`
	Session string   `json:"session"`
	Head    int64    `json:"head"`
	Gone    int64    `json:"gone,omitempty"`
	Refused string   `json:"refused,omitempty"` // the error's word, when nothing could be read
	Entries []*Entry `json:"entries"`
}

// Home is one user's list at rest, by one path.
type Home struct {
	Path  string `json:"path"`
	User  string `json:"user"`
	Rows  []Row  `json:"rows"`
	Total int64  `json:"total"`
}

// Dump is what the store holds.
type Dump struct {
	Sessions []*Stored `json:"sessions"`
}

// Stored is one session as the store holds it.
type Stored struct {
	Session string   `json:"session"`
	Head    int64    `json:"head"`
	Entries []*Entry `json:"entries"` // in the order of their keys
	Members []Member `json:"members"`
	Sent    []Sent   `json:"sent"` // the rows that make client message ids unique
	// Originals are the seqs of messages of which is kept what was written before moderation.
	Originals []int64 `json:"originals,omitempty"`
}

// Member is a member's row.
type Member struct {
	User  string `json:"user"`
	Floor int64  `json:"floor"` // the first seq this member may read
	Read  int64  `json:"read"`
}

// Sent is a row of the client message ids: Key is 16 bytes in hexadecimal, the
// first of SHA-256 over sender (its length in two bytes before it) and id.
type Sent struct {
	Key string `json:"key"`
	Seq int64  `json:"seq"`
}
