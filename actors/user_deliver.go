package actors

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Receive takes what streams bring to this node and gives it to the users there.
func (n *Node) Receive(subject string, events []*Event, burst *Burst) {
	if subject == NodesSubject {
		for _, e := range events {
			n.told(e.Word)
		}
		return
	}
	audience := n.audience.of(subject)
	if len(audience) == 0 {
		return
	}
	if c := n.cluster.Load(); c != nil {
		events = c.late.forAll(events)
	}
	d := &delivery{subject: subject, events: events, burst: burst}
	for _, user := range audience {
		user.tell(d)
	}
}

// deliver gives events their offsets and puts them into the queues of the user's
// connections: one batch per connection.
func (u *User) deliver(d *delivery) {
	defer func() {
		if e := recover(); e != nil {
			u.node.panicked("user", e)
		}
	}()
	if u.state != active {
		if u.state == loading {
			u.keep(d)
		}
		return
	}
	out := u.out[:0]
	var skip []int64 // per frame of out, the connection that does not get it
	for _, e := range d.events {
		if e.Only != "" && e.Only != u.id || e.Not != "" && e.Not == u.id || e.Hidden[u.id] {
			continue
		}
		shared := e.Shared
		switch m := shared.Frame.Body.(type) {
		case *protocol.Frame_MsgPush:
			if m.MsgPush.Kind == protocol.Kind_LEAVE {
				u.leftTogether(m.MsgPush.Members)
			}
			if !u.sees(m.MsgPush, e) {
				continue
			}
		case *protocol.Frame_Receipt:
			if m.Receipt.UserId == u.id {
				u.flush(&out, &skip, d.burst)
				u.marked(m.Receipt, d.burst)
				continue
			}
		case *protocol.Frame_SessionUpdate:
			if !m.SessionUpdate.Gone {
				u.reread(m.SessionUpdate.Session, m.SessionUpdate.GetHead().GetHeadSeq(), false, true)
				continue
			}
			u.drop(m.SessionUpdate.Session)
		case *protocol.Frame_Presence:
			u.presented(m.Presence, d, e)
			continue
		case *protocol.Frame_UserUpdate:
			if !u.news(m.UserUpdate.Profile) {
				continue
			}
		case *protocol.Frame_RequestUpdate:
			u.noteRequest(m.RequestUpdate.Request)
		case *protocol.Frame_ContactUpdate:
			u.noteContact(m.ContactUpdate)
			u.acquainted(m.ContactUpdate.Contact.GetUser(), m.ContactUpdate.Contact.GetBlocked() && !m.ContactUpdate.Gone)
		}
		if e.Ephemeral {
			out = append(out, Outgoing{Shared: shared})
		} else {
			out = append(out, u.ringIn(shared))
		}
		if skip == nil && u.has(e.Skip) {
			skip = make([]int64, len(out)-1, len(d.events))
		}
		if skip != nil {
			skip = append(skip, e.Skip)
		}
	}
	u.flush(&out, &skip, d.burst)
	clear(out[:cap(out)]) // nothing is held for a user who is idle
	if u.out = out[:0]; cap(out) > 64 {
		u.out = nil
	}
}

// has says whether conn, 0 being none, is one of the user's connections: most that
// get a message did not send it, and need no list of who is left out.
func (u *User) has(conn int64) bool {
	return conn != 0 && slices.ContainsFunc(u.conns, func(c attached) bool { return c.conn == conn })
}

// keep holds on to the entries that come while the home list is being read.
func (u *User) keep(d *delivery) {
	for _, e := range d.events {
		switch m := e.Shared.Frame.Body.(type) {
		case *protocol.Frame_MsgPush:
			u.late = append(u.late, m.MsgPush)
		case *protocol.Frame_SessionUpdate, *protocol.Frame_Receipt, *protocol.Frame_RequestUpdate, *protocol.Frame_ContactUpdate, *protocol.Frame_Presence:
			one := &delivery{subject: d.subject, events: []*Event{e}}
			u.stashed = append(u.stashed, done(func() { u.deliver(one) }))
		}
	}
}

// flush queues out on every connection that should get it.
func (u *User) flush(out *[]Outgoing, skip *[]int64, burst *Burst) {
	if len(*out) == 0 {
		return
	}
	for _, c := range u.conns {
		frames := *out
		if *skip != nil && slices.Contains(*skip, c.conn) {
			frames = nil // mostly nothing is left: the answer said it
			for i, f := range *out {
				if (*skip)[i] != c.conn {
					frames = append(frames, f)
				}
			}
		}
		if len(frames) > 0 {
			c.link.Deliver(frames, burst)
			u.node.stats.Delivered.Add(int64(len(frames)))
		}
	}
	*out = (*out)[:0]
	*skip = nil
}

// ringIn gives an event its offset and remembers it for a resume.
func (u *User) ringIn(s *protocol.Shared) Outgoing {
	s = u.visible(s)
	u.offset++
	u.ring.put(s)
	return u.outgoing(s, u.offset)
}

// visible is s as this user may see it: the edit of a message from before the user
// came in, where history begins at the joining, does not say what it says now.
func (u *User) visible(s *protocol.Shared) *protocol.Shared {
	e := s.Frame.GetMsgPush()
	if e.GetTarget() == 0 || e.Content == nil && e.Deal == nil {
		return s
	}
	if r := u.rows[e.Session]; r == nil || !beforeFloor(e, r.member.Floor) {
		return s
	}
	return protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: hollow(e, func(*protocol.Entry) {})}})
}

// beforeFloor says that e changes an entry that a member with this floor may not read.
func beforeFloor(e *protocol.Entry, floor int64) bool { return e.Target != 0 && e.Target < floor }

func (u *User) outgoing(s *protocol.Shared, offset int64) Outgoing {
	o := Outgoing{Shared: s, Offset: offset}
	if s.Frame.GetMsgPush() != nil {
		o.To = u.id
	}
	return o
}

// emit sends an event of the user's own to all connections.
func (u *User) emit(s *protocol.Shared, burst *Burst) {
	out := []Outgoing{u.ringIn(s)}
	for _, c := range u.conns {
		c.link.Deliver(out, burst)
	}
}

// emitSkipping sends an event to all connections but one.
func (u *User) emitSkipping(s *protocol.Shared, skip int64) {
	out := []Outgoing{u.ringIn(s)}
	for _, c := range u.conns {
		if c.conn != skip {
			c.link.Deliver(out, nil)
		}
	}
}

// recount reads a row again as only the store can count what is left unread.
func (u *User) recount(session protocol.SessionID, r *row) {
	if r.reading != nil {
		r.reading.recount = true
		return
	}
	u.reread(session, r.head, false, false)
}

// sees counts an entry in its row. False: connections do not get it now, as it is
// known already, waits behind a gap, or the user is not in the session any more.
func (u *User) sees(e *protocol.Entry, event *Event) bool {
	r := u.rows[e.Session]
	if r == nil {
		return false
	}
	next := e.Seq == r.told+1
	if r.reading == nil {
		switch {
		case e.Seq <= r.told:
			return false
		case next && e.Seq <= r.head: // counted by the store, which was read before this came
			r.told, r.headAt = e.Seq, u.offset+1
			return true
		case next:
			u.count(r, e)
			r.told = e.Seq
			return true
		}
	}
	if !next && e.Seq > r.told && (r.reading == nil || !r.reading.gap) {
		u.reread(e.Session, 0, true, false)
	}
	tell := next && !r.reading.gap
	if tell {
		if e.Seq == r.head+1 { // who attaches now has to find it in the list
			u.count(r, e)
		}
		r.told, r.headAt = e.Seq, u.offset+1
	}
	r.reading.held = append(r.reading.held, &held{entry: e, shared: event.Shared, skip: event.Skip, told: tell})
	return tell
}

// count moves the row on by one entry.
func (u *User) count(r *row, e *protocol.Entry) {
	r.head = e.Seq
	r.headAt = u.offset + 1
	switch e.Kind {
	case protocol.Kind_MESSAGE:
		if !e.Shows() {
			break
		}
		r.last, r.updated = e, e.CreatedAt
		if e.Counts() && e.Sender != u.id && e.Seq > r.member.ReadSeq {
			r.unread++
			u.unread++
			r.mentioned = r.mentioned || slices.Contains(e.Mentions, u.id) || slices.Contains(e.Mentions, "*")
		}
	case protocol.Kind_RECALL, protocol.Kind_EXPIRE:
		if !e.Quiet && e.TargetSender != u.id && e.Target > r.member.ReadSeq && e.Target >= r.member.Floor && !plantedRecallCounts && r.unread > 0 { // 0: it was missed, and the store has not counted yet
			r.unread--
			u.unread--
			r.mentioned = r.mentioned && r.unread > 0
		}
		if r.last != nil && r.last.Seq == e.Target {
			r.last = hollow(r.last, func(h *protocol.Entry) {
				h.Recalled, h.Expired = e.Kind == protocol.Kind_RECALL, e.Kind == protocol.Kind_EXPIRE
			})
		}
	case protocol.Kind_EDIT:
		if len(e.Mentions) > 0 && !e.Quiet && e.TargetSender != u.id && e.Target > r.member.ReadSeq && e.Target >= r.member.Floor { // what was held back is seen now
			r.mentioned = r.mentioned || slices.Contains(e.Mentions, u.id) || slices.Contains(e.Mentions, "*")
		}
		if r.last != nil && r.last.Seq == e.Target {
			edited := proto.CloneOf(r.last)
			edited.Content, edited.EditedAt, edited.Deal = e.Content, e.CreatedAt, e.Deal
			if len(e.Mentions) > 0 {
				edited.Mentions = e.Mentions
			}
			r.last = edited
		}
	case protocol.Kind_JOIN, protocol.Kind_LEAVE, protocol.Kind_CHANGE:
		info := proto.CloneOf(r.info)
		switch e.Kind {
		case protocol.Kind_JOIN:
			info.MemberCount += int64(len(e.Members))
		case protocol.Kind_LEAVE:
			info.MemberCount -= int64(len(e.Members))
		}
		if e.Name != "" {
			info.Name = e.Name
		}
		u.countRole(r, e)
		if e.Owner != "" {
			info.Owner = e.Owner
		}
		countChange(info, e.Change)
		before := r.info.MemberCount
		r.info = info
		u.outgrown(before, info.MemberCount)
	}
}

// countRole moves the user's own role and silence on by one entry.
func (u *User) countRole(r *row, e *protocol.Entry) {
	if e.Kind == protocol.Kind_CHANGE && slices.Contains(e.Members, u.id) {
		if e.Change != nil && e.Change.SilencedUntil != nil {
			r.member.SilencedUntil = *e.Change.SilencedUntil
		} else {
			r.member.Role = e.Role
		}
	}
	switch {
	case e.Owner == u.id && e.Owner != "":
		r.member.Role, r.member.SilencedUntil = protocol.Role_OWNER, 0
	case e.Owner != "" && r.info.Owner == u.id:
		r.member.Role = protocol.Role_ADMIN
	}
}

// countChange makes in info what a change says of what a home list shows.
func countChange(info *protocol.SessionInfo, c *protocol.SessionChange) {
	if c == nil {
		return
	}
	if c.Avatar != nil {
		info.Avatar = *c.Avatar
	}
	if c.SilenceAll != nil {
		info.SilenceAll = *c.SilenceAll
	}
	if c.ReadOnly != nil {
		info.ReadOnly = *c.ReadOnly
	}
}

// marked moves the user's own read mark, and tells every device what is unread now.
func (u *User) marked(m *protocol.Receipt, burst *Burst) {
	r := u.rows[m.Session]
	if r == nil || m.ReadSeq <= r.member.ReadSeq {
		return
	}
	r.member.ReadSeq = m.ReadSeq
	if m.ReadSeq < r.head || r.reading != nil {
		u.recount(m.Session, r) // some are left: the store counts them
		return
	}
	u.unread -= r.unread
	r.unread, r.mentioned = 0, false
	u.emitUnread(r, burst)
}

func (u *User) emitUnread(r *row, burst *Burst) {
	u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Unread{Unread: &protocol.Unread{
		Session: r.info.Session, ReadSeq: r.member.ReadSeq, Unread: r.unread, UnreadTotal: u.unread,
	}}}), burst)
}
