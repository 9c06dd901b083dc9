package rows

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Tables of avatars. A code is the last part of an avatar's path.
const (
	tableAvatar     = 0x78 // code → avatarRow
	tableAvatarIdle = 0x79 // since 8, code → nothing: whether its holder names it is to be looked at
)

var _ filectr.AvatarStore = (*Store)(nil)

type avatarRow struct {
	User    string `json:"user,omitempty"` // whose it is, or
	Session string `json:"session,omitempty"`
	Small   string `json:"small"`
	Large   string `json:"large"`
	Tile    string `json:"tile"`
	Created int64  `json:"created"`
}

func (r avatarRow) avatar(code string) (*filectr.Avatar, error) {
	a := &filectr.Avatar{Path: protocol.AvatarPath + code, Of: filectr.Holder{User: r.User, Session: r.Session}, Created: fromNanos(r.Created)}
	for to, text := range map[*filectr.Sum]string{&a.Small: r.Small, &a.Large: r.Large, &a.Tile: r.Tile} {
		ok := false
		if *to, ok = filectr.ParseSum(text); !ok {
			return nil, fmt.Errorf("rows: avatar %s has a content without a name", code)
		}
	}
	return a, nil
}

func avatarIdleKey(since int64, code string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tableAvatarIdle}, uint64(since)), code...)
}

// AddAvatar fills filectr.AvatarStore.
func (s *Store) AddAvatar(ctx context.Context, a *filectr.Avatar) error {
	code, ok := protocol.ChosenAvatar(a.Path)
	if !ok {
		return fmt.Errorf("rows: %q is no avatar's path", a.Path)
	}
	return s.update(ctx, func(t *tx) error {
		for _, sum := range a.Sums() {
			if err := t.hold(sum, code, a.Path); err != nil {
				return err
			}
		}
		t.put(avatarIdleKey(nanos(a.Created), code), nil)
		return putRow(t, rowKey(tableAvatar, code), avatarRow{
			User: a.Of.User, Session: a.Of.Session,
			Small: a.Small.String(), Large: a.Large.String(), Tile: a.Tile.String(), Created: nanos(a.Created),
		})
	})
}

// Avatar fills filectr.AvatarStore.
func (s *Store) Avatar(ctx context.Context, path string) (a *filectr.Avatar, err error) {
	code, ok := protocol.ChosenAvatar(path)
	if !ok {
		return nil, noAvatar()
	}
	row, err := getRow[avatarRow](s.with(ctx), rowKey(tableAvatar, code), "avatar", code)
	if protocol.Code_NOT_FOUND.Is(err) {
		err = noAvatar()
	}
	if err != nil {
		return nil, err
	}
	if a, err = row.avatar(code); err != nil {
		return nil, err
	}
	named, err := s.names(ctx, a.Of)
	if err == nil && named != path {
		err = noAvatar()
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func noAvatar() error { return protocol.NotFound("nothing is behind this path") }

// AvatarLeft notes an avatar that a holder's row names no more: since a time, or, where the
// row is not part of the change, is about to name no more.
func AvatarLeft(t Tx, was, is string, at time.Time) {
	if code, ok := protocol.ChosenAvatar(was); ok && was != is {
		t.Put(avatarIdleKey(nanos(at), code), nil)
	}
}

// IdleAvatars fills filectr.AvatarStore.
func (s *Store) IdleAvatars(ctx context.Context, before time.Time, limit int) (paths []string, err error) {
	var shown [][]byte
	err = s.scan(ctx, []byte{tableAvatarIdle}, avatarIdleKey(nanos(before), ""), func(key, _ []byte) error {
		if len(paths) == limit {
			return errEnough
		}
		path := protocol.AvatarPath + string(key[1+8:])
		switch _, err := s.Avatar(ctx, path); {
		case err == nil:
			shown = append(shown, slices.Clone(key))
		case protocol.Code_NOT_FOUND.Is(err):
			paths = append(paths, path)
		default:
			return err
		}
		return nil
	})
	if err != nil || len(shown) == 0 {
		return paths, err
	}
	return paths, s.update(ctx, func(t *tx) error {
		for _, key := range shown { // unless somebody has let go of it meanwhile
			switch _, err := s.Avatar(ctx, protocol.AvatarPath+string(key[1+8:])); {
			case err == nil:
				t.delete(key)
			case !protocol.Code_NOT_FOUND.Is(err):
				return err
			}
		}
		return nil
	})
}

// RemoveAvatar fills filectr.AvatarStore.
func (s *Store) RemoveAvatar(ctx context.Context, path string, now time.Time) error {
	code, ok := protocol.ChosenAvatar(path)
	if !ok {
		return nil
	}
	return s.update(ctx, func(t *tx) error {
		if _, err := s.Avatar(ctx, path); !protocol.Code_NOT_FOUND.Is(err) {
			return either(err, filectr.ErrInUse)
		}
		return RemoveAvatar(t, code, now)
	})
}

// RemoveAvatar ends the avatar with a code, whoever names it; its contents are doubtful since now.
func RemoveAvatar(in Tx, code string, now time.Time) error {
	t := &tx{in}
	err := t.scanPrefix([]byte{tableAvatarIdle}, func(key, _ []byte) error {
		if string(key[1+8:]) == code {
			t.delete(key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	row, err := getRow[avatarRow](t, rowKey(tableAvatar, code), "avatar", code)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := row.avatar(code)
	if err != nil {
		return err
	}
	t.delete(rowKey(tableAvatar, code))
	for _, sum := range a.Sums() {
		t.delete(blobKey(sum, code))
	}
	for _, sum := range a.Sums() {
		if err := t.doubt(sum, now); err != nil {
			return err
		}
	}
	return nil
}

// AvatarsOf gives the codes of all avatars of a user. It reads the whole table.
func (s *Store) AvatarsOf(ctx context.Context, user protocol.UserID) (codes []string, err error) {
	err = s.scanPrefix(ctx, []byte{tableAvatar}, func(key, value []byte) error {
		var row avatarRow
		err := parseRow(value, &row)
		if row.User == user {
			codes = append(codes, string(key[1:]))
		}
		return err
	})
	return codes, err
}
