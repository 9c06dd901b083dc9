package actors

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A node that is there for Redis and the store, but that most of the others do not reach, cannot
// serve their clients: each says whom it does not reach, and the sessions of who is missed by
// most are placed at the others, as if it left. Its own clients are sent away (cluster_cut.go).

// neighbours is which nodes this one does not reach; but for saying it is the watcher's.
type neighbours struct {
	of     map[string]*neighbour
	looked time.Time
	probed time.Time
	began  time.Time // what waited before says nothing: this process stood still
	said   string
	saying atomic.Bool
}

type neighbour struct {
	missed bool
	dark   time.Time // when it last had something to take that it did not
}

const (
	// probeEvery is how often each other node is given something to take, where nothing waits for
	// it anyway: a packet and its answer, next to what it writes into Redis as often.
	probeEvery = 500 * time.Millisecond
	// missAfter is for how long a node takes nothing of what waits for it until it is missed: more than
	// protoactor's remote waits before it dials again (2 s), less than it takes until it would be given up.
	missAfter = 2500 * time.Millisecond
	// shunners is how many have to miss a node at least: of two each would miss the other.
	shunners = 2
)

// shunned says that most of the other nodes do not reach one.
func (p *places) shunned(id string) bool {
	others, missers := 0, 0
	for _, m := range p.Members {
		if m.ID == id || m.Leaving {
			continue
		}
		others++
		if m.Misses != "" && slices.Contains(strings.Split(m.Misses, ","), id) {
			missers++
		}
	}
	return missers >= shunners && 2*missers > others
}

// look says whether a node is missed that has taken nothing for so long. Who is missed once is
// so until it has taken what it was given for a while.
func (n *neighbour) look(now time.Time, overdue time.Duration) bool {
	switch {
	case overdue >= missAfter:
		n.missed, n.dark = true, now
	case n.missed && overdue >= 2*probeEvery:
		n.dark = now
	case n.missed && now.Sub(n.dark) >= sightAgain:
		n.missed = false
	}
	return n.missed
}

// lookAtOthers says to all when this node does not reach some of them, and when it does again.
func (c *cluster) lookAtOthers(now time.Time) {
	k := &c.neighbours
	if now.Sub(k.looked) >= missAfter/2 {
		k.began = now
	}
	k.looked = now
	probe := now.Sub(k.probed) >= probeEvery
	if probe {
		k.probed = now
	}
	of := make(map[string]*neighbour, len(k.of))
	var all []string
	for _, m := range c.view.Load().Members {
		if m.ID == c.self.ID {
			continue
		}
		n := k.of[m.ID]
		if n == nil {
			n = &neighbour{}
		}
		of[m.ID] = n
		if n.look(now, min(c.peers.Overdue(m.ID, now), now.Sub(k.began))) {
			all = append(all, m.ID)
		}
		if probe {
			c.peers.Probe(m.ID, []byte{recordProbe})
		}
	}
	k.of = of
	slices.Sort(all)
	nodes := strings.Join(all, ",")
	if nodes == k.said || k.saying.Load() {
		return
	}
	k.said = nodes
	c.say(&k.saying, "whom it does not reach", func(ctx context.Context) error { return c.Members.Miss(ctx, nodes) })
}
