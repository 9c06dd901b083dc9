package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// AddLogin fills userctr.Store.
func (s *Store) AddLogin(_ context.Context, l *userctr.Login, first *userctr.Refresh, d *userctr.DeviceRow) error {
	return s.update(func(t *tx) error {
		if _, found, err := t.get(rowKey(tableLogin, l.ID)); err != nil || found {
			return either(err, protocol.Conflict("login %s exists", l.ID))
		}
		device := rowOfDevice(d)
		key := rowKey(tableDevice, d.User, d.Device)
		switch old, err := getRow[deviceRow](t, key, "device", d.Device); {
		case err == nil:
			device.Created = old.Created
		case !protocol.Code_NOT_FOUND.Is(err):
			return err
		}
		t.put(rowKey(tableLogins, l.User, l.ID), nil)
		return errors.Join(
			putRow(t, key, device),
			putRow(t, rowKey(tableLogin, l.ID), rowOfLogin(l)),
			putRow(t, rowKey(tableRefresh, l.ID, hexOf(first.Hash)), rowOfRefresh(first)),
		)
	})
}

// Login fills userctr.Store.
func (s *Store) Login(_ context.Context, id string) (*userctr.Login, error) {
	row, err := getRow[loginRow](s, rowKey(tableLogin, id), "login", id)
	if err != nil {
		return nil, err
	}
	return row.login(id), nil
}

// Logins fills userctr.Store.
func (s *Store) Logins(ctx context.Context, user protocol.UserID) (logins []*userctr.Login, err error) {
	prefix := rowKey(tableLogins, user, "")
	var ids []string
	err = s.scanPrefix(prefix, func(key, _ []byte) error {
		ids = append(ids, string(key[len(prefix):]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		l, err := s.Login(ctx, id)
		if protocol.Code_NOT_FOUND.Is(err) || err == nil && !l.Revoked.IsZero() {
			continue // ended between the two reads
		}
		if err != nil {
			return nil, err
		}
		logins = append(logins, l)
	}
	slices.SortStableFunc(logins, func(a, b *userctr.Login) int { return a.Created.Compare(b.Created) })
	return logins, nil
}

// RevokeLogin fills userctr.Store.
func (s *Store) RevokeLogin(_ context.Context, id string, at time.Time) error {
	return s.update(func(t *tx) error {
		row, err := getRow[loginRow](t, rowKey(tableLogin, id), "login", id)
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil
		}
		if err != nil || row.Revoked != 0 {
			return err
		}
		row.Revoked = nanos(at)
		t.delete(rowKey(tableLogins, row.User, id))
		t.put(rowKey(tableRevoked, id), binary.BigEndian.AppendUint64(nil, uint64(row.Revoked)))
		return putRow(t, rowKey(tableLogin, id), row)
	})
}

// RevokedSince fills userctr.Store.
func (s *Store) RevokedSince(_ context.Context, since time.Time) (map[string]time.Time, error) {
	ended := map[string]time.Time{}
	err := s.scanPrefix([]byte{tableRevoked}, func(key, value []byte) error {
		if len(value) != 8 {
			return errors.New("pebblestore: a damaged row of revoked logins")
		}
		if at := fromNanos(int64(binary.BigEndian.Uint64(value))); !at.Before(since) {
			ended[string(key[1:])] = at
		}
		return nil
	})
	return ended, err
}

// Refresh fills userctr.Store.
func (s *Store) Refresh(_ context.Context, login string, hash userctr.Hash) (token, child *userctr.Refresh, err error) {
	if token, err = refreshOf(s, login, hash); err != nil {
		return nil, nil, err
	}
	child, err = childOf(s, login, hash)
	return token, child, err
}

func refreshOf(from reader, login string, hash userctr.Hash) (*userctr.Refresh, error) {
	row, err := getRow[refreshRow](from, rowKey(tableRefresh, login, hexOf(hash)), "a refresh token of login", login)
	if err != nil {
		return nil, err
	}
	return row.refresh(login, hash)
}

// childOf gives the token that followed, nil: none did.
func childOf(from reader, login string, parent userctr.Hash) (*userctr.Refresh, error) {
	text, found, err := from.get(rowKey(tableChild, login, hexOf(parent)))
	if err != nil || !found {
		return nil, err
	}
	hash, err := hashOf(string(text))
	if err != nil {
		return nil, err
	}
	return refreshOf(from, login, hash)
}

// AddRefresh fills userctr.Store.
func (s *Store) AddRefresh(_ context.Context, child *userctr.Refresh) (stands *userctr.Refresh, err error) {
	err = s.update(func(t *tx) error {
		if _, err := refreshOf(t, child.Login, child.Parent); err != nil {
			return err
		}
		if stands, err = childOf(t, child.Login, child.Parent); err != nil || stands != nil {
			return err
		}
		stands = child
		t.put(rowKey(tableChild, child.Login, hexOf(child.Parent)), []byte(hexOf(child.Hash)))
		return putRow(t, rowKey(tableRefresh, child.Login, hexOf(child.Hash)), rowOfRefresh(child))
	})
	if err != nil {
		return nil, err
	}
	return stands, nil
}

// sweepAtOnce is in rows: what a sweep removes while nothing else is written.
const sweepAtOnce = 1000

// Sweep fills userctr.Store. It looks first and removes then: what has ended does
// not come back.
func (s *Store) Sweep(ctx context.Context, ended, spent time.Time) error {
	var gone [][]byte
	flush := func(atLeast int) error {
		if len(gone) < atLeast {
			return ctx.Err()
		}
		err := s.update(func(t *tx) error {
			for _, key := range gone {
				t.delete(key)
			}
			return nil
		})
		gone = gone[:0]
		return either(err, ctx.Err())
	}
	err := s.scanPrefix([]byte{tableLogin}, func(key, value []byte) error {
		id := string(key[1:])
		var l loginRow
		if err := parseRow(value, &l); err != nil {
			return err
		}
		if l.Expires < nanos(ended) || l.Revoked != 0 && l.Revoked < nanos(ended) {
			for _, table := range []byte{tableRefresh, tableChild} {
				if err := s.scanPrefix(rowKey(table, id, ""), func(key, _ []byte) error {
					gone = append(gone, slices.Clone(key))
					return nil
				}); err != nil {
					return err
				}
			}
			gone = append(gone, rowKey(tableLogins, l.User, id), rowKey(tableRevoked, id), slices.Clone(key))
			return flush(sweepAtOnce)
		}
		rows, err := s.spentRows(id, spent)
		gone = append(gone, rows...)
		return either(err, flush(sweepAtOnce))
	})
	if err != nil {
		return err
	}
	err = s.scanPrefix([]byte{tableInvite}, func(key, value []byte) error {
		var i inviteRow
		if err := parseRow(value, &i); err != nil {
			return err
		}
		if i.Expires != 0 && i.Expires < nanos(ended) {
			gone = append(gone, slices.Clone(key))
		}
		return flush(sweepAtOnce)
	})
	return either(err, flush(1))
}

// spentRows gives the keys of a login's tokens whose children are older than spent.
// A child that was swept itself is older still.
func (s *Store) spentRows(login string, spent time.Time) (keys [][]byte, err error) {
	prefix := rowKey(tableChild, login, "")
	err = s.scanPrefix(prefix, func(key, value []byte) error {
		parent := string(key[len(prefix):])
		child, err := getRow[refreshRow](s, rowKey(tableRefresh, login, string(value)), "token", "")
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
		if err != nil || child.Issued < nanos(spent) {
			keys = append(keys, rowKey(tableRefresh, login, parent), slices.Clone(key))
		}
		return nil
	})
	return keys, err
}
