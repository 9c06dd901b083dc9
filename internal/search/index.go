package search

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// queue has the sessions in which there is a block to sign. It is lost with the
// process: what is unsigned is found again at the next start.
type queue struct {
	mu       sync.Mutex
	sessions map[protocol.SessionID]struct{}
	wake     chan struct{} // of one: there is something in the queue
}

func (q *queue) add(session protocol.SessionID) {
	q.mu.Lock()
	if q.sessions == nil {
		q.sessions = map[protocol.SessionID]struct{}{}
	}
	q.sessions[session] = struct{}{}
	first := len(q.sessions) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

func (q *queue) take() []protocol.SessionID {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := slices.Collect(maps.Keys(q.sessions))
	q.sessions = nil
	return all
}

// again is how long the signer waits after an error, as of a full disk, before it
// looks for what is unsigned once more.
const again = 10 * time.Second

// Run signs blocks until ctx ends: those that an earlier process left, or that were written
// before there was a search, then each soon after it is full or was changed. Without it
// everything is found too, more slowly.
func (c *Center) Run(ctx context.Context) {
	for {
		err := c.run(ctx)
		if ctx.Err() != nil {
			return
		}
		c.log.Warn("messages could not be made ready for searching: they are found more slowly", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

func (c *Center) run(ctx context.Context) error {
	s := &signer{}
	if err := c.store.Prepare(ctx, version); err != nil {
		return err
	}
	if err := c.catchUp(ctx, s); err != nil {
		return err
	}
	sweep := time.NewTimer(c.cfg.Sweep)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sweep.C:
			began := time.Now()
			if err := c.catchUp(ctx, s); err != nil {
				return err
			}
			sweep.Reset(max(c.cfg.Sweep, 100*time.Since(began))) // a hundredth of the time at most
			continue
		case <-c.queue.wake:
		}
		select { // others fill up meanwhile, and share the sync
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.cfg.Gather):
		}
		if err := c.sign(ctx, c.queue.take(), false, s); err != nil {
			return err
		}
	}
}

// catchUp signs what is unsigned.
func (c *Center) catchUp(ctx context.Context, s *signer) error {
	const atOnce = 500
	began, n := time.Now(), 0
	first := !c.swept
	c.swept = true
	for after := protocol.SessionID(""); ; {
		sessions, err := c.store.Unsigned(ctx, after, atOnce)
		if err != nil {
			return err
		}
		if err := c.sign(ctx, sessions, true, s); err != nil {
			return err
		}
		n += len(sessions)
		if len(sessions) < atOnce {
			break
		}
		after = sessions[len(sessions)-1]
	}
	if n > 0 && first {
		c.log.Info("older messages are ready for searching", "sessions", n, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

func (c *Center) sign(ctx context.Context, sessions []protocol.SessionID, tails bool, s *signer) (err error) {
	for len(sessions) > 0 && err == nil {
		if err = ctx.Err(); err == nil {
			sessions, err = c.store.Sign(ctx, sessions, tails, s.sign)
		}
	}
	return err
}
