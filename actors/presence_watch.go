package actors

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Bounds of presence_watch: a watch costs a look at what the watched are in.
const (
	maxWatched = 500
	watchRate  = 100            // users asked about, a second
	watchBurst = 4 * maxWatched // at once
)

// views are whose presence a user gets: by itself of friends, and of those whom its
// connections watch.
type views struct {
	friends map[protocol.UserID]bool
	watched map[protocol.UserID]int // by how many connections
	watches bucket
	changes int // of who may be seen: what was asked about before is asked again
}

// watching is what one connection watches.
type watching struct {
	users map[protocol.UserID]bool
	turn  int // of the newest presence_watch: an older one that ends later changes nothing
	// came is what came since the list was changed and how its users are seen was not
	// answered yet: it is newer than the answer. nil: nothing is asked.
	came map[protocol.UserID]*protocol.Presence
}

func (n *Node) checkWatch(m *protocol.PresenceWatch) error {
	if len(m.Users) == 0 {
		return nil // nobody any more
	}
	return n.checkPeople("presence_watch.users", m.Users, maxWatched)
}

func (n *Node) checkStatus(m *protocol.PresenceSet) error {
	if !slices.Contains(statuses, m.Status) {
		return protocol.BadRequest("presence_set.status: online, busy, away or offline is needed")
	}
	return nil
}

// setPresence says how others are to see this user.
func (u *User) setPresence(r *request, m *protocol.PresenceSet) {
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		if err := u.node.presence.choose(ctx, u.id, m.Status); err != nil {
			u.node.log.Error("keeping a status", "user", u.id, "err", err)
			u.answer(r, protocol.Fail(r.frame, protocol.Errorf(protocol.Code_BUSY, "the status cannot be kept now")))
			return
		}
		u.answer(r, r.ok(&protocol.Frame{Body: &protocol.Frame_PresenceSetReply{PresenceSetReply: &protocol.PresenceSetReply{Status: m.Status}}}))
	})
}

// stands is how a user wants to be seen and whose friend it is, as it was read.
type stands struct {
	status  uint32
	friends []protocol.UserID
	blocked []protocol.UserID // by the user
}

// readStands reads it when the user is loaded, and has its friends' presence come.
// Who never had a contact has no friends to be read.
func (u *User) readStands(ctx context.Context, contacts bool) (s stands, err error) {
	kept, err := u.node.presence.kept.Standings(ctx, []protocol.UserID{u.id})
	if err != nil {
		return s, err
	}
	if len(kept) == 1 {
		s.status = uint32(max(0, slices.Index(statuses, kept[0].Status)))
	}
	if !contacts {
		return s, nil
	}
	if s.friends, s.blocked, err = u.node.friends.FriendsOf(ctx, u.id, maxFriends); err != nil {
		return s, err
	}
	var follow []string
	for _, f := range s.friends {
		if u.node.audience.join(PresenceSubject(f), u.at) {
			follow = append(follow, PresenceSubject(f))
		}
	}
	return s, u.node.streams.Follow(ctx, follow...)
}

func (u *User) stand(s stands) {
	u.ref.status.Store(s.status)
	if len(s.blocked) > 0 {
		hidden := make(map[protocol.UserID]bool, len(s.blocked))
		for _, b := range s.blocked {
			hidden[b] = true
		}
		u.ref.hidden.Store(&hidden)
	}
	if len(s.friends) > 0 {
		v := u.seeing()
		v.friends = make(map[protocol.UserID]bool, len(s.friends))
		for _, f := range s.friends {
			v.friends[f] = true
		}
	}
}

func (u *User) seeing() *views {
	if u.views == nil {
		u.views = &views{}
	}
	return u.views
}

// has says whether presence of a user comes here.
func (v *views) has(id protocol.UserID) bool {
	return v != nil && (v.friends[id] || v.watched[id] > 0)
}

// watch replaces what a connection watches, and answers with how those are seen
// whom it may see. Without a connection it only answers.
func (u *User) watch(r *request, m *protocol.PresenceWatch) {
	if wait := u.seeing().watches.takeN(float64(max(1, len(m.Users))), watchRate, watchBurst); wait > 0 {
		e := protocol.Errorf(protocol.Code_RATE_LIMITED, "too many lists to watch, slow down")
		e.RetryAfterMs = max(1, wait.Milliseconds())
		u.answer(r, protocol.Fail(r.frame, e))
		return
	}
	ids := slices.Compact(slices.Sorted(slices.Values(m.Users)))
	turn := 0
	if c := u.connection(r.conn); c != nil {
		if c.watching == nil {
			c.watching = &watching{}
		}
		c.watching.turn++
		turn = c.watching.turn
	}
	q, changes := u.question(ids, r.who), u.views.changes
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		visible, err := u.node.visible(ctx, u.id, q)
		if err != nil {
			u.cannotSee(r, err)
			return
		}
		u.node.tell(u.pid, done(func() { u.watched(r, turn, changes, visible) }))
	})
}

func (u *User) cannotSee(r *request, err error) {
	u.node.failed("reading who is there", err, "user", u.id)
	u.answer(r, protocol.Fail(r.frame, protocol.Errorf(protocol.Code_BUSY, "presence cannot be read now")))
}

func (u *User) connection(conn int64) *attached {
	if i := slices.IndexFunc(u.conns, func(c attached) bool { return c.conn == conn }); i >= 0 && conn != 0 {
		return &u.conns[i]
	}
	return nil
}

// watched puts a list in the place of the one before, then has a worker read how
// its users are seen: what comes meanwhile is newer.
func (u *User) watched(r *request, turn, changes int, visible map[protocol.UserID]bool) {
	var follow []protocol.UserID
	c := u.connection(r.conn)
	if c != nil && c.watching.turn != turn {
		c = nil // a later list stands already
	}
	if c != nil {
		before := c.watching.users
		c.watching.users = make(map[protocol.UserID]bool, len(visible))
		for id := range visible {
			if id != u.id { // how oneself is seen comes anyway
				c.watching.users[id] = true
				if u.see(id) {
					follow = append(follow, id)
				}
			}
		}
		u.unsee(before)
		c.watching.came = map[protocol.UserID]*protocol.Presence{}
	}
	ids := make([]protocol.UserID, 0, len(visible))
	for id := range visible {
		ids = append(ids, id)
	}
	if c != nil && u.views.changes != changes {
		u.lookAgain(ids)
	}
	u.node.apart(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		err := u.followPresence(ctx, follow)
		var found []Standing
		if err == nil {
			found, err = u.node.presence.find(ctx, ids)
		}
		if err != nil {
			u.cannotSee(r, err)
			return
		}
		u.node.tell(u.pid, done(func() { u.answerWatch(r, turn, found) }))
	})
}

func (u *User) answerWatch(r *request, turn int, found []Standing) {
	slices.SortFunc(found, func(a, b Standing) int { return compareIDs(a.User, b.User) })
	var came map[protocol.UserID]*protocol.Presence
	if c := u.connection(r.conn); c != nil && c.watching.turn == turn {
		came, c.watching.came = c.watching.came, nil
	}
	reply := &protocol.PresenceWatchReply{}
	for _, s := range found {
		p := s.presence()
		if newer := came[s.User]; newer != nil {
			p = newer
		}
		if s.User == u.id {
			p.Status = statuses[u.ref.status.Load()]
			p.LastActiveAt = u.ref.active.Load()
		}
		reply.Users = append(reply.Users, p)
	}
	u.answer(r, r.ok(&protocol.Frame{Body: &protocol.Frame_PresenceWatchReply{PresenceWatchReply: reply}}))
}

func compareIDs(a, b protocol.UserID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// see notes that one connection more watches a user. True: its presence is to be followed.
func (u *User) see(id protocol.UserID) bool {
	v := u.seeing()
	if v.watched == nil {
		v.watched = map[protocol.UserID]int{}
	}
	v.watched[id]++
	return u.node.audience.join(PresenceSubject(id), u.at)
}

// unsee notes that one connection does not watch users any more.
func (u *User) unsee(users map[protocol.UserID]bool) {
	for id := range users {
		if u.views.watched[id]--; u.views.watched[id] <= 0 {
			delete(u.views.watched, id)
		}
		u.unfollowPresence(id)
	}
}

// unfollowPresence ends a user's presence here, when neither friendship nor a connection asks for it.
func (u *User) unfollowPresence(id protocol.UserID) {
	if !u.views.has(id) && u.node.audience.leave(PresenceSubject(id), u.at) {
		u.node.streams.Unfollow(PresenceSubject(id))
	}
}

func (u *User) followPresence(ctx context.Context, ids []protocol.UserID) error {
	subjects := make([]string, len(ids))
	for i, id := range ids {
		subjects[i] = PresenceSubject(id)
	}
	return u.node.streams.Follow(ctx, subjects...)
}

// presented gives a presence to the connections that are to have it: one's own to all,
// a friend's to all, another's to those that watch.
func (u *User) presented(p *protocol.Presence, d *delivery, e *Event) {
	if p.UserId == u.id {
		u.chosen(p.Status)
	} else if d.subject == UserSubject(u.id) { // somebody asks to be looked at again
		u.lookAgain([]protocol.UserID{p.UserId})
		return
	}
	out := []Outgoing{{Shared: e.Shared}}
	all := p.UserId == u.id || u.views != nil && u.views.friends[p.UserId]
	for i := range u.conns {
		c := &u.conns[i]
		if c.watching != nil && c.watching.came != nil {
			c.watching.came[p.UserId] = p
		}
		if all || c.watching != nil && c.watching.users[p.UserId] {
			c.link.Deliver(out, d.burst)
		}
	}
}

// chosen takes over how the user wants to be seen.
func (u *User) chosen(status string) {
	u.ref.status.Store(uint32(max(0, slices.Index(statuses, status))))
	if len(u.conns) > 0 {
		u.node.presence.look(u.id, time.Now())
	}
}

// presenceLost says how everybody is seen now, as changes may have been missed.
func (u *User) presenceLost() {
	ids := u.allWatched()
	if u.views != nil {
		for id := range u.views.friends {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || len(u.conns) == 0 {
		return
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	u.node.apart(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		blocked, err := u.node.friends.BlockedBy(ctx, u.id, ids)
		if err != nil {
			u.node.failed("reading who is to be seen", err, "user", u.id)
			return
		}
		u.tellAbout(ctx, slices.DeleteFunc(ids, func(id protocol.UserID) bool { return slices.Contains(blocked, id) }))
	})
}

// unseeAll ends all presence, as the user leaves memory.
func (u *User) unseeAll() {
	if u.views == nil {
		return
	}
	friends := u.views.friends
	u.views = nil
	for id := range friends {
		if u.node.audience.leave(PresenceSubject(id), u.at) {
			u.node.streams.Unfollow(PresenceSubject(id))
		}
	}
}
