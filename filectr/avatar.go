package filectr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/troupe-im/troupe/filectr/child"
	"github.com/troupe-im/troupe/filectr/face"
	"github.com/troupe-im/troupe/filectr/picture"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Holder is whose an avatar is: a user's or a session's.
type Holder struct {
	User    protocol.UserID
	Session protocol.SessionID
}

// ID is the user's or session's id.
func (h Holder) ID() string { return h.User + h.Session }

// Avatar is a picture that somebody chose for a holder, cut square. It never changes:
// another picture is another Avatar. It is read for as long as its holder's row names it.
type Avatar struct {
	Path    string // as protocol.NewAvatar makes it
	Of      Holder
	Small   Sum // JPEG of AvatarSmall pixels a side, or less where the picture has less
	Large   Sum // of AvatarLarge
	Tile    Sum // raw, for pictures of groups
	Created time.Time
}

// Sums gives the contents that a is made of, each once: of a small picture Small and Large
// are the same.
func (a *Avatar) Sums() []Sum {
	if a.Small == a.Large {
		return []Sum{a.Small, a.Tile}
	}
	return []Sum{a.Small, a.Large, a.Tile}
}

// Sides of avatars in pixels.
const (
	AvatarSmall = picture.SquareSmall
	AvatarLarge = picture.SquareLarge
)

// AvatarStore is the part of Store that keeps avatars. Whoever writes a user's or a
// session's row, and what it names changes, has the store look at the old one.
type AvatarStore interface {
	// AddAvatar keeps a, ends its claims, and notes it to be looked at. ErrUnclaimed.
	AddAvatar(ctx context.Context, a *Avatar) error
	// Avatar gives the one with a path. None, or one that its holder's row does not name
	// (any more), is protocol.NotFound.
	Avatar(ctx context.Context, path string) (*Avatar, error)
	// IdleAvatars gives the paths of those noted before a time that no holder names, and
	// ends the notes of others.
	IdleAvatars(ctx context.Context, before time.Time, limit int) ([]string, error)
	// RemoveAvatar ends an avatar; its contents are doubtful from now on. ErrInUse: its
	// holder names it. None is no error.
	RemoveAvatar(ctx context.Context, path string, now time.Time) error
}

// avatarKept is how long an avatar may be on its way to its holder's row.
const avatarKept = 10 * time.Minute

// MakeAvatar cuts an avatar for a holder out of a picture that user may read, and gives
// its path, which is to be written into the holder's row soon. NOT_FOUND; UNSUPPORTED,
// it is no picture; RATE_LIMITED; BUSY, also while somebody has yet to look at it.
func (c *Center) MakeAvatar(ctx context.Context, user protocol.UserID, file protocol.FileID, of Holder) (string, error) {
	if err := c.Readable(ctx, user, []string{file}); err != nil {
		return "", err
	}
	f, err := c.store.File(ctx, file)
	if err != nil {
		return "", err
	}
	if f.Kind != Image {
		return "", protocol.Errorf(protocol.Code_UNSUPPORTED, "an avatar is made of a picture, and file %s is none", file)
	}
	if f, err = f.decided(); err != nil {
		return "", err
	}
	if err := c.avatars.take(user, c.now()); err != nil {
		return "", err
	}
	if left, err := freeBytes(c.cfg.Data); err == nil && left < c.cfg.MinFree {
		return "", protocol.Errorf(protocol.Code_BUSY, "the disk is full")
	}
	a := &Avatar{Path: protocol.NewAvatar(), Of: of, Created: c.now()}
	parts, err := c.cut(ctx, a, f)
	defer func() { drop(parts, len(parts)) }()
	if err != nil {
		return "", err
	}
	return a.Path, c.keepAvatar(ctx, a, parts)
}

// SessionAvatar fills actors.Files.
func (c *Center) SessionAvatar(ctx context.Context, user protocol.UserID, session protocol.SessionID, file protocol.FileID) (string, error) {
	return c.MakeAvatar(ctx, user, file, Holder{Session: session})
}

// UserAvatar fills userctr.Avatars.
func (c *Center) UserAvatar(ctx context.Context, user protocol.UserID, file protocol.FileID) (string, error) {
	return c.MakeAvatar(ctx, user, file, Holder{User: user})
}

// CopyAvatar fills userctr.Avatars.
func (c *Center) CopyAvatar(ctx context.Context, path string, user protocol.UserID) (string, error) {
	a, err := c.store.Avatar(ctx, path)
	if err != nil {
		return "", err
	}
	own := *a
	own.Path, own.Of, own.Created = protocol.NewAvatar(), Holder{User: user}, c.now()
	if err := c.claim(ctx, own.Sums(), own.Path, nil); err != nil {
		return "", err
	}
	if _, err := c.store.Avatar(ctx, path); err != nil { // it is there still, so are its contents
		return "", err
	}
	return own.Path, c.claimed(ctx, c.store.AddAvatar(ctx, &own), own.Sums(), own.Path)
}

// keepAvatar keeps a with its contents.
func (c *Center) keepAvatar(ctx context.Context, a *Avatar, parts []part) error {
	if err := c.claim(ctx, a.Sums(), a.Path, parts); err != nil {
		return err
	}
	return c.claimed(ctx, c.store.AddAvatar(ctx, a), a.Sums(), a.Path)
}

// cut has a child cut out a picture's middle. Drafts that are given with an error are
// to be removed too.
func (c *Center) cut(ctx context.Context, a *Avatar, f *File) (parts []part, err error) {
	code, _ := protocol.ChosenAvatar(a.Path)
	source := c.draft(code)
	if err := c.fetch(ctx, f, source); err != nil {
		return []part{{path: source}}, err
	}
	defer os.Remove(source)
	end, err := c.decoding.take(ctx, f.Owner) // one per core: each takes memory and time
	if err != nil {
		return nil, err
	}
	defer end()
	in, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	defer in.Close()
	outs, parts, err := c.outs(code, Small, Large, "tile")
	defer closeAll(outs)
	if err != nil {
		return parts, err
	}
	_, err = picture.Square(ctx, in, outs[0], outs[1], outs[2])
	var no *child.Refused
	switch {
	case errors.As(err, &no) && no.TooLarge:
		return parts, protocol.TooLarge("%s", no.Reason)
	case errors.As(err, &no):
		return parts, protocol.Errorf(protocol.Code_UNSUPPORTED, "%s", no.Reason)
	case err != nil:
		return parts, err
	}
	for i := range parts {
		if parts[i].sum, _, err = sumOf(outs[i]); err != nil {
			return parts, err
		}
	}
	a.Small, a.Large, a.Tile = parts[0].sum, parts[1].sum, parts[2].sum
	return parts, nil
}

// fetch writes a picture into a draft: a smaller one of it, where there is one that is
// large enough.
func (c *Center) fetch(ctx context.Context, f *File, to string) error {
	sum := f.Sum
	for _, t := range f.Thumbs {
		if min(t.Width, t.Height) >= AvatarLarge {
			sum = t.Sum
			break
		}
	}
	blob, err := c.blobs.Open(ctx, sum)
	if err != nil {
		return err
	}
	defer blob.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	if _, err = io.Copy(out, blob); err != nil {
		err = fmt.Errorf("filectr: file %s: %w", f.ID, err)
	}
	return errors.Join(err, out.Close())
}

// sweepAvatars removes those that nobody shows.
func (c *Center) sweepAvatars(ctx context.Context, now time.Time) error {
	for more := true; more; {
		idle, err := c.store.IdleAvatars(ctx, now.Add(-avatarKept), sweepPage)
		if err != nil {
			return fmt.Errorf("filectr: sweep: %w", err)
		}
		for _, path := range idle {
			if err := c.store.RemoveAvatar(ctx, path, now.Add(-claimKept)); err != nil && !errors.Is(err, ErrInUse) {
				return fmt.Errorf("filectr: sweep: %w", err)
			}
		}
		more = len(idle) == sweepPage
	}
	return nil
}

// tile is what an avatar looks like in a group's picture.
func (c *Center) tile(ctx context.Context, id, path string) ([]byte, error) {
	if _, chosen := protocol.ChosenAvatar(path); !chosen {
		return face.Tile(id), nil
	}
	a, err := c.store.Avatar(ctx, path)
	if protocol.Code_NOT_FOUND.Is(err) { // changed meanwhile
		return face.Tile(id), nil
	}
	if err != nil {
		return nil, err
	}
	blob, err := c.blobs.Open(ctx, a.Tile)
	if err != nil {
		return nil, fmt.Errorf("filectr: avatar %s: %w", path, err)
	}
	defer blob.Close()
	raw := make([]byte, face.TileBytes)
	if _, err := io.ReadFull(blob, raw); err != nil {
		return nil, fmt.Errorf("filectr: avatar %s: %w", path, err)
	}
	return raw, nil
}

// OpenAvatar gives the larger picture of a chosen avatar, JPEG. NOT_FOUND: nobody shows it.
func (c *Center) OpenAvatar(ctx context.Context, path string) (Blob, error) {
	a, err := c.store.Avatar(ctx, path)
	if err != nil {
		return nil, err
	}
	return c.blobs.Open(ctx, a.Large)
}
