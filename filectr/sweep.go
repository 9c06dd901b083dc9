package filectr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// droppedKept is how long a file is kept that no entry names any more: nobody can
// read it by then, but somebody may have been forwarding it.
const droppedKept = time.Hour

// Run keeps house until ctx ends: it removes what nobody can read, and has what waits
// for a review looked at.
func (c *Center) Run(ctx context.Context) error {
	var reviews sync.WaitGroup
	reviews.Go(func() { c.review(ctx) })
	defer reviews.Wait()
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if c.cfg.Turn != nil && !c.cfg.Turn() {
			c.log.Debug("files are swept by another node")
		} else if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("the file centre could not sweep", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweepPage is how many rows are read at a time.
const sweepPage = 1000

// Sweep removes uploads that were not sent in time, files that no entry names any
// more, avatars that nobody shows, and contents that no file has.
func (c *Center) Sweep(ctx context.Context) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	now := c.now()
	if err := c.expire(); err != nil {
		return err
	}
	for more := true; more; {
		ids, err := c.store.Loose(ctx, now.Add(-c.cfg.Unsent), now.Add(-droppedKept), sweepPage)
		if err != nil {
			return fmt.Errorf("filectr: sweep: %w", err)
		}
		for _, id := range ids {
			if err := c.store.RemoveFile(ctx, id, now.Add(-claimKept)); err != nil && !errors.Is(err, ErrInUse) {
				return fmt.Errorf("filectr: sweep: %w", err)
			}
		}
		more = len(ids) == sweepPage
	}
	if err := c.sweepAvatars(ctx, now); err != nil {
		return err
	}
	for more := true; more; {
		sums, err := c.store.Doubtful(ctx, c.claimsSince(), sweepPage)
		if err != nil {
			return fmt.Errorf("filectr: sweep: %w", err)
		}
		for _, sum := range sums {
			if err := c.discard(ctx, sum); err != nil {
				return fmt.Errorf("filectr: sweep: %w", err)
			}
		}
		more = len(sums) == sweepPage
	}
	if err := c.settle(ctx); err != nil {
		return fmt.Errorf("filectr: sweep: %w", err)
	}
	return nil
}

// Still calls f while nothing is deleted: a copy of the rows that is made first, and
// one of the contents after it, fit each other then.
func (c *Center) Still(f func() error) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	return f()
}
