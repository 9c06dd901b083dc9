package actors

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// errand is what was told to a session of another node and has no answer yet. It is kept
// as it would be told to a session here, so that it can be told again wherever that is.
type errand struct {
	number  uint64
	session protocol.SessionID
	m       any
	to      string // the node that has it; "": it waits for one that takes it
	since   time.Time
	behind  bool // when it was given last, one of the session that was asked for before it had no answer
	given   int  // to how many nodes that did not say that they leave it: one of them may do it, or have done it
}

// definite makes of an error that says that nothing was done one that does not, where a
// node that has the errand as well may have done it.
func (c *cluster) definite(e *errand, a answer, given int) answer {
	r, _ := e.m.(*request)
	if (given > 0 || r != nil && r.unsure) && (a.err != nil && protocol.Code_BUSY.Is(a.err) || a.frame != nil && protocol.Code(a.frame.Errcode) == protocol.Code_BUSY) {
		c.late.add(e.m)
		return answer{number: a.number, err: protocol.Errorf(protocol.Code_INTERNAL, "it is not known whether this was done")}
	}
	return a
}

// tellSession tells a session something, wherever the session is.
func (n *Node) tellSession(id protocol.SessionID, m any) {
	if c := n.cluster.Load(); c != nil && c.send(id, m) {
		return
	}
	n.session(id).tell(m)
}

// send takes m if it is for a session elsewhere, or has to wait behind others.
func (c *cluster) send(id protocol.SessionID, m any) bool {
	if c.view.Load().owner(id) == c.self.ID {
		if c.backlog.Load() == 0 {
			return false
		}
		c.mu.Lock()
		mine := c.view.Load().owner(id) == c.self.ID
		if mine {
			c.here(id, m)
		}
		c.mu.Unlock()
		if mine {
			return true
		}
	}
	if d, ok := m.(*Draft); ok {
		c.peers.Send(c.view.Load().owner(id), appendDraft(nil, d), false) // what is lost of a draft is in the message
		return true
	}
	if !answerable(m) {
		return true // what time asks for, the owner sees by itself
	}
	e := &errand{number: c.last.Add(1), session: id, m: m, since: time.Now()}
	c.mu.Lock()
	to := c.view.Load().owner(id)
	switch {
	case to == c.self.ID:
		c.here(id, m)
		c.mu.Unlock()
		return true
	case c.at[to] >= c.Pending:
	default:
		c.pending[e.number] = e
		e.behind = c.open[id] > 0
		c.open[id]++
		e.to = to
		c.at[to]++
		if c.waiting[id] > 0 { // behind those
			c.rest(e)
		} else if !c.peers.Send(to, appendAsk(nil, e, c.view.Load().Version), false) {
			c.drop(e)
			break
		} else {
			e.given++
		}
		c.mu.Unlock()
		c.stats.Forwarded.Add(1)
		return true
	}
	c.mu.Unlock()
	c.stats.Busy.Add(1)
	busy := protocol.Errorf(protocol.Code_BUSY, "too much waits for the node of session %s", id)
	busy.RetryAfterMs = 500
	c.node.decline(m, busy)
	return true
}

// rest lets an errand wait for a node that takes it. mu is held.
func (c *cluster) rest(e *errand) {
	if e.to != "" {
		if c.at[e.to]--; c.at[e.to] <= 0 {
			delete(c.at, e.to)
		}
		e.to = ""
		c.waiting[e.session]++
	}
}

// drop takes an errand out. mu is held.
func (c *cluster) drop(e *errand) {
	if e.to == "" {
		if c.waiting[e.session]--; c.waiting[e.session] <= 0 {
			delete(c.waiting, e.session)
		}
	} else if c.at[e.to]--; c.at[e.to] <= 0 {
		delete(c.at, e.to)
	}
	if c.open[e.session]--; c.open[e.session] <= 0 {
		delete(c.open, e.session)
	}
	delete(c.pending, e.number)
}

// inOrder gives the errands in the order in which they were made. mu is held.
func (c *cluster) inOrder() []*errand {
	all := make([]*errand, 0, len(c.pending))
	for _, e := range c.pending {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *errand) int { return cmp.Compare(a.number, b.number) })
	return all
}

// place gives an errand to the node that its session is at by v, unless it is there. before
// has the sessions of which one came before it among those that are pending. mu is held.
func (c *cluster) place(e *errand, v *places, before map[protocol.SessionID]bool) {
	to := v.owner(e.session)
	e.behind = before[e.session]
	before[e.session] = true
	switch {
	case to == e.to:
	case to == c.self.ID:
		c.drop(e)
		if r, ok := e.m.(*request); ok && e.given > 0 { // who had it may have done it
			r.unsure = true
		}
		c.here(e.session, e.m)
		c.stats.Again.Add(1)
	case c.peers.Send(to, appendAsk(nil, e, v.Version), true):
		c.rest(e)
		c.waiting[e.session]--
		if c.waiting[e.session] <= 0 {
			delete(c.waiting, e.session)
		}
		e.to = to
		e.given++
		c.at[to]++
		c.stats.Again.Add(1)
	default:
		c.rest(e)
	}
}

// answered gives answers to those who asked, each once: another one may come from a node
// that was slow to say so.
func (c *cluster) settle(all []answer) {
	var out mail
	var burst Burst
	for _, a := range all {
		c.mu.Lock()
		e := c.pending[a.number]
		if e != nil {
			c.drop(e)
		}
		c.mu.Unlock()
		if e != nil {
			c.node.settle(e.m, c.definite(e, a, e.given-1), &out) // besides the one that says so
		}
	}
	out.send(&burst)
	burst.End()
}

// refused takes errands back that a node did not take, as their sessions are not there.
func (c *cluster) refused(from string, numbers []uint64) {
	c.mu.Lock()
	for _, number := range numbers {
		if e := c.pending[number]; e != nil && e.to == from {
			e.given--
			c.rest(e)
		}
	}
	c.mu.Unlock()
	c.Members.Look()
}

// answerable says whether somebody waits for what becomes of m.
func answerable(m any) bool {
	switch m.(type) {
	case *request, *petition, *byCode, *decree:
		return true
	}
	return false
}

// settle gives whoever waits for m what another node said of it.
func (n *Node) settle(m any, a answer, out *mail) {
	switch m := m.(type) {
	case *request:
		if f := a.to(m.frame); f != nil {
			out.add(m.from, f)
		}
	case *byCode:
		out.add(m.r.from, a.to(m.r.frame))
	case *petition:
		if m.end() {
			out.add(m.r.from, a.to(m.r.frame))
		}
	case *decree:
		if a.err != nil {
			m.told(a.err)
		} else {
			m.told(nil)
		}
	}
}

// decline answers m with an error.
func (n *Node) decline(m any, err *protocol.Error) {
	var out mail
	n.settle(m, answer{err: err}, &out)
	out.send(nil)
}
