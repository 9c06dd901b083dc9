package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// botKeyRow is what a row of tableBotKey holds.
type botKeyRow struct {
	version, expires int64
	value            []byte
}

func parseBotKeyRow(row []byte) (k botKeyRow, err error) {
	if len(row) < 16 {
		return k, errShort
	}
	k.version, k.expires = int64(binary.BigEndian.Uint64(row)), int64(binary.BigEndian.Uint64(row[8:]))
	k.value = row[16:]
	return k, nil
}

func (k botKeyRow) over(now time.Time) bool { return k.expires != 0 && k.expires <= now.UnixMilli() }

func (k botKeyRow) item(key string) desk.KeyItem {
	return desk.KeyItem{Key: key, Value: slices.Clone(k.value), Version: k.version, Expires: k.expires}
}

func botKey(at desk.KeyAt) []byte { return rowKey(tableBotKey, at.Plugin, at.Room, at.Key) }

// keyEnds is the row that says when a key's time is over.
func keyEnds(expires int64, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tableBotKeyEnds}, uint64(expires)), key[1:]...)
}

// BotKey fills desk.Store.
func (s *Store) BotKey(ctx context.Context, at desk.KeyAt, now time.Time) (desk.KeyItem, error) {
	key := botKey(at)
	row, found, err := s.get(ctx, key)
	if err != nil || !found {
		return desk.KeyItem{Key: at.Key}, err
	}
	k, err := parseBotKeyRow(row)
	switch {
	case err != nil:
		return desk.KeyItem{}, bad(key, err)
	case k.over(now):
		return desk.KeyItem{Key: at.Key}, nil
	}
	return k.item(at.Key), nil
}

// SetBotKey fills desk.Store. A version is the number of the change that wrote it, so it
// is never given twice.
func (s *Store) SetBotKey(ctx context.Context, at desk.KeyAt, w desk.KeyWrite, bound int64, now time.Time) (item desk.KeyItem, err error) {
	err = s.update(ctx, func(t *tx) error {
		item = desk.KeyItem{Key: at.Key}
		key := botKey(at)
		row, found, err := t.get(key)
		if err != nil {
			return err
		}
		var was botKeyRow
		if found {
			if was, err = parseBotKeyRow(row); err != nil {
				return bad(key, err)
			}
		}
		version := was.version
		if was.over(now) {
			version = 0
		}
		if w.If != nil && *w.If != version {
			return protocol.Conflict("the key is at version %d", version)
		}
		total, err := getNumber(t, rowKey(tableBotBytes, at.Plugin))
		if err != nil {
			return err
		}
		if found {
			total -= int64(len(at.Key) + len(was.value))
			if was.expires != 0 {
				t.delete(keyEnds(was.expires, key))
			}
		}
		if w.Remove {
			if !found {
				return nil
			}
			t.delete(key)
		} else {
			total += int64(len(at.Key) + len(w.Value))
			if total > bound {
				return protocol.Errorf(protocol.Code_QUOTA, "a plugin's keys and values have %d bytes at most", bound)
			}
			item.Value, item.Version, item.Expires = w.Value, t.Number(), w.Expires
			row := binary.BigEndian.AppendUint64(number(item.Version), uint64(w.Expires))
			t.put(key, append(row, w.Value...))
			if w.Expires != 0 {
				t.put(keyEnds(w.Expires, key), nil)
			}
		}
		t.put(rowKey(tableBotBytes, at.Plugin), number(total))
		return nil
	})
	return item, err
}

// BotKeys fills desk.Store.
func (s *Store) BotKeys(ctx context.Context, at desk.KeyAt, from string, limit int, now time.Time) (all []desk.KeyItem, err error) {
	room := rowKey(tableBotKey, at.Plugin, at.Room, "")
	prefix := append(slices.Clone(room), at.Key...)
	first := prefix
	if from != "" && from >= at.Key {
		first = append(append(slices.Clone(room), from...), 0)
	}
	err = s.scan(ctx, first, after(prefix), func(key, row []byte) error {
		k, err := parseBotKeyRow(row)
		switch {
		case err != nil:
			return bad(key, err)
		case k.over(now):
			return nil
		case len(all) == limit:
			return errEnough
		}
		all = append(all, k.item(string(key[len(room):])))
		return nil
	})
	return all, err
}

// SweepBotKeys fills desk.Store.
func (s *Store) SweepBotKeys(ctx context.Context, now time.Time, limit int) (n int, err error) {
	over := func(scan func(prefix []byte, each func(key, value []byte) error) error, each func(ends []byte) error) error {
		n = 0
		return scan([]byte{tableBotKeyEnds}, func(ends, _ []byte) error {
			if n == limit || len(ends) < 9 || int64(binary.BigEndian.Uint64(ends[1:])) > now.UnixMilli() {
				return errEnough
			}
			n++
			return each(ends)
		})
	}
	look := func(prefix []byte, each func(key, value []byte) error) error { return s.scanPrefix(ctx, prefix, each) }
	if err := over(look, func([]byte) error { return errEnough }); err != nil || n == 0 {
		return 0, err
	}
	err = s.update(ctx, func(t *tx) error { return over(t.scanPrefix, t.endKey) })
	return n, err
}

// endKey removes a key and the row that says when its time was over.
func (t *tx) endKey(ends []byte) error {
	key := append([]byte{tableBotKey}, ends[9:]...)
	row, found, err := t.get(key)
	if err != nil {
		return err
	}
	t.delete(ends)
	if !found {
		return nil
	}
	k, err := parseBotKeyRow(row)
	if err != nil {
		return bad(key, err)
	}
	words := bytes.SplitN(key[1:], []byte{0}, 3)
	if len(words) != 3 {
		return bad(key, errShort)
	}
	plugin, name := string(words[0]), words[2]
	total, err := getNumber(t, rowKey(tableBotBytes, plugin))
	if err != nil {
		return err
	}
	t.put(rowKey(tableBotBytes, plugin), number(total-int64(len(name)+len(k.value))))
	t.delete(key)
	return nil
}
