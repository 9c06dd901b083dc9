package desk

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// plug is one plugin at the desk, connected or not. Its mutex is never held over
// anything that waits.
type plug struct {
	d  *Desks
	id string

	single atomic.Bool // as Plugin has it

	turn    sync.Mutex // held while channels come and go
	stating sync.Mutex // held while a state changes
	writing sync.Mutex // held while cursors and tries are written: what is written last was true last

	mu     sync.Mutex
	of     Plugin
	says   *botv1.Describe
	selves map[protocol.UserID]*botv1.Self
	scopes map[string]bool
	state  string // online, draining, offline
	since  time.Time

	link     *link // takes new events; nil: none
	lanes    map[place]*lane
	work     []*lane // that have something to read
	workers  int
	ready    []*lane // that have an event to give
	starved  []*lane // that wait for a credit
	full     []*lane // that wait for room to hold more
	held     int     // events in all lanes
	overflow bool    // a session was not given a lane: walk again
	walking  bool

	hands   map[string]*hand // by event: given, resting or ending
	given   int              // credits in use
	slow    int              // of them, by what people say in groups
	suspect *hand            // the one in hand that a crash is suspected of
	tries   map[string]tries // of what is not done, by event
	untried map[string]bool  // events whose tries the store has, and that are done
	past    recent[moment]   // what events were about, for calls that come late
	settled recent[bool]     // events that the desk itself ended

	triesRead bool           // what an earlier server kept
	leaving   map[place]int  // it is being told so
	parted    map[place]bool // a walk found that it is gone, before it was said so

	judges   bool              // it moderates, as it said here or at another node
	consents map[place]consent // of a moderator: where it is known whether it may
	decided  int               // how often that became something else
	dueAt    int64             // Unix milliseconds when it is next looked for what is due
	drafts   map[string]*draft // by stream
	posted   recent[posted]    // by client message id
	count    counts
}

// place is a bot in a session.
type place struct {
	bot     protocol.UserID
	session protocol.SessionID
}

// moment is what an event was about.
type moment struct {
	bot     protocol.UserID
	session protocol.SessionID
	event   *botv1.Event
}

// posted is a message that a bot sent.
type posted struct {
	message string
	seq     int64
}

// errAway is what becomes of an event that waits in no log, when its bot goes.
var errAway = protocol.Errorf(protocol.Code_BUSY, "the bot is offline")

func newPlug(d *Desks, id string) *plug {
	return &plug{
		d: d, id: id, state: "offline", lanes: map[place]*lane{}, hands: map[string]*hand{}, tries: map[string]tries{}, untried: map[string]bool{}, leaving: map[place]int{}, parted: map[place]bool{},
		consents: map[place]consent{}, drafts: map[string]*draft{},
		past: recent[moment]{max: 1024}, settled: recent[bool]{max: 1024}, posted: recent[posted]{max: 1024},
	}
}

// parallel is how many events the bot takes at once.
func (p *plug) parallel() int {
	if n := int(p.says.GetParallel()); n > 0 {
		return min(n, 1024)
	}
	return 16
}

// reserve is how many of them are kept for commands, clicks and talks of two, so that
// slow answers in groups do not hold them up.
func (p *plug) reserve() int {
	n := p.parallel()
	return min(n-1, max(1, n/4))
}

// offer notes what is new in a session of bot's.
func (p *plug) offer(bot protocol.UserID, o *actors.Offer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil && len(p.lanes) == 0 {
		return // it walks when it comes
	}
	head := o.Info.GetHeadSeq()
	for _, e := range o.Entries {
		head = max(head, e.Seq)
	}
	l := p.lane(place{bot, o.Session})
	if l == nil {
		return
	}
	l.meet(o)
	l.head = max(l.head, head)
	for _, e := range o.Entries {
		if n := len(l.offered); n < p.d.cfg.Page && (n == 0 && (!l.loaded || e.Seq == l.read+1) || n > 0 && l.offered[n-1].Seq+1 == e.Seq) {
			l.offered = append(l.offered, e)
		}
	}
	if !l.loaded || l.head > l.read {
		p.want(l)
	}
}

func (d *Desks) background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(d.ctx, 10*time.Second)
}

// lane gives the lane of a place, which is made when there is none; nil: too many are
// there, and it is found by a walk.
func (p *plug) lane(at place) *lane {
	l := p.lanes[at]
	if l == nil {
		if p.selves[at.bot] == nil {
			return nil
		}
		if len(p.lanes) >= p.d.cfg.Lanes {
			p.overflow = true
			return nil
		}
		l = &lane{p: p, place: at, ahead: map[int64]bool{}, used: p.d.need.Now()}
		p.lanes[at] = l
		delete(p.parted, at)
	}
	return l
}

// drop lets go of a lane and all that it holds.
func (p *plug) drop(l *lane) {
	l.gone = true
	delete(p.lanes, l.place)
	for _, h := range slices.Clone(l.pending) {
		p.release(h)
		p.forget(h)
		h.state = over
		p.held--
	}
	l.pending = nil
}

// want has a worker look at l.
func (p *plug) want(l *lane) {
	if l.busy || l.working || l.gone {
		l.more = true
		return
	}
	l.working = true
	p.work = append(p.work, l)
	if p.workers < 4 {
		p.workers++
		p.d.spawn(p.worker)
	}
}

func (p *plug) worker() {
	for {
		p.mu.Lock()
		if len(p.work) == 0 || p.d.ctx.Err() != nil {
			p.workers--
			p.mu.Unlock()
			return
		}
		l := p.work[0]
		p.work = p.work[1:]
		l.working, l.busy, l.more = false, true, false
		p.mu.Unlock()
		l.fill()
	}
}

// walkOn looks for sessions that nobody offered, where there may be some.
func (p *plug) walkOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.overflow || p.walking || p.link == nil || len(p.lanes) > p.d.cfg.Lanes/2 {
		return
	}
	p.overflow, p.walking = false, true
	bots := make([]protocol.UserID, 0, len(p.selves))
	for user := range p.selves {
		bots = append(bots, user)
	}
	p.d.spawn(func() {
		for _, bot := range bots {
			p.walk(bot)
			p.walkGone(bot)
		}
		p.mu.Lock()
		p.walking = false
		p.mu.Unlock()
	})
}

func (p *plug) walk(bot protocol.UserID) {
	for after := ""; ; {
		behind, next, err := p.d.need.Store.BotsBehind(p.d.ctx, bot, after, 256)
		if err != nil {
			if p.d.ctx.Err() == nil {
				p.d.need.Log.Error("looking for what is new for a bot", "user", bot, "err", err)
			}
			p.mu.Lock()
			p.overflow = true
			p.mu.Unlock()
			return
		}
		p.mu.Lock()
		for _, b := range behind {
			if !p.serves(b.Session) {
				continue
			}
			l := p.lane(place{bot, b.Session})
			if p.link == nil || l == nil { // overflow is said
				p.mu.Unlock()
				return
			}
			l.head = max(l.head, b.Head)
			p.want(l)
		}
		p.mu.Unlock()
		if after = next; next == "" {
			return
		}
	}
}

// flush writes the cursors that moved, and lets go of lanes without work.
func (p *plug) flush(ctx context.Context) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	var cursors []*Cursor
	now := p.d.need.Now()
	for at, l := range p.lanes {
		switch {
		case l.dirty:
			l.dirty = false
			cursors = append(cursors, l.cursor())
		case l.idle() && now.Sub(l.used) > 5*p.d.cfg.Flush:
			l.gone = true
			delete(p.lanes, at)
		}
	}
	var ended []Tries
	for event := range p.untried {
		ended = append(ended, Tries{Event: event})
	}
	p.mu.Unlock()
	if !p.put(ctx, cursors) || p.putTries(ctx, ended) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range ended {
		delete(p.untried, t.Event)
	}
}

// put writes cursors, and says whether it could. The caller holds writing.
func (p *plug) put(ctx context.Context, cursors []*Cursor) bool {
	if len(cursors) == 0 {
		return true
	}
	if err := p.d.need.Store.PutBotCursors(ctx, cursors); err != nil {
		p.d.need.Log.Error("writing bots' cursors", "plugin", p.id, "err", err)
		p.mu.Lock()
		for _, c := range cursors {
			if l := p.lanes[place{c.Bot, c.Session}]; l != nil {
				l.dirty = true
			}
		}
		p.mu.Unlock()
		return false
	}
	return true
}

// dispatch gives events as long as there are credits. The caller holds mu.
func (p *plug) dispatch() {
	for len(p.ready) > 0 && p.link != nil && p.given < p.parallel() {
		l := p.ready[0]
		p.ready = p.ready[1:]
		l.inReady = false
		if l.gone {
			continue
		}
		h, starved := l.next(p.slow < p.parallel()-p.reserve(), p.suspect == nil)
		switch {
		case h != nil:
			p.give(h)
			l.wake() // behind the others
		case starved && !l.starving:
			l.starving = true
			p.starved = append(p.starved, l)
		}
	}
}

// credit brings those back that waited for one.
func (p *plug) credit() {
	all := p.starved
	p.starved = nil
	for _, l := range all {
		l.starving = false
		l.wake()
	}
}
