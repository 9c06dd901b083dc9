package actors

import (
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A node that reaches neither the store, nor who could say who is there, nor most of the other
// nodes, or that most of them do not reach, can serve nobody, and those it does not reach probably can: it sends its clients to them
// and takes no new ones, until it reaches one of these again. Where both have gone for everybody
// the nodes still hear each other, and clients stay where they are: they would find nothing better.

// cutoff is what a node knows of that; all but is are the watcher's.
type cutoff struct {
	since  time.Time // when both were first seen to be away, or the node to be shunned; zero: neither is so
	last   time.Time // when the node was last cut off
	looked time.Time
	away   time.Time // when clients were last sent away
	is     atomic.Bool
}

const (
	// signWithin is how long another node may take for a sign of life. Redis and the store are
	// missed 1.5 and 2 s after they went, so a node that is cut off knows it after 4 s: the others
	// have given it up after 3, and have its sessions.
	signWithin = 2 * time.Second
	// agreedWithin is how long a node waits that most others do not reach, and that hears none of those
	// either: they have waited before they said so. One that hears them may have been paused.
	agreedWithin = probeEvery
	// awayEvery is for who came in while the others were sent away.
	awayEvery = time.Second
	// elsewhereEach is for each client, and elsewhereIn the most, that clients are told to take for coming
	// back, each as it likes: other nodes read a list for each of them.
	elsewhereEach = 20 * time.Millisecond
	elsewhereIn   = 2 * time.Second
)

// comeBackIn is how long so many clients are told to take.
func comeBackIn(clients int) time.Duration {
	return min(max(1, time.Duration(clients))*elsewhereEach, elsewhereIn)
}

// CutOff says that this node has sent its clients away, as it reaches nobody but them.
func (n *Node) CutOff() bool {
	c := n.cluster.Load()
	return c != nil && c.cut.is.Load()
}

// lookAround finds out whether this node is cut off.
func (c *cluster) lookAround(now time.Time) {
	k, n := &c.cut, c.node
	if n.stopping.Load() {
		return
	}
	j, ok := n.journal.(Distant)
	lost := ok && c.Members.Lost() && j.Silent() > blindAfter
	shunned := c.view.Load().shunned(c.self.ID)
	switch {
	case !lost && !shunned:
		k.since = time.Time{}
	case k.since.IsZero(), now.Sub(k.looked) >= signWithin/2: // else it is this process that did nothing meanwhile
		k.since = now
	}
	k.looked = now
	patience := signWithin
	if shunned && c.outnumbered(now) {
		patience = agreedWithin
	}
	switch was := k.is.Load(); {
	case (was || !k.since.IsZero() && now.Sub(k.since) >= patience) && (shunned || lost && c.outnumbered(now)):
		k.last = now
		k.is.Store(true)
		if !was {
			n.log.Error("this node is cut off from Redis, the store and most of the other nodes, or these do not reach it: its clients are sent to them",
				"node", c.self.ID, "unreached", shunned, "clients", n.Connections())
		}
		if now.Sub(k.away) >= awayEvery {
			k.away = now
			n.sendAway()
		}
	case was && now.Sub(k.last) >= sightAgain:
		k.is.Store(false)
		n.log.Info("this node is not cut off any more: it takes clients again", "node", c.self.ID)
	}
}

// outnumbered says that of all nodes, this one included, it has heard of no more than half
// lately, so that those it does not hear may well serve without it. One that is alone is not.
func (c *cluster) outnumbered(now time.Time) bool {
	all, heard := 1, 1
	for _, m := range c.view.Load().Members {
		if m.ID == c.self.ID || m.Leaving {
			continue
		}
		all++
		if now.Sub(c.peers.Heard(m.ID)) < signWithin {
			heard++
		}
	}
	return all > 1 && 2*heard <= all
}

// sendAway closes all connections, and says when to come back.
func (n *Node) sendAway() {
	all := n.all()
	away := protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Goaway{Goaway: &protocol.Goaway{RetryInMs: comeBackIn(len(all)).Milliseconds()}}})
	for _, c := range all {
		c.actor.tell(&goaway{frame: away})
		c.actor.tell(&kick{code: protocol.Code_GOAWAY, why: "this node is cut off, others are not"})
	}
}
