package desk

import (
	"context"
	"log/slog"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Config bounds what bots may do. A zero field means its written default.
type Config struct {
	Handshake time.Duration // until Describe has come; default 3 s
	Ack       time.Duration // until an event that was not acknowledged comes again; default 30 s
	Ping      time.Duration // between two; default 10 s
	Pong      time.Duration // until its answer; default 2 s
	Write     time.Duration // until a frame is on its way; default 2 s
	Drain     time.Duration // for what is in hand when a channel is to end; default 30 s
	Retry     time.Duration // before the second attempt, doubled for each further one; default 500 ms
	Attempts  int           // of one event, then it is a dead letter; default 5
	MaxAge    time.Duration // of an event, where the bot says nothing else; default 2 min
	Flush     time.Duration // between two writes of cursors; default 1 s
	Page      int           // entries that are read at once for a bot in a session; default 64
	Held      int           // events that wait in memory for one plugin; default 2,048
	Lanes     int           // sessions that one plugin has in memory; default 4,096

	Interrupted time.Duration // a draft whose bot is lost becomes a message after it; default 60 s
	StopIn      time.Duration // a draft that was stopped becomes a message after it; default 5 s
	MaxText     int           // bytes of a message's text, as actors.Config.MaxText; default 8 KiB

	SessionRate  float64 // messages of a bot per second in a session; default 1, below 0: no bound
	SessionBurst int     // default 5
	SessionMin   int     // per minute in a session; default 20
	BotRate      float64 // per second in all its sessions; default 30

	Moderate   time.Duration // for all moderators of a message together; default 300 ms
	FailClosed bool          // without their answer nothing is said; default: it is said

	Keys      int64  // bytes of keys and values of one plugin; default 10 MiB
	Schedules int    // of one plugin; default 1,000
	Locale    string // of the installation, like zh-CN; "": en, and who writes Chinese is answered in it
	Version   string // of the host
}

func (c Config) withDefaults() Config {
	def(&c.Handshake, 3*time.Second)
	def(&c.Ack, 30*time.Second)
	def(&c.Ping, 10*time.Second)
	def(&c.Pong, 2*time.Second)
	def(&c.Write, 2*time.Second)
	def(&c.Drain, 30*time.Second)
	def(&c.Retry, 500*time.Millisecond)
	def(&c.Attempts, 5)
	def(&c.MaxAge, 2*time.Minute)
	def(&c.Flush, time.Second)
	def(&c.Page, 64)
	def(&c.Held, 2048)
	def(&c.Lanes, 4096)
	def(&c.Interrupted, time.Minute)
	def(&c.StopIn, 5*time.Second)
	def(&c.MaxText, 8<<10)
	def(&c.SessionRate, 1)
	def(&c.SessionBurst, 5)
	def(&c.SessionMin, 20)
	def(&c.BotRate, 30)
	def(&c.Moderate, 300*time.Millisecond)
	def(&c.Keys, 10<<20)
	def(&c.Schedules, 1000)
	return c
}

func def[T comparable](v *T, to T) {
	var none T
	if *v == none {
		*v = to
	}
}

// Needs is what the desk is plugged into.
type Needs struct {
	Actors Actors
	Users  Users
	Store  Store
	Files  Files // nil: bots have none
	Usage  Usage // nil: nothing is counted
	Web    Web   // nil: they reach nobody
	Hooks  Hooks // nil: there are none
	Log    *slog.Logger
	Now    func() time.Time // default time.Now
	// Owns says whether what falls to id, a session or another word, is this node's; default: all is.
	Owns func(id string) bool
	// Nodes are the others; nil: there are none.
	Nodes Nodes
}

// Actors is what the desk asks of a Node. *actors.Node fills it.
type Actors interface {
	// Ask does one frame for who, and gives its answer or an *protocol.Error.
	Ask(ctx context.Context, who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error)
	// Draft tells the members a part of what a bot is writing. It does not block.
	Draft(d *actors.Draft)
	// Whisper tells one member of the whisper's session something that is in no log.
	Whisper(ctx context.Context, w *protocol.MsgWhisper, to protocol.UserID) error
	// Attend says how a bot is seen: online or offline.
	Attend(user protocol.UserID, status string)
}

// Users is what the desk asks about people, and where its bots become users.
type Users interface {
	// EnsureBot makes a bot's user, or has it look so.
	EnsureBot(ctx context.Context, b Persona) error
	// Profiles gives those of ids that there are.
	Profiles(ctx context.Context, ids []protocol.UserID) ([]*protocol.Profile, error)
}

// Persona is one of the users that a plugin is.
type Persona struct {
	User   protocol.UserID
	Name   string
	About  string
	Avatar string
	AI     bool // a model writes what it says
}

// Files is where bots' files are.
type Files interface {
	// Read gives a file that who may read. One of more than max bytes is TOO_LARGE.
	Read(ctx context.Context, who protocol.Identity, id protocol.FileID, max int64) (*File, error)
	// Write keeps a file of who's, and gives its id.
	Write(ctx context.Context, who protocol.Identity, f *File) (protocol.FileID, error)
}

// File is one file with its contents.
type File struct {
	Name string
	Mime string
	Data []byte
}

// Usage counts what models cost.
type Usage interface {
	// Spend counts tokens, and says how many are left today: -1 is any number.
	Spend(ctx context.Context, s Spent) (left int64, err error)
}

// Spent is what one answer cost.
type Spent struct {
	Plugin     string
	User       protocol.UserID // who asked; "" where nobody did
	Session    protocol.SessionID
	Model      string
	Prompt     int64
	Completion int64
}
