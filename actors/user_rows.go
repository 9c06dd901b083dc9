package actors

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// row is one session in the user's home list.
type row struct {
	info      *protocol.SessionInfo // changed only by putting another in its place
	logEpoch  string
	head      int64 // the log's, as far as it is counted in unread
	told      int64 // the newest entry that connections got; behind head when a reading was faster than the streams
	headAt    int64 // the user's offset when head last changed
	last      *protocol.Entry
	updated   int64 // of the newest message, else the session's making
	member    MemberRow
	unread    int64
	mentioned bool
	recv      map[string]int64 // by device
	reading   *reading         // nil: the row is as the log says
}

func (r *row) adopt(h *HomeRow, device string) {
	r.info, r.logEpoch, r.head, r.last = h.Info, h.LogEpoch, h.Head, h.Last
	r.member, r.unread, r.mentioned = h.Member, h.Unread, h.Mentioned
	r.updated = h.Info.CreatedAt
	if h.Last != nil {
		r.updated = h.Last.CreatedAt
	}
	if device != "" {
		r.received(device, h.DeviceRecv)
	}
}

func (r *row) received(device string, seq int64) {
	if seq == 0 || device == "" {
		return
	}
	if r.recv == nil {
		r.recv = map[string]int64{}
	}
	r.recv[device] = max(r.recv[device], seq)
}

// head is the row as a client sees it.
func (u *User) head(r *row, device string) *protocol.SessionHead {
	h := &protocol.SessionHead{
		Session: r.info.Session, SessionType: r.info.SessionType, Name: r.info.Name, HeadSeq: r.head,
		ReadSeq: r.member.ReadSeq, RecvSeq: r.recv[device], Unread: r.unread, UpdatedAt: r.updated,
		Sticky: r.member.Sticky, Muted: r.member.Muted, Epoch: r.logEpoch, MemberCount: r.info.MemberCount,
		Mentioned: r.mentioned, BusinessType: r.info.BusinessType, FloorSeq: r.member.Floor,
		Avatar: u.face(r.info), Role: r.member.Role, SilenceAll: r.info.SilenceAll, ReadOnly: r.info.ReadOnly,
		SilencedUntil: r.member.SilencedUntil,
	}
	if r.last != nil && r.last.Seq >= r.member.Floor {
		h.Last = digest(current(r.last, time.Now()))
	}
	for _, m := range r.info.Members {
		h.Members = append(h.Members, m.User)
	}
	return h
}

// firstPage is how many sessions come with the answer to auth.
const firstPage = 50

func (u *User) snapshot(device string) *protocol.Snapshot {
	list, next := u.page("", firstPage, nil, device)
	return &protocol.Snapshot{
		Sessions: list, UnreadTotal: u.unread, Next: next, Requests: u.waitingRequests(), ContactsVersion: u.version,
	}
}

// place orders the home list: sticky first, then by activity, newest first.
type place struct {
	sticky  bool
	updated int64
	session protocol.SessionID
}

func (r *row) place() place { return place{r.member.Sticky, r.updated, r.info.Session} }

func (p place) compare(q place) int {
	if p.sticky != q.sticky {
		if p.sticky {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(q.updated, p.updated), cmp.Compare(p.session, q.session))
}

func (p place) cursor() string {
	s := 0
	if p.sticky {
		s = 1
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d.%s", s, p.updated, p.session))
}

func parsePlace(cursor string) (p place, err error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return p, err
	}
	var s int
	_, err = fmt.Sscanf(string(b), "%d.%d.%s", &s, &p.updated, &p.session)
	p.sticky = s == 1
	return p, err
}

// page gives a part of the home list behind cursor, at most limit rows and about
// listBytes of them, and the cursor of the next.
func (u *User) page(cursor string, limit int, keep func(*row) bool, device string) ([]*protocol.SessionHead, string) {
	var after place
	if cursor != "" {
		after, _ = parsePlace(cursor) // checked before
	}
	rows := make([]*row, 0, len(u.rows))
	for _, r := range u.rows {
		if (keep == nil || keep(r)) && (cursor == "" || after.compare(r.place()) < 0) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return a.place().compare(b.place()) })
	heads := make([]*protocol.SessionHead, 0, min(len(rows), limit))
	for size := 0; len(heads) < cap(heads); {
		h := u.head(rows[len(heads)], device)
		if size += proto.Size(h); size > listBytes && len(heads) > 0 {
			break
		}
		heads = append(heads, h)
	}
	if n := len(heads); n < len(rows) && n > 0 {
		return heads, rows[n-1].place().cursor()
	}
	return heads, ""
}

func (u *User) request(r *request) {
	if !u.ready(r) {
		return
	}
	defer func() {
		if e := recover(); e != nil {
			u.node.panicked("user", e)
			u.answer(r, protocol.Fail(r.frame, protocol.Errorf(protocol.Code_INTERNAL, "internal error")))
		}
	}()
	switch m := r.frame.Body.(type) {
	case *protocol.Frame_SessionList:
		u.list(r, m.SessionList, nil)
	case *protocol.Frame_Heartbeat:
		u.heartbeat(r)
	case *protocol.Frame_RequestSend:
		u.requestSend(r, m.RequestSend)
	case *protocol.Frame_RequestAnswer:
		u.requestAnswer(r, m.RequestAnswer)
	case *protocol.Frame_RequestList:
		u.requestList(r, m.RequestList)
	case *protocol.Frame_ContactList:
		u.contactList(r, m.ContactList)
	case *protocol.Frame_PresenceWatch:
		u.watch(r, m.PresenceWatch)
	case *protocol.Frame_PresenceSet:
		u.setPresence(r, m.PresenceSet)
	default:
		u.answer(r, protocol.Fail(r.frame, protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "a user does not serve %s", r.frame.Type())))
	}
}

func (u *User) answer(r *request, f *protocol.Frame) {
	r.from.tell(&answers{frames: []*protocol.Frame{f}})
}

func (u *User) list(r *request, m *protocol.SessionList, read *[]*protocol.Profile) {
	if m.Cursor != "" {
		if _, err := parsePlace(m.Cursor); err != nil {
			u.answer(r, protocol.Fail(r.frame, protocol.BadRequest("session_list.cursor: give back what next said")))
			return
		}
	}
	limit := int(m.Limit)
	if limit <= 0 || limit > maxPage {
		limit = firstPage
	}
	heads, next := u.page(m.Cursor, limit, func(w *row) bool {
		return (!m.Filter || w.info.SessionType == m.SessionType) && (m.BusinessType == 0 || w.info.BusinessType == m.BusinessType)
	}, r.who.Device)
	users, ok := u.faces(people(heads, nil), read, func(read *[]*protocol.Profile) { u.list(r, m, read) })
	if !ok {
		return
	}
	u.answer(r, r.ok(&protocol.Frame{Body: &protocol.Frame_SessionListReply{SessionListReply: &protocol.SessionListReply{
		Sessions: heads, Next: next, UnreadTotal: u.unread, Users: users,
	}}}))
}

// heartbeat names the heads that changed since this connection's last one, so that
// a client notices a message that got lost on its way.
func (u *User) heartbeat(r *request) {
	reply := &protocol.HeartbeatReply{ServerTime: time.Now().UnixMilli(), Heads: map[string]int64{}}
	for i := range u.conns {
		c := &u.conns[i]
		if c.conn != r.conn {
			continue
		}
		if c.beat != u.offset {
			for id, w := range u.rows {
				if w.headAt > c.beat {
					reply.Heads[id] = w.head
				}
			}
			c.beat = u.offset
		}
	}
	u.answer(r, r.ok(&protocol.Frame{Body: &protocol.Frame_HeartbeatReply{HeartbeatReply: reply}}))
}
