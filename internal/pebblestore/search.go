package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/internal/search"
)

// Look fills search.Store.
func (s *Store) Look(ctx context.Context, use func(r search.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.at(func(v view) (err error) {
		r := &searchReader{homeReader{view: v}}
		defer func() { err = errors.Join(err, r.close()) }()
		return use(r)
	})
}

// searchReader keeps one iterator for each table that it reads, as opening one costs
// more than most of what is read by it.
type searchReader struct{ homeReader }

// Rooms fills search.Reader, in the order of keys.
func (r *searchReader) Rooms(user protocol.UserID, only protocol.SessionID) (rooms []search.Room, err error) {
	var keys []sessionKey
	if only == "" {
		if keys, err = r.sessionsOf(user); err != nil {
			return nil, err
		}
	} else if k, ok := parseSession(only); ok {
		keys = []sessionKey{k}
	}
	for _, k := range keys {
		room, in, err := r.room(k, user, only != "")
		if err != nil {
			return nil, err
		}
		if in {
			rooms = append(rooms, room)
		}
	}
	return rooms, nil
}

// room gives a session as far as user may read it. Whether it is dead is looked at where it was
// asked for; of the others Read does, where there is a hit.
func (r *searchReader) room(k sessionKey, user protocol.UserID, named bool) (room search.Room, in bool, err error) {
	err = r.each(k.member(user), nil, func(_, b []byte) error {
		m, err := parseMember(user, b)
		if err == nil {
			in, room.From = true, max(1, m.Floor)
		}
		return err
	})
	if err != nil || !in {
		return room, false, err
	}
	if named {
		info, err := r.info(k, head{})
		if err != nil || info.Dead {
			return room, false, err
		}
	}
	h, _, err := r.head(k)
	if err != nil {
		return room, false, err
	}
	room.Session, room.Head = k.String(), h.last
	return room, true, nil
}

// Signatures fills search.Reader.
func (r *searchReader) Signatures(session protocol.SessionID, first, last int64, each func(block, n int64, signature []byte) bool) error {
	k, _ := parseSession(session)
	return r.signatures(k, first, last, each)
}

// signatures reads rows of tableSignature: how many of the block's entries it is of, 1 byte, and
// what search says of them.
func (r *searchReader) signatures(k sessionKey, first, last int64, each func(block, n int64, signature []byte) bool) (err error) {
	var bad error
	err = r.back(k.signature(first), k.signature(last), func(block int64, row []byte) bool {
		if len(row) == 0 {
			bad = r.s.bad(k.signature(block), errShort)
			return false
		}
		return each(block, int64(row[0]), row[1:])
	})
	return either(bad, err)
}

// back calls each with the rows of a table from the key to back to the key from, until it
// returns false; the number is what their keys end with.
func (r *searchReader) back(from, to []byte, each func(n int64, row []byte) bool) error {
	it, err := r.in(to)
	if err != nil {
		return err
	}
	for ok := it.SeekLT(after(to)); ok && bytes.Compare(it.Key(), from) >= 0; ok = it.Prev() {
		row, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("pebblestore: %s: %w", r.s.dir, err)
		}
		if !each(seqOf(it.Key()), row) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", r.s.dir, err)
	}
	return nil
}

// Messages fills search.Reader. A message costs some 0.3 µs.
func (r *searchReader) Messages(session protocol.SessionID, from, to int64, each func(m *search.Message) bool) error {
	k, _ := parseSession(session)
	to, old := r.s.hidden.synced(k, to)
	if from > to {
		return nil
	}
	var m search.Message
	var bad error
	err := r.back(k.entry(from), k.entry(to), func(seq int64, row []byte) bool {
		row = old.row(seq, row)
		if len(row) < entryHeader {
			bad = r.s.bad(k.entry(seq), errShort)
			return false
		}
		if !counts(row[0]) {
			return true
		}
		m.Seq = seq
		if err := m.Parse(row[entryHeader:]); err != nil {
			bad = r.s.bad(k.entry(seq), err)
			return false
		}
		return each(&m)
	})
	return either(bad, err)
}

// Read fills search.Store.
func (s *Store) Read(ctx context.Context, user protocol.UserID, places []search.Place) ([]*search.Found, error) {
	found := make([]*search.Found, len(places))
	infos := map[protocol.SessionID]*protocol.SessionInfo{} // nil: not for user
	floors := map[protocol.SessionID]int64{}
	now := time.Now()
	return found, s.at(func(v view) error {
		for i, p := range places {
			if err := ctx.Err(); err != nil {
				return err
			}
			k, ok := parseSession(p.Session)
			if !ok {
				continue
			}
			info, known := infos[p.Session]
			if !known {
				floor, yes, err := v.floor(k, user)
				if err != nil {
					return err
				}
				if yes {
					if info, err = v.shown(k); err != nil {
						return err
					}
				}
				infos[p.Session], floors[p.Session] = info, floor
			}
			if info == nil || p.Seq < floors[p.Session] {
				continue
			}
			to, old := s.hidden.synced(k, p.Seq)
			key := k.entry(p.Seq)
			_, err := v.row(key, func(row []byte) error {
				e, err := parseEntry(p.Session, key, old.row(p.Seq, row))
				if err == nil && to == p.Seq && e.Kind == protocol.Kind_MESSAGE && rows.Shows(e, floors[p.Session], now) {
					found[i] = &search.Found{Entry: e, Info: info}
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// floor gives the first seq that a member may read; not in: user is none.
func (v view) floor(k sessionKey, user protocol.UserID) (floor int64, in bool, err error) {
	in, err = v.row(k.member(user), func(b []byte) error {
		m, err := parseMember(user, b)
		if err == nil {
			floor = m.Floor
		}
		return err
	})
	return floor, in, err
}

// shown gives a session's info as a hit shows it, nil: it is dead.
func (v view) shown(k sessionKey) (*protocol.SessionInfo, error) {
	info, err := v.info(k, head{})
	if err != nil || info.Dead {
		return nil, err
	}
	info.Announcement, info.Former = "", nil
	if info.SessionType == protocol.SessionType_P2P {
		rows, err := v.members(k)
		if err != nil {
			return nil, err
		}
		for _, m := range rows {
			info.Members = append(info.Members, &protocol.Member{User: m.User, Role: m.Role, Order: m.Order})
		}
	}
	return info, nil
}

// keySearch says as which version of search's signatures are in tableSignature; 8 bytes.
var keySearch = rowKey(tableMeta, "search signatures")

// Prepare fills search.Store.
func (s *Store) Prepare(ctx context.Context, version byte) error {
	made, err := s.now().number(keySearch)
	if err != nil || made == int64(version) {
		return err
	}
	return s.update(func(t *tx) error {
		_ = t.batch.DeleteRange([]byte{tableSignature}, []byte{tableUnsigned + 2}, nil) // as in delete
		t.put(keySearch, number(int64(version)))
		return ctx.Err()
	})
}

// Watch fills search.Store.
func (s *Store) Watch(full func(session protocol.SessionID)) { s.full.Store(&full) }

// tellFull says which sessions have a block to sign since this commit.
func (c *committer) tellFull() {
	full := c.s.full.Load()
	if full == nil {
		return
	}
	for k, h := range c.heads {
		if h.last/search.BlockSize > c.before[k].last/search.BlockSize {
			(*full)(k.String())
		}
	}
	for _, k := range c.stirred {
		(*full)(k.String())
	}
}

// unsign removes the signature of a block whose words change, so that not even their hashes
// remain and the new ones are found at once.
func (c *committer) unsign(k sessionKey, was, is *protocol.Entry) {
	block := (is.Seq - 1) / search.BlockSize
	if was.Kind != protocol.Kind_MESSAGE || sameWords(was.Content, is.Content) {
		return
	}
	c.delete(k.signature(block))
	c.write(k.unsigned(block), number(c.s.counter+1))
	if !slices.Contains(c.stirred, k) {
		c.stirred = append(c.stirred, k)
	}
}

var _ search.Store = (*Store)(nil)
