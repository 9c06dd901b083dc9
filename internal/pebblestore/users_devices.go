package pebblestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Tables of how devices are woken.
const (
	tablePush   = 0x50 // user, device → pushRow
	tablePushed = 0x51 // hash of kind and token in hex → user, a zero byte, device
)

type pushRow struct {
	Kind    string `json:"kind"`
	Token   string `json:"token"`
	App     string `json:"app,omitempty"`
	Created int64  `json:"created"`
}

// pushed is the row that says whose a push service's token is.
func (r pushRow) pushed() []byte {
	return rowKey(tablePushed, hexOf(sha256.Sum256([]byte(r.Kind+"\x00"+r.Token))))
}

// SeeDevices fills userctr.DeviceStore.
func (s *Store) SeeDevices(ctx context.Context, devices []*userctr.DeviceRow, most int) error {
	for len(devices) > 0 {
		n := distinct(devices)
		if err := s.update(func(t *tx) error { return t.seeDevices(ctx, devices[:n], most) }); err != nil {
			return err
		}
		devices = devices[n:]
	}
	return nil
}

// distinct is how many of the first devices belong to different users: a change does
// not see the rows of the same user that it wrote itself when it counts them.
func distinct(devices []*userctr.DeviceRow) int {
	seen := make(map[protocol.UserID]bool, len(devices))
	for i, d := range devices {
		if seen[d.User] {
			return i
		}
		seen[d.User] = true
	}
	return len(devices)
}

// seeDevices writes the rows of devices of different users. One iterator reads what there
// is of all of them: opening one costs more than what is read by it.
func (t *tx) seeDevices(ctx context.Context, devices []*userctr.DeviceRow, most int) (err error) {
	it, err := t.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableDevice}, UpperBound: []byte{tableDevice + 1}})
	if err != nil {
		return fmt.Errorf("pebblestore: %s: %w", t.s.dir, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, d := range devices {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.seeDevice(ctx, it, d, most); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) seeDevice(ctx context.Context, it *pebble.Iterator, d *userctr.DeviceRow, most int) error {
	prefix, key, row := rowKey(tableDevice, d.User, ""), rowKey(tableDevice, d.User, d.Device), rowOfDevice(d)
	n, known := 0, false
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		if n++; !bytes.Equal(it.Key(), key) {
			continue
		}
		text, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("pebblestore: %s: %w", t.s.dir, err)
		}
		var old deviceRow
		if err := parseRow(text, &old); err != nil {
			return t.s.bad(key, err)
		}
		row.Created, row.Name, known = old.Created, old.Name, true
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", t.s.dir, err)
	}
	if !known && n >= most {
		devices, err := t.s.Devices(ctx, d.User)
		if err != nil {
			return err
		}
		for _, d := range devices[min(most-1, len(devices)):] {
			if err := t.removeDevice(d.User, d.Device); err != nil {
				return err
			}
		}
	}
	return writeRow(t, key, row)
}

// removeDevice ends a device's row, and how it is woken.
func (t *tx) removeDevice(user protocol.UserID, device string) error {
	t.delete(rowKey(tableDevice, user, device))
	return t.removePush(user, device)
}

func (t *tx) removePush(user protocol.UserID, device string) error {
	key := rowKey(tablePush, user, device)
	row, err := getRow[pushRow](t, key, "push", device)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil
	}
	if err != nil {
		return err
	}
	t.delete(key)
	t.delete(row.pushed())
	return nil
}

// PutPush fills userctr.DeviceStore.
func (s *Store) PutPush(_ context.Context, p *userctr.Push) error {
	return s.update(func(t *tx) error {
		if _, found, err := t.get(rowKey(tableDevice, p.User, p.Device)); err != nil || !found {
			return either(err, protocol.NotFound("device %s", p.Device))
		}
		row := pushRow{Kind: p.Kind, Token: p.Token, App: p.App, Created: nanos(p.Created)}
		whose, found, err := t.get(row.pushed())
		if err != nil {
			return err
		}
		if user, device, _ := strings.Cut(string(whose), "\x00"); found {
			if err := t.removePush(user, device); err != nil {
				return err
			}
		}
		if err := t.removePush(p.User, p.Device); err != nil {
			return err
		}
		t.put(row.pushed(), []byte(p.User+"\x00"+p.Device))
		return putRow(t, rowKey(tablePush, p.User, p.Device), row)
	})
}

// RemovePush fills userctr.DeviceStore.
func (s *Store) RemovePush(_ context.Context, user protocol.UserID, device string) error {
	return s.update(func(t *tx) error { return t.removePush(user, device) })
}

// Pushes fills userctr.DeviceStore.
func (s *Store) Pushes(_ context.Context, user protocol.UserID) (all []*userctr.Push, err error) {
	prefix := rowKey(tablePush, user, "")
	err = s.scanPrefix(prefix, func(key, value []byte) error {
		var row pushRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		all = append(all, &userctr.Push{
			User: user, Device: string(key[len(prefix):]), Kind: row.Kind, Token: row.Token, App: row.App, Created: fromNanos(row.Created),
		})
		return nil
	})
	return all, err
}
