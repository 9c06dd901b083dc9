package actors

import (
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// letIn takes users in who are not in yet, by one JOIN entry of sender in p, which
// it commits; inviter is who may take them out again. It gives those who came: none
// is no error, and then nothing is committed. Over the bound of members it is
// TOO_MANY, and nothing has changed.
//
// Who left while silenced is so again. It checks no rights. p has the request and its answer, and may have more that is
// to become durable in the same step.
func (s *Session) letIn(p *pending, sender, inviter protocol.UserID, users []protocol.UserID) ([]protocol.UserID, error) {
	var came []protocol.UserID
	seen := make(map[protocol.UserID]bool, len(users))
	for _, u := range users {
		if s.members[u] == nil && !seen[u] {
			seen[u] = true
			came = append(came, u)
		}
	}
	switch {
	case len(came) == 0:
		return nil, nil
	case len(s.members)+len(came) > s.node.cfg.MaxGroup:
		return nil, protocol.Errorf(protocol.Code_TOO_MANY, "session %s may have %d members", s.id, s.node.cfg.MaxGroup)
	}
	now := time.Now().UnixMilli()
	for _, u := range came {
		s.lastJoin++
		row := &MemberRow{User: u, Inviter: inviter, Order: s.lastJoin, JoinedAt: now, ReadSeq: s.given + 1}
		if s.info.History == "joined" {
			row.Floor = s.given + 1
		}
		s.silencedAgain(p, row)
		s.members[u] = row
		s.order.add(row)
		p.Members = append(p.Members, row)
		p.Marks = append(p.Marks, Mark{User: u, ReadSeq: row.ReadSeq})
	}
	s.enlist(p.Members)
	more := p.after
	p.after = func(b *Burst) {
		s.touch(b, came...)
		if more != nil {
			more(b)
		}
	}
	s.appendEntry(p, &protocol.Entry{Kind: protocol.Kind_JOIN, Sender: sender, Members: came})
	return came, nil
}

// join lets the asker into an open group. Where one has to ask, that is said; a
// group for the invited is nobody else's business.
func (s *Session) join(r *request) {
	switch {
	case s.info == nil || s.info.Dead || !grouped(s.info):
		s.fail(r, s.unknown())
	default:
		if err := s.may(r, access.Join, s.mayJoin); err != nil {
			s.fail(r, err)
			return
		}
		s.enter(r, &pending{}, "")
	}
}

// mayJoin is what the group's policy says to one who is not in it.
func (s *Session) mayJoin() error {
	switch s.info.JoinPolicy {
	case protocol.JoinPolicy_OPEN:
		return nil
	case protocol.JoinPolicy_ASK:
		return protocol.Denied("session %s is joined by a request, which its owner or an admin accepts", s.id)
	}
	return s.unknown()
}

// enter takes the asker in and says so; one who is in already is told no more than that.
func (s *Session) enter(r *request, p *pending, inviter protocol.UserID) {
	reply := &protocol.SessionJoinReply{Session: s.id}
	p.req, p.answer = r, &protocol.Frame{Body: &protocol.Frame_SessionJoinReply{SessionJoinReply: reply}}
	came, err := s.letIn(p, r.who.User, inviter, []protocol.UserID{r.who.User})
	switch {
	case err != nil:
		s.fail(r, err)
	case len(came) == 0:
		s.reply(r, p.answer)
	default:
		reply.Seq = p.entry.Seq
	}
}
