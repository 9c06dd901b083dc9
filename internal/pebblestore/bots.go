package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Tables of bots. Words in a key are as rowKey makes them; a session in one is the bit
// of its table byte and the bytes of its id, as in home rows.
const (
	tableBotBytes    = 0x7a // plugin → bytes of its keys and values 8
	tableBotWish     = 0x7d // message → desk.Wish
	tableBotCursor   = 0x89 // bot 0, session → seq 8, what is done behind it: seq 8 each
	tableBotState    = 0x8a // bot 0, session → desk.State
	tableBotDead     = 0x8b // plugin 0, event → desk.DeadLetter
	tableBotKey      = 0x8c // plugin 0, room 0, key → version 8, expires 8, value
	tableBotKeyEnds  = 0x8d // expires 8, plugin 0, room 0, key → nothing
	tableBotDue      = 0x8e // plugin 0, at 8, bot 0, session 0, id → desk.Schedule
	tableBotSchedule = 0x8f // plugin 0, bot 0, session 0, id → at 8
)

var _ desk.Store = (*Store)(nil)

// botIn makes the key of a bot's row of a session.
func botIn(table byte, bot protocol.UserID, k sessionKey) []byte {
	return append(append(rowKey(table, bot, ""), k.bit), k.id[:]...)
}

// BotCursor fills desk.Store.
func (s *Store) BotCursor(_ context.Context, bot protocol.UserID, session protocol.SessionID) (*desk.Cursor, error) {
	k, ok := parseSession(session)
	if !ok {
		return nil, protocol.NotFound("session %s", session)
	}
	key := botIn(tableBotCursor, bot, k)
	row, found, err := s.get(key)
	if err != nil || !found {
		return nil, err
	}
	c, err := parseCursor(row)
	if err != nil {
		return nil, s.bad(key, err)
	}
	c.Bot, c.Session = bot, session
	return c, nil
}

func parseCursor(row []byte) (*desk.Cursor, error) {
	if len(row) < 8 || len(row)%8 != 0 {
		return nil, errShort
	}
	c := &desk.Cursor{Seq: int64(binary.BigEndian.Uint64(row))}
	for row = row[8:]; len(row) > 0; row = row[8:] {
		c.Ahead = append(c.Ahead, int64(binary.BigEndian.Uint64(row)))
	}
	return c, nil
}

// PutBotCursors fills desk.Store.
func (s *Store) PutBotCursors(_ context.Context, all []*desk.Cursor) error {
	return s.update(func(t *tx) error {
		for _, c := range all {
			k, ok := parseSession(c.Session)
			if !ok {
				return protocol.NotFound("session %s", c.Session)
			}
			row := number(c.Seq)
			for _, seq := range c.Ahead {
				row = binary.BigEndian.AppendUint64(row, uint64(seq))
			}
			t.write(botIn(tableBotCursor, c.Bot, k), row)
		}
		return nil
	})
}

// BotsBehind fills desk.Store.
func (s *Store) BotsBehind(ctx context.Context, bot protocol.UserID, after protocol.SessionID, limit int) (all []desk.Behind, next protocol.SessionID, err error) {
	homes := homeOf(bot)
	from, to := homes, afterPrefix(homes)
	if after != "" {
		k, ok := parseSession(after)
		if !ok {
			return nil, "", protocol.NotFound("session %s", after)
		}
		from = append(k.home(bot), 0)
	}
	v := s.now()
	err = s.scan(from, to, func(key, _ []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := sessionOf(key[len(homes):])
		h, found, err := v.head(k)
		if err != nil || !found {
			return err
		}
		b := desk.Behind{Session: k.String(), Head: h.last, New: true}
		found, err = v.row(botIn(tableBotCursor, bot, k), func(row []byte) error {
			c, err := parseCursor(row)
			if err == nil {
				b.Seq, b.New = c.Seq, false
			}
			return err
		})
		if err != nil || found && b.Seq >= b.Head {
			return err
		}
		if len(all) == limit {
			next = all[limit-1].Session
			return errEnough
		}
		all = append(all, b)
		return nil
	})
	return all, next, err
}

// afterPrefix is after, under a name that no argument hides.
func afterPrefix(prefix []byte) []byte { return after(prefix) }

// ForgetBot fills desk.Store.
func (s *Store) ForgetBot(_ context.Context, bot protocol.UserID, plugin string, session protocol.SessionID) error {
	k, ok := parseSession(session)
	if !ok {
		return protocol.NotFound("session %s", session)
	}
	return s.update(func(t *tx) error {
		t.delete(botIn(tableBotCursor, bot, k))
		t.delete(botIn(tableBotState, bot, k))
		prefix := rowKey(tableBotSchedule, plugin, bot, session, "")
		return t.scanPrefix(prefix, func(key, at []byte) error {
			t.delete(slices.Clone(key))
			t.delete(botDueKey(plugin, at, string(bytes.TrimPrefix(key, rowKey(tableBotSchedule, plugin, "")))))
			return nil
		})
	})
}

// BotState fills desk.Store.
func (s *Store) BotState(_ context.Context, bot protocol.UserID, session protocol.SessionID) (desk.State, error) {
	k, ok := parseSession(session)
	if !ok {
		return desk.State{}, nil
	}
	state, err := getRow[desk.State](s, botIn(tableBotState, bot, k), "state of", bot)
	if protocol.Code_NOT_FOUND.Is(err) {
		err = nil
	}
	return state, err
}

// PutBotState fills desk.Store.
func (s *Store) PutBotState(_ context.Context, bot protocol.UserID, session protocol.SessionID, state desk.State) error {
	k, ok := parseSession(session)
	if !ok {
		return protocol.NotFound("session %s", session)
	}
	return s.update(func(t *tx) error {
		if state == (desk.State{}) {
			t.delete(botIn(tableBotState, bot, k))
			return nil
		}
		return putRow(t, botIn(tableBotState, bot, k), state)
	})
}

// BotStates fills desk.Store.
func (s *Store) BotStates(_ context.Context, bot protocol.UserID, each func(session protocol.SessionID, state desk.State) error) error {
	prefix := rowKey(tableBotState, bot, "")
	return s.scanPrefix(prefix, func(key, value []byte) error {
		if len(key) != len(prefix)+1+sessionBytes {
			return s.bad(key, errShort)
		}
		var state desk.State
		if err := parseRow(value, &state); err != nil {
			return s.bad(key, err)
		}
		return each(sessionOf(key[len(prefix):]).String(), state)
	})
}

// PutBotDead fills desk.Store.
func (s *Store) PutBotDead(_ context.Context, l *desk.DeadLetter) error {
	return s.update(func(t *tx) error { return putRow(t, rowKey(tableBotDead, l.Plugin, l.Event), l) })
}

// BotDead fills desk.Store.
func (s *Store) BotDead(_ context.Context, plugin, event string) (*desk.DeadLetter, error) {
	l, err := getRow[desk.DeadLetter](s, rowKey(tableBotDead, plugin, event), "dead letter", event)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// BotDeads fills desk.Store.
func (s *Store) BotDeads(_ context.Context, plugin string, from *desk.DeadLetter, limit int) (all []*desk.DeadLetter, err error) {
	prefix := []byte{tableBotDead}
	if plugin != "" {
		prefix = rowKey(tableBotDead, plugin, "")
	}
	first := prefix
	if from != nil {
		first = append(rowKey(tableBotDead, from.Plugin, from.Event), 0)
	}
	err = s.scan(first, after(prefix), func(key, value []byte) error {
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
func (s *Store) DropBotDead(_ context.Context, plugin, event string) error {
	return s.update(func(t *tx) error { t.delete(rowKey(tableBotDead, plugin, event)); return nil })
}

// PutBotWish fills desk.Store.
func (s *Store) PutBotWish(_ context.Context, message string, w *desk.Wish) error {
	return s.update(func(t *tx) error { return putRow(t, rowKey(tableBotWish, message), w) })
}

// TakeBotWish fills desk.Store.
func (s *Store) TakeBotWish(_ context.Context, message string) (w *desk.Wish, err error) {
	err = s.update(func(t *tx) error {
		row, err := getRow[desk.Wish](t, rowKey(tableBotWish, message), "wish", message)
		if err != nil {
			return err
		}
		w = &row
		t.delete(rowKey(tableBotWish, message))
		return nil
	})
	return w, err
}

// botDueKey makes the key of a schedule that is due at, 8 bytes; words are bot, session and id with zero bytes between.
func botDueKey(plugin string, at []byte, words string) []byte {
	return append(append(rowKey(tableBotDue, plugin, ""), at...), words...)
}

func scheduleWords(r *desk.Schedule) string {
	return strings.Join([]string{r.Bot, r.Session, r.ID}, "\x00")
}

// PutBotSchedule fills desk.Store.
func (s *Store) PutBotSchedule(_ context.Context, r *desk.Schedule, bound int) error {
	return s.update(func(t *tx) error {
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
func (s *Store) DropBotSchedule(_ context.Context, r *desk.Schedule, at int64) error {
	return s.update(func(t *tx) error {
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
func (s *Store) DueBotSchedules(_ context.Context, plugin string, now time.Time, limit int) (due []*desk.Schedule, next int64, err error) {
	err = s.scanPrefix(rowKey(tableBotDue, plugin, ""), func(key, value []byte) error {
		r := &desk.Schedule{}
		if err := parseRow(value, r); err != nil {
			return s.bad(key, err)
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
