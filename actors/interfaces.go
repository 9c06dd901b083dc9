package actors

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Journal is where sessions keep what must survive: logs, members, marks. A
// session that does not exist is a protocol.NotFound error.
type Journal interface {
	Contacts

	// Commit makes every Append of the batch durable in one step, or sets its Err
	// and leaves no trace of that one. An error returned means that nothing can be
	// said of the batch: nobody may be told that it succeeded or that it failed.
	Commit(batch []*Append) error

	// Load gives a session as it stands, for an activation.
	Load(ctx context.Context, session protocol.SessionID) (*Stored, error)
	// Range gives the entries with from <= seq <= to in order, at most limit of
	// them and about bytes of them in all, but at least one where there is one.
	Range(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error)
	// Backward gives the entries with from <= seq <= to, newest first, bounded alike.
	Backward(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error)
	// Sent finds the entry that sender made under a client message id; Seq 0: none.
	Sent(ctx context.Context, session protocol.SessionID, sender protocol.UserID, id protocol.ClientMsgID) (Sent, error)
	// Deeds gives what user did to the entry at target and did not take back, in no
	// order. Of one that was recalled or has expired it need not know any more.
	Deeds(ctx context.Context, session protocol.SessionID, target int64, user protocol.UserID) ([]Deed, error)
	// Original gives what an entry said before a moderator changed it or held it back, or
	// protocol.NotFound.
	Original(ctx context.Context, session protocol.SessionID, seq int64) (*Original, error)
	// Dealt gives up to limit of those entries below the seq before, 0: of all, whose
	// Original is kept, newest first.
	Dealt(ctx context.Context, session protocol.SessionID, before int64, limit int) ([]*protocol.Entry, error)
	// SentKeys calls each with the SentKey of entries from..to that have a client message id.
	SentKeys(ctx context.Context, session protocol.SessionID, from, to int64, each func(key [16]byte, sent Sent)) error

	// Home gives the rows of every session that user is in, in no order. A dead one has none.
	// counts is asked of each, perhaps by several goroutines, whether its Unread and Mentioned
	// are wanted, which cost more than all else of it; nil: of all.
	Home(ctx context.Context, user protocol.UserID, device string, counts func(*HomeRow) bool) ([]*HomeRow, error)
	// HomeOf gives one such row, or protocol.NotFound when user is not in session.
	HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*HomeRow, error)
	// RowOf is HomeOf without Unread and Mentioned. It reads by keys, however much is unread.
	RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*HomeRow, error)
	// SessionsOf gives the sessions that user is in, in no order: Home without what it costs.
	SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error)
	// Unread counts the messages of others with after < seq <= to, recalled and expired
	// ones left out; mentioned says that one of them mentions user or everybody.
	Unread(ctx context.Context, session protocol.SessionID, user protocol.UserID, after, to int64) (n int64, mentioned bool, err error)
	// Due gives messages whose expiry time is at or before now and that have not
	// been expired by an entry, oldest first.
	Due(ctx context.Context, now time.Time, limit int) ([]Due, error)
	// DueSessions gives sessions whose Info.Until is at or before now, the earliest first.
	DueSessions(ctx context.Context, now time.Time, limit int) ([]protocol.SessionID, error)

	Links
}

// Links keeps the invite links of sessions, which are written by Append. A link
// outlives its end, so that it can be said that it has ended.
type Links interface {
	// Link gives a link, or protocol.NotFound.
	Link(ctx context.Context, id string) (*LinkRow, error)
	// LinksOf gives a session's links in the order they were made, from after the one given, nil: the first.
	LinksOf(ctx context.Context, session protocol.SessionID, after *LinkRow, limit int) ([]*LinkRow, error)
}

// LinkRow is an invite link as stored. Its code is nowhere; ID is made from Hash.
type LinkRow struct {
	ID        string
	Hash      [32]byte // SHA-256 of the code
	Session   protocol.SessionID
	By        protocol.UserID
	Uses      int64 // how many may come in by it, 0: any number
	Used      int64
	CreatedAt int64 // Unix milliseconds
	ExpiresAt int64
	Revoked   bool
}

// Deed is a reaction to an entry, or the answer to a call. The store keeps them beside
// the log, by what its react and answer entries say, as an entry names only some of
// those who reacted to it.
type Deed struct {
	Kind protocol.Kind // REACT or ANSWER
	Word string        // the reaction; accept or refuse
	Seq  int64         // of the entry that says so
}

// Original is what somebody wrote before moderation, of an entry that has a Deal. It goes
// when the entry is recalled, edited, expires or is erased.
type Original struct {
	Seq      int64
	Content  *protocol.Content // nil in an Append: the row ends
	Mentions []protocol.UserID
}

// Append is what one activation of a session writes in one commit. The store
// refuses it as a whole (Err) with ErrStale when Epoch is not the session's
// epoch (Claim: not above it), with ErrTaken when the first new seq is not
// head+1, with *DuplicateError when a (sender, client message id) is there already.
type Append struct {
	Session protocol.SessionID
	Epoch   int64
	Claim   bool  // take Epoch as the session's, which ends every older activation's right to write
	Head    int64 // with Claim: what the log ended with when it was read; where it ends with another it has to be read again: ErrStale
	Create  bool  // the session must not exist yet: else protocol.Conflict. Commit may raise Epoch

	Entries  []*protocol.Entry     // new, in order, contiguous
	Hashes   [][8]byte             // of Entries: a hash of what was asked for, to tell a retry from a conflict
	Vouched  bool                  // the activation knows that the client message ids are new: no need to look
	Rewrites []*protocol.Entry     // older entries as they stand from now on
	Info     *protocol.SessionInfo // when it changed; its Members, HeadSeq, Epoch are not kept
	Members  []*MemberRow          // rows that are new or changed
	Removed  []protocol.UserID     // rows that end
	Marks    []Mark
	Links    []*LinkRow     // rows that are new or changed
	Unlinked []*LinkRow     // rows that end
	Original *Original      // of an entry that is in Entries or Rewrites: a row that is new, changed or ends
	Contacts *ContactChange // written with it, or refused with it by ErrChanged

	Err      error  // set by Commit
	LogEpoch string // set by Commit with Create: the new log's

	// Owner gets the Append back after the commit; the store leaves it alone.
	Owner any
}

// MemberRow is one member of a session as stored. Marks are apart: they change more often.
type MemberRow struct {
	User          protocol.UserID
	Role          protocol.Role
	Inviter       protocol.UserID
	Order         int64 // rises in the order of joining, never reused in a session
	JoinedAt      int64 // Unix milliseconds
	Floor         int64 // the first seq this member may read
	Sticky        bool
	Muted         bool
	SilencedUntil int64 // Unix milliseconds, 0: not
	ReadSeq       int64 // from the member's Mark
	RecvSeq       int64 // the highest of the member's devices
}

// MaxDevices is how many devices' received marks a store keeps for a user in a session:
// whoever brings tokens of an outside system names devices as it likes. Beyond that the
// lowest one goes.
const MaxDevices = 50

// Mark moves a member's read mark and a device's received mark forward; a lower
// value than the stored one changes nothing.
type Mark struct {
	User    protocol.UserID
	Device  string // of RecvSeq
	ReadSeq int64  // 0: not this one
	RecvSeq int64
}

// Stored is a session as a store gives it.
type Stored struct {
	Info     *protocol.SessionInfo
	LogEpoch string // changes only when history may have gone back
	Epoch    int64  // of the newest activation that claimed one
	Head     int64
	Members  []*MemberRow    // in order of joining
	Newest   *protocol.Entry // the one at Head, nil: the log is empty
}

// Sent is what is known of a message by its client message id.
type Sent struct {
	Seq       int64
	CreatedAt int64
	Hash      [8]byte
}

// HomeRow is one session in one user's home list.
type HomeRow struct {
	Info       *protocol.SessionInfo // MemberCount is set; no announcement, nobody former; Members only in a p2p session, without their marks
	LogEpoch   string
	Head       int64
	Last       *protocol.Entry // the newest message, nil: none
	Member     MemberRow
	DeviceRecv int64 // the asked device's received mark
	Unread     int64
	Mentioned  bool
}

// Due is a message whose time has come.
type Due struct {
	Session protocol.SessionID
	Seq     int64
	At      time.Time
}

// Streams carries events from sessions to the nodes where their members are
// connected. Delivery is at most once and in order per subject; what is lost is
// found by seq, as the log is the truth.
type Streams interface {
	// Publish gives events to every node that follows subject, this one included.
	// It never blocks on a slow node. The events are not changed by anyone afterwards.
	// A burst is for this node only, see Burst; nil is allowed.
	Publish(subject string, events []*Event, burst *Burst)
	// Follow registers this node's interest in each of subjects; from its return on,
	// their events arrive, or Receiver.Lost is called once they do. After an error none
	// is followed.
	Follow(ctx context.Context, subjects ...string) error
	// Unfollow ends it. A few events may still arrive.
	Unfollow(subject string)
	// Start names the receiver, before anything is followed.
	Start(receiver Receiver)
}

// GivesUp is said by journals whose Commit may wait for somebody else: GiveUp ends that, with
// ErrUnknown where nobody knows. Nothing is committed afterwards.
type GivesUp interface{ GiveUp() }

// Distant is said by journals that a node may lose sight of while other nodes see them.
type Distant interface {
	// Silent is how long ago the journal last answered this node anything. It is asked for a sign
	// of life when nobody asks it for anything else, so that it is some 0.5 s at most while all is well.
	Silent() time.Duration
	// Yield ends what waits for it, as GiveUp does, until it answers again.
	Yield()
}

// Instant is said by streams whose Follow never waits, so that a mailbox may call
// it: then next to nothing is missed by a user who is new in a session.
type Instant interface{ FollowsAtOnce() }

// Hearing is said by streams that other nodes write into.
type Hearing interface {
	// Deaf says that what others publish may not arrive now, though Lost was not called for it
	// yet. It is asked with every sign-in, so it does not wait.
	Deaf() bool
}

// Receiver takes what streams bring to this node.
type Receiver interface {
	// Receive takes events of one subject, in order.
	Receive(subject string, events []*Event, burst *Burst)
	// Lost says that events may be missing: reload what is known of every subject.
	Lost()
}

// Event is something that members see, encoded once for all of them.
type Event struct {
	Shared    *protocol.Shared         // the frame
	Ephemeral bool                     // typing and the like: not kept for a resume
	Only      protocol.UserID          // for this user only; "": for every member of the subject's session
	Not       protocol.UserID          // for all but this user
	Hidden    map[protocol.UserID]bool // for none of these; nobody changes it
	Word      []byte                   // of NodesSubject, instead of a frame: for nodes
	Skip      int64                    // a connection, of whichever node, that does not get it, as it gets the answer; 0: none
}

// SessionSubject and UserSubject name what Streams carries.
func SessionSubject(id protocol.SessionID) string { return "s:" + id }
func UserSubject(id protocol.UserID) string       { return "u:" + id }

// Users is what actors ask about people.
type Users interface {
	// Unknown gives those of ids that name no user.
	Unknown(ctx context.Context, ids []protocol.UserID) ([]protocol.UserID, error)
}

// Notifier learns of messages for people without a connection.
type Notifier interface {
	// Missed says that user has no connection on any node and got this message. It must not block.
	Missed(user protocol.UserID, entry *protocol.Entry)
}

// Link is what a transport gives a connection to speak through. Its methods never block.
type Link interface {
	// Deliver queues frames, in order. Over its bound of bytes the link closes itself
	// with TOO_SLOW. A nil burst writes at once; else the link adds itself to the burst.
	Deliver(frames []Outgoing, burst *Burst)
	// Close sends what is queued, then closes with the code. A zero code is a normal close.
	Close(code int, reason string)
}

// Outgoing is one frame for one connection: a frame of its own, or a shared one
// and what differs in its tail.
type Outgoing struct {
	Frame  *protocol.Frame
	Shared *protocol.Shared
	To     protocol.UserID // with Shared, of a msg_push: makes the messagesendId
	Offset int64           // with Shared: 0 is left out
}
