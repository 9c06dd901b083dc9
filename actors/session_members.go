package actors

import (
	"context"
	"math"
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
		s.reply(r, s.created(r.who.User))
		return
	}
	s.making = true // what comes until it is durable waits
	then := func(avatar string, err error) {
		if err == nil {
			s.made(r, m, avatar)
			return
		}
		s.making = false
		s.fail(r, protocol.AsError(err))
		s.unstash()
		s.vanish()
	}
	s.vetMembers(r, m, func(err error) {
		switch {
		case err != nil || m.SessionType == protocol.SessionType_P2P:
			then("", err)
		case s.node.drawsAvatar(m.Avatar):
			s.draw(r, m.Avatar, then)
		default:
			then(protocol.KeptAvatar("", m.Avatar))
		}
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
func (s *Session) made(r *request, m *protocol.SessionCreate, avatar string) {
	now := time.Now().UnixMilli()
	me := r.who.User
	info := &protocol.SessionInfo{
		Session: s.id, SessionType: m.SessionType, Name: m.Name, Creator: me, Owner: me,
		CreatedAt: now, UpdatedAt: now, Temporary: m.Temporary || m.Until > 0, History: m.History, BusinessType: m.BusinessType,
		Avatar: avatar, JoinPolicy: m.JoinPolicy, InvitePolicy: m.InvitePolicy, ReadOnly: m.ReadOnly, Until: m.Until,
	}
	creator := &MemberRow{User: me, Role: protocol.Role_OWNER, Order: 1, JoinedAt: now}
	if m.SessionType == protocol.SessionType_P2P {
		info = &protocol.SessionInfo{
			Session: s.id, SessionType: m.SessionType, Creator: me, CreatedAt: now, UpdatedAt: now, BusinessType: m.BusinessType,
		}
		creator.Role = protocol.Role_MEMBER
	}
	rows := []*MemberRow{creator}
	for _, u := range m.Members {
		if !slices.ContainsFunc(rows, func(row *MemberRow) bool { return row.User == u }) {
			rows = append(rows, &MemberRow{User: u, Inviter: me, Order: int64(len(rows) + 1), JoinedAt: now})
		}
	}
	if r.who.Kind == access.KindGuest {
		hosted(info, rows)
	}
	p := s.begin(info, rows)
	p.req = r
	s.append(p)
}

// begin makes the session what it will be, and an append of that. What comes until
// it is durable waits.
func (s *Session) begin(info *protocol.SessionInfo, rows []*MemberRow) *pending {
	s.adopt(&Stored{Info: info, Members: rows}) // the log's epoch comes with the commit
	s.making = true
	s.sent = newWindow()
	s.sent.complete = true
	p := &pending{}
	p.Create, p.Claim = true, true
	p.Info, p.Members = info, rows
	p.after = func(b *Burst) { s.touch(b, users(rows)...) }
	return p
}

// created is the answer to session_create by user.
func (s *Session) created(user protocol.UserID) *protocol.Frame {
	info, _ := s.about(0, s.node.cfg.MaxMembers)
	s.node.dressFor(info, user)
	return &protocol.Frame{Body: &protocol.Frame_SessionCreateReply{SessionCreateReply: &protocol.SessionCreateReply{
		Entities: &protocol.Entities{Session: map[string]*protocol.SessionInfo{s.id: info}},
		Model:    "session",
		Result:   []string{s.id},
	}}}
}

// about is what members may know of the session, with up to limit of its members
// that joined after the one with order after, and whether there are more of them.
func (s *Session) about(after int64, limit int) (*protocol.SessionInfo, bool) {
	info := proto.CloneOf(s.info)
	info.HeadSeq, info.Epoch, info.MemberCount = s.head, s.logEpoch, int64(len(s.members))
	info.UpdatedAt = max(info.UpdatedAt, s.last)
	rows, more := s.order.after(after, limit)
	for _, m := range rows {
		info.Members = append(info.Members, m.member())
	}
	return info, more
}

// member is the row as other members see it.
func (m *MemberRow) member() *protocol.Member {
	return &protocol.Member{
		User: m.User, Role: m.Role, Inviter: m.Inviter, Order: m.Order, JoinedAt: m.JoinedAt,
		ReadSeq: m.ReadSeq, RecvSeq: m.RecvSeq, SilencedUntil: m.SilencedUntil,
	}
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
	reply := &protocol.SessionGetReply{}
	if m.User != "" { // one member, whichever page it is on
		reply.Info, _ = s.about(math.MaxInt64-1, 0)
		other := s.members[m.User]
		if other == nil {
			s.fail(r, protocol.NotFound("user %.64q in session %s", m.User, s.id))
			return
		}
		reply.Info.Members = []*protocol.Member{other.member()}
		s.present(r, reply)
		return
	}
	more := false
	if reply.Info, more = s.about(after, limit); more {
		reply.Next = strconv.FormatInt(reply.Info.Members[limit-1].Order, 10)
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

// mayAdd refuses those who may not do what, which is taking others in or making links.
func (s *Session) mayAdd(r *request, what access.Action) error {
	switch {
	case s.info == nil || s.info.Dead || s.members[r.who.User] == nil:
		return s.unknown()
	case !grouped(s.info):
		return protocol.Denied("only groups take people in; make one")
	}
	return s.may(r, what, func() error {
		if s.info.InvitePolicy == protocol.InvitePolicy_MEMBERS_INVITE {
			return nil
		}
		return protocol.Denied("only the owner and admins invite into session %s", s.id)
	})
}

// addUsers brings in people whom the asker may invite. The entry comes when the
// store knows them all; those who are in already are passed over.
func (s *Session) addUsers(r *request, ids []protocol.UserID) {
	if err := s.mayAdd(r, access.AddMembers); err != nil {
		s.fail(r, err)
		return
	}
	s.vet(ids, func(err error) {
		if s.state != active || s.broken { // what it knows of members is not to be built on
			s.request(r)
			return
		}
		if err == nil {
			err = s.mayAdd(r, access.AddMembers)
		}
		if err != nil {
			s.fail(r, err)
			return
		}
		s.joined(r, ids)
	})
}

func (s *Session) joined(r *request, ids []protocol.UserID) {
	reply := &protocol.SessionAddUserReply{Session: s.id}
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_SessionAddUserReply{SessionAddUserReply: reply}}}
	came, err := s.letIn(p, r.who.User, r.who.User, ids)
	switch reply.Members = came; {
	case err != nil:
		s.fail(r, err)
	case len(came) == 0:
		s.reply(r, p.answer)
	default:
		reply.Seq = p.entry.Seq
	}
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
	if !grouped(s.info) {
		s.fail(r, protocol.Denied("only from groups people can be removed"))
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
	if !grouped(s.info) {
		s.fail(r, protocol.Denied("only groups are left"))
		return
	}
	reply := &protocol.SessionExitReply{Session: s.id}
	reply.Seq = s.left(r, []*MemberRow{s.members[r.who.User]}, &protocol.Frame{Body: &protocol.Frame_SessionExitReply{SessionExitReply: reply}})
}

// heir is the person who joined first of those who are in.
func (s *Session) heir() *MemberRow {
	first, _ := s.order.after(0, len(s.bots)+1)
	for _, row := range first {
		if !protocol.IsBot(row.User) {
			return row
		}
	}
	return s.order.head()
}

// left takes rows out. When the owner goes, the first person in order of joining follows,
// the creator stays who it was; when nobody is left, the session is dead.
func (s *Session) left(r *request, rows []*MemberRow, answer *protocol.Frame) int64 {
	e := &protocol.Entry{Kind: protocol.Kind_LEAVE, Sender: r.who.User, Members: users(rows)}
	for _, row := range rows {
		delete(s.members, row.User)
		s.order.remove(row)
	}
	p := &pending{req: r, answer: answer}
	s.discharge(rows)
	if len(s.members) > 0 && len(s.members) == len(s.bots) { // bots alone are no group
		rest, _ := s.order.after(0, len(s.members))
		for _, row := range rest {
			delete(s.members, row.User)
			s.order.remove(row)
		}
		s.discharge(rest)
		rows = append(rows, rest...)
		e.Members = users(rows)
	}
	p.Removed = e.Members
	s.silencesLeft(p, rows)
	info := proto.CloneOf(s.info)
	switch {
	case len(s.members) == 0:
		info.Dead, info.Owner, info.Until, s.former = true, "", 0, nil
	case s.members[info.Owner] == nil:
		info.Owner = s.heir().User
		e.Owner = info.Owner
		s.promote(p, info.Owner, protocol.Role_OWNER)
	}
	if info.Owner != s.info.Owner || info.Dead {
		s.info, p.Info = info, info
	}
	s.appendEntry(p, e)
	p.after = func(b *Burst) { s.tellGone(b, e.Seq, e.Members) }
	return p.entry.Seq
}
