package actors

import (
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// load reads the session and takes a new epoch for it, away from the mailbox.
func (s *Session) load() {
	if !s.node.Owns(s.id) {
		s.depart()
		return
	}
	s.state = loading
	at := s.keptAt
	s.node.whenGiven(s.id, func() {
		ctx, cancel := s.node.background()
		defer cancel()
		stored, sent, err := s.read1(ctx)
		var pair *Pair
		if err == nil {
			pair, err = s.readPair(ctx, stored.Members)
		}
		s.node.tell(s.pid, done(func() {
			if pair != nil && s.keptAt == at {
				s.keep(pair)
			}
			s.loaded(stored, sent, err)
		}))
	})
}

func (s *Session) loaded(stored *Stored, sent *window, err error) {
	switch {
	case s.state == leaving: // it was another node's for a moment: what waited is with the next activation
		return
	case !s.node.Owns(s.id):
		s.depart()
		return
	case protocol.Code_NOT_FOUND.Is(err):
		s.info, s.members, s.order, s.former, s.bots = nil, nil, order{}, nil, nil
		s.making, s.owing = false, false
	case err != nil:
		if !s.unread {
			s.node.failed("loading a session", err, "session", s.id)
		}
		s.state = unloaded
		stashed := s.stashed
		s.stashed = nil
		for _, m := range stashed {
			if r := asking(m); r != nil && r.unsure { // it may be stored: it keeps its place in front of what comes now
				s.stashed = append(s.stashed, m)
			} else if r != nil {
				s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
			} else if p, ok := m.(*petition); ok {
				s.petitions = append(s.petitions, p)
			} else if d, ok := m.(*decree); ok {
				d.told(busySession(s.id))
			}
		}
		s.forsake()
		s.loadLater()
		return
	default:
		s.adopt(stored)
		s.sent = sent
		s.append(&pending{Append: Append{Claim: true, Head: stored.Head}})
		s.tellNewest(stored.Newest)
		s.owing, s.unread = false, false
		if s.offers() {
			s.offer(nil)
		}
	}
	s.state = active
	s.disband()
	s.unstash()
	s.vanish()
}

// tellNewest says what the log ends with: a node that died, or that was not told what became
// of a commit, may have made entries durable that it told nobody of. Who has heard all passes
// over it, the others see that something is missing, and read it.
func (s *Session) tellNewest(e *protocol.Entry) {
	if e != nil && (s.owing || s.node.cluster.Load() != nil) {
		s.publish([]*Event{s.push(&pending{entry: e})}, nil)
	}
}

// loadAgainAfter is not longer with each try: while the store is away one costs nothing, and
// when it is back somebody waits.
const loadAgainAfter = 500 * time.Millisecond

// loadLater tries again to read what could not be read, where somebody is owed to know what
// the log ends with: nobody else may ever ask.
func (s *Session) loadLater() {
	if s.trying || !s.owing && len(s.stashed) == 0 {
		return
	}
	s.trying = true
	s.unread = true
	pid := s.pid
	time.AfterFunc(loadAgainAfter, func() {
		s.node.tell(pid, done(func() {
			if s.trying = false; s.state == unloaded {
				s.load()
			}
		}))
	})
}

// adopt takes the stored state as its own.
func (s *Session) adopt(stored *Stored) {
	s.info, s.logEpoch = stored.Info, stored.LogEpoch
	s.former = silencesOf(s.info)
	s.epoch = stored.Epoch + 1
	s.head, s.given = stored.Head, stored.Head
	s.order = orderOf(stored.Members)
	s.members = make(map[protocol.UserID]*MemberRow, len(stored.Members))
	s.lastJoin, s.bots = 0, nil
	s.enlist(stored.Members)
	s.endDrafts(func(d *draft) bool { return !slices.Contains(s.bots, d.bot) })
	for _, m := range stored.Members {
		s.members[m.User] = m
		s.lastJoin = max(s.lastJoin, m.Order)
	}
	s.last = max(s.info.UpdatedAt, s.info.CreatedAt)
	s.held, s.targets, s.links, s.making, s.ending = nil, nil, nil, false, false
}

// asking is the request that a message brings, nil: it brings none.
func asking(m any) *request {
	switch m := m.(type) {
	case *request:
		return m
	case *byCode:
		return m.r
	}
	return nil
}

func (s *Session) unstash() {
	if s.moving {
		s.depart()
		return
	}
	stashed := s.stashed
	s.stashed = nil
	for _, m := range stashed {
		s.serve(m)
	}
	s.nextPetition()
}

// reload forgets what is known and loads it again, once all that is under way is
// reported: what became durable is still answered.
func (s *Session) reload() {
	s.broken = true
	if s.waiting > 0 || s.state != active {
		return
	}
	if !s.node.Owns(s.id) {
		s.depart()
		return
	}
	s.broken, s.moving = false, false // it may have been another node's for a moment
	s.gather()
	s.load()
}

// gather puts what was under way in front of what is stashed, as it came before it.
func (s *Session) gather() {
	held := s.held
	targets := s.targets
	first := s.redo
	s.held, s.targets, s.redo = nil, nil, nil
	for _, rs := range held {
		for _, r := range rs {
			first = append(first, r)
		}
	}
	for _, changes := range targets {
		for _, c := range changes {
			if c.r != nil { // that it is asked for again shows in the target
				first = append(first, c.r)
			}
			if c.told != nil {
				c.told(busySession(s.id))
			}
		}
	}
	s.stashed = append(first, s.stashed...)
}
