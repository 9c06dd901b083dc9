package actors

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// SessionsOf gives the sessions that user is in, in no order.
func (n *Node) SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error) {
	return n.journal.SessionsOf(ctx, user)
}

// Replace puts to in the place of from in a session: what from could read and had read, its role, whether it had pinned or
// muted it. It returns when that is durable. Where from is not in it any more there is nothing to do.
// BUSY: ask again, which does no harm.
func (n *Node) Replace(ctx context.Context, session protocol.SessionID, from, to protocol.UserID) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-n.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return n.decree(ctx, session, &decree{what: edictReplace, user: from, then: to})
}

// takeover, of a guest who has turned out to be somebody, lets to in as from was, and then from out. A crash between the two commits leaves both in it, and the next
// try lets from out. One who was in it besides does not come in once more: it gets the better of both standings, and an
// entry says so where others see that.
func (s *Session) takeover(m *decree) {
	from, to := m.user, m.then
	was := s.members[from]
	if s.info == nil || s.info.Dead || was == nil || from == to {
		m.told(nil)
		return
	}
	failed := func() { m.told(busySession(s.id)) } // the second time, should the other entry be refused as well, nobody listens
	is := s.members[to]
	in := &pending{failed: failed}
	in.Marks = []Mark{{User: to, ReadSeq: was.ReadSeq}}
	in.after = func(b *Burst) { s.touch(b, to) }
	var e *protocol.Entry
	if is == nil {
		row := *was
		s.lastJoin++
		row.User, row.Order = to, s.lastJoin
		s.silencedAgain(in, &row)
		s.members[to] = &row
		s.order.add(&row)
		in.Members = []*MemberRow{&row}
		e = &protocol.Entry{Kind: protocol.Kind_JOIN, Sender: to, Members: []protocol.UserID{to}}
	} else {
		row := *is
		row.Floor, row.ReadSeq = min(is.Floor, was.Floor), max(is.ReadSeq, was.ReadSeq)
		if was.Role == protocol.Role_OWNER || is.Role == protocol.Role_MEMBER {
			row.Role = was.Role
		}
		s.put(in, &row)
		if row.Role != is.Role {
			e = &protocol.Entry{Kind: protocol.Kind_CHANGE, Sender: to}
		}
		if e != nil && row.Role != protocol.Role_OWNER { // an owner is named alone
			e.Members, e.Role = []protocol.UserID{to}, row.Role
		}
	}
	if s.info.Owner == from {
		info := proto.CloneOf(s.info)
		info.Owner, e.Owner = to, to
		s.info, in.Info = info, info
		former := *was
		former.Role = protocol.Role_MEMBER
		s.put(in, &former)
		was = &former
	}
	if e != nil {
		s.appendEntry(in, e)
	} else {
		s.append(in)
	}

	delete(s.members, from)
	s.order.remove(was)
	out := &pending{failed: failed}
	out.Removed = []protocol.UserID{from}
	left := &protocol.Entry{Kind: protocol.Kind_LEAVE, Sender: from, Members: out.Removed}
	s.appendEntry(out, left)
	out.after = func(b *Burst) {
		s.tellGone(b, left.Seq, left.Members)
		m.told(nil)
	}
}
