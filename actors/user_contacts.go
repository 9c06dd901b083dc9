package actors

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// acquaintance is what a User holds of its people: the requests that wait, which a
// snapshot shows and which are looked at before an answer is sent on. Everything
// else about contacts stays in the store.
type acquaintance struct {
	requests map[string]*protocol.Request // from and to this user, and into sessions it administers
	asking   int                          // sent on and not answered yet
	version  int64                        // of the contacts
}

const (
	heldRequests     = 1000     // in memory; older ones are listed by the store
	snapshotRequests = 32 << 10 // in bytes: the newest of them, as a snapshot has to fit a connection's queue
)

// readRequests reads what waits for user, of rows those sessions that it administers.
func (n *Node) readRequests(ctx context.Context, user protocol.UserID, rows []*HomeRow) (*acquaintance, error) {
	held := &acquaintance{}
	_, version, err := n.journal.ContactsOf(ctx, user, "", 0)
	if err != nil {
		return nil, err
	}
	held.version = version
	list, err := n.requestsOf(ctx, user, RequestPage{Limit: heldRequests, Waiting: true})
	if err != nil {
		return nil, err
	}
	var mine []protocol.SessionID
	for _, h := range rows {
		if h.Member.Role != protocol.Role_MEMBER {
			mine = append(mine, h.Info.Session)
		}
	}
	into, err := n.journal.WaitingInto(ctx, mine, heldRequests)
	if err != nil {
		return nil, err
	}
	for _, r := range n.dress(append(list, into...)) {
		if held.requests == nil { // most people have none, and there are many of them
			held.requests = map[string]*protocol.Request{}
		}
		held.requests[r.Id] = r
	}
	return held, nil
}

// requestsOf is the store's page without the requests of those whom user has blocked.
func (n *Node) requestsOf(ctx context.Context, user protocol.UserID, p RequestPage) (list []*protocol.Request, err error) {
	for len(list) < p.Limit {
		part, err := n.journal.RequestsOf(ctx, user, p)
		if err != nil || len(part) == 0 {
			return list, err
		}
		var from []protocol.UserID
		for _, r := range part {
			if r.From != user && !slices.Contains(from, r.From) {
				from = append(from, r.From)
			}
		}
		hidden, err := n.journal.Blocked(ctx, user, from)
		if err != nil {
			return nil, err
		}
		for _, r := range part {
			if !slices.Contains(hidden, r.From) && len(list) < p.Limit {
				list = append(list, r)
			}
		}
		if len(part) < p.Limit {
			return list, nil
		}
		last := part[len(part)-1]
		p.After = RequestPlace{last.CreateTime, last.Id}
	}
	return list, nil
}

// noteRequest keeps what became of a request.
func (u *User) noteRequest(r *protocol.Request) {
	switch {
	case r.CallBackType != waiting:
		delete(u.requests, r.Id)
	case len(u.requests) < heldRequests || r.From == u.id:
		if u.requests == nil {
			u.requests = map[string]*protocol.Request{}
		}
		u.requests[r.Id] = r
	}
}

// noteContact follows the version, and forgets the requests of who is blocked now.
func (u *User) noteContact(m *protocol.ContactUpdate) {
	u.version = max(u.version, m.ContactsVersion)
	if !m.Contact.Blocked {
		return
	}
	for id, r := range u.requests {
		if r.From == m.Contact.User && receiver(r) == u.id {
			delete(u.requests, id)
		}
	}
}

// waitingRequests are what a snapshot shows: the newest first.
func (u *User) waitingRequests() []*protocol.Request {
	now := time.Now()
	list := make([]*protocol.Request, 0, len(u.requests))
	for id, r := range u.requests {
		switch {
		case overdue(r, now):
			delete(u.requests, id)
		case r.From == u.id, receiver(r) == u.id, u.administers(r.Target):
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *protocol.Request) int {
		return cmp.Or(cmp.Compare(b.CreateTime, a.CreateTime), cmp.Compare(a.Id, b.Id))
	})
	size := 0
	for i, r := range list {
		if size += proto.Size(r); size > snapshotRequests {
			return list[:i]
		}
	}
	return list
}

// administers says whether the user is the owner or an admin, as far as is known here:
// what a row is that is read for the first time is not.
func (u *User) administers(session protocol.SessionID) bool {
	r := u.rows[session]
	return r != nil && (r.member.Role != protocol.Role_MEMBER || r.reading != nil)
}

// requestSend looks at what this user asks for already, then sends the request on to
// where it is decided.
func (u *User) requestSend(r *request, m *protocol.RequestSend) {
	now := time.Now()
	like := &protocol.Request{Kind: m.Kind, From: u.id, Target: m.Target, User: m.User}
	n, again := u.asking, false
	for _, x := range u.requests {
		if x.From == u.id && open(x, now) {
			n++
			again = again || alike(x, like)
		}
	}
	if n >= u.node.cfg.MaxRequests && !again {
		err := protocol.Errorf(protocol.Code_RATE_LIMITED, "%d requests wait for an answer at most; take one back", u.node.cfg.MaxRequests)
		err.RetryAfterMs = time.Hour.Milliseconds()
		u.answer(r, protocol.Fail(r.frame, err))
		return
	}
	u.asking++
	ended := func() { u.node.tell(u.pid, done(func() { u.asking-- })) }
	u.node.petition(&petition{r: r, other: m.Target, ended: ended}, like)
}

// requestAnswer looks at the request, here or in the store, then sends the answer on
// to where it is decided.
func (u *User) requestAnswer(r *request, m *protocol.RequestAnswer) {
	if held := u.requests[m.Request]; held != nil {
		u.sendAnswer(r, m, held)
		return
	}
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		found, err := u.node.journal.Request(ctx, m.Request)
		u.node.tell(u.pid, done(func() {
			if err != nil {
				u.answer(r, protocol.Fail(r.frame, u.node.notRead(err)))
				return
			}
			u.sendAnswer(r, m, found)
		}))
	})
}

func (u *User) sendAnswer(r *request, m *protocol.RequestAnswer, about *protocol.Request) {
	as := sideOf(about, u.id)
	if as != stranger || receiver(about) != "" { // else the session knows who administers it
		if _, err := transition(about, u.id, as, m.CallBackType, time.Now()); err != nil {
			u.answer(r, protocol.Fail(r.frame, err))
			return
		}
	}
	p := &petition{r: r, about: about, other: about.From}
	if as == asker {
		p.other = about.Target
	}
	u.node.petition(p, about)
}

// petition sends p on to the session that puts what is done about like in order.
func (n *Node) petition(p *petition, like *protocol.Request) {
	id := like.Target
	if like.Kind == protocol.RequestKind_FRIEND_REQUEST {
		id = protocol.P2PSessionID(p.r.who.User, p.other)
	}
	n.tellSession(id, p)
}

func (u *User) requestList(r *request, m *protocol.RequestList) {
	u.away(r, func(ctx context.Context) (*protocol.Frame, error) {
		return u.node.listRequests(m, func(p RequestPage) ([]*protocol.Request, error) {
			return u.node.requestsOf(ctx, u.id, p)
		})
	})
}

// listRequests makes the answer to request_list of what read gives.
func (n *Node) listRequests(m *protocol.RequestList, read func(RequestPage) ([]*protocol.Request, error)) (*protocol.Frame, error) {
	p := RequestPage{Limit: pageOf(m.Limit), Waiting: m.Waiting}
	if m.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(m.Cursor)
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d.%s", &p.After.CreateTime, &p.After.ID)
		}
		if err != nil {
			return nil, protocol.BadRequest("request_list.cursor: give back what next said")
		}
	}
	p.Limit++ // whether there are more
	list, err := read(p)
	if err != nil {
		return nil, err
	}
	reply := &protocol.RequestListReply{}
	now, size := time.Now(), 0
	for i, x := range n.dress(list) {
		if size += proto.Size(x); i > 0 && (i == p.Limit-1 || size > listBytes) {
			last := list[i-1]
			reply.Next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", last.CreateTime, last.Id))
			break
		}
		if !m.Waiting || open(x, now) {
			reply.Requests = append(reply.Requests, x)
		}
	}
	return &protocol.Frame{Body: &protocol.Frame_RequestListReply{RequestListReply: reply}}, nil
}

// pageOf is how many items a page of a list has: 50 unless said, 200 at most.
func pageOf(limit int64) int {
	if limit <= 0 || limit > maxPage {
		return firstPage
	}
	return int(limit)
}

func (u *User) contactList(r *request, m *protocol.ContactList) {
	u.away(r, func(ctx context.Context) (*protocol.Frame, error) {
		after, err := base64.RawURLEncoding.DecodeString(m.Cursor)
		if err != nil {
			return nil, protocol.BadRequest("contact_list.cursor: give back what next said")
		}
		keep, ok := map[string]func(*ContactRow) bool{
			"":        (*ContactRow).Kept,
			"friends": func(c *ContactRow) bool { return c.Friend },
			"blocked": func(c *ContactRow) bool { return c.Blocked },
		}[m.Only]
		if !ok {
			return nil, protocol.BadRequest("contact_list.only: friends or blocked")
		}
		limit := pageOf(m.Limit)
		rows, version, err := u.node.contactsOf(ctx, u.id, string(after), limit+1, keep)
		if err != nil {
			return nil, err
		}
		reply := &protocol.ContactListReply{ContactsVersion: version}
		ids := make([]protocol.UserID, len(rows))
		for i, row := range rows {
			ids[i] = row.Other
		}
		looks, size := u.node.looksOf(ids...), 0
		for i, row := range rows {
			c := looks.view(row)
			if size += proto.Size(c); i > 0 && (i == limit || size > listBytes) {
				reply.Next = base64.RawURLEncoding.EncodeToString([]byte(rows[i-1].Other))
				break
			}
			reply.Contacts = append(reply.Contacts, c)
		}
		return &protocol.Frame{Body: &protocol.Frame_ContactListReply{ContactListReply: reply}}, nil
	})
}

// contactsOf is the store's ContactsOf with those rows that keep says yes to.
func (n *Node) contactsOf(ctx context.Context, user, after protocol.UserID, limit int, keep func(*ContactRow) bool) (list []*ContactRow, version int64, err error) {
	for len(list) < limit {
		part, v, err := n.journal.ContactsOf(ctx, user, after, limit)
		if version == 0 {
			version = v // of the first part: what changes after it is told by a higher one
		}
		if err != nil {
			return nil, 0, err
		}
		for _, row := range part {
			if keep(row) && len(list) < limit {
				list = append(list, row)
			}
		}
		if len(part) < limit {
			break
		}
		after = part[len(part)-1].Other
	}
	return list, version, nil
}

// away answers r with what f reads away from the mailbox.
func (u *User) away(r *request, f func(context.Context) (*protocol.Frame, error)) {
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		answer, err := f(ctx)
		if err != nil {
			u.answer(r, protocol.Fail(r.frame, u.node.notRead(err)))
			return
		}
		u.answer(r, r.ok(answer))
	})
}
