package userctr

import (
	"context"
	"sync"
	"time"
)

// refusals counts what was refused, so that guessing does not fill the audit log:
// one row for the same thing refused to the same one, every refusalsEvery. Nothing
// is written at once, as the time that takes would tell known names from others.
type refusals struct {
	mu    sync.Mutex
	count map[refused]int64
}

// refused is something that was tried and not done.
type refused struct{ action, by, about string }

const (
	// refusalsEvery is what a crash may take of them.
	refusalsEvery = 10 * time.Second
	// maxRefusals is how many different ones are told apart meanwhile; further ones
	// are counted by their action alone.
	maxRefusals = 1000
)

func (r *refusals) add(what refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[refused]int64{}
	}
	if _, known := r.count[what]; !known && len(r.count) >= maxRefusals {
		what = refused{action: what.action}
	}
	r.count[what]++
}

// writeRefusals writes down what was counted.
func (c *Center) writeRefusals(ctx context.Context) {
	c.refusals.mu.Lock()
	counted := c.refusals.count
	c.refusals.count = nil
	c.refusals.mu.Unlock()
	for what, n := range counted {
		r := Record{Action: what.action, By: what.by, About: what.about, Refused: true}
		if n > 1 {
			r.Count = n
		}
		if err := c.Record(ctx, r); err != nil {
			c.log.Error("the audit log cannot be written", "err", err)
		}
	}
}
