package actors

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Profiles is what people look like. Users that fill it too show names and faces;
// others show ids alone.
type Profiles interface {
	// Known gives, of ids, the profiles that are had without waiting, and the ids of
	// the others. Once a change was told (Node.Looks), it is what Known gives.
	Known(ids []protocol.UserID) (known []*protocol.Profile, others []protocol.UserID)
	// Profiles gives the profiles of those of ids that are users', each once, in no
	// order. Nobody changes them.
	Profiles(ctx context.Context, ids []protocol.UserID) ([]*protocol.Profile, error)
}

// nobodyKnown is the Profiles of a node whose Users have none.
type nobodyKnown struct{}

func (nobodyKnown) Known([]protocol.UserID) ([]*protocol.Profile, []protocol.UserID) { return nil, nil }

func (nobodyKnown) Profiles(context.Context, []protocol.UserID) ([]*protocol.Profile, error) {
	return nil, nil
}

// Bounds of user_get. A reply has to fit the outbound queue of a connection.
const (
	maxProfiles   = 100
	profilesBytes = 192 << 10
)

// userGet answers with profiles, read away from every mailbox.
func (n *Node) userGet(r *request, m *protocol.UserGet) error {
	if err := n.checkPeople("user_get.users", m.Users, maxProfiles); err != nil {
		return err
	}
	n.off(func() {
		ctx, cancel := n.background()
		defer cancel()
		found, err := n.profiles.Profiles(ctx, n.mayKnow(r.who, m.Users))
		if err != nil {
			n.failed("reading profiles", err)
			err = protocol.Errorf(protocol.Code_BUSY, "profiles cannot be read now")
		} else if size := proto.Size(&protocol.UserGetReply{Users: found}); size > profilesBytes {
			err = protocol.TooLarge("user_get.users: these profiles are %d bytes together, %d fit; ask for fewer", size, profilesBytes)
		}
		f := protocol.Fail(r.frame, err)
		if err == nil {
			f = r.ok(&protocol.Frame{Body: &protocol.Frame_UserGetReply{UserGetReply: &protocol.UserGetReply{Users: found}}})
		}
		r.from.tell(&answers{frames: []*protocol.Frame{f}})
	})
	return nil
}

// facesBytes bounds the profiles that go with a list, so that a crowd with long
// links does not fill a connection's queue. Who is not among them is had by user_get.
const facesBytes = 48 << 10

// faces are profiles as lists carry them: without their fields, and no more of them
// than fit.
func faces(all []*protocol.Profile) []*protocol.Profile {
	size := 0
	for i, p := range all {
		if size += len(p.UserId) + len(p.Nickname) + len(p.Avatar) + len(p.Name) + 64; size > facesBytes {
			return all[:i]
		}
		if len(p.Fields) > 0 {
			all[i] = &protocol.Profile{
				UserId: p.UserId, Nickname: p.Nickname, Avatar: p.Avatar, Kind: p.Kind, Name: p.Name, Version: p.Version, Gone: p.Gone,
			}
		}
	}
	return all
}

// face gives then the faces of ids, at once where they are known, else on a worker.
func (n *Node) face(ids []protocol.UserID, then func([]*protocol.Profile)) {
	known, others := n.profiles.Known(ids)
	if len(others) == 0 {
		then(faces(known))
		return
	}
	n.off(func() { then(faces(append(known, n.readProfiles(others)...))) })
}

// present answers session_get, with the faces of the members in it.
func (s *Session) present(r *request, reply *protocol.SessionGetReply) {
	ids := make([]protocol.UserID, len(reply.Info.Members))
	for i, m := range reply.Info.Members {
		ids[i] = m.User
	}
	s.node.dressFor(reply.Info, r.who.User)
	s.node.face(ids, func(users []*protocol.Profile) {
		reply.Users = users
		s.reply(r, &protocol.Frame{Body: &protocol.Frame_SessionGetReply{SessionGetReply: reply}})
	})
}

// readProfiles reads profiles on a worker. What cannot be read is not shown.
func (n *Node) readProfiles(ids []protocol.UserID) []*protocol.Profile {
	ctx, cancel := n.background()
	defer cancel()
	found, err := n.profiles.Profiles(ctx, ids)
	if err != nil {
		n.failed("reading profiles", err)
	}
	return found
}

// faces gives the faces of ids. False: some have to be read first; then again is
// called in the mailbox with what was read, to be handed in as read.
func (u *User) faces(ids []protocol.UserID, read *[]*protocol.Profile, again func(read *[]*protocol.Profile)) ([]*protocol.Profile, bool) {
	if len(ids) == 0 {
		return nil, true
	}
	known, others := u.node.profiles.Known(ids) // also of those that were read: a change may have come since
	if len(others) > 0 && read == nil {
		u.node.off(func() {
			found := u.node.readProfiles(others)
			u.node.tell(u.pid, done(func() { again(&found) }))
		})
		return nil, false
	}
	if len(others) > 0 {
		for _, p := range *read {
			if slices.Contains(others, p.UserId) {
				known = append(known, p)
			}
		}
	}
	return faces(known), true
}

// people gives those who appear in a part of the home list and in requests, each once.
func people(heads []*protocol.SessionHead, requests []*protocol.Request) []protocol.UserID {
	if len(heads) == 0 && len(requests) == 0 {
		return nil
	}
	ids := make([]protocol.UserID, 0, len(heads)+1+2*len(requests))
	seen := make(map[protocol.UserID]bool, cap(ids))
	add := func(id protocol.UserID) {
		if id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for _, h := range heads {
		for _, m := range h.Members {
			add(m)
		}
		if h.Last != nil {
			add(h.Last.Sender)
		}
	}
	for _, r := range requests {
		add(r.From)
		add(r.User)
		if r.Kind == protocol.RequestKind_FRIEND_REQUEST {
			add(r.Target)
		}
	}
	return ids
}

// checkPeople refuses a list of nobody, of too many, or of what is no user id.
func (n *Node) checkPeople(what string, ids []protocol.UserID, most int) error {
	if len(ids) == 0 {
		return protocol.BadRequest("%s: at least one user id is needed", what)
	}
	if len(ids) > most {
		return protocol.Errorf(protocol.Code_TOO_MANY, "%s: %d at most", what, most)
	}
	for _, id := range ids {
		if _, err := protocol.ParseUserID(id); err != nil {
			return protocol.BadRequest("%s: %.64q is no user id", what, id)
		}
	}
	return nil
}
