package actors

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// looks are the profiles of people by their ids; who is not in it shows the id alone.
type looks map[protocol.UserID]*protocol.Profile

// looksOf reads profiles, on a worker. What cannot be read is not shown.
func (n *Node) looksOf(ids ...protocol.UserID) looks {
	known, others := n.profiles.Known(ids)
	if len(others) > 0 {
		known = append(known, n.readProfiles(others)...)
	}
	by := make(looks, len(known))
	for _, p := range faces(known) {
		by[p.UserId] = p
	}
	return by
}

// dress gives requests with the names and pictures of the people in them, on a worker.
func (n *Node) dress(list []*protocol.Request) []*protocol.Request {
	by := n.looksOf(people(nil, list)...)
	out := make([]*protocol.Request, len(list))
	for i, r := range list {
		out[i] = by.dressed(r)
	}
	return out
}

// dressed is r with the names and pictures of the people in it. A group's were put
// there when it last changed.
func (by looks) dressed(r *protocol.Request) *protocol.Request {
	if r == nil {
		return nil
	}
	from, to := by[r.From], by[r.Target]
	if from == nil && to == nil {
		return r
	}
	r = proto.CloneOf(r)
	r.UserName, r.UserIcon = from.GetNickname(), from.GetAvatar()
	if r.Kind == protocol.RequestKind_FRIEND_REQUEST {
		r.TargetName, r.TargetIcon = to.GetNickname(), to.GetAvatar()
	}
	return r
}

// view is a row as its user's clients see it.
func (by looks) view(c *ContactRow) *protocol.Contact {
	v := c.view()
	v.Profile = by[c.Other]
	return v
}

// pair is the store's Pair, and whether one of the two is no human: whoever may
// talk with friends only may talk with a bot.
func (n *Node) pair(ctx context.Context, user, other protocol.UserID) (*Pair, error) {
	p, err := n.journal.Pair(ctx, user, other)
	if err != nil || n.cfg.Strangers != FriendsOnly {
		return p, err
	}
	for _, face := range n.looksOf(user, other) {
		p.Open = p.Open || face.Kind != "human"
	}
	return p, nil
}
