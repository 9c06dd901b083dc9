package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// compare reads the home list again, and of its rows those of which something is missing here: at
// most a few, where events were lost, and to read all by themselves would cost a busy node dear.
// What is unread is counted of those that moved.
// One is under way at a time: what is lost before it begins to read it finds as well.
func (u *User) compare(tries int) {
	if u.comparing {
		u.again = true
		return
	}
	u.comparing, u.again = true, false
	sure := u.sure()
	u.node.catchUp(func(ctx context.Context) {
		losses := u.node.losses.Load()
		rows, err := u.node.journal.Home(ctx, u.id, "", sure.counts)
		u.node.tell(u.pid, done(func() {
			u.comparing = false
			switch {
			case u.state != active:
			case err == nil:
				u.compared(rows, losses, sure)
				if u.again && u.upTo != u.node.losses.Load() {
					u.compare(0)
				}
			default:
				u.node.failed("reading a home list again", err, "user", u.id)
				time.AfterFunc(min(rereadAfter<<tries, rereadAtMost), func() {
					u.node.tell(u.pid, done(func() {
						if u.state == active {
							u.compare(min(tries+1, 4))
						}
					}))
				})
			}
		}))
	})
}

// sure says of which rows of a list what is unread is known, as long as the store has them so.
type sure map[protocol.SessionID]counted

// counted is what a count of what is unread is of.
type counted struct{ head, read, floor int64 }

func (u *User) sure() sure {
	s := make(sure, len(u.rows))
	for id, r := range u.rows {
		if r.reading == nil {
			s[id] = counted{r.head, r.member.ReadSeq, r.member.Floor}
		}
	}
	return s
}

// counts says whether a row is to be counted. A read mark that is behind is on its way to the store.
func (s sure) counts(h *HomeRow) bool {
	c, ok := s[h.Info.Session]
	return !ok || h.Head != c.head || h.Member.Floor != c.floor || h.Member.ReadSeq > c.read
}

// compared takes over a list that was read after so many losses had been told: who attaches now
// finds it so. What connections lack of it is read besides, and brought to them.
func (u *User) compared(rows []*HomeRow, losses int64, sure sure) {
	u.upTo = max(u.upTo, losses)
	there := make(map[protocol.SessionID]bool, len(rows))
	for _, h := range rows {
		id := h.Info.Session
		there[id] = true
		switch r := u.rows[id]; {
		case r == nil:
			u.reread(id, 0, true, true)
		case r.reading != nil, h.Head > r.told, sure.counts(h) && h.Head == r.head && h.Unread != r.unread, !sameMember(&h.Member, &r.member):
			u.reread(id, 0, true, false)
		}
		if sure.counts(h) {
			u.advance(u.rows[id], h)
		}
	}
	for id := range u.rows {
		if !there[id] {
			u.reread(id, 0, true, false)
		}
	}
}

// advance moves a row that is behind the store's, and is being read, on to that one.
func (u *User) advance(r *row, h *HomeRow) {
	if r == nil || r.reading == nil || r.logEpoch != "" && h.Head <= r.head {
		return
	}
	r.reading.ahead = h
	members, read := r.info.MemberCount, r.member.ReadSeq
	u.unread -= r.unread
	r.adopt(h, "")
	r.member.ReadSeq = max(r.member.ReadSeq, read) // the mark may be on its way to the store
	u.unread += r.unread
	r.headAt = u.offset + 1
	u.outgrown(members, r.info.MemberCount)
}

// sameMember says whether what a home list shows of the user in a session is as it was; a read
// mark that is ahead of the store's is on its way there.
func sameMember(stored, known *MemberRow) bool {
	return stored.Role == known.Role && stored.Sticky == known.Sticky && stored.Muted == known.Muted && stored.Floor == known.Floor &&
		stored.SilencedUntil == known.SilencedUntil && stored.ReadSeq <= known.ReadSeq
}

// requestsLost reads again what waits for the user, and which version its contacts are of.
// What became of requests and contacts meanwhile its connections are told as if it had just
// been; a contact of whom nothing is kept any more is missing with the next list.
func (u *User) requestsLost() {
	held := make(map[string]*protocol.Request, len(u.requests))
	for id, r := range u.requests {
		held[id] = r
	}
	rows := make([]*HomeRow, 0, len(u.rows))
	for _, r := range u.rows {
		rows = append(rows, &HomeRow{Info: r.info, Member: r.member})
	}
	version := u.version
	u.node.catchUp(func(ctx context.Context) {
		now, err := u.node.readRequests(ctx, u.id, rows)
		if err != nil {
			u.node.failed("reading what waits for a user", err, "user", u.id)
			return
		}
		var news []*protocol.Request
		for id, r := range now.requests {
			if was := held[id]; was == nil || !proto.Equal(was, r) {
				news = append(news, r)
			}
		}
		for id := range held { // it does not wait any more
			if now.requests[id] == nil {
				if r, err := u.node.journal.Request(ctx, id); err == nil && r.CallBackType != waiting {
					news = append(news, u.node.dress([]*protocol.Request{r})...)
				}
			}
		}
		var contacts []*protocol.ContactUpdate
		if now.version > version {
			contacts, err = u.node.contactsSince(ctx, u.id, version)
			if err != nil {
				u.node.failed("reading a user's contacts", err, "user", u.id)
			}
		}
		u.node.tell(u.pid, done(func() { u.found(news, contacts, now.version) }))
	})
}

// found tells the connections what was read again.
func (u *User) found(news []*protocol.Request, contacts []*protocol.ContactUpdate, version int64) {
	if u.state != active {
		return
	}
	for _, r := range news {
		if was := u.requests[r.Id]; was != nil && proto.Equal(was, r) || was == nil && r.CallBackType != waiting && r.From != u.id && receiver(r) != u.id {
			continue // it came meanwhile, or is of a group and of nobody's concern any more
		}
		u.noteRequest(r)
		u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_RequestUpdate{RequestUpdate: &protocol.RequestUpdate{Request: r}}}), nil)
	}
	if version <= u.version {
		return
	}
	u.version = version
	for _, m := range contacts {
		u.noteContact(m)
		u.acquainted(m.Contact.User, m.Contact.Blocked && !m.Gone)
		u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_ContactUpdate{ContactUpdate: m}}), nil)
	}
}

// contactsSince gives the contacts that changed after a version of the list, in the order in
// which they did.
func (n *Node) contactsSince(ctx context.Context, user protocol.UserID, version int64) (news []*protocol.ContactUpdate, err error) {
	const page = 500
	for after := ""; ; {
		rows, _, err := n.journal.ContactsOf(ctx, user, after, page)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if after = r.Other; r.Version > version {
				news = append(news, &protocol.ContactUpdate{Contact: n.looksOf(r.Other).view(r), Gone: !r.Kept(), ContactsVersion: r.Version})
			}
		}
		if len(rows) < page {
			break
		}
	}
	slices.SortFunc(news, func(a, b *protocol.ContactUpdate) int { return cmp.Compare(a.ContactsVersion, b.ContactsVersion) })
	return news, nil
}
