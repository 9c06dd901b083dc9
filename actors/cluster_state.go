package actors

import (
	"slices"
	"strings"
	"sync/atomic"
)

// ClusterStats counts what happened since the start; read them with sync/atomic loads.
type ClusterStats struct {
	Forwarded atomic.Int64 // requests given to another node
	Again     atomic.Int64 // … and to a further one, as that had gone or the session was not there
	Busy      atomic.Int64 // … and refused, as nobody answered or too many waited
	Served    atomic.Int64 // requests of other nodes
	Moved     atomic.Int64 // sessions that were given away
}

// ClusterState is what a node knows of the others now.
type ClusterState struct {
	ID                                    string
	Version                               int64
	Members                               []Member
	Waiting                               int // requests at other nodes
	Forwarded, Again, Busy, Served, Moved int64
}

// ClusterState says how things stand; ok is false for a node alone.
func (n *Node) ClusterState() (s ClusterState, ok bool) {
	c := n.cluster.Load()
	if c == nil {
		return s, false
	}
	c.mu.Lock()
	s.Waiting = len(c.pending)
	c.mu.Unlock()
	v := c.view.Load()
	s.ID, s.Version, s.Members = c.self.ID, v.Version, slices.Clone(v.Members)
	s.Forwarded, s.Again, s.Busy = c.stats.Forwarded.Load(), c.stats.Again.Load(), c.stats.Busy.Load()
	s.Served, s.Moved = c.stats.Served.Load(), c.stats.Moved.Load()
	return s, true
}

// Owns says whether this node is the one that id falls to: a session, or a piece of work
// that one node should do. A node alone owns everything. Two nodes may both say yes for
// about as long as it takes to see that one came or went.
func (n *Node) Owns(id string) bool {
	c := n.cluster.Load()
	return c == nil || c.view.Load().owner(id) == c.self.ID
}

// OwnerAmong says which node owns id where only some, by their ids, can do the work: the one of
// them that is there and has the highest score, so the owner if that is one of them. "": none
// of them is there.
func (n *Node) OwnerAmong(id string, nodes []string) string {
	if c := n.cluster.Load(); c != nil {
		return c.view.Load().ownerAmong(id, nodes)
	}
	return ""
}

// NodeID names this node among those of its installation, until it ends. "": it is alone.
func (n *Node) NodeID() string {
	if c := n.cluster.Load(); c != nil {
		return c.self.ID
	}
	return ""
}

// names is for logs.
func (p *places) names(self string) string {
	var b strings.Builder
	for i, m := range p.Members {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.Address)
		if m.ID == self {
			b.WriteString(" (this one)")
		}
		if m.Leaving {
			b.WriteString(" (leaving)")
		}
		if m.Sight == Blind {
			b.WriteString(" (without its store)")
		}
		if p.shunned(m.ID) {
			b.WriteString(" (not reached by most)")
		}
	}
	return b.String()
}
