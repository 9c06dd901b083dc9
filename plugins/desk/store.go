package desk

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Store keeps what the desk must know after a restart. What is not there is a
// protocol.NotFound error, but where a method says otherwise.
type Store interface {
	// BotCursor says how far a bot is in a session; nil: it has not been looked at yet.
	BotCursor(ctx context.Context, bot protocol.UserID, session protocol.SessionID) (*Cursor, error)
	// PutBotCursors writes them in one step.
	PutBotCursors(ctx context.Context, all []*Cursor) error
	// BotsBehind gives sessions that a bot is in and that have entries behind its cursor,
	// or no cursor, in the order of their keys from after the one given ("": the first);
	// at most limit of them, next "" when there are no more.
	BotsBehind(ctx context.Context, bot protocol.UserID, after protocol.SessionID, limit int) (all []Behind, next protocol.SessionID, err error)
	// BotsGone gives cursors of a bot in sessions that it is not in any more, in the order of
	// their sessions' keys, like BotsBehind.
	BotsGone(ctx context.Context, bot protocol.UserID, after protocol.SessionID, limit int) (all []*Cursor, next protocol.SessionID, err error)
	// ForgetBot ends what is kept of a bot in a session, but its dead letters.
	ForgetBot(ctx context.Context, bot protocol.UserID, plugin string, session protocol.SessionID) error

	// BotState gives how a bot stands in a session; the zero one where nothing was said.
	BotState(ctx context.Context, bot protocol.UserID, session protocol.SessionID) (State, error)
	PutBotState(ctx context.Context, bot protocol.UserID, session protocol.SessionID, s State) error
	// BotStates calls each with all of a bot.
	BotStates(ctx context.Context, bot protocol.UserID, each func(session protocol.SessionID, s State) error) error

	// PutBotDead keeps a dead letter under its plugin and event.
	PutBotDead(ctx context.Context, l *DeadLetter) error
	// BotDead gives one; BotDeads those of a plugin ("": all) in the order of plugin and
	// event, from after the one given (nil: the first).
	BotDead(ctx context.Context, plugin, event string) (*DeadLetter, error)
	BotDeads(ctx context.Context, plugin string, after *DeadLetter, limit int) ([]*DeadLetter, error)
	DropBotDead(ctx context.Context, plugin, event string) error

	// BotKey gives a key's item; one with Version 0 where there is none, or none any more.
	BotKey(ctx context.Context, at KeyAt, now time.Time) (KeyItem, error)
	// SetBotKey writes, or removes, and gives what there is now. CONFLICT when If is another
	// version than there is, QUOTA when the plugin's keys and values would be over bound bytes.
	SetBotKey(ctx context.Context, at KeyAt, w KeyWrite, bound int64, now time.Time) (KeyItem, error)
	// BotKeys gives those with a prefix, from after a key ("": the first).
	BotKeys(ctx context.Context, at KeyAt, after string, limit int, now time.Time) ([]KeyItem, error)
	// SweepBotKeys ends at most limit of those whose time is over.
	SweepBotKeys(ctx context.Context, now time.Time, limit int) (int, error)

	// PutBotSchedule keeps one, or moves the one with its id. TOO_MANY over bound of its plugin.
	PutBotSchedule(ctx context.Context, s *Schedule, bound int) error
	// DropBotSchedule ends one; at nonzero: only if it is still for that time.
	DropBotSchedule(ctx context.Context, s *Schedule, at int64) error
	// DueBotSchedules gives those of a plugin that are due at now, the earliest first, and
	// when the next one is (0: none).
	DueBotSchedules(ctx context.Context, plugin string, now time.Time, limit int) (due []*Schedule, next int64, err error)
	// LateBotSchedules gives those of all plugins whose Until is behind now, at most limit.
	LateBotSchedules(ctx context.Context, now time.Time, limit int) ([]*Schedule, error)

	// PutBotWish keeps what a person is asked about, by the client message id of the card
	// that asks, or what was decided on it.
	PutBotWish(ctx context.Context, card string, w *Wish) error
	BotWish(ctx context.Context, card string) (*Wish, error)
	// SweepBotWishes ends at most limit of those whose time is over, and says how many.
	SweepBotWishes(ctx context.Context, now time.Time, limit int) (int, error)

	// PutBotTries keeps how often events of a plugin were tried, in one step. One without an
	// attempt ends what is kept of its event.
	PutBotTries(ctx context.Context, plugin string, all []Tries) error
	// BotTries gives all of a plugin's, by event.
	BotTries(ctx context.Context, plugin string) ([]Tries, error)
}

// Cursor is how far a bot is in a session: all up to Seq is done, and of what is
// behind it, Ahead. A Seq of -1 says that it was not told yet that it is in it.
type Cursor struct {
	Bot     protocol.UserID
	Session protocol.SessionID
	Seq     int64
	Ahead   []int64
}

// Behind is a session with something new for a bot.
type Behind struct {
	Session protocol.SessionID
	Seq     int64 // of the cursor
	Head    int64
	New     bool // there is no cursor
}

// State is how a bot stands in a session.
type State struct {
	Consent   string          `json:"consent,omitempty"`   // "": not asked, asked, allowed, denied
	By        protocol.UserID `json:"by,omitempty"`        // who decided on it
	Human     bool            `json:"human,omitempty"`     // people took over: it gets no messages
	Handed    string          `json:"handed,omitempty"`    // the event for which they did
	MutedTill int64           `json:"mutedTill,omitempty"` // Unix milliseconds
}

// DeadLetter is an event that was given up.
type DeadLetter struct {
	Plugin   string             `json:"plugin"`
	Event    string             `json:"event"`
	Bot      protocol.UserID    `json:"bot"`
	Session  protocol.SessionID `json:"session,omitempty"`
	Seq      int64              `json:"seq,omitempty"` // of the entry that it is made from again; 0: Body has it
	Kind     string             `json:"kind"`
	Attempts uint32             `json:"attempts"`
	Why      string             `json:"why"` // of the list in docs/bots-delivery.md
	Error    string             `json:"error,omitempty"`
	At       int64              `json:"at"`             // Unix milliseconds
	Body     []byte             `json:"body,omitempty"` // the event as protobuf, where no entry has it
}

// KeyAt names a key: of a plugin, in a session's room or the one outside ("-").
type KeyAt struct {
	Plugin string
	Room   string
	Key    string // of BotKeys: the prefix
}

// KeyWrite is what becomes of a key.
type KeyWrite struct {
	Value   []byte
	Remove  bool
	If      *int64
	Expires int64 // Unix milliseconds, 0: never
}

// KeyItem is a key as it stands. Versions of a key rise, also over its removal.
type KeyItem struct {
	Key     string
	Value   []byte
	Version int64
	Expires int64
}

// Tries is how often an event was given without being done.
type Tries struct {
	Event   string `json:"event"`
	Attempt uint32 `json:"attempt"`
	Crashes int    `json:"crashes,omitempty"` // in a row, with it in hand
	At      int64  `json:"at"`                // Unix milliseconds, of the last one
}

// Schedule is an event that comes at a time.
type Schedule struct {
	Plugin  string             `json:"plugin"`
	Bot     protocol.UserID    `json:"bot"`
	Session protocol.SessionID `json:"session,omitempty"`
	ID      string             `json:"id"`
	At      int64              `json:"at"`              // Unix milliseconds
	Until   int64              `json:"until,omitempty"` // likewise, after which nobody waits for it any more; 0: any time will do
	Body    string             `json:"body,omitempty"`
	// Kind is schedule, or webhook: it came from outside. With command and removed it is an
	// event that the desk made itself: ID is its id, Body the event.
	Kind string `json:"kind"`
}

// Wish is a tool that a person has to allow.
type Wish struct {
	Plugin  string             `json:"plugin"` // that wishes it
	Bot     protocol.UserID    `json:"bot"`
	Session protocol.SessionID `json:"session"`
	Asker   protocol.UserID    `json:"asker"` // who may allow it
	Target  protocol.UserID    `json:"target"`
	Command string             `json:"command"`
	Args    string             `json:"args"`
	Hops    uint32             `json:"hops"`
	Expires int64              `json:"expires"`
	Click   string             `json:"click,omitempty"` // the message that decided on it; "": it waits
}
