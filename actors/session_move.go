package actors

import (
	"errors"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Where sessions are placed on several nodes, one may have to go: its node leaves, or
// another came. What it had under way becomes durable and is answered first, the rest is
// told to the node that has it then, in the order in which it came. Should that one be
// quicker, the store refuses what this one still writes, and that is told there as well.

// move lets the session go when it is another node's.
func (s *Session) move() {
	switch {
	case s.node.Owns(s.id), s.state == leaving:
	case s.state == unloaded, s.state == loading: // what waits for a slow store is not overtaken by what comes now
		s.depart()
	default:
		s.moving, s.broken = true, true
		s.depart()
	}
}

// depart lets the session go as soon as nothing of it is on the way into the store. What
// ends that calls it again.
func (s *Session) depart() {
	s.moving, s.broken = true, true
	if s.waiting > 0 || s.deciding || s.making && s.state == active || s.state == leaving {
		return
	}
	s.gather()
	all := s.stashed
	for _, m := range s.petitions {
		if !m.over {
			all = append(all, m)
		}
	}
	s.stashed, s.petitions = nil, nil
	if r := s.glance(); s.owing && r != nil {
		all = append(all, r)
	}
	s.endDrafts(func(*draft) bool { return true })
	s.leave()
	if c := s.node.cluster.Load(); c != nil {
		c.stats.Moved.Add(1)
	}
	for _, m := range all {
		s.node.tellSession(s.id, m)
	}
}

// farewell has who asks told when the session goes.
func (s *Session) farewell(m *farewell) {
	if s.state == leaving {
		close(m.gone)
		return
	}
	s.farewells = append(s.farewells, m)
}

// glance is a request that changes nothing and that nobody waits for: whoever has the
// session now loads it, and so tells what its log ends with.
func (s *Session) glance() *request {
	for user := range s.members {
		f := &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: s.id, Limit: 1}}}
		return &request{from: s.node.desk.address, who: &protocol.Identity{User: user}, frame: f}
	}
	return nil
}

// maxOvertaken bounds how often one request is begun again.
const maxOvertaken = 8

// overtaken has what asked for p served again where that was refused because of a newer
// activation: nothing of it is stored, and that one may be at another node. False: nobody
// asked, that was so too often, or one node alone is no reason to expect such a thing.
func (s *Session) overtaken(p *pending) bool {
	if p.req == nil || s.node.cluster.Load() == nil {
		return false
	}
	away := s.moving && protocol.Code_BUSY.Is(p.Err) // its node does not reach the store, another one does
	if !away && !errors.Is(p.Err, ErrStale) && !errors.Is(p.Err, ErrTaken) && !(p.Create && protocol.Code_CONFLICT.Is(p.Err)) {
		return false
	}
	if p.req.tries >= maxOvertaken {
		return false
	}
	for _, r := range append([]*request{p.req}, p.also...) {
		r.tries++
		var m any = r
		if code := r.frame.GetSessionJoin().GetCode(); code != "" {
			_, link := linkOf(code)
			m = &byCode{r: r, link: link}
		}
		if s.state == leaving {
			s.node.tellSession(s.id, m)
		} else {
			s.redo = append(s.redo, m)
		}
	}
	return true
}
