package desk

import (
	"context"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Recall has the desk know what an event of a bot's was about that another node gave it, so that
// calls for it are done here as they would be there: as the log has it, or what is kept until it
// is done of what came from outside and was scheduled.
func (d *Desks) Recall(ctx context.Context, plugin, event string) error {
	p := d.plug(plugin)
	p.mu.Lock()
	_, known := p.past.get(event)
	p.mu.Unlock()
	if known {
		return nil
	}
	ev, err := p.recall(ctx, event)
	if err != nil || ev == nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past.put(event, moment{ev.To, ev.Session, ev})
	return nil
}

// recall makes an event again; nil: there is no such one, or none any more.
func (p *plug) recall(ctx context.Context, event string) (*botv1.Event, error) {
	message, bot, _ := strings.Cut(event, "@")
	if session, _, err := protocol.ParseMessageID(message); err == nil && p.has(bot) {
		l := &lane{p: p, place: place{bot, session}, replay: true}
		e, err := l.entry(ctx, message)
		if err != nil {
			return nil, err
		}
		if e != nil {
			h, err := l.reread(ctx, e)
			if err != nil {
				return nil, err
			}
			if h != nil {
				return h.event, nil
			}
		}
	}
	return p.recallDue(ctx, event)
}

// recallDue is recall for what is in no log.
func (p *plug) recallDue(ctx context.Context, event string) (*botv1.Event, error) {
	due, _, err := p.d.need.Store.DueBotSchedules(ctx, p.id, p.d.need.Now(), maxIncoming)
	if err != nil {
		return nil, err
	}
	for _, s := range due {
		if s.event() == event && p.has(s.Bot) {
			return p.dueEvent(ctx, s)
		}
	}
	return nil, nil
}

// reread makes an event of an entry, for a lane that is for nothing else.
func (l *lane) reread(ctx context.Context, e *protocol.Entry) (*hand, error) {
	info, err := l.p.d.session(ctx, l.p.speak(l.bot), l.session)
	if err != nil {
		return nil, err
	}
	l.typ = info.SessionType
	if l.state, err = l.p.d.need.Store.BotState(ctx, l.bot, l.session); err != nil {
		return nil, err
	}
	return l.event(ctx, e)
}
