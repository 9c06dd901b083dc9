package migrate

import (
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/userctr"
)

// Kind is one kind of what is kept, under the name that people read.
type Kind string

const (
	Users     Kind = "users"
	Names     Kind = "names"
	Terms     Kind = "search terms"
	Invites   Kind = "invitations"
	Logins    Kind = "logins"
	Tokens    Kind = "refresh tokens"
	Devices   Kind = "devices"
	Pushes    Kind = "pushes"
	Subjects  Kind = "subjects"
	Keys      Kind = "keys"
	Apps      Kind = "applications"
	Spent     Kind = "spent tokens"
	Merges    Kind = "merges"
	Audit     Kind = "audit rows"
	Pruned    Kind = "audit cuts"
	Erasures  Kind = "erasures"
	Standings Kind = "standings"
	Notices   Kind = "notices"

	Contacts Kind = "contacts"
	Requests Kind = "requests"
	Lists    Kind = "request lists"

	Cursors Kind = "bots' cursors"
	States  Kind = "bots' states"

	Entries  Kind = "entries"
	Members  Kind = "members"
	Marks    Kind = "marks"
	Links    Kind = "links"
	Sessions Kind = "sessions"
)

// Rows are the kinds of which each item is a *Row: what internal/rows keeps, in its tables.
var Rows = []Kind{Lists, "files", "avatars", "releases", "previews", "reviews", "usage", "bots", "remote bots"}

// Kinds are all kinds, in the order in which they are moved.
var Kinds = append([]Kind{
	Users, Names, Terms, Invites, Logins, Tokens, Devices, Pushes, Subjects, Keys, Apps, Spent, Merges, Audit, Pruned, Erasures, Standings, Notices,
	Contacts, Requests, Cursors, States, Entries, Members, Marks, Links, Sessions,
}, Rows...)

// Item is one thing of a kind, as neither store keeps it: a pointer to one of the types below, or to
// userctr.Invite, Login, DeviceRow, Push, Key, App, Merge or Erasure, actors.Standing,
// ContactRow or LinkRow, or desk.Cursor. What is said with bytes is moved bit for bit.
type Item any

// User is one of Users.
type User struct {
	userctr.User
	Guest bool // is listed as one
}

// Name is one of Names.
type Name struct {
	Name    string // folded
	User    protocol.UserID
	Version int64 // of the user's row
	Created time.Time
}

// Term is one of Terms: what a user is found by.
type Term struct {
	Term string
	User protocol.UserID
}

// Token is one of Tokens.
type Token struct {
	userctr.Refresh
	Rooted bool // there is none any more that it followed
}

// Subject is one of Subjects.
type Subject struct {
	userctr.Subject
	User protocol.UserID
}

// Spending is one of Spent.
type Spending struct {
	Realm string
	Hash  userctr.Hash
	Until time.Time
}

// AuditRow is one of Audit.
type AuditRow struct {
	Seq  int64
	Text string
}

// AuditCut says up to where rows of the audit log were removed.
type AuditCut struct {
	UpTo   int64
	Anchor string // the hash of that row
}

// Notice is one of Notices.
type Notice struct {
	actors.NoticeRow
	Said []byte // its content as protobuf
}

// Request is one of Requests.
type Request struct {
	ID   string
	Data []byte // protobuf
}

// State is one of States.
type State struct {
	Bot     protocol.UserID
	Session protocol.SessionID
	desk.State
}

// BlockEntries is how many entries are moved as one: the n-th block of a log has the seqs from
// (n-1)·BlockEntries+1 on, and only the last one has fewer. At 64 KiB each at most they are far from
// the 16 MiB that a document may have.
const BlockEntries = 32

// Block is a part of a log; each of its entries is counted as one of Entries.
type Block struct {
	Session protocol.SessionID
	First   int64 // the seq of the first
	Entries []Entry
}

// Entry is one entry of a log.
type Entry struct {
	Data     []byte  // protobuf, without session, seq and messagerecvId
	Hash     [8]byte // of what was asked for
	Original []byte  // protobuf of an entry with content and mentions only; nil: there is none
}

// Member is one of Members, whose marks are in Marks.
type Member struct {
	Session protocol.SessionID
	actors.MemberRow
}

// Mark is one of Marks: how far a user has read and received, who need not be a member any more.
type Mark struct {
	Session protocol.SessionID
	User    protocol.UserID
	Read    int64
	Recv    map[string]int64 // by device
}

// Session is one of Sessions: how it stands.
type Session struct {
	ID      protocol.SessionID
	Epoch   int64 // of the newest activation
	Head    int64
	Message int64 // the newest seq of a message that shows, 0: none
	Members int64
	Info    []byte // protobuf
	Last    []byte // the entry Message, as Entry.Data
}

// Row is one of any kind of Rows.
type Row struct {
	Key, Value []byte
}
