package rows

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Tables of bots. Words in a key are as rowKey makes them.
const (
	tableBotBytes    = 0x7a // plugin → bytes of its keys and values 8
	tableBotWish     = 0x7d // a card's client message id → desk.Wish
	tableBotTries    = 0x92 // plugin 0, event → desk.Tries
	tableBotDead     = 0x8b // plugin 0, event → desk.DeadLetter
	tableBotKey      = 0x8c // plugin 0, room 0, key → version 8, expires 8, value
	tableBotKeyEnds  = 0x8d // expires 8, plugin 0, room 0, key → nothing
	tableBotDue      = 0x8e // plugin 0, at 8, bot 0, session 0, id → desk.Schedule
	tableBotSchedule = 0x8f // plugin 0, bot 0, session 0, id → at 8
)

// ForgetSchedules ends those of a bot in a session.
func ForgetSchedules(in Tx, plugin string, bot protocol.UserID, session protocol.SessionID) error {
	t := &tx{in}
	return t.scanPrefix(rowKey(tableBotSchedule, plugin, bot, session, ""), func(key, at []byte) error {
		t.delete(key)
		t.delete(botDueKey(plugin, at, string(bytes.TrimPrefix(key, rowKey(tableBotSchedule, plugin, "")))))
		return nil
	})
}

// PutBotDead fills desk.Store.
func (s *Store) PutBotDead(ctx context.Context, l *desk.DeadLetter) error {
	return s.update(ctx, func(t *tx) error { return putRow(t, rowKey(tableBotDead, l.Plugin, l.Event), l) })
}

// BotDead fills desk.Store.
func (s *Store) BotDead(ctx context.Context, plugin, event string) (*desk.DeadLetter, error) {
	l, err := getRow[desk.DeadLetter](s.with(ctx), rowKey(tableBotDead, plugin, event), "dead letter", event)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// BotDeads fills desk.Store.
func (s *Store) BotDeads(ctx context.Context, plugin string, from *desk.DeadLetter, limit int) (all []*desk.DeadLetter, err error) {
	prefix := []byte{tableBotDead}
	if plugin != "" {
		prefix = rowKey(tableBotDead, plugin, "")
	}
	first := prefix
	if from != nil {
		first = append(rowKey(tableBotDead, from.Plugin, from.Event), 0)
	}
	err = s.scan(ctx, first, after(prefix), func(_, value []byte) error {
		if len(all) == limit {
			return errEnough
		}
		l := &desk.DeadLetter{}
		all = append(all, l)
		return parseRow(value, l)
	})
	return all, err
}

// DropBotDead fills desk.Store.
func (s *Store) DropBotDead(ctx context.Context, plugin, event string) error {
	return s.update(ctx, func(t *tx) error { t.delete(rowKey(tableBotDead, plugin, event)); return nil })
}

// PutBotWish fills desk.Store.
func (s *Store) PutBotWish(ctx context.Context, card string, w *desk.Wish) error {
	return s.update(ctx, func(t *tx) error { return putRow(t, rowKey(tableBotWish, card), w) })
}

// BotWish fills desk.Store.
func (s *Store) BotWish(ctx context.Context, card string) (*desk.Wish, error) {
	w, err := getRow[desk.Wish](s.with(ctx), rowKey(tableBotWish, card), "wish", card)
	if err != nil {
		return nil, err
	}
	return &w, nil
}

// SweepBotWishes fills desk.Store.
func (s *Store) SweepBotWishes(ctx context.Context, now time.Time, limit int) (int, error) {
	var over [][]byte
	err := s.scan(ctx, []byte{tableBotWish}, after([]byte{tableBotWish}), func(key, value []byte) error {
		var w desk.Wish
		if len(over) == limit {
			return errEnough
		}
		if err := parseRow(value, &w); err != nil {
			return err
		}
		if w.Expires <= now.UnixMilli() {
			over = append(over, bytes.Clone(key))
		}
		return nil
	})
	if err != nil || len(over) == 0 {
		return 0, err
	}
	return len(over), s.update(ctx, func(t *tx) error {
		for _, key := range over {
			t.delete(key)
		}
		return nil
	})
}

// PutBotTries fills desk.Store.
func (s *Store) PutBotTries(ctx context.Context, plugin string, all []desk.Tries) error {
	return s.update(ctx, func(t *tx) error {
		for _, n := range all {
			key := rowKey(tableBotTries, plugin, n.Event)
			if n.Attempt == 0 {
				t.delete(key)
			} else if err := putRow(t, key, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// BotTries fills desk.Store.
func (s *Store) BotTries(ctx context.Context, plugin string) (all []desk.Tries, err error) {
	prefix := rowKey(tableBotTries, plugin, "")
	err = s.scan(ctx, prefix, after(prefix), func(_, value []byte) error {
		var n desk.Tries
		if err := parseRow(value, &n); err != nil {
			return err
		}
		all = append(all, n)
		return nil
	})
	return all, err
}

// botDueKey makes the key of a schedule that is due at, 8 bytes; words are bot, session and id with zero bytes between.
func botDueKey(plugin string, at []byte, words string) []byte {
	return append(append(rowKey(tableBotDue, plugin, ""), at...), words...)
}

func scheduleWords(r *desk.Schedule) string {
	return strings.Join([]string{r.Bot, r.Session, r.ID}, "\x00")
}

// PutBotSchedule fills desk.Store.
func (s *Store) PutBotSchedule(ctx context.Context, r *desk.Schedule, bound int) error {
	return s.update(ctx, func(t *tx) error {
		words := scheduleWords(r)
		key := rowKey(tableBotSchedule, r.Plugin, words)
		at, found, err := t.get(key)
		if err != nil {
			return err
		}
		if found {
			t.delete(botDueKey(r.Plugin, at, words))
		} else {
			n := 0
			err := t.scanPrefix(rowKey(tableBotSchedule, r.Plugin, ""), func(_, _ []byte) error { n++; return nil })
			if err != nil {
				return err
			}
			if n >= bound {
				return protocol.Errorf(protocol.Code_TOO_MANY, "%d schedules of a plugin at most", bound)
			}
		}
		t.put(key, number(r.At))
		return putRow(t, botDueKey(r.Plugin, number(r.At), words), r)
	})
}

// DropBotSchedule fills desk.Store.
func (s *Store) DropBotSchedule(ctx context.Context, r *desk.Schedule, at int64) error {
	return s.update(ctx, func(t *tx) error {
		words := scheduleWords(r)
		key := rowKey(tableBotSchedule, r.Plugin, words)
		is, found, err := t.get(key)
		if err != nil {
			return err
		}
		if !found || at != 0 && !bytes.Equal(is, number(at)) {
			return protocol.NotFound("schedule %.64q", r.ID)
		}
		t.delete(key)
		t.delete(botDueKey(r.Plugin, is, words))
		return nil
	})
}

// DueBotSchedules fills desk.Store.
func (s *Store) DueBotSchedules(ctx context.Context, plugin string, now time.Time, limit int) (due []*desk.Schedule, next int64, err error) {
	err = s.scanPrefix(ctx, rowKey(tableBotDue, plugin, ""), func(key, value []byte) error {
		r := &desk.Schedule{}
		if err := parseRow(value, r); err != nil {
			return bad(key, err)
		}
		if r.At > now.UnixMilli() || len(due) == limit {
			next = r.At
			return errEnough
		}
		due = append(due, r)
		return nil
	})
	return due, next, err
}

// LateBotSchedules fills desk.Store.
func (s *Store) LateBotSchedules(ctx context.Context, now time.Time, limit int) (late []*desk.Schedule, err error) {
	end := after([]byte{tableBotDue})
	for from := []byte{tableBotDue}; from != nil && len(late) < limit; {
		first := from
		from = nil
		err := s.scan(ctx, first, end, func(key, value []byte) error {
			r := &desk.Schedule{}
			if err := parseRow(value, r); err != nil {
				return bad(key, err)
			}
			if len(late) == limit {
				return errEnough
			}
			if r.At > now.UnixMilli() { // and so is all that follows of its plugin
				from = after(rowKey(tableBotDue, r.Plugin, ""))
				return errEnough
			}
			if r.Until != 0 && r.Until < now.UnixMilli() {
				late = append(late, r)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return late, nil
}
