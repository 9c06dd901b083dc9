package actors

import (
	"context"

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
		found, err := n.profiles.Profiles(ctx, m.Users)
		if err != nil {
			n.log.Error("reading profiles", "err", err)
			err = protocol.Errorf(protocol.Code_BUSY, "profiles cannot be read now")
		} else if size := proto.Size(&protocol.UserGetReply{Users: found}); size > profilesBytes {
			err = protocol.TooLarge("user_get.users: these profiles are %d bytes together, %d fit; ask for fewer", size, profilesBytes)
		}
		f := protocol.Fail(r.frame, err)
		if err == nil {
			f = r.ok(&protocol.Frame{Body: &protocol.Frame_UserGetReply{UserGetReply: &protocol.UserGetReply{Users: found}}})
		}
		n.tell(r.from, &answers{frames: []*protocol.Frame{f}})
	})
	return nil
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
