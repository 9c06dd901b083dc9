package plugins

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// State is how far a plugin is.
type State string

const (
	Discovered    State = "discovered"
	Verified      State = "verified"
	Starting      State = "starting"
	Handshaken    State = "handshaken"
	Described     State = "described"
	Ready         State = "ready"
	Degraded      State = "degraded" // it does not read, or answers no ping
	Draining      State = "draining"
	Stopped       State = "stopped"
	NeedsApproval State = "needs approval"
	Disabled      State = "disabled"
	Broken        State = "broken"      // as it lies there it cannot be run
	Quarantined   State = "quarantined" // it crashed too often
)

// errBroken says that trying again changes nothing.
type errBroken struct{ error }

// errNeedsApproval says that somebody has to approve it first.
type errNeedsApproval struct{ error }

// BotChange is a change of a plugin's state.
type BotChange struct {
	At      time.Time `json:"at"`
	State   State     `json:"state"`
	Version string    `json:"version,omitempty"`
	Why     string    `json:"why,omitempty"`
}

const keptEvents = 100

// bot is one plugin. Its supervisor is a goroutine; the rest asks it by wake and under mu.
type bot struct {
	host     *Host
	id       string
	log      *slog.Logger
	journal  *journal
	hurry    atomic.Pointer[time.Time] // when drains have to be over: the server stops
	wake     chan struct{}
	started  bool // the host's, under its mu
	draining sync.WaitGroup

	mu       sync.Mutex
	versions []*found        // the newest first
	bad      map[string]bool // version and sums that were rolled back
	state    State
	since    time.Time
	why      string
	events   []BotChange
	fuse     fuse
	restart  bool // somebody asked for it
	current  *running
	about    *botv1.Describe // what it said last
	starts   int
	crashes  int
	lastUp   time.Time // of the current version's first start
	early    int       // its crashes since, within rollbackWithin
	earlyOf  string
}

func newBot(h *Host, id string) *bot {
	log := h.log.With("bot", id)
	return &bot{host: h, id: id, log: log, journal: newJournal(log, h.cfg.Now), wake: make(chan struct{}, 1), bad: map[string]bool{}}
}

// enter changes the state, which is logged as loud as it is, and kept.
func (b *bot) enter(s State, version, why string) {
	level := slog.LevelInfo
	switch s {
	case Degraded, NeedsApproval:
		level = slog.LevelWarn
	case Broken, Quarantined:
		level = slog.LevelError
	case Discovered, Verified, Starting, Handshaken, Described:
		level = slog.LevelDebug
	}
	b.change(level, s, version, why)
}

func (b *bot) change(level slog.Level, s State, version, why string) {
	b.mu.Lock()
	if b.state == s && b.why == why {
		b.mu.Unlock()
		return
	}
	b.state, b.why, b.since = s, why, b.host.cfg.Now()
	b.events = append(b.events, BotChange{b.since, s, version, why})
	if len(b.events) > keptEvents {
		b.events = slices.Delete(b.events, 0, len(b.events)-keptEvents)
	}
	b.mu.Unlock()
	b.log.Log(context.Background(), level, "a bot is "+string(s), "version", version, "why", why)
}

// offer says which versions there are.
func (b *bot) offer(list []*found) {
	b.mu.Lock()
	b.versions = list
	fresh := b.state == ""
	b.mu.Unlock()
	if fresh && len(list) > 0 {
		b.enter(Discovered, list[0].Version, "")
	}
	b.nudge()
}

// nudge has the supervisor look again.
func (b *bot) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// stuck says that a process does not read, and reads that it does again.
func (b *bot) stuck(version string, err error) {
	b.mu.Lock()
	ready := b.state == Ready
	b.mu.Unlock()
	if ready {
		b.enter(Degraded, version, err.Error())
	}
}

func (b *bot) reads(version string) {
	b.mu.Lock()
	degraded := b.state == Degraded
	b.mu.Unlock()
	if degraded {
		b.enter(Ready, version, "")
	}
}
