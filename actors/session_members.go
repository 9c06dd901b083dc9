package actors

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// create makes the session, or answers with the one that is there: a p2p session
// of the same two people, or a request made again.
func (s *Session) create(r *request, m *protocol.SessionCreate) {
	if s.info != nil {
		if s.members[r.who.User] == nil || s.info.SessionType != m.SessionType {
			s.fail(r, protocol.Conflict("clientMsgId %.64q was used for another session", m.ClientMsgId))
			return
		}
		s.reply(r, s.created())
		return
	}
	s.making = true // what comes until it is durable waits
	s.vet(m.Members, func(err error) {
		if err == nil {
			s.made(r, m)
			return
		}
		s.making = false
		s.fail(r, err)
		s.unstash()
		s.vanish()
	})
}

// vet has a worker ask whether all of ids are users, and goes on with what it says.
func (s *Session) vet(ids []protocol.UserID, then func(error)) {
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		err := s.node.vet(ctx, ids)
		s.node.tell(s.pid, done(func() { then(err) }))
	})
}

func (n *Node) vet(ctx context.Context, ids []protocol.UserID) error {
	if len(ids) == 0 {
		return nil
	}
	unknown, err := n.users.Unknown(ctx, ids)
	if err != nil {
		n.log.Error("asking for users", "err", err)
		return protocol.Errorf(protocol.Code_BUSY, "users cannot be looked up now")
	}
	if len(unknown) > 0 {
		return protocol.NotFound("user %.64q", unknown[0])
	}
	return nil
}

// made writes a new session with its first members, the creator in front.
func (s *Session) made(r *request, m *protocol.SessionCreate) {
	now := time.Now().UnixMilli()
	me := r.who.User
	info := &protocol.SessionInfo{
		Session: s.id, SessionType: m.SessionType, Name: m.Name, Creator: me, Owner: me,
		CreatedAt: now, UpdatedAt: now, Temporary: m.Temporary, History: m.History, BusinessType: m.BusinessType,
	}
	creator := &MemberRow{User: me, Role: protocol.Role_OWNER, Order: 1, JoinedAt: now}
	if m.SessionType == protocol.SessionType_P2P {
		info.Owner, info.Name, info.Temporary, info.History = "", "", false, ""
		creator.Role = protocol.Role_MEMBER
	}
	rows := []*MemberRow{creator}
	for _, u := range m.Members {
		if !slices.ContainsFunc(rows, func(row *MemberRow) bool { return row.User == u }) {
			rows = append(rows, &MemberRow{User: u, Inviter: me, Order: int64(len(rows) + 1), JoinedAt: now})
		}
	}
	s.adopt(&Stored{Info: info, Members: rows}) // the log's epoch comes with the commit
	s.making = true
	s.sent = newWindow()
	s.sent.complete = true
	p := &pending{req: r}
	p.Create, p.Claim = true, true
	p.Info, p.Members = info, rows
	p.after = func(b *Burst) { s.touch(b, users(rows)...) }
	s.append(p)
}

// created is the answer to session_create.
func (s *Session) created() *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionCreateReply{SessionCreateReply: &protocol.SessionCreateReply{
		Entities: &protocol.Entities{Session: map[string]*protocol.SessionInfo{s.id: s.about(0, s.node.cfg.MaxMembers)}},
		Model:    "session",
		Result:   []string{s.id},
	}}}
}

// about is what members may know of the session, with up to limit of its members
// that joined after the one with order after.
func (s *Session) about(after int64, limit int) *protocol.SessionInfo {
	info := proto.CloneOf(s.info)
	info.HeadSeq, info.Epoch, info.MemberCount = s.head, s.logEpoch, int64(len(s.order))
	info.UpdatedAt = max(info.UpdatedAt, s.last)
	from, _ := slices.BinarySearchFunc(s.order, after+1, func(m *MemberRow, order int64) int { return int(m.Order - order) })
	for _, m := range s.order[from:min(from+limit, len(s.order))] {
		info.Members = append(info.Members, &protocol.Member{
			User: m.User, Role: m.Role, Inviter: m.Inviter, Order: m.Order, JoinedAt: m.JoinedAt, ReadSeq: m.ReadSeq, RecvSeq: m.RecvSeq,
		})
	}
	return info
}

func (s *Session) get(r *request, m *protocol.SessionGet) {
	after, err := int64(0), error(nil)
	if m.Cursor != "" {
		if after, err = strconv.ParseInt(m.Cursor, 10, 64); err != nil || after < 0 {
			s.fail(r, protocol.BadRequest("session_get.cursor: give back what next said"))
			return
		}
	}
	limit := int(m.Limit)
	if limit <= 0 || limit > 500 {
		limit = 500
	}
	reply := &protocol.SessionGetReply{Info: s.about(after, limit)}
	if n := len(reply.Info.Members); n == limit && reply.Info.Members[n-1].Order != s.order[len(s.order)-1].Order {
		reply.Next = strconv.FormatInt(reply.Info.Members[n-1].Order, 10)
	}
	s.present(r, reply)
}

// touch tells users that the session's row in their home lists changed. With the
// head as it is now, a user who is new in it knows from where on to look.
func (s *Session) touch(b *Burst, who ...protocol.UserID) {
	e := []*Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{
		Session: s.id, Head: &protocol.SessionHead{Session: s.id, HeadSeq: s.head},
	}}})}}
	for _, u := range who {
		s.node.streams.Publish(UserSubject(u), e, b)
	}
}

func users(rows []*MemberRow) []protocol.UserID {
	ids := make([]protocol.UserID, len(rows))
	for i, m := range rows {
		ids[i] = m.User
	}
	return ids
}

// addUsers brings in people whom any member may invite. The entry comes when the
// store knows them all; those who are in already are passed over.
func (s *Session) addUsers(r *request, ids []protocol.UserID) {
	if s.info.SessionType == protocol.SessionType_P2P {
		s.fail(r, protocol.Denied("a p2p session has two people; make a group"))
		return
	}
	s.vet(ids, func(err error) {
		if s.state != active || s.broken { // what it knows of members is not to be built on
			s.request(r)
			return
		}
		if err == nil && (s.info == nil || s.members[r.who.User] == nil) {
			err = s.unknown()
		}
		if err == nil {
			err = s.may(r, access.AddMembers, permit)
		}
		if err != nil {
			s.fail(r, err)
			return
		}
		s.joined(r, ids)
	})
}

func (s *Session) joined(r *request, ids []protocol.UserID) {
	now := time.Now().UnixMilli()
	var rows []*MemberRow
	for _, u := range ids {
		if s.members[u] != nil {
			continue
		}
		s.lastJoin++
		row := &MemberRow{User: u, Inviter: r.who.User, Order: s.lastJoin, JoinedAt: now, ReadSeq: s.given + 1}
		if s.info.History == "joined" {
			row.Floor = s.given + 1
		}
		s.members[u] = row
		s.order = append(s.order, row)
		rows = append(rows, row)
	}
	reply := &protocol.SessionAddUserReply{Session: s.id, Members: users(rows)}
	answer := &protocol.Frame{Body: &protocol.Frame_SessionAddUserReply{SessionAddUserReply: reply}}
	if len(rows) == 0 {
		s.reply(r, answer)
		return
	}
	p := &pending{req: r, answer: answer}
	p.Members = rows
	for _, row := range rows {
		p.Marks = append(p.Marks, Mark{User: row.User, ReadSeq: row.ReadSeq})
	}
	p.after = func(b *Burst) { s.touch(b, users(rows)...) }
	s.appendEntry(p, &protocol.Entry{Kind: protocol.Kind_JOIN, Sender: r.who.User, Members: users(rows)})
	reply.Seq = p.entry.Seq
}

// mayRemove is requirement 001's rule: oneself, whom one invited; the owner and
// admins anyone, but an admin not the owner.
func (s *Session) mayRemove(r *request, me, other *MemberRow) error {
	if me.User == other.User {
		return s.may(r, access.Leave, nil)
	}
	return s.may(r, access.RemoveOthers, func() error {
		if other.Role != protocol.Role_OWNER && (me.Role == protocol.Role_ADMIN || other.Inviter == me.User) {
			return nil
		}
		return protocol.Denied("%s may not remove %s from session %s", me.User, other.User, s.id)
	})
}

func (s *Session) removeUsers(r *request, me *MemberRow, ids []protocol.UserID) {
	if s.info.SessionType == protocol.SessionType_P2P {
		s.fail(r, protocol.Denied("nobody can be removed from a p2p session"))
		return
	}
	var rows []*MemberRow
	for _, u := range ids {
		other := s.members[u]
		if other == nil || slices.Contains(rows, other) {
			continue
		}
		if err := s.mayRemove(r, me, other); err != nil {
			s.fail(r, err)
			return
		}
		rows = append(rows, other)
	}
	reply := &protocol.SessionRemoveUserReply{Session: s.id, Members: users(rows)}
	answer := &protocol.Frame{Body: &protocol.Frame_SessionRemoveUserReply{SessionRemoveUserReply: reply}}
	if len(rows) == 0 {
		s.reply(r, answer)
		return
	}
	reply.Seq = s.left(r, rows, answer)
}

func (s *Session) exit(r *request) {
	if s.info.SessionType == protocol.SessionType_P2P {
		s.fail(r, protocol.Denied("a p2p session is not left"))
		return
	}
	reply := &protocol.SessionExitReply{Session: s.id}
	reply.Seq = s.left(r, []*MemberRow{s.members[r.who.User]}, &protocol.Frame{Body: &protocol.Frame_SessionExitReply{SessionExitReply: reply}})
}

// left takes rows out. When the owner goes, the first in order of joining follows,
// the creator stays who it was; when nobody is left, the session is dead.
func (s *Session) left(r *request, rows []*MemberRow, answer *protocol.Frame) int64 {
	e := &protocol.Entry{Kind: protocol.Kind_LEAVE, Sender: r.who.User, Members: users(rows)}
	for _, row := range rows {
		delete(s.members, row.User)
	}
	s.order = slices.DeleteFunc(slices.Clone(s.order), func(m *MemberRow) bool { return slices.Contains(rows, m) })
	p := &pending{req: r, answer: answer}
	p.Removed = e.Members
	info := proto.CloneOf(s.info)
	switch {
	case len(s.order) == 0:
		info.Dead, info.Owner = true, ""
	case s.members[info.Owner] == nil:
		heir := *s.order[0]
		heir.Role = protocol.Role_OWNER
		s.replace(&heir)
		info.Owner, e.Owner = heir.User, heir.User
		p.Members = []*MemberRow{&heir}
	}
	if info.Owner != s.info.Owner || info.Dead {
		s.info, p.Info = info, info
	}
	s.appendEntry(p, e)
	gone := &protocol.SessionUpdate{Session: s.id, Gone: true, GoneSeq: p.entry.Seq}
	p.after = func(b *Burst) {
		out := []*Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: gone}})}}
		for _, u := range e.Members {
			s.node.streams.Publish(UserSubject(u), out, b)
		}
	}
	return p.entry.Seq
}

// replace puts a changed copy of a member's row in the old one's place: rows that
// were given to the committer are not changed any more.
func (s *Session) replace(row *MemberRow) {
	s.members[row.User] = row
	if i := slices.IndexFunc(s.order, func(m *MemberRow) bool { return m.User == row.User }); i >= 0 {
		s.order = slices.Clone(s.order)
		s.order[i] = row
	}
}

// set changes what is said in the frame: name, owner and roles for everybody,
// sticky and muted for the member itself.
func (s *Session) set(r *request, me *MemberRow, m *protocol.SessionSet) {
	forAll := m.Name != nil || m.Owner != nil || m.Role != nil
	if err := s.maySet(r, m); err != nil {
		s.fail(r, err)
		return
	}
	reply := &protocol.SessionSetReply{Session: s.id}
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_SessionSetReply{SessionSetReply: reply}}}
	mine := *me
	if m.Sticky != nil {
		mine.Sticky = *m.Sticky
	}
	if m.Muted != nil {
		mine.Muted = *m.Muted
	}
	if mine != *me {
		s.replace(&mine)
		p.Members = append(p.Members, &mine)
		p.after = func(b *Burst) { s.touch(b, mine.User) }
	}
	if !forAll {
		if len(p.Members) == 0 {
			s.reply(r, p.answer)
			return
		}
		s.append(p)
		return
	}
	e := &protocol.Entry{Kind: protocol.Kind_CHANGE, Sender: me.User}
	info := proto.CloneOf(s.info)
	if m.Name != nil {
		info.Name, e.Name = *m.Name, *m.Name
	}
	if m.Role != nil {
		e.Members, e.Role = m.Members, *m.Role
		for _, u := range m.Members {
			s.promote(p, u, *m.Role)
		}
	}
	if m.Owner != nil && *m.Owner != info.Owner {
		s.promote(p, info.Owner, protocol.Role_ADMIN)
		s.promote(p, *m.Owner, protocol.Role_OWNER)
		info.Owner, e.Owner = *m.Owner, *m.Owner
	}
	s.info, p.Info = info, info
	s.appendEntry(p, e)
	reply.Seq = p.entry.Seq
}

func (s *Session) promote(p *pending, user protocol.UserID, role protocol.Role) {
	row := *s.members[user]
	row.Role = role
	s.replace(&row)
	p.Members = slices.DeleteFunc(p.Members, func(m *MemberRow) bool { return m.User == user })
	p.Members = append(p.Members, &row)
}

// maySet checks a whole session_set before anything of it is done.
func (s *Session) maySet(r *request, m *protocol.SessionSet) error {
	if m.Name == nil && m.Owner == nil && m.Role == nil && m.Sticky == nil && m.Muted == nil {
		return protocol.BadRequest("session_set: name, owner, role, sticky or muted is needed")
	}
	if m.Name != nil || m.Owner != nil || m.Role != nil {
		if s.info.SessionType == protocol.SessionType_P2P {
			return protocol.Denied("a p2p session has no name and no owner")
		}
	}
	for _, x := range []struct {
		asked bool
		what  access.Action
	}{
		{m.Sticky != nil || m.Muted != nil, access.Arrange},
		{m.Name != nil, access.Rename},
		{m.Owner != nil || m.Role != nil, access.SetRoles},
	} {
		if x.asked {
			if err := s.may(r, x.what, nil); err != nil {
				return err
			}
		}
	}
	if m.Owner != nil && s.members[*m.Owner] == nil {
		return protocol.NotFound("user %.64q in session %s", *m.Owner, s.id)
	}
	if m.Role == nil {
		return nil
	}
	if *m.Role != protocol.Role_ADMIN && *m.Role != protocol.Role_MEMBER || len(m.Members) == 0 {
		return protocol.BadRequest("session_set.role: admin or member, for the users in members; owner makes an owner")
	}
	for _, u := range m.Members {
		switch {
		case s.members[u] == nil:
			return protocol.NotFound("user %.64q in session %s", u, s.id)
		case u == s.info.Owner:
			return protocol.Denied("the owner's role changes when there is a new owner")
		}
	}
	return nil
}
