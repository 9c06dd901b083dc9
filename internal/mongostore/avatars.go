package mongostore

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// names gives the avatar that a holder's row has, "": none, or there is no such holder, or
// it is dissolved.
func (s *Store) names(ctx context.Context, of filectr.Holder) (string, error) {
	if of.User != "" {
		u, err := s.User(ctx, of.User)
		if protocol.Code_NOT_FOUND.Is(err) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		return u.Avatar, nil
	}
	row, err := s.known(ctx, of.Session)
	if protocol.Code_NOT_FOUND.Is(err) {
		return "", nil
	}
	if err != nil || row.Dead {
		return "", err
	}
	return row.Avatar, nil
}

// avatarLeft notes that a holder's row is about to name an avatar no more. It comes before the
// row, as one that is not noted would stay for ever; it is looked at minutes later, when the
// row has been written or never will be.
func (s *Store) avatarLeft(ctx context.Context, was, is string) error {
	if _, ok := protocol.ChosenAvatar(was); !ok || was == is {
		return nil
	}
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		rows.AvatarLeft(t, was, is, time.Now())
		return nil
	})
}

// avatarsLeft notes avatars that sessions name no more. It is part of what a commit brings to
// its places, and is done again where that was broken off.
func (s *Store) avatarsLeft(ctx context.Context, paths []string) error {
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		for _, path := range paths {
			rows.AvatarLeft(t, path, "", time.Now())
		}
		return nil
	})
}

// eraseAvatars removes all avatars of a user.
func (s *Store) eraseAvatars(ctx context.Context, user protocol.UserID) error {
	codes, err := s.AvatarsOf(ctx, user)
	if err != nil || len(codes) == 0 {
		return err
	}
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		for _, code := range codes {
			if err := rows.RemoveAvatar(t, code, time.Time{}); err != nil { // doubtful for so long that the next sweep removes it
				return err
			}
		}
		return nil
	})
}
