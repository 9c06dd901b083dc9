package pebblestore

import (
	"context"
	"encoding/binary"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Tables of bots that are about sessions; the others are in internal/rows. Words in a key are as
// rowKey makes them; a session in one is the bit of its table byte and the bytes of its id, as
// in home rows.
const (
	tableBotCursor = 0x89 // bot 0, session → seq 8, what is done behind it: seq 8 each
	tableBotState  = 0x8a // bot 0, session → desk.State
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

// BotsGone fills desk.Store.
func (s *Store) BotsGone(ctx context.Context, bot protocol.UserID, from protocol.SessionID, limit int) (all []*desk.Cursor, next protocol.SessionID, err error) {
	prefix := rowKey(tableBotCursor, bot, "")
	first := prefix
	if from != "" {
		k, ok := parseSession(from)
		if !ok {
			return nil, "", protocol.NotFound("session %s", from)
		}
		first = append(botIn(tableBotCursor, bot, k), 0)
	}
	err = s.scan(first, after(prefix), func(key, row []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(key) != len(prefix)+1+sessionBytes {
			return s.bad(key, errShort)
		}
		k := sessionOf(key[len(prefix):])
		if _, in, err := s.get(k.home(bot)); err != nil || in {
			return err
		}
		c, err := parseCursor(row)
		if err != nil {
			return s.bad(key, err)
		}
		if len(all) == limit {
			next = all[limit-1].Session
			return errEnough
		}
		c.Bot, c.Session = bot, k.String()
		all = append(all, c)
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
		return rows.ForgetSchedules(change{t}, plugin, bot, session)
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
