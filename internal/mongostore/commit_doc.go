package mongostore

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Collections of the journal. All but commits, claims and changes are made of those
// and can be made again.
const (
	inCommits  = "commits"  // a session's log: what was committed, in order
	inSessions = "sessions" // a session as it stands
	inMembers  = "members"
	inMarks    = "marks"
	inLinks    = "links"
)

func journalIndexes() []index {
	return slices.Concat([]index{
		up(inCommits, "s", "b"), // ranges of a log
		sparse(inCommits, "k"),  // client message ids
		sparse(inCommits, "g"),  // what people did to messages
		sparse(inCommits, "x"),  // what expires
		sparse(inCommits, "f"),  // files
		sparse(inCommits, "o"),  // what moderators decided on
		sparse(inCommits, "w"),  // what is done with
		sparse(inSessions, "until"),
		sparse(inSessions, "avatar"),
		up(inMembers, "s"), up(inMembers, "u"),
		up(inMarks, "s"), up(inMarks, "u"),
		up(inLinks, "s", "at", "_id"),
	}, noticeIndexes())
}

// commitDoc is what one session wrote in one step. Its _id is the session and N, the
// next number of the session's commits: whoever inserts it first has written, so
// that of two activations one finds out. Its entries are the session's log.
type commitDoc struct {
	ID      string     `bson:"_id"`
	Session string     `bson:"s"`
	N       int64      `bson:"n"`
	Token   string     `bson:"t"`              // of the writer: it knows its own again
	Void    bool       `bson:"void,omitempty"` // it only takes the number away from whoever was too late
	Epoch   int64      `bson:"p"`              // of the activation
	Members int64      `bson:"mc"`             // how many there are from here on
	First   int64      `bson:"a"`              // seq of the first entry, 0: none
	Last    int64      `bson:"b"`              // of the last one
	Entries []entryDoc `bson:"e,omitempty"`
	Version int64      `bson:"v,omitempty"` // the commit that rewrote entries of this one last

	// What is looked for across commits.
	Sent  []string `bson:"k,omitempty"` // sentWord of entries
	Deeds []string `bson:"g,omitempty"` // deedWord of entries
	Files []string `bson:"f,omitempty"` // that entries and originals name
	Due   int64    `bson:"x,omitempty"` // when the first of the entries expires, Unix milliseconds
	Dealt string   `bson:"o,omitempty"` // the session, where an original is kept

	// Pending, where it is not empty, is the rest of this document: it is written if the
	// change of contacts in it can be made, and nothing of it if not.
	Pending []byte `bson:"pending,omitempty"`

	Marks []markRow `bson:"marks,omitempty"`
	Rest  *restDoc  `bson:"c,omitempty"` // what goes into other rows; it is removed once it is there
	Done  int64     `bson:"w,omitempty"` // when it was there, Unix milliseconds
}

// entryDoc is an entry of a log, and what of it is counted and looked for.
type entryDoc struct {
	Session  string   `bson:"s"` // here too, as FerretDB's $unwind keeps nothing beside it
	Seq      int64    `bson:"q"`
	Counts   bool     `bson:"c,omitempty"` // it is unread until it is read
	Until    int64    `bson:"n,omitempty"` // the commit by which it ceased to count
	Shows    bool     `bson:"l,omitempty"` // it may be the last message of its session
	Sender   string   `bson:"u"`
	Mentions []string `bson:"m,omitempty"` // while it counts
	Due      int64    `bson:"x,omitempty"`
	At       int64    `bson:"t"`           // createdAt
	Deed     int64    `bson:"g,omitempty"` // of a reaction or an answer: to which seq
	Sent     []byte   `bson:"k,omitempty"` // protocol.SentKey
	Hash     []byte   `bson:"h,omitempty"` // of what was asked for
	Data     []byte   `bson:"d"`           // protobuf
	Original []byte   `bson:"o,omitempty"` // protobuf of an entry with content and mentions only
}

// restDoc is what a commit changes besides the log.
type restDoc struct {
	Info     []byte       `bson:"i,omitempty"` // protobuf
	Rewrites []rewriteDoc `bson:"r,omitempty"`
	Members  []memberRow  `bson:"m,omitempty"`
	Links    []linkRow    `bson:"l,omitempty"`
	Refer    []referDoc   `bson:"f,omitempty"`
	Left     []string     `bson:"a,omitempty"` // avatars that the session names no more
	Unsigned []int64      `bson:"u,omitempty"` // blocks of the log whose words are others now
}

// rewriteDoc is what an older commit's entries are from now on.
type rewriteDoc struct {
	N       int64      `bson:"n"`  // of the commit that has them
	Was     int64      `bson:"wv"` // its Version until now
	At      []int32    `bson:"at"` // their places among its entries
	Entries []entryDoc `bson:"e"`
	Files   []string   `bson:"f,omitempty"` // of the commit, from now on
	Due     int64      `bson:"x,omitempty"`
	Dealt   string     `bson:"o,omitempty"`
}

// referDoc says which files an entry names from now on, where it named others before.
type referDoc struct {
	Seq int64    `bson:"q"`
	Was []string `bson:"was,omitempty"`
	Is  []string `bson:"is,omitempty"`
}

// sessionRow is a session as its first N commits have left it.
type sessionRow struct {
	ID      string `bson:"_id"`
	N       int64  `bson:"n"`
	Epoch   int64  `bson:"p"`
	Head    int64  `bson:"h"`
	Message int64  `bson:"m"`           // the newest seq of kind message, 0: none
	Last    []byte `bson:"l,omitempty"` // that message, protobuf
	Members int64  `bson:"mc"`
	Info    []byte `bson:"i"` // protobuf
	Pair    bool   `bson:"pair,omitempty"`
	Dead    bool   `bson:"dead,omitempty"`
	Until   int64  `bson:"until,omitempty"`
	Avatar  string `bson:"avatar,omitempty"`
}

// exists says that the session was made: numbers may be taken in vain before.
func (r *sessionRow) exists() bool { return len(r.Info) > 0 }

func commitID(session protocol.SessionID, n int64) string { return fmt.Sprintf("%s/%013d", session, n) }

func sentWord(session protocol.SessionID, key []byte) string {
	return fmt.Sprintf("%s/%x", session, key)
}

func deedWord(session protocol.SessionID, target int64, user protocol.UserID) string {
	return fmt.Sprintf("%s/%d/%s", session, target, user)
}

// next gives the row as commit c leaves it.
func (r *sessionRow) next(c *commitDoc) (*sessionRow, error) {
	n := *r
	n.ID, n.N = c.Session, c.N
	if c.Void {
		return &n, nil
	}
	n.Epoch, n.Members = c.Epoch, c.Members
	n.Head = max(n.Head, c.Last)
	for _, e := range c.Entries {
		if e.Shows {
			n.Message, n.Last = e.Seq, e.Data
		}
	}
	if c.Rest == nil {
		return &n, nil
	}
	for _, w := range c.Rest.Rewrites {
		for _, e := range w.Entries {
			if e.Seq == n.Message {
				n.Last = e.Data
			}
		}
	}
	if c.Rest.Info != nil {
		info := &protocol.SessionInfo{}
		if err := proto.Unmarshal(c.Rest.Info, info); err != nil {
			return nil, fmt.Errorf("mongostore: info of %s: %w", c.ID, err)
		}
		n.Info, n.Pair, n.Dead, n.Until, n.Avatar = c.Rest.Info, info.SessionType == protocol.SessionType_P2P, info.Dead, info.Until, info.Avatar
	}
	return &n, nil
}

// newEntry makes the document of an entry. sent says what is known of it by its
// client message id.
func newEntry(session protocol.SessionID, e *protocol.Entry, sent actors.Sent) (entryDoc, error) {
	d := entryDoc{Session: session, Seq: e.Seq, Sender: e.Sender, At: e.CreatedAt, Due: dueAt(e), Hash: sent.Hash[:]}
	d.Counts, d.Shows = e.Counts(), e.Shows()
	if d.Counts {
		d.Mentions = e.Mentions
	}
	if e.Kind == protocol.Kind_REACT || e.Kind == protocol.Kind_ANSWER {
		d.Deed = e.Target
	}
	if e.ClientMsgId != "" {
		key := protocol.SentKey(e.Sender, e.ClientMsgId)
		d.Sent = key[:]
	}
	var err error
	bare := proto.CloneOf(e)
	bare.Session, bare.Seq, bare.MessagerecvId = "", 0, "" // the commit says those
	if d.Data, err = proto.Marshal(bare); err != nil {
		return d, fmt.Errorf("mongostore: entry %s %d: %w", session, e.Seq, err)
	}
	if d.Data == nil {
		d.Data = []byte{}
	}
	return d, nil
}

// entry gives the entry of a session back.
func (e *entryDoc) entry(session protocol.SessionID) (*protocol.Entry, error) {
	out := &protocol.Entry{}
	if err := proto.Unmarshal(e.Data, out); err != nil {
		return nil, fmt.Errorf("mongostore: entry %s %d: %w", session, e.Seq, err)
	}
	out.Session, out.Seq = session, e.Seq
	out.MessagerecvId = protocol.MessageID(session, e.Seq)
	return out, nil
}

func (e *entryDoc) sent() actors.Sent {
	s := actors.Sent{Seq: e.Seq, CreatedAt: e.At}
	copy(s.Hash[:], e.Hash)
	return s
}

// fileNames are the files that an entry and its original name.
func (e *entryDoc) fileNames() ([]string, error) {
	got, err := e.entry("")
	if err != nil {
		return nil, err
	}
	names := got.Content.FileNames()
	if e.Original != nil {
		o := &protocol.Entry{}
		if err := proto.Unmarshal(e.Original, o); err != nil {
			return nil, fmt.Errorf("mongostore: original of entry %d: %w", e.Seq, err)
		}
		names = append(names, o.Content.FileNames()...)
	}
	names = slices.DeleteFunc(names, func(id string) bool { return !protocol.IsFileID(id) })
	slices.Sort(names)
	return slices.Compact(names), nil
}

// sum makes what of c's entries is looked for across commits.
func (c *commitDoc) sum() error {
	c.Sent, c.Deeds = nil, nil
	for i := range c.Entries {
		if e := &c.Entries[i]; e.Sent != nil {
			c.Sent = append(c.Sent, sentWord(c.Session, e.Sent))
		}
		if e := &c.Entries[i]; e.Deed != 0 {
			c.Deeds = append(c.Deeds, deedWord(c.Session, e.Deed, e.Sender))
		}
	}
	var err error
	c.Files, c.Due, c.Dealt, err = found(c.Session, c.Entries)
	return err
}

// found is what a rewrite may change of it.
func found(session protocol.SessionID, entries []entryDoc) (files []string, due int64, dealt string, err error) {
	for i := range entries {
		e := &entries[i]
		names, err := e.fileNames()
		if err != nil {
			return nil, 0, "", err
		}
		files = append(files, names...)
		if e.Due != 0 && (due == 0 || e.Due < due) {
			due = e.Due
		}
		if e.Original != nil {
			dealt = session
		}
	}
	slices.Sort(files)
	return slices.Compact(files), due, dealt, nil
}

// dueAt is the time in Unix milliseconds at which e expires by itself, 0: never
// (again: a recalled message has nothing left that could expire).
func dueAt(e *protocol.Entry) int64 {
	if e.Kind != protocol.Kind_MESSAGE || e.Expire <= 0 || e.Expired || e.Recalled {
		return 0
	}
	return e.CreatedAt + e.Expire*1000
}

// infoRow leaves out what other fields say.
func infoRow(info *protocol.SessionInfo) ([]byte, error) {
	kept := proto.CloneOf(info)
	kept.Members, kept.MemberCount, kept.HeadSeq, kept.Epoch = nil, 0, 0, ""
	b, err := proto.Marshal(kept)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("mongostore: session %s has an empty info", info.Session)
	}
	return b, err
}

// keyed makes text that clients choose the name of a field: without dots and dollars.
func keyed(text string) string { return fmt.Sprintf("d%x", text) }
