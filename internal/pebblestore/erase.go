package pebblestore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// tableErasure has who is being erased: user → userctr.Erasure as JSON.
const tableErasure = 0x5a

var _ actors.Writings = (*Store)(nil)

// WrittenBy fills actors.Writings. Rows that do not have the user's id in them are
// passed over undecoded.
func (s *Store) WrittenBy(ctx context.Context, user protocol.UserID, each func(session protocol.SessionID, e *protocol.Entry) error) error {
	id := []byte(user)
	return s.scan([]byte{tableEntry}, []byte{tableEntry + 2}, func(key, value []byte) error {
		if !bytes.Contains(value, id) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		session := sessionOf(key).String()
		e, err := parseEntry(session, key, value)
		if err != nil {
			return s.bad(key, err)
		}
		quoted := slices.ContainsFunc(e.Content.GetForwarded(), func(f *protocol.Forwarded) bool { return f.Sender == user })
		if e.Kind != protocol.Kind_MESSAGE || e.Sender != user && !quoted {
			return nil
		}
		return each(session, e)
	})
}

// Erasures fills userctr.EraseStore.
func (s *Store) Erasures(context.Context) (all []*userctr.Erasure, err error) {
	err = s.scanPrefix([]byte{tableErasure}, func(key, value []byte) error {
		e := &userctr.Erasure{}
		all = append(all, e)
		return parseRow(value, e)
	})
	return all, err
}

// BeginErasure fills userctr.EraseStore.
func (s *Store) BeginErasure(_ context.Context, e *userctr.Erasure) error {
	return s.update(func(t *tx) error { return putRow(t, rowKey(tableErasure, e.User), e) })
}

// EndErasure fills userctr.EraseStore.
func (s *Store) EndErasure(_ context.Context, user protocol.UserID) error {
	return s.update(func(t *tx) error { t.delete(rowKey(tableErasure, user)); return nil })
}

// EraseUser fills userctr.EraseStore.
func (s *Store) EraseUser(_ context.Context, id protocol.UserID, now time.Time) error {
	return s.update(func(t *tx) error {
		was, err := getRow[userRow](t, rowKey(tableUser, id), "user", id)
		if err != nil {
			return err
		}
		if was.Folded != "" {
			t.delete(rowKey(tableName, was.Folded))
		}
		for _, table := range []byte{tableDevice, tableLogins} {
			if err := t.deletePrefix(rowKey(table, id, "")); err != nil {
				return err
			}
		}
		prefix := rowKey(tableSubjects, id, "")
		err = t.scanPrefix(prefix, func(key, _ []byte) error {
			t.delete(append([]byte{tableSubject}, key[len(prefix):]...))
			t.delete(slices.Clone(key))
			return nil
		})
		if err != nil {
			return err
		}
		t.delete(rowKey(tableStanding, id))
		if err := t.eraseLogins(id, now); err != nil {
			return err
		}
		if err := t.eraseContacts(id); err != nil {
			return err
		}
		if err := t.eraseRequests(id); err != nil {
			return err
		}
		return putUser(t, id, userRow{Version: was.Version + 1, Kind: was.Kind, Created: was.Created, Disabled: true, Gone: true})
	})
}

func (t *tx) deletePrefix(prefix []byte) error {
	return t.scanPrefix(prefix, func(key, _ []byte) error { t.delete(slices.Clone(key)); return nil })
}

// eraseLogins ends what is left of the user's logins. Their rows stay, without their
// devices, until they are swept: that they have ended must be known after a restart.
func (t *tx) eraseLogins(user protocol.UserID, now time.Time) error {
	return t.scanPrefix([]byte{tableLogin}, func(key, value []byte) error {
		var l loginRow
		if err := parseRow(value, &l); err != nil || l.User != user {
			return err
		}
		id := string(key[1:])
		for _, table := range []byte{tableRefresh, tableChild} {
			if err := t.deletePrefix(rowKey(table, id, "")); err != nil {
				return err
			}
		}
		if l.Revoked == 0 {
			l.Revoked = nanos(now)
			t.put(rowKey(tableRevoked, id), number(l.Revoked))
		}
		return putRow(t, slices.Clone(key), loginRow{User: user, Created: l.Created, Expires: l.Expires, Revoked: l.Revoked})
	})
}

// eraseContacts removes what the user keeps of others, and what others keep of it.
func (t *tx) eraseContacts(user protocol.UserID) error {
	suffix := append([]byte{0}, user...)
	prefix := rowKey(tableContact, user, "")
	return t.scanPrefix([]byte{tableContact}, func(key, _ []byte) error {
		if !bytes.HasPrefix(key, prefix) && !bytes.HasSuffix(key, suffix) {
			return nil
		}
		t.delete(slices.Clone(key))
		version := rowKey(tableContacts, placeOwner(key))
		n, err := getNumber(t, version)
		t.put(version, number(n+1))
		return err
	})
}

// eraseRequests removes the requests from and to the user.
func (t *tx) eraseRequests(user protocol.UserID) error {
	return t.scanPrefix([]byte{tableRequest}, func(key, value []byte) error {
		var row requestRow
		if err := parseRow(value, &row); err != nil {
			return err
		}
		if row.From != user && row.Target != user && row.User != user {
			return nil
		}
		r := row.request(string(key[1:]))
		lists(r, func(all, waiting byte, owner string) {
			t.delete(placeKey(all, owner, placeOf(r)))
			t.delete(placeKey(waiting, owner, placeOf(r)))
		})
		if asked, _, err := t.get(askedKey(r)); err != nil {
			return err
		} else if string(asked) == r.Id {
			t.delete(askedKey(r))
		}
		t.delete(slices.Clone(key))
		return nil
	})
}

// keptLogs is more than Pebble keeps of logs that it would use again: one more than
// the memtables that may wait for being written.
const keptLogs = 5

// Purge fills userctr.EraseStore: it rewrites all tables and lets go of old logs, so
// that what was replaced or removed is in no file any more. It takes as long as
// reading and writing the store.
func (s *Store) Purge(ctx context.Context) error {
	s.purges.Lock()
	defer s.purges.Unlock()
	s.purging.Store(true)
	defer s.purging.Store(false)
	err := s.db.Flush()
	if err == nil {
		err = s.db.Compact(ctx, []byte{0}, []byte{0xff}, false)
	}
	for range keptLogs {
		if err == nil {
			err = s.db.Flush()
		}
	}
	if err != nil {
		return fmt.Errorf("pebblestore: %s: purge: %w", s.dir, err)
	}
	return nil
}
