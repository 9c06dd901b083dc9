package actors

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// takeover puts one user in the place of another. No frame asks for it: the user centre does, when a
// guest has turned out to be somebody.
type takeover struct {
	from, to protocol.UserID
	done     chan error // has room for one
}

// SessionsOf gives the sessions that user is in, in no order.
func (n *Node) SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error) {
	return n.journal.SessionsOf(ctx, user)
}

// Replace puts to in the place of from in a session: what from could read and had read, its role, whether it had pinned or
// muted it. It returns when that is durable. Where from is not in it any more there is nothing to do.
// BUSY: ask again, which does no harm.
func (n *Node) Replace(ctx context.Context, session protocol.SessionID, from, to protocol.UserID) error {
	if _, err := protocol.ParseSessionID(session); err != nil {
		return protocol.NotFound("session %.64q", session)
	}
	m := &takeover{from: from, to: to, done: make(chan error, 1)}
	n.tell(n.session(session), m)
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return protocol.Errorf(protocol.Code_BUSY, "session %s does not answer", session)
	case <-n.stop:
		return protocol.Errorf(protocol.Code_GOAWAY, "the server restarts, come again")
	}
}

// takeover lets to in as from was, and then from out. A crash between the two commits leaves both in it, and the next
// try lets from out. One who was in it besides does not come in once more: it gets the better of both standings, and an
// entry says so where others see that.
func (s *Session) takeover(m *takeover) {
	if !s.ready(m) {
		return
	}
	was := s.members[m.from]
	if s.info == nil || s.info.Dead || was == nil || m.from == m.to {
		m.done <- nil
		return
	}
	failed := func() {
		select {
		case m.done <- busySession(s.id):
		default: // the other entry was refused as well
		}
	}
	is := s.members[m.to]
	in := &pending{failed: failed}
	in.Marks = []Mark{{User: m.to, ReadSeq: was.ReadSeq}}
	in.after = func(b *Burst) { s.touch(b, m.to) }
	var e *protocol.Entry
	if is == nil {
		row := *was
		s.lastJoin++
		row.User, row.Order = m.to, s.lastJoin
		s.silencedAgain(in, &row)
		s.members[m.to] = &row
		s.order.add(&row)
		in.Members = []*MemberRow{&row}
		e = &protocol.Entry{Kind: protocol.Kind_JOIN, Sender: m.to, Members: []protocol.UserID{m.to}}
	} else {
		row := *is
		row.Floor, row.ReadSeq = min(is.Floor, was.Floor), max(is.ReadSeq, was.ReadSeq)
		if was.Role == protocol.Role_OWNER || is.Role == protocol.Role_MEMBER {
			row.Role = was.Role
		}
		s.put(in, &row)
		if row.Role != is.Role {
			e = &protocol.Entry{Kind: protocol.Kind_CHANGE, Sender: m.to}
		}
		if e != nil && row.Role != protocol.Role_OWNER { // an owner is named alone
			e.Members, e.Role = []protocol.UserID{m.to}, row.Role
		}
	}
	if s.info.Owner == m.from {
		info := proto.CloneOf(s.info)
		info.Owner, e.Owner = m.to, m.to
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

	delete(s.members, m.from)
	s.order.remove(was)
	out := &pending{failed: failed}
	out.Removed = []protocol.UserID{m.from}
	left := &protocol.Entry{Kind: protocol.Kind_LEAVE, Sender: m.from, Members: out.Removed}
	s.appendEntry(out, left)
	out.after = func(b *Burst) {
		s.tellGone(b, left.Seq, left.Members)
		m.done <- nil
	}
}
