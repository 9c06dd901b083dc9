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

// Tables of applications.
const (
	tableApp   = 0x4c // application → appRow
	tableSpent = 0x4d // realm, hash in hex → until when it is good, 8 bytes of nanoseconds
	tableGuest = 0x4e // guest → nothing
	tableMerge = 0x4f // guest → mergeRow
)

type appRow struct {
	Version   int64             `json:"version"`
	Name      string            `json:"name"`
	Origins   []string          `json:"origins,omitempty"`
	Colours   map[string]string `json:"colours,omitempty"`
	Texts     map[string]string `json:"texts,omitempty"`
	Features  []string          `json:"features,omitempty"`
	Members   []string          `json:"members,omitempty"`
	Guests    bool              `json:"guests,omitempty"`
	PublicKey string            `json:"publicKey,omitempty"`

	Files userctr.FileLimits `json:"files,omitzero"`

	Secrets []appSecretRow `json:"secrets,omitempty"`
	By      string         `json:"by"`
	Created int64          `json:"created"`
}

type appSecretRow struct {
	ID      string `json:"id"`
	Sealed  []byte `json:"sealed"`
	Created int64  `json:"created"`
}

func rowOfApp(a *userctr.App) appRow {
	r := appRow{
		Version: a.Version, Name: a.Name, Origins: a.Origins, Colours: a.Colours, Texts: a.Texts, Features: a.Features, Members: a.Members,
		Guests: a.Guests, PublicKey: a.PublicKey, Files: a.Files, By: a.By, Created: nanos(a.Created),
	}
	for _, s := range a.Secrets {
		r.Secrets = append(r.Secrets, appSecretRow{s.ID, s.Sealed, nanos(s.Created)})
	}
	return r
}

func (r appRow) app(id string) *userctr.App {
	a := &userctr.App{
		ID: id, Version: r.Version, Name: r.Name, Origins: r.Origins, Colours: r.Colours, Texts: r.Texts, Features: r.Features, Members: r.Members,
		Guests: r.Guests, PublicKey: r.PublicKey, Files: r.Files, By: r.By, Created: fromNanos(r.Created),
	}
	for _, s := range r.Secrets {
		a.Secrets = append(a.Secrets, userctr.AppSecret{ID: s.ID, Sealed: s.Sealed, Created: fromNanos(s.Created)})
	}
	return a
}

// Apps fills userctr.AppStore.
func (s *Store) Apps(context.Context) (all []*userctr.App, err error) {
	err = s.scanPrefix([]byte{tableApp}, func(key, value []byte) error {
		var row appRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		all = append(all, row.app(string(key[1:])))
		return nil
	})
	return all, err
}

// PutApp fills userctr.AppStore.
func (s *Store) PutApp(_ context.Context, a *userctr.App) error {
	err := s.update(func(t *tx) error {
		old, err := getRow[appRow](t, rowKey(tableApp, a.ID), "application", a.ID)
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
		if old.Version != a.Version {
			return userctr.ErrChanged
		}
		row := rowOfApp(a)
		row.Version++
		return putRow(t, rowKey(tableApp, a.ID), row)
	})
	if err == nil {
		a.Version++
	}
	return err
}

// RemoveApp fills userctr.AppStore.
func (s *Store) RemoveApp(_ context.Context, id string) error {
	return s.update(func(t *tx) error {
		t.delete(rowKey(tableApp, id))
		return nil
	})
}

// Spend fills userctr.AppStore.
func (s *Store) Spend(_ context.Context, realm string, hash userctr.Hash, until time.Time) error {
	key := rowKey(tableSpent, realm, hexOf(hash))
	return s.update(func(t *tx) error {
		if _, found, err := t.get(key); err != nil || found {
			return either(err, protocol.Conflict("it was used before"))
		}
		t.put(key, binary.BigEndian.AppendUint64(nil, uint64(nanos(until))))
		return nil
	})
}

// SweepSpent fills userctr.AppStore.
func (s *Store) SweepSpent(_ context.Context, before time.Time) error {
	var gone [][]byte
	err := s.scanPrefix([]byte{tableSpent}, func(key, value []byte) error {
		if len(value) != 8 {
			return errors.New("pebblestore: a damaged row of what was used")
		}
		if int64(binary.BigEndian.Uint64(value)) < nanos(before) {
			gone = append(gone, slices.Clone(key))
		}
		return nil
	})
	for err == nil && len(gone) > 0 {
		n := min(len(gone), sweepAtOnce)
		err = s.update(func(t *tx) error {
			for _, key := range gone[:n] {
				t.delete(key)
			}
			return nil
		})
		gone = gone[n:]
	}
	return err
}

// AddGuest fills userctr.GuestStore.
func (s *Store) AddGuest(_ context.Context, u *userctr.User) error {
	row := rowOfUser(u)
	row.Version = 1
	err := s.update(func(t *tx) error {
		if _, found, err := t.get(rowKey(tableUser, u.ID)); err != nil || found {
			return either(err, protocol.Conflict("user %s exists", u.ID))
		}
		t.put(rowKey(tableGuest, u.ID), nil)
		return putUser(t, u.ID, row)
	})
	if err == nil {
		u.Version = 1
	}
	return err
}

// Guests fills userctr.GuestStore.
func (s *Store) Guests(_ context.Context, after protocol.UserID, limit int) (ids []protocol.UserID, err error) {
	err = s.scan(append(rowKey(tableGuest, after), 0), []byte{tableGuest + 1}, func(key, _ []byte) error {
		if len(ids) >= limit {
			return errEnough
		}
		ids = append(ids, string(key[1:]))
		return nil
	})
	return ids, err
}

// RemoveGuest fills userctr.GuestStore.
func (s *Store) RemoveGuest(ctx context.Context, id protocol.UserID) error {
	devices, err := s.Devices(ctx, id)
	if err != nil {
		return err
	}
	return s.update(func(t *tx) error {
		if _, found, err := t.get(rowKey(tableGuest, id)); err != nil || !found {
			return either(err, protocol.NotFound("guest %s", id))
		}
		for _, d := range devices {
			if err := t.removeDevice(id, d.Device); err != nil {
				return err
			}
		}
		if u, err := getRow[userRow](t, rowKey(tableUser, id), "user", id); err == nil {
			t.avatarLeft(u.Avatar, "")
		}
		t.delete(rowKey(tableGuest, id))
		t.delete(rowKey(tableUser, id))
		return nil
	})
}

type mergeRow struct {
	User  string `json:"user"`
	Begun int64  `json:"begun"`
	Done  int64  `json:"done,omitempty"`
}

func (r mergeRow) merge(guest protocol.UserID) *userctr.Merge {
	return &userctr.Merge{Guest: guest, User: r.User, Begun: fromNanos(r.Begun), Done: fromNanos(r.Done)}
}

// AddMerge fills userctr.MergeStore.
func (s *Store) AddMerge(_ context.Context, m *userctr.Merge) (stands *userctr.Merge, err error) {
	key := rowKey(tableMerge, m.Guest)
	err = s.update(func(t *tx) error {
		row, err := getRow[mergeRow](t, key, "merge", m.Guest)
		if err == nil {
			stands = row.merge(m.Guest)
			return nil
		}
		if !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
		stands = m
		return putRow(t, key, mergeRow{User: m.User, Begun: nanos(m.Begun), Done: nanos(m.Done)})
	})
	return stands, err
}

// MergeOf fills userctr.MergeStore.
func (s *Store) MergeOf(_ context.Context, guest protocol.UserID) (*userctr.Merge, error) {
	row, err := getRow[mergeRow](s, rowKey(tableMerge, guest), "merge", guest)
	if err != nil {
		return nil, err
	}
	return row.merge(guest), nil
}

// MergedInto fills userctr.MergeStore.
func (s *Store) MergedInto(_ context.Context, user protocol.UserID) (guests []protocol.UserID, err error) {
	err = s.scanPrefix([]byte{tableMerge}, func(key, value []byte) error {
		var row mergeRow
		err := parseRow(value, &row)
		if row.User == user {
			guests = append(guests, string(key[1:]))
		}
		return err
	})
	return guests, err
}

// DoneMerge fills userctr.MergeStore.
func (s *Store) DoneMerge(_ context.Context, guest protocol.UserID, at time.Time) error {
	return s.update(func(t *tx) error {
		row, err := getRow[mergeRow](t, rowKey(tableMerge, guest), "merge", guest)
		if err != nil || row.Done != 0 {
			return err
		}
		row.Done = nanos(at)
		return putRow(t, rowKey(tableMerge, guest), row)
	})
}

// OpenMerges fills userctr.MergeStore.
func (s *Store) OpenMerges(_ context.Context, limit int) (open []*userctr.Merge, err error) {
	err = s.scanPrefix([]byte{tableMerge}, func(key, value []byte) error {
		var row mergeRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		if row.Done == 0 {
			open = append(open, row.merge(string(key[1:])))
		}
		if len(open) >= limit {
			return errEnough
		}
		return nil
	})
	return open, err
}
