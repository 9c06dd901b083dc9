package pebblestore

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Users fills userctr.ProfileStore.
func (s *Store) Users(ctx context.Context, ids []protocol.UserID) ([]*userctr.User, error) {
	users := make([]*userctr.User, 0, len(ids))
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		u, err := s.User(ctx, id)
		if protocol.Code_NOT_FOUND.Is(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}
