// Package search finds messages by their words. Beside the log lies one signature for
// every 64 entries of a session: a Bloom filter of what stands next to what in them. It says
// where a word cannot be, so that few entries are read; every hit is compared with the
// entry as it now stands. So a signature that is missing costs time and never a hit, and
// what was taken back cannot be found.
package search

import (
	"context"
	"log/slog"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// BlockSize is how many entries one signature is for: block b is those with seq
// 64b+1 to 64b+64. It is written once all of them are there, and for as many as there are when a
// session has been quiet.
const BlockSize = 64

// Message is what searching reads of a message that was neither recalled nor marked as
// expired. Its slices are good only during the call that brings it.
type Message struct {
	Seq       int64
	CreatedAt int64 // Unix milliseconds; it does not fall from entry to entry of a session
	Expire    int64 // seconds after CreatedAt, 0: never
	Sender    []byte
	Content   []byte // a protocol.Content in protobuf
}

// Room is a session as far as somebody may read it.
type Room struct {
	Session protocol.SessionID
	From    int64 // the first seq that may be read
	Head    int64 // the newest seq
}

// Place is where a message is.
type Place struct {
	Session protocol.SessionID
	Seq     int64
}

// Found is a message as it now stands, and its session.
type Found struct {
	Entry *protocol.Entry
	Info  *protocol.SessionInfo // Members only of a p2p session
}

// Store is what searching asks of a store.
type Store interface {
	// Prepare is called before signatures are read or written. Those of another version
	// are removed: they are made anew.
	Prepare(ctx context.Context, version byte) error
	// Watch has full called, from any goroutine, after a commit by which a session has a
	// block to sign. full does not block.
	Watch(full func(session protocol.SessionID))
	// Unsigned looks at so many sessions, in an order of the store's own, behind the session given,
	// "": from the first, and gives those that have entries without a signature. to is the last
	// one it looked at, "": there is none behind it.
	Unsigned(ctx context.Context, after protocol.SessionID, limit int) (sessions []protocol.SessionID, to protocol.SessionID, err error)
	// Sign gives sign the messages of such blocks, newest message first, and keeps what it
	// returns with how many entries it is of; of a block that is not full only if tails, or if it was changed; that of many blocks in one commit. rest are those of the sessions that may have
	// more of them, the last ones of sessions. What a commit that changes a message's words does to a block, it does in the
	// same step: the signature is gone, and the block unsigned again. No signature is kept of a
	// block that was changed while it was read.
	Sign(ctx context.Context, sessions []protocol.SessionID, tails bool, sign func(messages []Message) []byte) (rest []protocol.SessionID, err error)
	// Look reads, as everything was at one moment.
	Look(ctx context.Context, use func(r Reader) error) error
	// Read gives the messages at places as they stand now, nil for those that user may not
	// read (any more) or that were recalled or have expired.
	Read(ctx context.Context, user protocol.UserID, places []Place) ([]*Found, error)
}

// Reader reads what is durable.
type Reader interface {
	// Rooms gives the sessions that user is in, in the order in which the other methods read them most
	// cheaply, or the one that is named; none when it is not there, dead, or user not in it.
	Rooms(user protocol.UserID, only protocol.SessionID) ([]Room, error)
	// Signatures calls each with a session's signatures of the blocks from first to last,
	// the last one first, until it returns false; n is how many of the block's entries one is of. Blocks
	// without one are left out.
	Signatures(session protocol.SessionID, first, last int64, each func(block, n int64, signature []byte) bool) error
	// Messages calls each with a session's messages with from <= seq <= to, the newest first,
	// until it returns false.
	Messages(session protocol.SessionID, from, to int64, each func(m *Message) bool) error
}

// Config holds the search's settings. A zero field means the default written beside it.
type Config struct {
	Rows   int           // messages that one request compares: 200,000, some 100 ms
	Within time.Duration // and the time it takes for it: 500 ms
	Rate   float64       // requests per second and user: 2; below 0: no limit
	Burst  int           // of them at once: 10
	AtOnce int           // requests at work at the same time, the others wait: 2
	Gather time.Duration // how long blocks that are full wait for others, so that few syncs do: 200 ms
	Sweep  time.Duration // how often what stands behind the full blocks is signed: 10 min
	Turn   func() bool   // of several nodes: whether it is this one that does; nil: it is
}

func (c Config) withDefaults() Config {
	if c.Rows == 0 {
		c.Rows = 200_000
	}
	if c.Within == 0 {
		c.Within = 500 * time.Millisecond
	}
	if c.Rate == 0 {
		c.Rate = 2
	}
	if c.Burst == 0 {
		c.Burst = 10
	}
	if c.AtOnce == 0 {
		c.AtOnce = 2
	}
	if c.Gather == 0 {
		c.Gather = 200 * time.Millisecond
	}
	if c.Sweep == 0 {
		c.Sweep = 10 * time.Minute
	}
	return c
}

// Center answers queries, and signs blocks in the background: see Run.
type Center struct {
	cfg   Config
	store Store
	log   *slog.Logger
	now   func() time.Time
	turns chan struct{}
	rates rates
	queue queue
}

// New makes a center on a store. Blocks are signed while Run runs.
func New(cfg Config, store Store, now func() time.Time, log *slog.Logger) *Center {
	cfg = cfg.withDefaults()
	c := &Center{cfg: cfg, store: store, log: log, now: now, turns: make(chan struct{}, cfg.AtOnce)}
	c.queue.wake = make(chan struct{}, 1)
	store.Watch(c.queue.add)
	return c
}

// Query is what is looked for. Words is needed, the rest narrows it down.
type Query struct {
	Words   string
	Session protocol.SessionID
	Sender  protocol.UserID
	Types   []protocol.ContentType
	After   time.Time // not before this time
	Before  time.Time // before this time
	Limit   int       // 1 to 100
	Cursor  string
}

// Page is a part of what was found, the newest first.
type Page struct {
	Hits    []Hit
	Next    string // cursor of the next page, "": this was the last
	Partial bool   // the work for one request was done before the page was full
}

// Hit is one message that was found.
type Hit struct {
	Found
	Field   string // of the content: text, title, name, digest or forwarded
	Snippet string // a piece of it
	Marks   [][2]int
}

// Limits of a query.
const (
	maxWords = 16
	maxQuery = 256 // characters
	MaxPage  = 100
)
