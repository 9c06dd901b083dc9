package actors

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A p2p session knows what its two people keep of each other: it reads that when
// it is loaded or made, and every change of it passes through here (petition.go).

// keep notes what the two people keep of each other now.
func (s *Session) keep(p *Pair) {
	s.kept = p
	s.keptAt++
}

// readPair reads what the two people of a p2p session keep of each other; nil of others.
func (s *Session) readPair(ctx context.Context, members []*MemberRow) (*Pair, error) {
	if !protocol.IsP2P(s.id) || len(members) != 2 {
		return nil, nil
	}
	return s.node.pair(ctx, members[0].User, members[1].User)
}

// mayTalk says whether from may say something here, as far as the other one of a
// p2p session decides that.
func (s *Session) mayTalk(from protocol.UserID) error {
	p := s.kept
	if p == nil {
		return nil
	}
	mine, theirs := &p.Mine, &p.Theirs
	if theirs.User == from {
		mine, theirs = theirs, mine
	}
	if mine.User != from {
		return nil
	}
	friendsOnly := s.node.cfg.Strangers == FriendsOnly && !p.Open && !protocol.IsBot(from) && !protocol.IsBot(theirs.User)
	return mayTalk(mine, theirs, s.node.cfg.TellBlocked, friendsOnly)
}

// vetMembers is vet for the people of a new session. Of two it asks as well whether
// the one may talk to the other.
func (s *Session) vetMembers(r *request, m *protocol.SessionCreate, then func(error)) {
	if m.SessionType != protocol.SessionType_P2P {
		s.vet(m.Members, then)
		return
	}
	at := s.keptAt
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		err := s.node.vet(ctx, m.Members)
		var p *Pair
		if err == nil {
			p, err = s.node.pair(ctx, r.who.User, m.Members[0])
		}
		s.node.tell(s.pid, done(func() {
			if err != nil {
				then(protocol.AsError(err))
				return
			}
			if s.keptAt == at {
				s.keep(p)
			}
			then(s.mayTalk(r.who.User))
		}))
	})
}

// meet makes the session of two people who became friends, in the commit of that.
func (s *Session) meet(m *petition, f *findings, d *decision) {
	now := time.Now().UnixMilli()
	from, to := d.request.From, d.request.Target
	info := &protocol.SessionInfo{Session: s.id, SessionType: protocol.SessionType_P2P, Creator: from, CreatedAt: now, UpdatedAt: now}
	rows := []*MemberRow{{User: from, Order: 1, JoinedAt: now}, {User: to, Inviter: from, Order: 2, JoinedAt: now}}
	s.adopt(&Stored{Info: info, Members: rows}) // the log's epoch comes with the commit
	s.making = true
	s.sent = newWindow()
	s.sent.complete = true
	p := &pending{}
	p.Create, p.Claim = true, true
	p.Info, p.Members, p.Contacts = info, rows, d.change
	p.after = func(b *Burst) {
		s.touch(b, users(rows)...)
		s.guarded(m, func() { s.settled(m, f, d, b) })
	}
	p.failed = func() { s.unwritten(m, p.Err) }
	s.append(p)
}
