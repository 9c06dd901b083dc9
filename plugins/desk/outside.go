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
	p.dueSoon(s.At)
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

// dueSoon looks at what is due when at has come.
func (p *plug) dueSoon(at int64) {
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

// due gives the bot what it scheduled and what came from outside, once it is time.
func (p *plug) due(ctx context.Context) {
	p.mu.Lock()
	now := p.d.need.Now()
	online := p.link != nil
	p.mu.Unlock()
	if !online {
		return
	}
	due, _, err := p.d.need.Store.DueBotSchedules(ctx, p.id, now, 256)
	if err != nil {
		if ctx.Err() == nil {
			p.d.need.Log.Error("reading what is due for a bot", "plugin", p.id, "err", err)
		}
		return
	}
	for _, s := range due {
		if !p.serves(cmp.Or(s.Session, "bot:"+s.Bot)) {
			continue
		}
		p.remind(ctx, s)
	}
}

// remind gives one schedule's event, unless it is in hand.
func (p *plug) remind(ctx context.Context, s *Schedule) {
	ev := &botv1.Event{
		Id: s.event(), Kind: s.Kind, To: s.Bot, Body: s.Body, CreatedAt: s.At, Locale: p.d.locale(), Traceparent: trace(),
		Late: p.d.now()-s.At > p.d.cfg.MaxAge.Milliseconds(),
	}
	_, ev.Action, _ = strings.Cut(s.ID, ".")
	if s.errand() {
		late := ev.Late
		var err error
		if ev, err = s.unpack(); err != nil {
			p.d.need.Log.Error("an event that was kept cannot be read", "plugin", p.id, "event", s.ID, "err", err)
			p.d.dropSchedule(s)
			return
		}
		ev.Late = late
	}
	p.mu.Lock()
	_, settled := p.settled.get(ev.Id)
	has := p.hands[ev.Id] != nil
	ours := p.selves[s.Bot] != nil
	p.mu.Unlock()
	if has || !ours {
		return
	}
	if settled {
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
	if s.Session != "-" && s.Session != "" {
		info, err := p.d.session(ctx, p.speak(s.Bot), s.Session)
		if protocol.Code_NOT_FOUND.Is(err) { // the bot is not in it any more
			p.d.dropSchedule(s)
			return
		}
		if err != nil {
			return // the next tick tries again
		}
		ev.Session, ev.SessionType = s.Session, typeWord(info.SessionType)
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
