package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/plugins/desk"
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

const (
	keptEvents = 100
	// A new version that crashes so often so soon gives way to the one before it.
	rollbackAt, rollbackWithin = 3, time.Minute
	// unresponsive is how long a bot that is to drain may leave a ping unanswered.
	unresponsive = time.Second
)

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

// enter changes the state, which is logged and kept.
func (b *bot) enter(s State, version, why string) {
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
	level := slog.LevelInfo
	switch s {
	case Degraded, NeedsApproval:
		level = slog.LevelWarn
	case Broken, Quarantined:
		level = slog.LevelError
	case Discovered, Verified, Starting, Handshaken, Described:
		level = slog.LevelDebug
	}
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

// chosen is the version that is to run, and with what.
type chosen struct {
	*found
	scopes []string
	as     string // the same as long as nobody changed or approved anything
}

// plan says which version is to run; nil: none, as the state says that goes with it.
func (b *bot) plan() (*chosen, State, error) {
	b.mu.Lock()
	versions, bad := b.versions, maps.Clone(b.bad)
	b.mu.Unlock()
	if len(versions) == 0 {
		return nil, Stopped, errors.New("it is not there any more")
	}
	if b.host.lock.disabled(b.id) {
		return nil, Disabled, errors.New("somebody switched it off: troupe bot enable " + b.id)
	}
	var state State
	var why error
	note := func(s State, err error) {
		if state == "" { // what is said is of the newest
			state, why = s, err
		}
	}
	for _, f := range versions {
		if f.builtIn() {
			return &chosen{f, nil, "built in"}, "", nil
		}
		if f.Wrong != nil {
			note(Broken, f.Wrong)
			continue
		}
		a := b.host.lock.approval(f.ID, f.Version)
		switch {
		case a == nil:
			note(NeedsApproval, fmt.Errorf("version %s was not approved: troupe bot approve %s", f.Version, f.ID))
		case a.Manifest != f.Sum:
			note(NeedsApproval, fmt.Errorf("the manifest of version %s is another than the one that was approved: troupe bot approve %s", f.Version, f.ID))
		case bad[f.Version+" "+a.Binary]:
			note(Broken, fmt.Errorf("version %s crashed %d times within %v", f.Version, rollbackAt, rollbackWithin))
		default:
			return &chosen{f, a.Scopes, fmt.Sprint(f.Version, f.Sum, a.Binary, a.Scopes, a.At.UnixNano())}, "", nil
		}
	}
	return nil, state, why
}

// supervise runs the plugin until ctx ends.
func (b *bot) supervise(ctx context.Context) {
	defer b.draining.Wait()
	failed := "" // what cannot be started as it is
	for ctx.Err() == nil {
		c, state, why := b.plan()
		b.mu.Lock()
		if b.restart {
			b.restart, failed = false, ""
			b.fuse.reset()
		}
		wait := b.fuse.again.Sub(b.host.cfg.Now())
		b.mu.Unlock()
		switch {
		case c == nil:
			b.enter(state, "", text(why))
			b.sleep(ctx, 0)
			continue
		case c.as == failed:
			b.sleep(ctx, 0)
			continue
		case wait > 0:
			b.sleep(ctx, wait)
			continue
		}
		b.enter(Verified, c.Version, "")
		r, err := b.begin(c)
		if err != nil {
			if b.failedToStart(c.found, err) {
				failed = c.as
			}
			continue
		}
		if b.tend(ctx, r) {
			failed = c.as
		}
	}
	b.enter(Stopped, "", "the server stops")
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sleep waits for a nudge, for ctx's end and, above 0, for a time.
func (b *bot) sleep(ctx context.Context, d time.Duration) {
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-b.wake:
	case <-after:
	case <-ctx.Done():
	}
}

// begin starts a version, up to where it has said who it is.
func (b *bot) begin(c *chosen) (*running, error) {
	f, scopes := c.found, c.scopes
	config, secrets, everywhere, err := b.host.settings(b.id)
	if err != nil {
		return nil, errBroken{err}
	}
	b.mu.Lock()
	b.fuse.started()
	b.starts++
	b.mu.Unlock()
	b.enter(Starting, f.Version, "")
	var r *running
	seen := &sight{bot: b, version: f.Version, sent: map[string]bool{}}
	if r, err = b.launch(f, seen); err != nil {
		return nil, err
	}
	r.as = c.as
	b.enter(Handshaken, f.Version, "")
	if r.about.Id != b.id || !f.builtIn() && !says(f.Version, r.about.Version) {
		r.end()
		return nil, errBroken{fmt.Errorf("it says that it is %.64q %.64q, and is %s %s", r.about.Id, r.about.Version, b.id, f.Version)}
	}
	b.enter(Described, f.Version, "")
	p := desk.Plugin{ID: b.id, Version: r.about.Version, Scopes: scopes, Config: config, Secrets: secrets}
	if f.builtIn() {
		// What came along was looked at by who put it there: all that it asks for, and to speak.
		if p.Scopes = slices.Clone(r.about.Scopes); !slices.Contains(p.Scopes, "write") {
			p.Scopes = append(p.Scopes, "write")
		}
	} else {
		everywhere = everywhere || f.Manifest.Everywhere
	}
	p.Everywhere = everywhere && slices.Contains(p.Scopes, "moderate")
	r.scopes = p.Scopes
	if m := b.host.need.Models; m != nil && slices.ContainsFunc(p.Scopes, func(s string) bool { return s == "model" }) {
		socket, token, closing, err := m.Open(b.id, r.dir)
		if err != nil {
			r.end()
			return nil, err
		}
		r.model, p.Model = closing, desk.Model{Socket: socket, Token: token}
		if socket != "" {
			if err := b.host.give(socket); err != nil {
				r.end()
				return nil, err
			}
		}
	}
	b.mu.Lock()
	b.current, b.about = r, r.about
	b.mu.Unlock()
	b.serve(r, p)
	return r, nil
}

// says says whether a bot that calls itself version is the one of a directory, which may
// have more behind it: 1.0.0-dev.7 is 1.0.0.
func says(dir, version string) bool {
	core, _, _ := strings.Cut(dir, "-")
	return version == dir || version == core
}

// failedToStart notes what came of a start, and says whether another try is of no use.
func (b *bot) failedToStart(f *found, err error) bool {
	var broken errBroken
	var approval errNeedsApproval
	switch {
	case errors.As(err, &approval):
		b.enter(NeedsApproval, f.Version, err.Error())
	case errors.As(err, &broken):
		b.enter(Broken, f.Version, err.Error())
	default:
		b.crashed(f, 0, err)
		return false
	}
	return true
}

// crashed notes that a process ended that should not have.
func (b *bot) crashed(f *found, up time.Duration, err error) {
	now := b.host.cfg.Now()
	b.mu.Lock()
	b.crashes++
	b.fuse.crashed(now, up)
	wait, circuit := b.fuse.again.Sub(now), b.fuse.state()
	rolled := false
	if !f.builtIn() {
		if b.earlyOf != f.Version || now.Sub(b.lastUp) > rollbackWithin {
			b.earlyOf, b.early, b.lastUp = f.Version, 0, now
		}
		if b.early++; b.early >= rollbackAt && len(b.versions) > 1 && b.versions[len(b.versions)-1] != f {
			if a := b.host.lock.approval(f.ID, f.Version); a != nil {
				b.bad[f.Version+" "+a.Binary], rolled = true, true
				b.fuse.reset()
			}
		}
	}
	b.mu.Unlock()
	switch {
	case rolled:
		b.enter(Broken, f.Version, fmt.Sprintf("version %s crashed %d times within %v; the one before it is started again: %v", f.Version, rollbackAt, rollbackWithin, err))
	case circuit == Open:
		b.enter(Quarantined, f.Version, fmt.Sprintf("it crashed %d times within %v and is tried again in %v: %v", openAt, openWithin, wait.Round(time.Second), err))
	default:
		b.enter(Stopped, f.Version, fmt.Sprintf("it ended, and is started again in %v: %v", wait.Round(100*time.Millisecond), err))
	}
}

// tend looks after a process until it ends or gives way. true: it is not to be started
// again as it is.
func (b *bot) tend(ctx context.Context, r *running) bool {
	steadied := time.NewTimer(steady)
	defer steadied.Stop()
	for {
		select {
		case err := <-r.served:
			return b.lost(r, err)
		case <-r.process.gone:
			r.channel.Close("the bot's process ended")
			return b.lost(r, <-r.served)
		case <-steadied.C:
			b.mu.Lock()
			b.fuse.steadied(steady)
			b.mu.Unlock()
		case <-ctx.Done():
			b.retire(r, "the server stops")
			return false
		case <-b.wake:
			b.mu.Lock()
			again := b.restart
			b.mu.Unlock()
			c, state, why := b.plan()
			switch {
			case again:
				b.retire(r, "somebody asked for a restart")
				return false
			case c == nil:
				b.retire(r, text(why))
				b.enter(state, "", text(why))
				return false
			case c.as == r.as:
				continue
			}
			if next := b.replace(r, c); next != nil {
				r = next
				steadied.Reset(steady)
			}
		}
	}
}

// replace starts another version beside the one that runs, which then finishes what it
// has in hand. nil: the other did not come up, and the one that runs goes on.
func (b *bot) replace(old *running, c *chosen) *running {
	b.log.Info("another version of a bot is started beside the one that runs", "version", c.Version, "running", old.found.Version)
	next, err := b.begin(c)
	if err != nil {
		b.log.Error("another version of a bot did not come up; the one that runs goes on", "version", c.Version, "err", err)
		old.as = c.as // it is not tried again as it is
		b.enter(Ready, old.found.Version, fmt.Sprintf("version %s did not come up: %v", c.Version, err))
		return nil
	}
	b.draining.Go(func() { b.finish(old) })
	return next
}

// lost cleans up after a process that ended by itself, or whose stream did.
func (b *bot) lost(r *running, err error) bool {
	up := b.host.cfg.Now().Sub(r.started)
	if err == nil {
		err = errors.New("its stream ended")
	}
	select { // a process that is about to be gone says more
	case <-r.process.gone:
		if r.process.err != nil {
			err = fmt.Errorf("%w (%w)", r.process.err, err)
		}
	case <-time.After(lastWords):
	}
	b.enter(Stopped, r.found.Version, "it ended: "+err.Error())
	b.over(r)
	b.cleanUp(r)
	if why := r.sight.whyRefused(); why != "" {
		b.enter(Broken, r.found.Version, "it was refused: "+why)
		return true
	}
	b.crashed(r.found, up, err)
	return false
}

// retire ends a process in peace.
func (b *bot) retire(r *running, why string) {
	b.enter(Draining, r.found.Version, why)
	b.finish(r)
	b.over(r)
	b.enter(Stopped, r.found.Version, why)
}

func (b *bot) over(r *running) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == r {
		b.current = nil
	}
}

// finish has a process finish what it has in hand, as long as it shows that it is alive,
// and ends it.
func (b *bot) finish(r *running) {
	r.drain()
	deadline := time.Now().Add(b.host.cfg.Drain)
	for waiting := true; waiting; {
		if hurry := b.hurry.Load(); hurry != nil && hurry.Before(deadline) {
			deadline = *hurry
		}
		left := time.Until(deadline)
		if left <= 0 {
			b.log.Warn("a bot did not finish in time what it had in hand", "version", r.found.Version)
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), min(left, unresponsive))
		silent := make(chan error, 1)
		go func() {
			silent <- r.channel.ping(ctx)
			<-ctx.Done()
		}()
		select {
		case <-r.served:
			waiting = false
		case <-r.process.gone:
			waiting = false
		case <-ctx.Done():
			select {
			case err := <-silent:
				waiting = err == nil
			case <-time.After(10 * time.Millisecond):
				waiting = false
			}
			if waiting && r.sight.inHand() == 0 {
				b.log.Warn("a bot with nothing in hand does not say that it is done", "version", r.found.Version)
				waiting = false
			}
		}
		cancel()
	}
	b.cleanUp(r)
}

func (b *bot) cleanUp(r *running) {
	if !r.end() {
		b.log.Error("a bot's process cannot be ended", "pid", r.pid())
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
