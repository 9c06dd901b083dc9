// Package desk makes bots members: it gives each what happened in its sessions, at
// least once and in order, and does what it calls for, so that nothing of it is seen
// twice. How a bot is reached (a process, a WebSocket, a webhook) is a Channel to it.
//
// The queue of a bot is the log of its sessions and a durable cursor in each. What is in
// memory is one page for each session with something new (lane.go), and what the bot has
// in hand (hand.go). A plugin that is not connected has nothing in memory.
package desk

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Channel is one way to one bot.
type Channel interface {
	// Send gives a frame. It waits until the frame is on its way, ctx's end at most.
	Send(ctx context.Context, f *botv1.HostFrame) error
	// Recv waits for the bot's next frame. Its error says that the bot is gone.
	Recv() (*botv1.BotFrame, error)
	// Close ends it. Recv returns then.
	Close(why string)
}

// Plugin is what the installation knows of a bot before it says anything: what was
// approved.
type Plugin struct {
	ID         string
	Version    string
	Scopes     []string // granted
	Config     string   // JSON of its settings
	Secrets    map[string]string
	Everywhere bool  // it moderates every session, a member or not
	Model      Model // the zero one: it is given none
	Remote     bool
	Single     bool // it comes to the node that it likes, and not to all of them
}

// Model is where a bot finds the model gateway.
type Model struct {
	Socket string // the path of a unix socket, as the bot's process sees it
	Token  string
}

// Desks is the desk of all bots. It fills actors.Robots.
type Desks struct {
	cfg  Config
	need Needs

	mu    sync.RWMutex
	plugs map[string]*plug          // by plugin
	bots  map[protocol.UserID]*plug // by persona

	moderators atomic.Pointer[[]*plug] // that moderate or once did, in the order of their ids

	people people
	loops  loops
	rates  rates
	reach  reach
	abroad abroad

	ctx    context.Context // of all that goes on in the background
	stop   context.CancelFunc
	ending sync.RWMutex // of closed
	closed bool
	tasks  sync.WaitGroup
}

var _ actors.Robots = (*Desks)(nil)

// New makes a desk without bots: they come by Serve. Close ends it.
func New(cfg Config, need Needs) *Desks {
	if need.Owns == nil {
		need.Owns = func(string) bool { return true }
	}
	if need.Now == nil {
		need.Now = time.Now
	}
	d := &Desks{cfg: cfg.withDefaults(), need: need, plugs: map[string]*plug{}, bots: map[protocol.UserID]*plug{}}
	d.people.d, d.loops.d, d.rates.d = d, d, d
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.spawn(d.keep)
	return d
}

// Close writes the cursors down and ends what goes on in the background. Channels are
// ended by their Serve's ctx, before.
func (d *Desks) Close() {
	d.ending.Lock()
	d.closed = true
	d.ending.Unlock()
	d.stop()
	d.tasks.Wait()
	for _, p := range d.all() {
		p.flush(context.Background())
	}
}

// spawn does f in a goroutine that Close waits for. After it nothing is done any more.
func (d *Desks) spawn(f func()) {
	d.ending.RLock()
	defer d.ending.RUnlock()
	if !d.closed {
		d.tasks.Go(f)
	}
}

// keep does once in a while what nobody asks for.
func (d *Desks) keep() {
	tick := time.NewTicker(d.cfg.Flush)
	defer tick.Stop()
	for beat := 1; ; beat++ {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range d.all() {
			p.flush(d.ctx)
			p.walkOn()
			p.due(d.ctx)
			if beat%hereEvery == 0 && p.linked() {
				p.sayHere(true)
			}
			if beat%walkEvery == 0 && d.Elsewhere(p.id) {
				d.lookAgain(p.id)
			}
		}
		if beat%15 == 0 {
			d.overdue(d.ctx)
		}
		d.loops.forget()
		if beat%60 == 0 {
			d.rates.forget()
			d.people.forget()
			d.sweep("bots' keys", d.need.Store.SweepBotKeys)
			d.sweep("what bots wished for", d.need.Store.SweepBotWishes)
		}
	}
}

func (d *Desks) sweep(what string, some func(ctx context.Context, now time.Time, limit int) (int, error)) {
	for {
		n, err := some(d.ctx, d.need.Now(), 500)
		if err != nil && d.ctx.Err() == nil {
			d.need.Log.Error("sweeping "+what, "err", err)
		}
		if n < 500 || err != nil {
			return
		}
	}
}

func (d *Desks) all() []*plug {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*plug, 0, len(d.plugs))
	for _, p := range d.plugs {
		all = append(all, p)
	}
	return all
}

// plug gives a plugin's, which is made when it is new.
func (d *Desks) plug(id string) *plug {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.plugs[id]
	if p == nil {
		p = newPlug(d, id)
		d.plugs[id] = p
	}
	return p
}

// known is plug for one that was here, or is waited for; nil: none.
func (d *Desks) known(id string) *plug {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.plugs[id]
}

// judging gives the plugins that look at messages, or once did.
func (d *Desks) judging() []*plug {
	if all := d.moderators.Load(); all != nil {
		return *all
	}
	return nil
}

// hasJudge notes that p is one of them; plug.judges says whether it still is.
func (d *Desks) hasJudge(p *plug) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.judging(), p) {
		return
	}
	all := append(slices.Clone(d.judging()), p)
	slices.SortFunc(all, func(a, b *plug) int { return strings.Compare(a.id, b.id) })
	d.moderators.Store(&all)
}

// of gives the plugin that a user is, nil: none that was ever here.
func (d *Desks) of(bot protocol.UserID) *plug {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bots[bot]
}

// Offer fills actors.Robots.
func (d *Desks) Offer(o *actors.Offer) {
	d.loops.saw(o)
	for _, bot := range o.Bots {
		p := d.of(bot)
		if p != nil {
			p.offer(bot, o)
		}
		if p == nil || !p.linked() {
			d.afar(bot, o)
		}
	}
	for _, e := range o.Entries {
		if e.Kind != protocol.Kind_LEAVE {
			continue
		}
		for _, bot := range e.Members {
			if !protocol.IsBot(bot) {
				continue
			}
			d.forgetConsent(bot, e.Session)
			if p := d.of(bot); p != nil {
				p.left(bot, e)
			} else {
				d.spawn(func() { d.disown(bot, e.Session) })
			}
			if d.Elsewhere(pluginOf(bot)) {
				d.need.Nodes.Changed(HeardLeft, bot)
			}
		}
	}
}

// Moved says that sessions are placed otherwise now: those that are here may have what bots
// were not given at the node that had them before.
func (d *Desks) Moved() {
	for _, p := range d.all() {
		p.mu.Lock()
		p.overflow, p.dueAt = true, 0
		p.mu.Unlock()
		if p.linked() {
			p.sayHere(true)
		}
	}
}

// Stop fills actors.Robots.
func (d *Desks) Stop(session protocol.SessionID, bot protocol.UserID, stream string, by protocol.UserID) {
	p := d.of(bot)
	if p != nil {
		p.stopDraft(session, stream, by)
	}
	if (p == nil || !p.linked()) && d.Elsewhere(pluginOf(bot)) {
		d.need.Nodes.Changed(HeardStop, strings.Join([]string{session, bot, stream, by}, " "))
	}
}

func (d *Desks) now() int64 { return d.need.Now().UnixMilli() }
