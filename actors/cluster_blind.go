package actors

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// A node that does not reach the store, while others do, can serve no session, but its clients
// well: it says so, and its sessions are placed at the others as if it left. Where nobody
// reaches the store nothing moves.

// blindness is what a node has said of itself.
type blindness struct {
	said   bool      // blind; the watcher's
	lost   time.Time // when the store was last lost; the watcher's
	saying atomic.Bool
}

// sightAgain is how long the store has to be there before sessions come back.
const sightAgain = 2 * time.Second

// lookAtStore says to all when this node loses sight of the store, and when it sees it again.
func (c *cluster) lookAtStore(now time.Time) {
	j, ok := c.node.journal.(Sight)
	if !ok || c.blind.saying.Load() {
		return
	}
	lost := j.Lost()
	if lost {
		c.blind.lost = now
	}
	if lost == c.blind.said || !lost && now.Sub(c.blind.lost) < sightAgain {
		return
	}
	c.blind.said = lost
	c.blind.saying.Store(true)
	c.running.Go(func() {
		defer c.blind.saying.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), sayBlind)
		defer cancel()
		if err := c.Members.Blind(ctx, lost); err != nil {
			c.node.log.Warn("other nodes learn late whether this one reaches the store", "err", err)
			return // it is in what is written next, if that is ever
		}
		c.nudge()
	})
}

// sayBlind bounds the saying. A Redis that does not answer either has the others give this
// node up anyway.
const sayBlind = 2 * time.Second

// yield ends what this node wants of the store when its sessions are with nodes that reach it.
func (c *cluster) yield(p *places) {
	blind := slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == c.self.ID && m.Blind })
	if j, ok := c.node.journal.(Sight); ok && blind && !slices.Contains(p.ids, c.self.ID) && j.Lost() {
		j.Yield()
	}
}
