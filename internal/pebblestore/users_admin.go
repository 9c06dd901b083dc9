package pebblestore

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// EachUser fills userctr.AdminStore.
func (s *Store) EachUser(ctx context.Context, behind protocol.UserID, each func(u *userctr.User) bool) error {
	from := rowKey(tableUser, behind)
	if behind != "" {
		from = append(from, 0) // the next key there can be
	}
	return s.scan(from, after([]byte{tableUser}), func(key, value []byte) error {
		var row userRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !each(row.user(string(key[1:]))) {
			return errEnough
		}
		return nil
	})
}
