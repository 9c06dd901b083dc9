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

// putBack adds sessions without a wake.
func (q *queue) putBack(sessions []protocol.SessionID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sessions == nil && len(sessions) > 0 {
		q.sessions = make(map[protocol.SessionID]struct{}, len(sessions))
	}
	for _, session := range sessions {
		q.sessions[session] = struct{}{}
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

// signingRests is how many times as long as it took the signing of full blocks rests: so much of a core as
// a twentieth is enough for some 20,000 messages a second, and whoever sends more has the rest of it.
const signingRests = 19

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
	next, full := time.NewTimer(0), time.NewTimer(0)
	defer next.Stop()
	defer full.Stop()
	waits, free := true, time.Now() // full will come; it comes no sooner
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
		case <-c.queue.wake:
			if !waits { // others fill up meanwhile, and share the sync
				waits = true
				full.Reset(max(c.cfg.Gather, time.Until(free)))
			}
		case <-full.C:
			began := time.Now()
			left, err := c.sign(ctx, s)
			if err != nil {
				return err
			}
			rest := signingRests * time.Since(began)
			if waits, free = left, time.Now().Add(rest); left {
				full.Reset(rest)
			}
		}
	}
}

// sign signs some of what is full, and says whether there is more.
func (c *Center) sign(ctx context.Context, s *signer) (more bool, err error) {
	sessions := c.queue.take()
	if len(sessions) == 0 {
		return false, nil
	}
	rest, err := c.store.Sign(ctx, sessions, false, s.sign)
	if err != nil {
		rest = sessions // a sweep finds them too, but may be another node's
	}
	c.queue.putBack(rest)
	return len(rest) > 0, err
}
