package desk

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// An errand is an event that the desk makes itself, and that has to come whatever ends
// in between: a command that a person allowed by a click, and that a bot was taken out.
// It is kept as a schedule is, under the event's id, until its bot has done it.

func (s *Schedule) errand() bool { return s.Kind == "command" || s.Kind == "removed" }

// errand keeps ev. It is durable when this returns, and given by dueSoon. The same one
// again is the same event.
func (p *plug) errand(ctx context.Context, ev *botv1.Event) error {
	body, err := proto.Marshal(ev)
	if err != nil {
		return err
	}
	s := &Schedule{Plugin: p.id, Bot: ev.To, Session: ev.Session, ID: ev.Id, Kind: ev.Kind, At: p.d.now(), Body: base64.StdEncoding.EncodeToString(body)}
	if ev.Kind == "removed" {
		s.Session = nowhere // what waits in a session ends when a bot leaves it
	} else if age := p.maxAge(); age != 0 {
		s.Until = s.At + age.Milliseconds()
	}
	return p.d.need.Store.PutBotSchedule(ctx, s, maxIncoming)
}

// unpack gives the event of an errand.
func (s *Schedule) unpack() (*botv1.Event, error) {
	body, err := base64.StdEncoding.DecodeString(s.Body)
	if err != nil {
		return nil, fmt.Errorf("an errand's body: %w", err)
	}
	ev := &botv1.Event{}
	if err := proto.Unmarshal(body, ev); err != nil {
		return nil, fmt.Errorf("an errand's body: %w", err)
	}
	return ev, nil
}

// overdue tells people that what they allowed is not done, as the bot is away for too long:
// also a bot that was not seen since the server started, and may never be again.
func (d *Desks) overdue(ctx context.Context) {
	late, err := d.need.Store.LateBotSchedules(ctx, d.need.Now(), 256)
	if err != nil {
		if ctx.Err() == nil {
			d.need.Log.Error("reading what is late for bots", "err", err)
		}
		return
	}
	for _, s := range late {
		if d.online(s.Plugin) || d.Elsewhere(s.Plugin) || !d.need.Owns(s.Session) {
			continue
		}
		if ev, err := s.unpack(); err == nil { // else it is dropped when the bot comes
			d.giveUp(s, ev, words(ev.Locale).late)
		}
	}
}

// online says whether a plugin takes what is new.
func (d *Desks) online(plugin string) bool {
	p := d.known(plugin)
	return p != nil && p.linked()
}

// expired says that nobody waits for it any more.
func (s *Schedule) expired(now int64) bool { return s.Until != 0 && s.Until < now }

// giveUp ends a command that is not done, once who allowed it was told why.
func (d *Desks) giveUp(s *Schedule, ev *botv1.Event, why string) {
	if d.tell(ev, why) {
		d.dropSchedule(s)
	}
}

// tell whispers to who allowed a command what became of it; the same again is seen once.
// False: it cannot be said now.
func (d *Desks) tell(ev *botv1.Event, text string) bool {
	ctx, cancel := d.background()
	defer cancel()
	err := d.need.Actors.Whisper(ctx, &protocol.MsgWhisper{
		Session: ev.Session, WhisperId: "w." + hashed(ev.Id, "errand"), Sender: ev.To, CreatedAt: d.now(), ReplyTo: ev.Message,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text},
	}, ev.GetSender().GetUser())
	if err == nil || lasting(err) {
		return true
	}
	if d.ctx.Err() == nil {
		d.need.Log.Warn("telling who allowed a command that it was not done", "user", ev.To, "session", ev.Session, "err", err)
	}
	return false
}

func (d *Desks) dropSchedule(s *Schedule) {
	ctx, cancel := d.background()
	defer cancel()
	err := d.need.Store.DropBotSchedule(ctx, s, s.At)
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		d.need.Log.Error("ending a schedule", "plugin", s.Plugin, "err", err)
	}
}

// pluginOf is the plugin whose user a bot is.
func pluginOf(bot protocol.UserID) string {
	plugin, _, _ := strings.Cut(strings.TrimPrefix(bot, protocol.BotUserID("", "")), ".")
	return plugin
}

// handleOfBot is what a bot's user is called by, as protocol.BotUserID has it.
func handleOfBot(bot protocol.UserID) string {
	_, handle, named := strings.Cut(bot, ".")
	if !named {
		return pluginOf(bot)
	}
	return handle
}

// left forgets a session that bot was taken out of by e, and tells it.
func (p *plug) left(bot protocol.UserID, e *protocol.Entry) {
	p.mu.Lock()
	if l := p.lanes[place{bot, e.Session}]; l != nil {
		p.drop(l)
	}
	p.leaving[place{bot, e.Session}]++
	p.mu.Unlock()
	p.d.spawn(func() {
		p.farewell(bot, e.Session, e)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.leaving[place{bot, e.Session}]--; p.leaving[place{bot, e.Session}] == 0 {
			delete(p.leaving, place{bot, e.Session})
		}
	})
}

// farewell has a bot told that it is in a session no more, and ends what is kept of it
// there. Until both are durable its cursor says that this is still to do: walkGone finds
// it. e is nil there, as the bot may not read the log.
func (p *plug) farewell(bot protocol.UserID, session protocol.SessionID, e *protocol.Entry) {
	ctx, cancel := p.d.background()
	defer cancel()
	failed := func(what string, err error) {
		if p.d.ctx.Err() == nil {
			p.d.need.Log.Error(what, "user", bot, "session", session, "err", err)
		}
	}
	p.writing.Lock() // a cursor that is written behind this would say it again
	defer p.writing.Unlock()
	c, err := p.d.need.Store.BotCursor(ctx, bot, session)
	if err != nil {
		failed("telling a bot that it was taken out", err)
		return
	}
	at := place{bot, session}
	p.mu.Lock()
	known := p.parted[at]
	delete(p.parted, at)
	if e == nil && c != nil {
		p.parted[at] = true
	}
	p.mu.Unlock()
	if c == nil && (e == nil || known) {
		return
	}
	ev := &botv1.Event{Kind: "removed", Session: session, To: bot, CreatedAt: p.d.now(), Locale: p.d.locale(), Traceparent: trace()}
	if e != nil {
		ev.Id, ev.Seq, ev.Sender, ev.CreatedAt = "gone."+hashed(e.MessagerecvId, bot), e.Seq, p.d.people.of(ctx, e.Sender), e.CreatedAt
	}
	if c != nil { // the same whoever finds it
		ev.Id = "gone." + hashed(bot, session, fmt.Sprint(c.Seq))
	}
	if err := p.errand(ctx, ev); err != nil {
		failed("telling a bot that it was taken out", err)
		if !lasting(err) {
			return // its cursor is found at the next start
		}
	}
	if err := p.d.need.Store.ForgetBot(ctx, bot, p.id, session); err != nil {
		failed("forgetting a bot's place", err)
	}
	p.d.forgetConsent(bot, session)
	if hooks := p.d.need.Hooks; hooks != nil {
		if err := hooks.DropHook(ctx, bot, session, ""); err != nil {
			failed("ending a bot's hooks", err)
		}
	}
	p.planned(nowhere, p.d.now())
}

// walkGone finds the sessions that a bot was taken out of without being told: the server
// ended, or the plugin was not there.
func (p *plug) walkGone(bot protocol.UserID) {
	for after := ""; ; {
		all, next, err := p.d.need.Store.BotsGone(p.d.ctx, bot, after, 256)
		if err != nil {
			if p.d.ctx.Err() == nil {
				p.d.need.Log.Error("looking for sessions that a bot was taken out of", "user", bot, "err", err)
			}
			return
		}
		for _, c := range all {
			if p.d.ctx.Err() != nil {
				return
			}
			p.mu.Lock()
			leaving := p.leaving[place{c.Bot, c.Session}] > 0
			if l := p.lanes[place{c.Bot, c.Session}]; l != nil && !leaving {
				p.drop(l)
			}
			p.mu.Unlock()
			if !leaving { // else somebody says so who knows more
				p.farewell(c.Bot, c.Session, nil)
			}
		}
		if after = next; next == "" {
			return
		}
	}
}

// disown ends what a plugin that is not here may do in a session that its bot was taken
// out of. The rest waits for the plugin: walkGone.
func (d *Desks) disown(bot protocol.UserID, session protocol.SessionID) {
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	if err := d.need.Store.PutBotState(ctx, bot, session, State{}); err != nil && d.ctx.Err() == nil {
		d.need.Log.Error("forgetting what a bot may do", "user", bot, "session", session, "err", err)
	}
	d.forgetConsent(bot, session)
}
