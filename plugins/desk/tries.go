package desk

import (
	"context"
	"time"
)

// tries is what is remembered of an event that is not done, between two channels and
// over the end of the server: else an event that crashes its bot would begin anew with
// each start.
type tries struct {
	attempt uint32
	crashes int
	kept    bool // the store has it
}

// triesLife is how long tries are kept of an event that does not come again.
const triesLife = 7 * 24 * time.Hour

// try notes that h is given. The caller holds mu, as of all here that do not say otherwise.
func (p *plug) try(h *hand) {
	t := p.tries[h.event.Id]
	t.attempt, t.crashes = h.attempt, h.crashes
	p.tries[h.event.Id] = t
}

// untry forgets an event that comes no more.
func (p *plug) untry(event string) {
	if p.tries[event].kept {
		p.untried[event] = true // its row ends behind the cursor's move
	}
	delete(p.tries, event)
}

// keepTries makes rows of events. They are written by putTries, without mu.
func (p *plug) keepTries(events ...string) (rows []Tries) {
	now := p.d.now()
	for _, id := range events {
		t, ok := p.tries[id]
		if !ok {
			continue
		}
		t.kept = true
		p.tries[id] = t
		delete(p.untried, id)
		rows = append(rows, Tries{Event: id, Attempt: t.attempt, Crashes: t.crashes, At: now})
	}
	return rows
}

// putTries writes rows. The caller holds writing. An error costs the count of a restart.
func (p *plug) putTries(ctx context.Context, rows []Tries) error {
	if len(rows) == 0 {
		return nil
	}
	err := p.d.need.Store.PutBotTries(ctx, p.id, rows)
	if err != nil {
		p.d.need.Log.Error("keeping how often events were tried", "plugin", p.id, "err", err)
	}
	return err
}

// readTries reads what an earlier server kept, once. It takes mu itself.
func (p *plug) readTries() {
	p.mu.Lock()
	read := p.triesRead
	p.mu.Unlock()
	if read {
		return
	}
	ctx, cancel := p.d.background()
	defer cancel()
	all, err := p.d.need.Store.BotTries(ctx, p.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if p.d.ctx.Err() == nil {
			p.d.need.Log.Error("reading how often events were tried", "plugin", p.id, "err", err)
		}
		return
	}
	p.triesRead = true
	for _, t := range all {
		switch _, known := p.tries[t.Event]; {
		case known:
		case p.d.now()-t.At > triesLife.Milliseconds():
			p.untried[t.Event] = true
		default:
			p.tries[t.Event] = tries{t.Attempt, t.Crashes, true}
		}
	}
}

// resume gives h the count of an event that was tried before, and says why it is not to
// be given once more; "": it is.
func (p *plug) resume(h *hand) (why, text string) {
	t := p.tries[h.event.Id]
	h.attempt, h.crashes = t.attempt, t.crashes
	switch {
	case h.crashes > 1:
		return "POISON", "the bot crashed twice with it in hand"
	case int(h.attempt) >= p.d.cfg.Attempts:
		return "LOST", "the bot or the server was gone each time"
	}
	return "", ""
}
