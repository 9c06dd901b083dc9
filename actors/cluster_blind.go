package actors

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// A node that does not reach the store, while others do, can serve no session, but its clients
// well: it says so, and its sessions are placed at the others as if it left. Where nobody
// reaches the store nothing moves. Nodes that lose it together do not see that in the same
// moment: each says first that it has no answers, and that it is blind only while another one has.

// Sight is whether a node reaches the store.
type Sight byte

const (
	Clear Sight = iota
	Dim         // it has had no answer lately, as all may have
	Blind       // others have answers: its sessions are at those
)

// blindness is what a node has said of itself; but for saying it is the watcher's.
type blindness struct {
	said   Sight
	dark   time.Time // when the store was last found silent
	saying atomic.Bool
}

const (
	dimAfter   = 900 * time.Millisecond // of silence: more than there is between two signs of life
	blindAfter = 2 * time.Second        // some commits' worth even of a slow database
	sightAgain = 2 * time.Second        // how long the store has to be there before sessions come back
)

// look gives what there is to say now: silent is how long ago the store answered, others whether
// it answers another node.
func (b *blindness) look(now time.Time, silent time.Duration, others bool) Sight {
	if silent > dimAfter {
		b.dark = now
	}
	switch {
	case now.Sub(b.dark) >= sightAgain:
		return Clear
	case b.said == Blind, silent > blindAfter && others:
		return Blind
	default:
		return Dim
	}
}

// lookAtStore says to all when this node loses sight of the store, and when it sees it again.
func (c *cluster) lookAtStore(now time.Time) {
	j, ok := c.node.journal.(Distant)
	if !ok || c.blind.saying.Load() {
		return
	}
	see := c.blind.look(now, j.Silent(), c.othersSee())
	if see == c.blind.said {
		return
	}
	c.blind.said = see
	c.say(&c.blind.saying, "whether this one reaches the store", func(ctx context.Context) error { return c.Members.See(ctx, see) })
}

// say has all learn something of this node, one thing after the other: saying is so meanwhile.
func (c *cluster) say(saying *atomic.Bool, what string, write func(ctx context.Context) error) {
	saying.Store(true)
	c.running.Go(func() {
		defer saying.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), sayWithin)
		defer cancel()
		if err := write(ctx); err != nil {
			c.node.log.Warn("other nodes learn something of this one late", "what", what, "err", err)
			return // it is in what is written next, if that is ever
		}
		c.nudge()
	})
}

// othersSee says that another node reaches the store, as far as is known.
func (c *cluster) othersSee() bool {
	return slices.ContainsFunc(c.view.Load().Members, func(m Member) bool {
		return m.ID != c.self.ID && !m.Leaving && m.Sight == Clear
	})
}

// sayWithin bounds the saying. A Redis that does not answer either has the others give this
// node up anyway.
const sayWithin = 2 * time.Second

// yield ends what this node wants of the store when its sessions are with nodes that reach it.
func (c *cluster) yield(p *places) {
	blind := slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == c.self.ID && m.Sight == Blind })
	if j, ok := c.node.journal.(Distant); ok && blind && !slices.Contains(p.ids, c.self.ID) && j.Silent() > blindAfter {
		j.Yield()
	}
}

// alike says that sessions are placed as if m were o.
func (m Member) alike(o Member) bool {
	return m.ID == o.ID && m.Address == o.Address && m.Leaving == o.Leaving && (m.Sight == Blind) == (o.Sight == Blind)
}
