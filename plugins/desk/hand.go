package desk

import (
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// hand is an event on its way to a bot.
type hand struct {
	lane    *lane // nil: it comes from no log
	bot     protocol.UserID
	session protocol.SessionID
	seq     int64
	kind    string
	key     string // events with one key wait for each other
	quick   bool   // what people say in groups does not hold it up
	event   *botv1.Event

	state   handState
	attempt uint32
	crashes int
	link    *link
	first   time.Time // when it was given first
	timer   *time.Timer
	calls   int        // under way
	acked   *botv1.Ack // waits for them
	failed  string     // a call that asked for no answer failed, and may succeed later
	back    int64      // milliseconds after which it may
	told    func(error)
	heard   *heard // of a tool: what the bot says is not said in the session
}

type handState int

const (
	waiting handState = iota
	given
	resting // until it is given again
	ending  // it becomes a dead letter
	over
)

// rest stops what runs for h.
func (h *hand) rest() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}

// give has the bot take h in hand. The caller holds mu, as of all here that do not say
// otherwise.
func (p *plug) give(h *hand) {
	h.state, h.link = given, p.link
	if h.first.IsZero() {
		h.first = p.d.need.Now()
	}
	h.attempt++
	h.calls, h.acked, h.failed, h.back = 0, nil, "", 0
	p.given++
	if !h.quick {
		p.slow++
	}
	if h.crashes > 0 {
		p.suspect = h
	}
	p.hands[h.event.Id] = h
	p.try(h)
	if h.attempt > 1 {
		p.count.redelivered++
		h.event = proto.CloneOf(h.event) // the one before may still be on its way
	}
	h.event.Attempt = h.attempt
	p.past.put(h.event.Id, moment{h.bot, h.session, h.event})
	h.link.push(&botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: h.event}})
	p.d.need.Log.Debug("a bot is given an event", "bot", h.bot, "event", h.event.Id, "attempt", h.attempt, "trace", traceID(h.event.Traceparent))
	p.watch(h)
}

// watch has h come again when nothing is said about it.
func (p *plug) watch(h *hand) {
	h.rest()
	attempt := h.attempt
	h.timer = time.AfterFunc(p.d.cfg.Ack, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if h.state == given && h.attempt == attempt {
			p.again(h, "NO_ACK", "it was not acknowledged in time", 0)
		}
	})
}

// working gives h its time once more.
func (p *plug) working(l *link, event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.hands[event]; h != nil && h.state == given && h.link == l {
		p.watch(h)
	}
}

// ack is said by the bot; what it called for before comes first. It takes mu itself.
func (p *plug) ack(l *link, a *botv1.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hands[a.Event]
	if h == nil || h.link != l {
		return
	}
	if h.calls > 0 && h.state == given {
		h.acked = a
		return
	}
	p.acknowledge(h, a)
}

func (p *plug) acknowledge(h *hand, a *botv1.Ack) {
	switch {
	case h.state == ending:
	case a.Error == "" && h.failed != "" && h.state == given:
		p.again(h, "CALL_FAILED", h.failed, h.back)
	case a.Error == "":
		p.count.took(p.d.need.Now().Sub(h.first))
		p.endDrafts(a.Event)
		p.finish(h, nil)
	case a.Drop:
		p.bury(h, "DROPPED", a.Error)
	case h.state == given:
		p.again(h, "FAILED", a.Error, a.RetryAfterMs)
	}
	p.dispatch()
}

// release takes h out of the bot's hands.
func (p *plug) release(h *hand) {
	h.rest()
	if h.state != given {
		return
	}
	p.given--
	if !h.quick {
		p.slow--
	}
	if p.suspect == h {
		p.suspect = nil
	}
	h.state = waiting
	p.credit()
}

// again has h come once more after a while, or not any more.
func (p *plug) again(h *hand, why, text string, afterMs int64) {
	p.release(h)
	if int(h.attempt) >= p.d.cfg.Attempts {
		p.bury(h, why, text)
		return
	}
	d := p.d.cfg.Retry << (h.attempt - 1)
	d += time.Duration(rand.Int64N(int64(d)/5 + 1)) // so that those of one fault do not come together
	d = max(d, min(time.Duration(afterMs)*time.Millisecond, time.Hour))
	h.state = resting
	p.d.spawn(func() { p.rested(h, d) })
	p.dispatch()
}

// rested has h come again after a while, once it is kept how often it was tried. It takes
// mu itself.
func (p *plug) rested(h *hand, d time.Duration) {
	p.writing.Lock()
	p.mu.Lock()
	rows := p.keepTries(h.event.Id)
	p.mu.Unlock()
	ctx, cancel := p.d.background()
	_ = p.putTries(ctx, rows)
	cancel()
	p.writing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.state != resting || p.hands[h.event.Id] != h {
		return
	}
	h.timer = time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if h.state == resting && p.hands[h.event.Id] == h {
			p.offerAgain(h)
			p.dispatch()
		}
	})
}

func (p *plug) offerAgain(h *hand) {
	h.state = waiting
	if h.lane != nil {
		h.lane.wake()
	} else {
		p.push(h)
	}
}

// finish says that h is done: with an error, that nothing came of it.
func (p *plug) finish(h *hand, err error) {
	p.release(h)
	if err == nil {
		p.count.acked++
	}
	p.forget(h)
	h.state = over
	if h.lane != nil {
		h.lane.done(h)
	}
	if h.told != nil {
		h.told(err)
	}
	p.dispatch()
}

func (p *plug) forget(h *hand) {
	h.rest()
	delete(p.hands, h.event.Id)
	p.untry(h.event.Id)
}

// bury makes h a dead letter. It is one on disk before the cursor passes it.
func (p *plug) bury(h *hand, why, text string) {
	p.release(h)
	h.state = ending
	p.hands[h.event.Id] = h
	if h.told != nil && h.lane == nil && h.kind == "tool" {
		p.finish(h, protocol.Errorf(protocol.Code_BUSY, "%s: %.200s", why, text))
		return
	}
	letter := &DeadLetter{
		Plugin: p.id, Event: h.event.Id, Bot: h.bot, Session: h.session, Seq: h.seq, Kind: h.kind,
		Attempts: h.attempt, Why: why, Error: cutText(text, 500), At: p.d.now(),
	}
	if h.lane == nil || h.seq == 0 {
		letter.Body, _ = proto.Marshal(h.event) // what we made ourselves
	}
	p.settled.put(h.event.Id, true) // whoever reads its session again passes over it
	p.d.spawn(func() {
		ctx, cancel := p.d.background()
		defer cancel()
		err := p.d.need.Store.PutBotDead(ctx, letter)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.settled.drop(h.event.Id)
		}
		if h.state != ending {
			return
		}
		if err != nil {
			p.d.need.Log.Error("keeping a dead letter", "plugin", p.id, "event", letter.Event, "err", err)
			h.attempt = uint32(p.d.cfg.Attempts) - 1 // once more, and then again to here
			p.again(h, why, text, 1000)
			return
		}
		p.count.dead++
		p.d.need.Log.Warn("an event was given up", "plugin", p.id, "event", letter.Event, "why", why, "session", h.session, "seq", h.seq)
		p.finish(h, protocol.Errorf(protocol.Code_BUSY, "it was given up: %s", why))
	})
}

// blame suspects what a channel had in hand when it ended of its crash, and gives what is
// to be kept of that: an event that was so at two in a row is given up. calm: it was none.
func (p *plug) blame(l *link, calm bool) []Tries {
	var changed []string
	if !calm {
		p.count.crashes++
		for id, t := range p.tries { // not in a row
			h := p.hands[id]
			if t.crashes == 0 || h != nil && h.link == l && h.state == given {
				continue
			}
			if t.crashes = 0; t.kept {
				changed = append(changed, id)
			}
			p.tries[id] = t
			if h != nil {
				h.crashes = 0
			}
		}
	}
	for id, h := range p.hands {
		if h.link != l || h.state != given {
			continue
		}
		if !calm {
			h.crashes++
		}
		p.try(h)
		changed = append(changed, id)
	}
	return p.keepTries(changed...)
}

// lost takes back what a channel had in hand.
func (p *plug) lost(l *link) {
	var had []*hand
	for _, h := range p.hands {
		if h.link == l && h.state == given {
			had = append(had, h)
		}
	}
	for _, h := range had {
		p.release(h)
		switch {
		case h.crashes > 1:
			p.bury(h, "POISON", "the bot crashed twice with it in hand")
		case h.lane == nil && h.kind == "tool":
			p.finish(h, protocol.Errorf(protocol.Code_BUSY, "the bot is gone"))
		case int(h.attempt) >= p.d.cfg.Attempts:
			p.bury(h, "LOST", "the bot was gone each time")
		default:
			if h.lane != nil {
				delete(p.hands, h.event.Id)
			}
			p.offerAgain(h)
		}
	}
}

// hold gives the bot an event that is in no log. It takes mu itself. False: the bot is
// offline, or has it in hand.
func (p *plug) hold(h *hand) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(h)
}

// take is hold, under mu.
func (p *plug) take(h *hand) bool {
	if p.link == nil || p.hands[h.event.Id] != nil || p.selves[h.bot] == nil {
		return false
	}
	p.hands[h.event.Id] = h
	if why, text := p.resume(h); why != "" {
		p.bury(h, why, text)
		return true
	}
	p.push(h)
	p.dispatch()
	return true
}

// push makes a lane of its own for an event that is in no log.
func (p *plug) push(h *hand) {
	l := &lane{p: p, place: place{h.bot, h.session}, loaded: true, pending: []*hand{h}}
	l.wake()
}
