package pebblestore

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

var _ userctr.Store = (*Store)(nil)

// AddUser fills userctr.Store.
func (s *Store) AddUser(_ context.Context, u *userctr.User, invite string) error {
	row := rowOfUser(u)
	row.Version = 1
	err := s.update(func(t *tx) error {
		if _, found, err := t.get(rowKey(tableUser, u.ID)); err != nil || found {
			return either(err, protocol.Conflict("user %s exists", u.ID))
		}
		if u.Folded != "" {
			if _, found, err := t.get(rowKey(tableName, u.Folded)); err != nil || found {
				return either(err, protocol.Conflict("the name is taken"))
			}
			t.put(rowKey(tableName, u.Folded), []byte(u.ID))
		}
		if invite != "" {
			i, err := getRow[inviteRow](t, rowKey(tableInvite, invite), "invitation", invite)
			if err != nil {
				return err
			}
			if i.Used >= i.Uses {
				return userctr.ErrSpent
			}
			i.Used++
			if err := putRow(t, rowKey(tableInvite, invite), i); err != nil {
				return err
			}
		}
		putTerms(t, u.ID, nil, row)
		return writeRow(t, rowKey(tableUser, u.ID), row)
	})
	if err == nil {
		u.Version = 1
	}
	return err
}

// either is err, or no when there is none.
func either(err, no error) error {
	if err != nil {
		return err
	}
	return no
}

// User fills userctr.Store.
func (s *Store) User(_ context.Context, id protocol.UserID) (*userctr.User, error) {
	row, err := getRow[userRow](s, rowKey(tableUser, id), "user", id)
	if err != nil {
		return nil, err
	}
	return row.user(id), nil
}

// UserByName fills userctr.Store.
func (s *Store) UserByName(ctx context.Context, folded string) (*userctr.User, error) {
	id, found, err := s.get(rowKey(tableName, folded))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, protocol.NotFound("no user has this name")
	}
	return s.User(ctx, string(id))
}

// UpdateUser fills userctr.Store.
func (s *Store) UpdateUser(_ context.Context, u *userctr.User) error {
	err := s.update(func(t *tx) error {
		old, err := getRow[userRow](t, rowKey(tableUser, u.ID), "user", u.ID)
		if err != nil {
			return err
		}
		if old.Version != u.Version {
			return userctr.ErrChanged
		}
		row := rowOfUser(u)
		row.Version++
		row.Name, row.Folded, row.Created = old.Name, old.Folded, old.Created
		return putUser(t, u.ID, row)
	})
	if err == nil {
		u.Version++
	}
	return err
}

// Missing fills userctr.Store.
func (s *Store) Missing(_ context.Context, ids []protocol.UserID) (missing []protocol.UserID, err error) {
	for _, id := range ids {
		_, found, err := s.get(rowKey(tableUser, id))
		if err != nil {
			return nil, err
		}
		if !found {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// AddInvite fills userctr.Store.
func (s *Store) AddInvite(_ context.Context, i *userctr.Invite) error {
	key := rowKey(tableInvite, i.ID)
	return s.update(func(t *tx) error {
		if _, found, err := t.get(key); err != nil || found {
			return either(err, protocol.Conflict("invitation %s exists", i.ID))
		}
		return putRow(t, key, rowOfInvite(i))
	})
}

// Invite fills userctr.Store.
func (s *Store) Invite(_ context.Context, id string) (*userctr.Invite, error) {
	row, err := getRow[inviteRow](s, rowKey(tableInvite, id), "invitation", id)
	if err != nil {
		return nil, err
	}
	return row.invite(id), nil
}

// Devices fills userctr.Store.
func (s *Store) Devices(_ context.Context, user protocol.UserID) (devices []*userctr.DeviceRow, err error) {
	prefix := rowKey(tableDevice, user, "")
	err = s.scanPrefix(prefix, func(key, value []byte) error {
		var row deviceRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		devices = append(devices, row.device(user, string(key[len(prefix):])))
		return nil
	})
	slices.SortStableFunc(devices, func(a, b *userctr.DeviceRow) int { return b.LastSeen.Compare(a.LastSeen) })
	return devices, err
}

// SeenDevice fills userctr.Store.
func (s *Store) SeenDevice(_ context.Context, user protocol.UserID, device string, at time.Time) error {
	key := rowKey(tableDevice, user, device)
	return s.update(func(t *tx) error {
		row, err := getRow[deviceRow](t, key, "device", device)
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil
		}
		if err != nil || row.LastSeen >= nanos(at) {
			return err
		}
		row.LastSeen = nanos(at)
		return putRow(t, key, row)
	})
}

// RemoveDevice fills userctr.Store.
func (s *Store) RemoveDevice(_ context.Context, user protocol.UserID, device string) error {
	return s.update(func(t *tx) error {
		return t.removeDevice(user, device)
	})
}
