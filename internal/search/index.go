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
// process: the next sweep finds what is unsigned.
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

// Run signs blocks until ctx ends: each soon after it is full or was changed, and by sweeps those that a
// process left that ended, or that were written before there was a search. Without it everything is
// found too, more slowly.
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
	w := &sweep{}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
			rest, err := c.step(ctx, w, s)
			if err != nil {
				return err
			}
			next.Reset(rest)
			continue
		case <-c.queue.wake:
		}
		select { // others fill up meanwhile, and share the sync
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.cfg.Gather):
		}
		full := c.queue.take()
		if err := c.sign(ctx, full, s); err != nil {
			for _, session := range full { // a sweep finds them too, but may be another node's
				c.queue.add(session)
			}
			return err
		}
	}
}

// sign signs what is full of the sessions.
func (c *Center) sign(ctx context.Context, sessions []protocol.SessionID, s *signer) (err error) {
	for len(sessions) > 0 && err == nil {
		if err = ctx.Err(); err == nil {
			sessions, err = c.store.Sign(ctx, sessions, false, s.sign)
		}
	}
	return err
}
