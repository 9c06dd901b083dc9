package userctr

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Avatars makes pictures of people. UseAvatars gives the centre one.
type Avatars interface {
	// UserAvatar makes an avatar of a picture that user may read, and gives its path, which
	// is then to be written into the user's row. NOT_FOUND; UNSUPPORTED: it is no picture;
	// RATE_LIMITED; BUSY.
	UserAvatar(ctx context.Context, user protocol.UserID, file protocol.FileID) (string, error)
	// CopyAvatar gives user the picture at another's path, at a path of its own.
	CopyAvatar(ctx context.Context, path string, user protocol.UserID) (string, error)
}

// UseAvatars names who makes pictures. It is called before the first request.
func (c *Center) UseAvatars(a Avatars) { c.avatars = a }

// drawAvatar is an avatar with a path in the place of a file's id; drawn says that there
// is one. An edit that keeps it is made soon after.
func (c *Center) drawAvatar(ctx context.Context, user protocol.UserID, avatar string) (path string, drawn bool, err error) {
	if !protocol.IsFileID(avatar) {
		return avatar, false, nil
	}
	if c.avatars == nil {
		return "", false, protocol.Errorf(protocol.Code_UNSUPPORTED, "no files are kept here")
	}
	path, err = c.avatars.UserAvatar(ctx, user, avatar)
	return path, true, err
}

// keepAvatar makes want u's avatar: a link, a path, or what u shows already. A file's
// id is none: of a file a picture is drawn first, for somebody who is signed in.
func (u *User) keepAvatar(want string) error {
	if protocol.IsFileID(want) {
		return protocol.BadRequest("an avatar is a link here; whoever is signed in may set one by a file id")
	}
	kept, err := protocol.KeptAvatar(u.Avatar, want)
	if err == nil {
		err = checkAvatar(kept)
	}
	if err == nil {
		u.Avatar = kept
	}
	return err
}

// copied is the avatar of one user as that of another: a picture is each one's own.
func (c *Center) copied(ctx context.Context, avatar string, to protocol.UserID) (string, error) {
	if _, chosen := protocol.ChosenAvatar(avatar); !chosen || c.avatars == nil {
		return avatar, nil
	}
	path, err := c.avatars.CopyAvatar(ctx, avatar, to)
	if protocol.Code_NOT_FOUND.Is(err) { // changed meanwhile
		return "", nil
	}
	return path, err
}

// ofPictures are the codes of what may name a picture.
var ofPictures = []protocol.Code{protocol.Code_NOT_FOUND, protocol.Code_UNSUPPORTED, protocol.Code_TOO_LARGE, protocol.Code_RATE_LIMITED, protocol.Code_BUSY}

type avatarAnswer struct {
	Body struct {
		Avatar string `json:"avatar" doc:"A path, or a link, for <img>"`
	}
}

func (c *Center) registerAvatar(api huma.API, signed func(id, method, path, summary string, errors ...int) huma.Operation) {
	set := signed("set-avatar", http.MethodPut, "/users/me/avatar", "Set one's picture, which everybody who sees this user is told")
	set.Metadata = map[string]any{"codes": ofPictures}
	huma.Register(api, set, c.putAvatar)
	huma.Register(api, signed("remove-avatar", http.MethodDelete, "/users/me/avatar", "Take one's picture away", http.StatusTooManyRequests), c.deleteAvatar)
}

func (c *Center) putAvatar(ctx context.Context, in *struct {
	Body struct {
		File string `json:"file" minLength:"1" maxLength:"64" doc:"The id of an uploaded picture"`
	}
}) (*avatarAnswer, error) {
	if !protocol.IsFileID(in.Body.File) {
		return nil, protocol.NotFound("file %.64q", in.Body.File)
	}
	return c.setAvatar(ctx, in.Body.File)
}

func (c *Center) deleteAvatar(ctx context.Context, _ *struct{}) (*struct{}, error) {
	_, err := c.setAvatar(ctx, "")
	return nil, err
}

func (c *Center) setAvatar(ctx context.Context, avatar string) (*avatarAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.SetProfile(ctx, id.User, Looks{Avatar: &avatar})
	if err != nil {
		return nil, err
	}
	out := &avatarAnswer{}
	out.Body.Avatar = shown(u).Avatar
	return out, nil
}
