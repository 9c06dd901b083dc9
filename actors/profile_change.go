package actors

import (
	"cmp"
	"context"
	"slices"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Friends is who knows whom, as far as profiles and presence ask. A Journal may
// fill it by itself; it is read from its Contacts else.
type Friends interface {
	// FriendsOf gives user's friends, limit at most, and whom it has blocked.
	FriendsOf(ctx context.Context, user protocol.UserID, limit int) (friends, blocked []protocol.UserID, err error)
	// BlockedBy gives those of ids who have blocked user.
	BlockedBy(ctx context.Context, user protocol.UserID, ids []protocol.UserID) ([]protocol.UserID, error)
}

// friendsIn reads Friends from Contacts.
type friendsIn struct{ Contacts }

func (c friendsIn) FriendsOf(ctx context.Context, user protocol.UserID, limit int) (friends, blocked []protocol.UserID, _ error) {
	const page = 500
	for after := ""; ; {
		rows, _, err := c.ContactsOf(ctx, user, after, page)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			if after = r.Other; r.Friend && len(friends) < limit {
				friends = append(friends, r.Other)
			}
			if r.Blocked {
				blocked = append(blocked, r.Other)
			}
		}
		if len(rows) < page {
			return friends, blocked, nil
		}
	}
}

func (c friendsIn) BlockedBy(ctx context.Context, user protocol.UserID, ids []protocol.UserID) (by []protocol.UserID, _ error) {
	me := []protocol.UserID{user}
	for _, id := range ids {
		blocked, err := c.Blocked(ctx, id, me)
		if err != nil {
			return nil, err
		}
		if len(blocked) > 0 {
			by = append(by, id)
		}
	}
	return by, nil
}

// BlockedBy gives those of ids who have blocked user.
func (n *Node) BlockedBy(ctx context.Context, user protocol.UserID, ids []protocol.UserID) ([]protocol.UserID, error) {
	return n.friends.BlockedBy(ctx, user, ids)
}

const (
	// liveSessions is to how many sessions, the latest active ones, a change of a
	// profile is pushed. In the others it is seen when they are looked at.
	liveSessions = 500
	// maxFriends is of how many friends presence comes by itself.
	maxFriends = 5000
	// looksKept is how many changes of profiles a user remembers, so that one that
	// comes by several sessions is told once. One more often does no harm.
	looksKept = 32
)

// Shows tells everybody who sees a user that it looks like p now: its own devices,
// its friends, and the sessions it is in that are small enough. It does not wait.
// Whoever shows profiles (Profiles.Known) shows this one already.
func (n *Node) Shows(p *protocol.Profile) {
	n.tell(n.user(p.UserId), &appears{profile: p})
}

// appears tells a user that it looks different now.
type appears struct{ profile *protocol.Profile }

// appears finds out in which sessions the user is seen, and has a worker tell them.
func (u *User) appears(m *appears) {
	if !u.ready(m) {
		return
	}
	rows := make([]*row, 0, len(u.rows))
	for _, r := range u.rows {
		if r.info.MemberCount <= int64(u.node.cfg.ReceiptSize) { // 0 where the session is so new that it is being read
			rows = append(rows, r)
		}
	}
	if len(rows) > liveSessions {
		slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(b.updated, a.updated) })
		rows = rows[:liveSessions]
	}
	subjects := make([]string, 0, len(rows)+1)
	subjects = append(subjects, UserSubject(u.id))
	for _, r := range rows {
		subjects = append(subjects, SessionSubject(r.info.Session))
	}
	u.node.off(func() { u.node.showTo(m.profile, subjects) })
}

func (n *Node) showTo(p *protocol.Profile, subjects []string) {
	ctx, cancel := n.background()
	defer cancel()
	friends, _, err := n.friends.FriendsOf(ctx, p.UserId, maxFriends)
	if err != nil {
		n.log.Error("reading whose friend a user is", "user", p.UserId, "err", err)
	}
	for _, f := range friends {
		subjects = append(subjects, UserSubject(f))
	}
	e := []*Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_UserUpdate{UserUpdate: &protocol.UserUpdate{Profile: p}}})}}
	var burst Burst
	for _, s := range subjects {
		n.streams.Publish(s, e, &burst)
	}
	burst.End()
}

// look is one profile that a user's connections were told of.
type look struct {
	user    protocol.UserID
	version int64
}

// news says whether a profile was not told before, and remembers it.
func (u *User) news(p *protocol.Profile) bool {
	i := slices.IndexFunc(u.looks, func(l look) bool { return l.user == p.UserId })
	switch {
	case i >= 0 && u.looks[i].version >= p.Version:
		return false
	case i >= 0:
		u.looks = slices.Delete(u.looks, i, i+1)
	case len(u.looks) >= looksKept:
		u.looks = slices.Delete(u.looks, 0, 1)
	}
	u.looks = append(u.looks, look{p.UserId, p.Version})
	return true
}
