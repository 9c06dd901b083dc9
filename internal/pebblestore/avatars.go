package pebblestore

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// names gives the avatar that a holder's row has, "": none, or there is no such holder.
func (s *Store) names(_ context.Context, of filectr.Holder) (avatar string, err error) {
	v := s.now()
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
func (t *tx) avatarLeft(was, is string) { rows.AvatarLeft(change{t}, was, is, time.Time{}) }
