package actors

import (
	"context"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// A group decides on the requests to be let into it and on the invitations of its
// members: who may make and answer them is known only here.

// findGroup reads what a petition to a group is decided from.
func (n *Node) findGroup(ctx context.Context, m *petition) (f *findings, err error) {
	f = &findings{}
	if m.about != nil {
		if f.request, err = n.journal.Request(ctx, m.about.Id); err != nil {
			return nil, err
		}
		f.looks = n.looksOf(f.request.From)
		f.hidden, err = n.blocks(ctx, f.request.User, f.request.From)
		return f, err
	}
	ask := m.r.frame.GetRequestSend()
	if ask.User != "" {
		if err := n.vet(ctx, []protocol.UserID{ask.User}); err != nil {
			return nil, err
		}
		if f.hidden, err = n.blocks(ctx, ask.User, m.r.who.User); err != nil {
			return nil, err
		}
	}
	f.looks = n.looksOf(m.r.who.User)
	f.request, err = n.journal.Asked(ctx, &protocol.Request{Kind: ask.Kind, From: m.r.who.User, Target: ask.Target, User: ask.User})
	return f, err
}

// blocks says whether user has blocked other; nobody, "", has.
func (n *Node) blocks(ctx context.Context, user, other protocol.UserID) (bool, error) {
	if user == "" {
		return false, nil
	}
	blocked, err := n.journal.Blocked(ctx, user, []protocol.UserID{other})
	return len(blocked) > 0, err
}

func (s *Session) decideGroup(m *petition, f *findings) (*decision, error) {
	if m.about != nil {
		return s.answerGroup(m.r.who.User, f, m.r.frame.GetRequestAnswer().GetCallBackType())
	}
	return s.askGroup(m.r, m.r.frame.GetRequestSend(), f)
}

// askGroup decides on somebody who asks to be let in, or invites another.
func (s *Session) askGroup(r *request, m *protocol.RequestSend, f *findings) (*decision, error) {
	from, rules := r.who.User, s.node.rules()
	var err error
	if m.User == "" {
		err = s.mayAskIn(from)
	} else if err = s.mayAdd(r, access.AddMembers); err == nil && s.members[m.User] != nil {
		err = protocol.Conflict("%s is in session %s already", m.User, s.id)
	}
	switch {
	case err != nil:
		return nil, err
	case open(f.request, rules.now):
		return &decision{request: f.request}, nil
	case f.hidden && rules.tell:
		return nil, protocol.Errorf(protocol.Code_BLOCKED, "%s has blocked you", m.User)
	}
	made := newRequest(from, m, rules.now, rules.life)
	made.TargetName, made.TargetIcon = s.info.Name, protocol.ShownAvatar(s.info.Avatar, s.id)
	change := RequestChange{Request: made}
	if f.request != nil {
		change.Instead = f.request.Id
	}
	return &decision{request: made, hidden: f.hidden, change: &ContactChange{Requests: []RequestChange{change}}}, nil
}

// lives says whether there is a group here that people can come into.
func (s *Session) lives() bool { return s.info != nil && !s.info.Dead && grouped(s.info) }

func (s *Session) mayAskIn(user protocol.UserID) error {
	switch {
	case !s.lives():
		return s.unknown()
	case s.members[user] != nil:
		return protocol.Conflict("%s is in session %s already", user, s.id)
	case s.info.JoinPolicy == protocol.JoinPolicy_OPEN:
		return protocol.Conflict("session %s is open: session_join goes in", s.id)
	case s.info.JoinPolicy != protocol.JoinPolicy_ASK:
		return s.unknown()
	}
	return nil
}

// answerGroup decides on an answer. Whoever is accepted comes in by the same commit.
func (s *Session) answerGroup(by protocol.UserID, f *findings, to int64) (*decision, error) {
	was := f.request
	as := sideOf(was, by)
	switch me := s.members[by]; {
	case as == stranger && was.User == "" && me != nil && leads(me):
		as = answerer
	case as == answerer && f.hidden && was.CallBackType == waiting:
		as = stranger
	}
	next, err := transition(was, by, as, to, s.node.rules().now)
	if err != nil || next == was {
		return &decision{request: was}, err
	}
	d := &decision{
		request: next, hidden: f.hidden && as == asker,
		change: &ContactChange{Requests: []RequestChange{{Request: next, Was: was.CallBackType}}},
	}
	if s.lives() {
		next.TargetName, next.TargetIcon = s.info.Name, protocol.ShownAvatar(s.info.Avatar, s.id)
	}
	if to != accepted {
		return d, nil
	}
	next.Session = s.id
	user, inviter := was.From, by
	if was.User != "" {
		user, inviter = was.User, was.From
	}
	switch {
	case !s.lives():
		return nil, s.unknown()
	case s.members[user] != nil: // came in by another way
	case was.User != "" && (s.members[inviter] == nil || !mayInvite(s.info, s.members[inviter])):
		return nil, protocol.Errorf(protocol.Code_EXPIRED, "%s may not invite into this session any more", inviter)
	default:
		d.enters, d.inviter = user, inviter
	}
	return d, nil
}

// welcome lets in whoever was accepted, in the commit of that.
func (s *Session) welcome(m *petition, f *findings, d *decision) {
	p := &pending{}
	p.Contacts = d.change
	p.after = func(b *Burst) { s.guarded(m, func() { s.settled(m, f, d, b) }) }
	p.failed = func() { s.unwritten(m, p.Err) }
	if _, err := s.letIn(p, d.inviter, d.inviter, []protocol.UserID{d.enters}); err != nil {
		s.declined(m, err)
	}
}

// requestsInto lists those who ask to be let in, for the owner and admins.
func (s *Session) requestsInto(r *request, me *MemberRow, m *protocol.RequestList) {
	if !leads(me) {
		s.fail(r, protocol.Denied("only the owner and admins see who asks to be let into session %s", s.id))
		return
	}
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		reply, err := s.node.listRequests(m, func(p RequestPage) ([]*protocol.Request, error) {
			return s.node.journal.RequestsInto(ctx, s.id, p)
		})
		if err != nil {
			s.fail(r, s.node.notRead(err))
			return
		}
		s.reply(r, reply)
	})
}
