package pebblestore

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

const tableKey = 0x4b // key → keyRow

type keyRow struct {
	Hash     []byte   `json:"hash"`
	User     string   `json:"user"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	By       string   `json:"by"`
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires,omitempty"`
	Revoked  int64    `json:"revoked,omitempty"`
	LastUsed int64    `json:"lastUsed,omitempty"`
}

func (r keyRow) key(id string) *userctr.Key {
	k := &userctr.Key{
		ID: id, User: r.User, Name: r.Name, Scopes: r.Scopes, By: r.By, Created: fromNanos(r.Created), Expires: fromNanos(r.Expires),
		Revoked: fromNanos(r.Revoked), LastUsed: fromNanos(r.LastUsed),
	}
	copy(k.Hash[:], r.Hash)
	return k
}

// AddKey fills userctr.KeyStore.
func (s *Store) AddKey(_ context.Context, k *userctr.Key, u *userctr.User) error {
	user := rowOfUser(u)
	user.Version = 1
	row := keyRow{
		Hash: k.Hash[:], User: k.User, Name: k.Name, Scopes: k.Scopes, By: k.By, Created: nanos(k.Created), Expires: nanos(k.Expires),
		Revoked: nanos(k.Revoked), LastUsed: nanos(k.LastUsed),
	}
	return s.update(func(t *tx) error {
		for _, key := range [][]byte{rowKey(tableKey, k.ID), rowKey(tableUser, u.ID)} {
			if _, found, err := t.get(key); err != nil || found {
				return either(err, protocol.Conflict("key %s or its user exists", k.ID))
			}
		}
		if err := putUser(t, u.ID, user); err != nil {
			return err
		}
		return putRow(t, rowKey(tableKey, k.ID), row)
	})
}

// Key fills userctr.KeyStore.
func (s *Store) Key(_ context.Context, id string) (*userctr.Key, error) {
	row, err := getRow[keyRow](s, rowKey(tableKey, id), "key", id)
	if err != nil {
		return nil, err
	}
	return row.key(id), nil
}

// Keys fills userctr.KeyStore.
func (s *Store) Keys(_ context.Context, after string, limit int) (keys []*userctr.Key, err error) {
	err = s.scan(append(rowKey(tableKey, after), 0), []byte{tableKey + 1}, func(key, value []byte) error {
		if len(keys) >= limit {
			return errEnough
		}
		var row keyRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		keys = append(keys, row.key(string(key[1:])))
		return nil
	})
	return keys, err
}

// RevokeKey fills userctr.KeyStore.
func (s *Store) RevokeKey(_ context.Context, id string, at time.Time) error {
	return s.update(func(t *tx) error {
		row, err := getRow[keyRow](t, rowKey(tableKey, id), "key", id)
		if err != nil || row.Revoked != 0 {
			return err
		}
		row.Revoked = nanos(at)
		return putRow(t, rowKey(tableKey, id), row)
	})
}

// UsedKey fills userctr.KeyStore.
func (s *Store) UsedKey(_ context.Context, id string, at time.Time) error {
	return s.update(func(t *tx) error {
		row, err := getRow[keyRow](t, rowKey(tableKey, id), "key", id)
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil
		}
		if err != nil || row.LastUsed >= nanos(at) {
			return err
		}
		row.LastUsed = nanos(at)
		return putRow(t, rowKey(tableKey, id), row)
	})
}
