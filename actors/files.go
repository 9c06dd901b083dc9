package actors

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Files is what sessions ask about the files that messages and settings name.
type Files interface {
	// Readable fails with NOT_FOUND where user may not read one of names: ids of files,
	// or links to elsewhere.
	Readable(ctx context.Context, user protocol.UserID, names []string) error
	// SessionAvatar makes an avatar for a session of a picture that user may read, and
	// gives its path. NOT_FOUND; UNSUPPORTED: it is no picture; RATE_LIMITED; BUSY.
	SessionAvatar(ctx context.Context, user protocol.UserID, session protocol.SessionID, file protocol.FileID) (string, error)
	// Pass is what opens the pictures of user's groups: see groupFace. It does not change.
	Pass(user protocol.UserID) string
}

// UseFiles has messages refused that name files which their sender may not read. It
// is called before the first connection. Without it names of files are taken as they are.
func (n *Node) UseFiles(f Files) { n.files = f }

// checksFiles says whether a message's content has to be asked about first.
func (n *Node) checksFiles(c *protocol.Content) bool { return n.files != nil && c.HasFiles() }

// drawsAvatar says whether an avatar is a file of which a picture has to be made first.
func (n *Node) drawsAvatar(avatar string) bool { return n.files != nil && protocol.IsFileID(avatar) }

// draw has a picture made away from the mailbox, and goes on with its path.
func (s *Session) draw(r *request, file protocol.FileID, then func(path string, err error)) {
	s.node.aside(func() { // a child decodes it: no worker is held for so long
		ctx, cancel := s.node.background()
		defer cancel()
		path, err := s.node.files.SessionAvatar(ctx, r.who.User, s.id, file)
		if err != nil && protocol.AsError(err).Code == protocol.Code_INTERNAL {
			s.node.log.Error("making a session's avatar", "session", s.id, "err", err)
		}
		s.node.tell(s.pid, done(func() { then(path, err) }))
	})
}

// drawn is a session_set again, with a picture in the place of a file. Who asks may
// have lost its rights meanwhile, so all is asked again.
func drawn(r *request, path string) *request {
	again := *r
	again.frame = proto.CloneOf(r.frame)
	again.frame.GetSessionSet().Avatar = &path
	again.drawn = true
	return &again
}

// groupFace is the path of the picture that shows a group to one of its members, whose
// Pass it is: where none was chosen, it is made of its first members' pictures.
func groupFace(info *protocol.SessionInfo, pass string) string {
	return protocol.AvatarPath + info.Session + "." + pass
}

// faceless says whether a session is shown by a groupFace. What was set before pictures
// were made may be a file's id, which shows nothing.
func (n *Node) faceless(info *protocol.SessionInfo) bool {
	return n.files != nil && (info.Avatar == "" || protocol.IsFileID(info.Avatar)) && grouped(info)
}

// Dress gives a session's info, as a store has it, the picture that it shows to a member.
func (n *Node) Dress(info *protocol.SessionInfo, user protocol.UserID) { n.dressFor(info, user) }

// dressFor gives a session's info the picture that it shows to a member.
func (n *Node) dressFor(info *protocol.SessionInfo, user protocol.UserID) {
	if user != "" && n.faceless(info) {
		info.Avatar = groupFace(info, n.files.Pass(user))
	}
}

// face is the picture that a session shows to the user, who makes its pass once.
func (u *User) face(info *protocol.SessionInfo) string {
	if !u.node.faceless(info) {
		return info.Avatar
	}
	if u.pass == "" {
		u.pass = u.node.files.Pass(u.id)
	}
	return groupFace(info, u.pass)
}

// Releases knows newer versions of clients.
type Releases interface {
	// Newer gives what is newer than the version that a client says it has; nil: nothing.
	// It is answered from memory, at once.
	Newer(app, platform, channel, version string) *protocol.Release
}

// UseReleases has clients told, as they sign in, of a newer version. It is called
// before anybody connects.
func (n *Node) UseReleases(r Releases) { n.releases = r }
