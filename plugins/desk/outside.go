package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Incoming is what came from outside for a bot: an event of kind webhook.
type Incoming struct {
	Plugin  string
	Bot     protocol.UserID
	Session protocol.SessionID
	ID      string // the same one is the same event
	Body    string
}

// Hook is an address at which others tell a bot something in a session.
type Hook struct {
	ID      string
	Name    string
	Created time.Time
}

// nowhere is the session of what a bot has outside of all sessions.
const nowhere = "-"

// maxIncoming is how much of what came from outside, and of what bots scheduled, waits
// for one plugin.
const maxIncoming = 10_000

// Incoming has a bot told what came from outside, at least once: it is durable when this
// returns. The same id again is the same event. TOO_MANY: too much waits for the bot.
func (d *Desks) Incoming(ctx context.Context, in Incoming) error {
	p := d.plug(in.Plugin)
	s := &Schedule{Plugin: in.Plugin, Bot: in.Bot, Session: in.Session, ID: "h." + in.ID, Kind: "webhook", At: d.now(), Body: in.Body}
	p.mu.Lock()
	_, done := p.settled.get(s.event())
	p.mu.Unlock()
	if done {
		return nil
	}
	if err := d.need.Store.PutBotSchedule(ctx, s, maxIncoming); err != nil {
		return err
	}
	p.planned(s.falls(), s.At)
	return nil
}

// event is the id of a schedule's event: another time is another event, but for what came from outside.
func (s *Schedule) event() string {
	if s.errand() {
		return s.ID
	}
	if s.Kind == "webhook" {
		return "hook." + hashed(s.Bot, s.Session, s.ID)
	}
	return "due." + hashed(s.Bot, s.Session, s.ID, strconv.FormatInt(s.At, 10))
}

// planned says that something falls to a session, or to another word, at some time: the node
// looks that serves it then.
func (p *plug) planned(falls string, at int64) {
	p.dueSoon(at)
	if p.d.several() {
		p.d.need.Nodes.Changed(HeardDue, fmt.Sprint(p.id, " ", falls, " ", at))
	}
}

// dueSoon looks at what is due when at has come.
func (p *plug) dueSoon(at int64) {
	p.mu.Lock()
	p.dueAt = min(p.dueAt, at)
	p.mu.Unlock()
	wait := time.Duration(at-p.d.now()) * time.Millisecond
	if wait > p.d.cfg.Flush {
		return // the next tick sees it
	}
	time.AfterFunc(max(0, wait), func() {
		if p.d.ctx.Err() == nil {
			p.due(p.d.ctx)
		}
	})
}

// waitsPast says whether the bot is here and what is due at some time is not looked for then.
func (p *plug) waitsPast(at int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil && at < p.dueAt
}

// due gives the bot what it scheduled and what came from outside, once it is time. It reads the
// store when something is due, as far as it knows, and else every walkEvery flushes, for what
// other nodes said and was lost.
func (p *plug) due(ctx context.Context) {
	now := p.d.need.Now()
	p.mu.Lock()
	look := p.link != nil && p.dueAt <= now.UnixMilli()
	if look {
		p.dueAt = now.Add(walkEvery * p.d.cfg.Flush).UnixMilli() // or what is said meanwhile
	}
	p.mu.Unlock()
	if !look {
		return
	}
	due, next, err := p.d.need.Store.DueBotSchedules(ctx, p.id, now, duePage)
	if err != nil && ctx.Err() == nil {
		p.d.need.Log.Error("reading what is due for a bot", "plugin", p.id, "err", err)
	}
	again := err != nil || len(due) == duePage
	for _, s := range due {
		if p.serves(s.falls()) {
			p.remind(ctx, s)
			again = true // until it is done
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if again {
		p.dueAt = 0
	} else if next != 0 {
		p.dueAt = min(p.dueAt, next)
	}
}

// duePage is how much of what is due is looked at together.
const duePage = 256

// falls is what says which node gives a schedule's event.
func (s *Schedule) falls() string { return cmp.Or(s.Session, "bot:"+s.Bot) }

// remind gives one schedule's event, unless it is in hand.
func (p *plug) remind(ctx context.Context, s *Schedule) {
	id := s.event()
	p.mu.Lock()
	_, settled := p.settled.get(id)
	has := p.hands[id] != nil
	ours := p.selves[s.Bot] != nil
	p.mu.Unlock()
	if has || !ours {
		return
	}
	if settled {
		p.d.dropSchedule(s)
		return
	}
	ev, err := p.dueEvent(ctx, s)
	if err != nil {
		return // the next tick tries again
	}
	if ev == nil {
		p.d.dropSchedule(s)
		return
	}
	if s.Kind == "command" {
		say := words(ev.Locale)
		why := ""
		if p.commandOf(s.Bot, ev.Command) == nil {
			why = say.toolGone
		} else if s.expired(p.d.now()) {
			why = say.late
		}
		if why != "" {
			p.d.giveUp(s, ev, why)
			return
		}
	}
	h := &hand{bot: s.Bot, session: ev.Session, kind: s.Kind, key: ev.Id, quick: true, event: ev}
	h.told = func(err error) {
		if errors.Is(err, errAway) {
			return
		}
		p.settled.put(ev.Id, true) // mu is held
		p.d.spawn(func() {
			if err != nil && s.Kind == "command" {
				p.d.tell(ev, fmt.Sprintf(words(ev.Locale).toolFailed, ev.Command))
			}
			p.d.dropSchedule(s)
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, settled := p.settled.get(ev.Id); !settled { // by now
		p.take(h)
	}
}

// dueEvent makes a schedule's event; nil: there is nothing to be given any more.
func (p *plug) dueEvent(ctx context.Context, s *Schedule) (*botv1.Event, error) {
	ev := &botv1.Event{Id: s.event(), Kind: s.Kind, To: s.Bot, Body: s.Body, CreatedAt: s.At, Locale: p.d.locale(), Traceparent: trace()}
	_, ev.Action, _ = strings.Cut(s.ID, ".")
	if s.errand() {
		var err error
		if ev, err = s.unpack(); err != nil {
			p.d.need.Log.Error("an event that was kept cannot be read", "plugin", p.id, "event", s.ID, "err", err)
			return nil, nil
		}
	}
	ev.Late = p.d.now()-s.At > p.d.cfg.MaxAge.Milliseconds()
	if s.Session != nowhere && s.Session != "" {
		info, err := p.d.session(ctx, p.speak(s.Bot), s.Session)
		if protocol.Code_NOT_FOUND.Is(err) { // the bot is not in it any more
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		ev.Session, ev.SessionType = s.Session, typeWord(info.SessionType)
	}
	return ev, nil
}

// Replay gives a dead letter to its bot once more; when that is done, it is none any
// more. NOT_FOUND: there is no such letter, or what it was about is gone; BUSY: the bot
// is offline.
func (d *Desks) Replay(ctx context.Context, plugin, event string) error {
	letter, err := d.need.Store.BotDead(ctx, plugin, event)
	if err != nil {
		return err
	}
	p := d.plug(plugin)
	drop := func() {
		ctx, cancel := d.background()
		defer cancel()
		if err := d.need.Store.DropBotDead(ctx, plugin, event); err != nil {
			d.need.Log.Error("ending a dead letter", "plugin", plugin, "err", err)
		}
	}
	var h *hand
	if letter.Seq == 0 {
		ev := &botv1.Event{}
		if err := proto.Unmarshal(letter.Body, ev); err != nil {
			return err
		}
		h = &hand{event: ev, kind: letter.Kind}
	} else {
		p.mu.Lock()
		mine := p.link != nil && p.selves[letter.Bot] != nil
		p.mu.Unlock()
		if !mine {
			return protocol.Errorf(protocol.Code_BUSY, "the bot is offline")
		}
		l := &lane{p: p, place: place{letter.Bot, letter.Session}, replay: true}
		e, err := l.entry(ctx, protocol.MessageID(letter.Session, letter.Seq))
		if err != nil {
			return err
		}
		if e == nil {
			return protocol.NotFound("the message of event %.80q", event)
		}
		if h, err = l.reread(ctx, e); err != nil {
			return err
		}
		if h == nil {
			return protocol.NotFound("an event in message %d: it is none for the bot now", letter.Seq)
		}
	}
	h.lane, h.bot, h.session, h.seq, h.quick, h.key = nil, letter.Bot, letter.Session, letter.Seq, true, event
	h.told = func(err error) {
		if err == nil {
			p.d.spawn(drop)
		}
	}
	p.mu.Lock()
	p.untry(h.event.Id)
	p.mu.Unlock()
	if !p.hold(h) {
		return protocol.Errorf(protocol.Code_BUSY, "the bot is offline, or has the event in hand")
	}
	return nil
}

// DeadLetters gives events that were given up, of a plugin or ("") all of them, in the
// order of plugin and event from after the one given; at most limit.
func (d *Desks) DeadLetters(ctx context.Context, plugin string, after *DeadLetter, limit int) ([]*DeadLetter, error) {
	return d.need.Store.BotDeads(ctx, plugin, after, limit)
}
