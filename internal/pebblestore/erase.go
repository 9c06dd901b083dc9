package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/userctr"
)

// tableErasure has who is being erased: user → userctr.Erasure as JSON.
const tableErasure = 0x5a

var _ actors.Writings = (*Store)(nil)

// WrittenBy fills actors.Writings. Rows that do not have the user's id in them are
// passed over undecoded.
func (s *Store) WrittenBy(ctx context.Context, user protocol.UserID, each func(session protocol.SessionID, e *protocol.Entry) error) error {
	id := []byte(user)
	err := s.scan([]byte{tableEntry}, []byte{tableEntry + 2}, func(key, value []byte) error {
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
	if err != nil {
		return err
	}
	return s.quotedInOriginals(ctx, user, each)
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
func (s *Store) EraseUser(ctx context.Context, id protocol.UserID, now time.Time) error {
	found, err := s.traces(ctx, id)
	if err != nil {
		return err
	}
	avatars, err := s.AvatarsOf(ctx, id)
	if err != nil {
		return err
	}
	return s.update(func(t *tx) error {
		was, err := getRow[userRow](t, rowKey(tableUser, id), "user", id)
		if err != nil {
			return err
		}
		if was.Folded != "" {
			t.delete(rowKey(tableName, was.Folded))
		}
		prefix := rowKey(tableDevice, id, "")
		err = t.scanPrefix(prefix, func(key, _ []byte) error { return t.removeDevice(id, string(key[len(prefix):])) })
		if err != nil {
			return err
		}
		if err := t.deletePrefix(rowKey(tableLogins, id, "")); err != nil {
			return err
		}
		subjects := rowKey(tableSubjects, id, "")
		err = t.scanPrefix(subjects, func(key, _ []byte) error {
			t.delete(append([]byte{tableSubject}, key[len(subjects):]...))
			t.delete(slices.Clone(key))
			return nil
		})
		if err != nil {
			return err
		}
		t.delete(rowKey(tableStanding, id))
		for _, code := range avatars {
			if err := rows.RemoveAvatar(change{t}, code, time.Time{}); err != nil { // doubtful for so long that the next sweep removes it
				return err
			}
		}
		for _, key := range found.logins {
			if err := t.eraseLogin(key, now); err != nil {
				return err
			}
		}
		for _, key := range found.contacts {
			if err := t.eraseContact(key); err != nil {
				return err
			}
		}
		for _, key := range found.requests {
			if err := t.eraseRequest(key); err != nil {
				return err
			}
		}
		return putUser(t, id, userRow{Version: was.Version + 1, Kind: was.Kind, Created: was.Created, Disabled: true, Gone: true})
	})
}

// traces are the keys of a user's logins, of what it keeps of others and others of it, and
// of the requests from and to it.
type traces struct{ logins, contacts, requests [][]byte }

// traces reads whole tables, while others write: the user is shut out already, and
// what is made of it meanwhile is made of somebody who is erased.
func (s *Store) traces(ctx context.Context, user protocol.UserID) (found traces, err error) {
	each := func(table byte, to *[][]byte, is func(key, value []byte) (bool, error)) {
		if err != nil {
			return
		}
		err = s.scanPrefix([]byte{table}, func(key, value []byte) error {
			yes, err := is(key, value)
			if yes {
				*to = append(*to, slices.Clone(key))
			}
			return cmp.Or(err, ctx.Err())
		})
	}
	each(tableLogin, &found.logins, func(_, value []byte) (bool, error) {
		var l loginRow
		err := parseRow(value, &l)
		return l.User == user, err
	})
	mine, theirs := rowKey(tableContact, user, ""), append([]byte{0}, user...)
	each(tableContact, &found.contacts, func(key, _ []byte) (bool, error) {
		return bytes.HasPrefix(key, mine) || bytes.HasSuffix(key, theirs), nil
	})
	each(tableRequest, &found.requests, func(_, value []byte) (bool, error) {
		var r requestRow
		err := parseRow(value, &r)
		return r.From == user || r.Target == user || r.User == user, err
	})
	return found, err
}

func (t *tx) deletePrefix(prefix []byte) error {
	return t.scanPrefix(prefix, func(key, _ []byte) error { t.delete(slices.Clone(key)); return nil })
}

// eraseLogin ends a login. Its row stays, without its device, until it is swept: that
// it has ended must be known after a restart.
func (t *tx) eraseLogin(key []byte, now time.Time) error {
	id := string(key[1:])
	l, err := getRow[loginRow](t, key, "login", id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil // swept meanwhile
	}
	if err != nil {
		return err
	}
	for _, table := range []byte{tableRefresh, tableChild} {
		if err := t.deletePrefix(rowKey(table, id, "")); err != nil {
			return err
		}
	}
	if l.Revoked == 0 {
		l.Revoked = nanos(now)
		t.put(rowKey(tableRevoked, id), number(l.Revoked))
	}
	return putRow(t, key, loginRow{User: l.User, Created: l.Created, Expires: l.Expires, Revoked: l.Revoked})
}

// eraseContact removes what one user keeps of another.
func (t *tx) eraseContact(key []byte) error {
	if _, found, err := t.get(key); err != nil || !found {
		return err
	}
	t.delete(key)
	version := rowKey(tableContacts, placeOwner(key))
	n, err := getNumber(t, version)
	t.put(version, number(n+1))
	return err
}

// eraseRequest removes a request.
func (t *tx) eraseRequest(key []byte) error {
	id := string(key[1:])
	row, err := getRow[requestRow](t, key, "request", id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r := row.request(id)
	lists(r, func(all, waiting byte, owner string) {
		t.delete(placeKey(all, owner, placeOf(r)))
		t.delete(placeKey(waiting, owner, placeOf(r)))
	})
	if asked, _, err := t.get(askedKey(r)); err != nil {
		return err
	} else if string(asked) == r.Id {
		t.delete(askedKey(r))
	}
	t.delete(key)
	return nil
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
