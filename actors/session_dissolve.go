package actors

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// System is the sender of what the installation itself says and does.
const System protocol.UserID = "system"

// outAtOnce is how many members of a dissolved session leave in one commit: some
// 10 ms, in which nobody else's messages become durable.
const outAtOnce = 1000

// dissolve ends the session for all, as its owner wishes.
func (s *Session) dissolve(r *request, me *MemberRow) {
	if !grouped(s.info) {
		s.fail(r, protocol.Denied("only groups are dissolved"))
		return
	}
	reply := &protocol.SessionDissolveReply{Session: s.id}
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_SessionDissolveReply{SessionDissolveReply: reply}}}
	s.dissolved(p, me.User)
	reply.Seq = p.entry.Seq
}

// timeUp ends a temporary session, or goes on with the ending of one that was
// being ended when the server stopped.
func (s *Session) timeUp(m *timeUp) {
	if !s.ready(m) || s.info == nil {
		return
	}
	switch {
	case s.info.Dead:
		s.disband()
	case s.info.Until > 0 && s.info.Until <= time.Now().UnixMilli():
		s.dissolved(&pending{}, System)
	}
}

// dissolved makes the session dead, with a last entry by whoever ended it. From here
// on it answers nobody. Its members leave in the steps of disband: while any of them
// is left, Until keeps it among the sessions that are due.
func (s *Session) dissolved(p *pending, by protocol.UserID) {
	info := proto.CloneOf(s.info)
	info.Dead, info.Owner, info.Until, s.former = true, "", 1, nil
	s.info, p.Info = info, info
	s.out(p)
	s.appendEntry(p, &protocol.Entry{Kind: protocol.Kind_CHANGE, Sender: by, Change: &protocol.SessionChange{Dissolved: true}})
}

// disband takes the next members out of a dead session.
func (s *Session) disband() {
	if s.info == nil || !s.info.Dead || len(s.members) == 0 || s.ending {
		return
	}
	p := &pending{}
	s.out(p)
	s.append(p)
}

// out puts the next members' leaving into p, and what follows it.
func (s *Session) out(p *pending) {
	s.ending = true
	rows, more := s.order.after(0, outAtOnce)
	for _, row := range rows {
		delete(s.members, row.User)
		s.order.remove(row)
	}
	p.Removed = users(rows)
	s.discharge(rows)
	if !more {
		info := proto.CloneOf(s.info)
		info.Until = 0
		s.info, p.Info = info, info
	}
	p.after = func(b *Burst) {
		s.tellGone(b, s.head, p.Removed)
		s.ending = false
		s.disband()
	}
}

// tellGone tells users that the session is no longer theirs; upTo is the last seq they may read.
func (s *Session) tellGone(b *Burst, upTo int64, who []protocol.UserID) {
	out := []*Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{
		Session: s.id, Gone: true, GoneSeq: upTo,
	}}})}}
	for _, u := range who {
		s.node.streams.Publish(UserSubject(u), out, b)
	}
}
