package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

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
			return nil, fmt.Errorf("pebblestore: avatar %s has a content without a name", code)
		}
	}
	return a, nil
}

func avatarIdleKey(since int64, code string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tableAvatarIdle}, uint64(since)), code...)
}

// AddAvatar fills filectr.AvatarStore.
func (s *Store) AddAvatar(_ context.Context, a *filectr.Avatar) error {
	code, ok := protocol.ChosenAvatar(a.Path)
	if !ok {
		return fmt.Errorf("pebblestore: %q is no avatar's path", a.Path)
	}
	return s.update(func(t *tx) error {
		for _, sum := range a.Sums() {
			t.put(blobKey(sum, code), nil)
			t.delete(doubtKey(sum))
		}
		t.put(avatarIdleKey(nanos(a.Created), code), nil)
		return putRow(t, rowKey(tableAvatar, code), avatarRow{
			User: a.Of.User, Session: a.Of.Session,
			Small: a.Small.String(), Large: a.Large.String(), Tile: a.Tile.String(), Created: nanos(a.Created),
		})
	})
}

// Avatar fills filectr.AvatarStore.
func (s *Store) Avatar(_ context.Context, path string) (a *filectr.Avatar, err error) {
	code, ok := protocol.ChosenAvatar(path)
	if !ok {
		return nil, noAvatar()
	}
	err = s.at(func(v view) error {
		var row avatarRow
		found, err := v.row(rowKey(tableAvatar, code), func(b []byte) error { return parseRow(b, &row) })
		if err != nil || !found {
			return either(err, noAvatar())
		}
		if a, err = row.avatar(code); err != nil {
			return err
		}
		named, err := v.names(a.Of)
		if err == nil && named != path {
			err = noAvatar()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func noAvatar() error { return protocol.NotFound("nothing is behind this path") }

// names gives the avatar that a holder's row has, "": none, or there is no such holder.
func (v view) names(of filectr.Holder) (avatar string, err error) {
	if of.User != "" {
		_, err = v.row(rowKey(tableUser, of.User), func(b []byte) error {
			var u userRow
			err := parseRow(b, &u)
			avatar = u.Avatar
			return err
		})
		return avatar, err
	}
	k, ok := parseSession(of.Session)
	if !ok {
		return "", nil
	}
	_, err = v.row(k.info(), func(b []byte) error {
		info := &protocol.SessionInfo{}
		err := proto.Unmarshal(b, info)
		avatar = named(info)
		return err
	})
	return avatar, err
}

// named is the avatar that a session shows: none when it is dissolved.
func named(info *protocol.SessionInfo) string {
	if info.Dead {
		return ""
	}
	return info.Avatar
}

// avatarLeft notes an avatar that a holder's row names no more.
func (t *tx) avatarLeft(was, is string) {
	if code, ok := protocol.ChosenAvatar(was); ok && was != is {
		t.put(avatarIdleKey(0, code), nil)
	}
}

// IdleAvatars fills filectr.AvatarStore.
func (s *Store) IdleAvatars(ctx context.Context, before time.Time, limit int) (paths []string, err error) {
	var shown [][]byte
	err = s.scan([]byte{tableAvatarIdle}, avatarIdleKey(nanos(before), ""), func(key, _ []byte) error {
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
	return paths, s.update(func(t *tx) error {
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
	return s.update(func(t *tx) error {
		if _, err := s.Avatar(ctx, path); !protocol.Code_NOT_FOUND.Is(err) {
			return either(err, filectr.ErrInUse)
		}
		return t.removeAvatar(code, now)
	})
}

func (t *tx) removeAvatar(code string, now time.Time) error {
	row, err := getRow[avatarRow](t, rowKey(tableAvatar, code), "avatar", code)
	t.delete(avatarIdleKey(0, code))
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
	t.delete(avatarIdleKey(row.Created, code))
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

// avatarsOf gives the codes of all avatars of a user. It reads the whole table.
func (s *Store) avatarsOf(user protocol.UserID) (codes []string, err error) {
	err = s.scanPrefix([]byte{tableAvatar}, func(key, value []byte) error {
		var row avatarRow
		err := parseRow(value, &row)
		if row.User == user {
			codes = append(codes, string(key[1:]))
		}
		return err
	})
	return codes, err
}
