package actors

import (
	"context"
	"maps"
	"slices"

	"github.com/troupe-im/troupe/internal/protocol"
)

// question is what a worker needs to know to say whose presence a user may see.
type question struct {
	users  []protocol.UserID           // who is asked about
	known  map[protocol.UserID]bool    // of them: friends and those of a p2p session
	small  map[protocol.SessionID]bool // the user's sessions whose members see each other
	anyone bool                        // an administrator asks
}

func (u *User) question(ids []protocol.UserID, who *protocol.Identity) *question {
	q := &question{users: ids, known: map[protocol.UserID]bool{}, small: map[protocol.SessionID]bool{}}
	q.anyone = who != nil && who.Admin
	for _, id := range ids {
		if u.views != nil && u.views.friends[id] || u.rows[protocol.P2PSessionID(u.id, id)] != nil || id == u.id {
			q.known[id] = true
		}
	}
	if len(q.known) == len(ids) {
		return q
	}
	for id, r := range u.rows {
		if r.info.SessionType != protocol.SessionType_P2P && r.info.MemberCount <= int64(u.node.cfg.ReceiptSize) {
			q.small[id] = true
		}
	}
	return q
}

// visible gives those whose presence user may see: friends, who is in a small
// session with it, bots; nobody who has blocked it.
func (n *Node) visible(ctx context.Context, user protocol.UserID, q *question) (map[protocol.UserID]bool, error) {
	blocked, err := n.friends.BlockedBy(ctx, user, q.users)
	if err != nil {
		return nil, err
	}
	visible := make(map[protocol.UserID]bool, len(q.users))
	var rest []protocol.UserID
	for _, id := range q.users {
		switch {
		case slices.Contains(blocked, id) && !q.anyone:
		case q.known[id]:
			visible[id] = true
		default:
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return visible, nil
	}
	profiles, err := n.profiles.Profiles(ctx, rest)
	if err != nil {
		return nil, err
	}
	for _, p := range profiles {
		if p.Kind == "bot" || q.anyone {
			visible[p.UserId] = true
		}
	}
	if len(q.small) == 0 {
		return visible, nil
	}
	for _, id := range rest {
		if visible[id] {
			continue
		}
		sessions, err := n.journal.SessionsOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(sessions, func(s protocol.SessionID) bool { return q.small[s] }) {
			visible[id] = true
		}
	}
	return visible, nil
}

// lookAgain asks whether users may still be seen, or may be seen now.
func (u *User) lookAgain(ids []protocol.UserID) {
	if u.views != nil {
		u.views.changes++
	}
	q := u.question(ids, nil)
	q.anyone = slices.ContainsFunc(u.conns, func(c attached) bool { return c.who.Admin })
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		friends, _, err := u.node.friends.FriendsOf(ctx, u.id, maxFriends)
		if err == nil {
			for _, id := range ids {
				q.known[id] = q.known[id] && u.node.hasRow(ctx, u.id, id) || slices.Contains(friends, id)
			}
		}
		var visible map[protocol.UserID]bool
		if err == nil {
			visible, err = u.node.visible(ctx, u.id, q)
		}
		if err != nil {
			u.node.failed("reading who is to be seen", err, "user", u.id)
			return
		}
		u.node.tell(u.pid, done(func() { u.lookedAgain(ids, friends, visible) }))
	})
}

// hasRow says whether two people have a session of their own.
func (n *Node) hasRow(ctx context.Context, a, b protocol.UserID) bool {
	_, err := n.journal.RowOf(ctx, a, protocol.P2PSessionID(a, b), "")
	return err == nil
}

func (u *User) lookedAgain(ids, friends []protocol.UserID, visible map[protocol.UserID]bool) {
	var follow []protocol.UserID
	for _, id := range ids {
		friend := visible[id] && slices.Contains(friends, id)
		if friend {
			v := u.seeing()
			if v.friends == nil {
				v.friends = map[protocol.UserID]bool{}
			}
			if v.friends[id] = true; u.node.audience.join(PresenceSubject(id), u.at) {
				follow = append(follow, id)
			}
			continue
		}
		if u.views == nil {
			continue
		}
		was := u.views.friends[id]
		delete(u.views.friends, id)
		hidden := []Outgoing{{Frame: (&Standing{User: id, Status: statusOffline}).frame()}}
		for i := range u.conns {
			c := &u.conns[i]
			watches := c.watching != nil && c.watching.users[id]
			if watches && !visible[id] {
				delete(c.watching.users, id)
				u.unsee(map[protocol.UserID]bool{id: true})
			}
			if (was || watches) && !visible[id] {
				c.link.Deliver(hidden, nil)
			}
		}
		u.unfollowPresence(id)
	}
	if len(follow) > 0 {
		u.node.apart(func() { u.greet(follow) })
	}
}

// acquainted looks again at somebody who became a friend, or is none any more, or was
// blocked; and so does the other one.
func (u *User) acquainted(other protocol.UserID, blocked bool) {
	var hidden map[protocol.UserID]bool
	if was := u.ref.hidden.Load(); was != nil {
		hidden = *was
	}
	if hidden[other] != blocked {
		if hidden = maps.Clone(hidden); hidden == nil {
			hidden = map[protocol.UserID]bool{}
		}
		if hidden[other] = blocked; !blocked {
			delete(hidden, other)
		}
		u.ref.hidden.Store(&hidden)
	}
	u.lookAgain([]protocol.UserID{other})
	e := &Event{Ephemeral: true, Shared: protocol.NewShared((&Standing{User: u.id, Status: statusOffline}).frame())}
	u.node.streams.Publish(UserSubject(other), []*Event{e}, nil)
}

// greet follows new friends, and says how they are seen now.
func (u *User) greet(ids []protocol.UserID) {
	ctx, cancel := u.node.background()
	defer cancel()
	if err := u.followPresence(ctx, ids); err != nil {
		u.node.failed("following friends", err, "user", u.id)
	}
	u.tellAbout(ctx, ids)
}

// tellAbout says how users are seen now, as if it had changed.
func (u *User) tellAbout(ctx context.Context, ids []protocol.UserID) {
	found, err := u.node.presence.find(ctx, ids)
	if err != nil {
		u.node.failed("reading who is there", err, "user", u.id)
		return
	}
	for _, s := range found {
		e := &Event{Ephemeral: true, Shared: protocol.NewShared(s.frame())}
		u.node.tell(u.pid, &delivery{subject: PresenceSubject(s.User), events: []*Event{e}})
	}
}

// leftTogether looks again at those of members who are watched, as they are not in
// one session any more, or in one that has become too large.
func (u *User) leftTogether(members []protocol.UserID) {
	if u.views == nil {
		return
	}
	u.views.changes++
	var again []protocol.UserID
	for _, id := range members {
		if u.views.watched[id] > 0 {
			again = append(again, id)
		}
	}
	if len(again) > 0 {
		u.lookAgain(again)
	}
}

// outgrown looks again at all who are watched when a session has become so large that
// its members do not see each other any more.
func (u *User) outgrown(before, now int64) {
	if most := int64(u.node.cfg.ReceiptSize); before <= most && now > most {
		u.leftTogether(u.allWatched())
	}
}

// allWatched are the users whom some connection watches.
func (u *User) allWatched() (all []protocol.UserID) {
	if u.views != nil {
		for id := range u.views.watched {
			all = append(all, id)
		}
	}
	return all
}
