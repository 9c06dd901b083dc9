package search

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// sweep is one walk through all sessions that signs what is unsigned: what stands behind the
// full blocks, what was queued in a process that died, all of a store of an earlier version.
// It goes in small steps and rests between them, so that it never has more than a tenth of a
// database, or of a core, however slow the one is and however much there is to do.
type sweep struct {
	after  protocol.SessionID   // it has looked at the sessions up to this one
	looked bool                 // … and that was all
	found  []protocol.SessionID // of those, what is to be signed
	atOnce int                  // of them in the next step
	signed int
	worked time.Duration // in all steps
	whole  bool          // there was one before it
}

const (
	lookAtOnce = 500 // sessions; from Pebble 2.5 ms
	// A step is of twice as many sessions as the one before that took less than shortStep, and of
	// half as many as one that took more than longStep: in Pebble they share a sync.
	shortStep = 20 * time.Millisecond
	longStep  = 80 * time.Millisecond
	restFor   = 9 // times as long as the step took
	// turnEvery is how often a node whose turn it is not asks: whichever dies, another goes on.
	turnEvery = 10 * time.Second
)

// step takes w one step on, and says how long it is until the next one.
func (c *Center) step(ctx context.Context, w *sweep, s *signer) (rest time.Duration, err error) {
	if c.cfg.Turn != nil && !c.cfg.Turn() {
		*w = sweep{}
		return turnEvery, nil
	}
	began := time.Now()
	if len(w.found) > 0 {
		err = w.sign(ctx, c.store, s)
	} else {
		w.found, w.after, err = c.store.Unsigned(ctx, w.after, lookAtOnce)
		w.looked = w.after == ""
		w.signed += len(w.found)
	}
	took := time.Since(began)
	w.worked += took
	if err != nil || len(w.found) > 0 || !w.looked {
		return min(restFor*took, c.cfg.Sweep), err
	}
	rest = c.cfg.Sweep
	if w.whole {
		rest = max(rest, 100*w.worked) // a hundredth of the time at most
	} else if w.signed > 0 {
		c.log.Info("older messages are ready for searching", "sessions", w.signed, "worked", w.worked.Round(time.Millisecond))
	}
	*w = sweep{whole: true}
	return rest, nil
}

// sign signs what is unsigned of the next sessions.
func (w *sweep) sign(ctx context.Context, store Store, s *signer) error {
	began := time.Now()
	n := min(max(w.atOnce, 1), len(w.found))
	rest, err := store.Sign(ctx, w.found[:n], true, s.sign)
	if err != nil {
		return err
	}
	w.found = w.found[n-len(rest):] // which are the last of those
	switch took := time.Since(began); {
	case took < shortStep:
		w.atOnce = min(2*n, lookAtOnce)
	case took > longStep:
		w.atOnce = max(n/2, 1)
	}
	return nil
}
