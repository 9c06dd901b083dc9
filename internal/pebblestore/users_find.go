package pebblestore

import (
	"bytes"
	"context"
	"slices"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Users fills userctr.ProfileStore.
func (s *Store) Users(ctx context.Context, ids []protocol.UserID) ([]*userctr.User, error) {
	users := make([]*userctr.User, 0, len(ids))
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		u, err := s.User(ctx, id)
		if protocol.Code_NOT_FOUND.Is(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// putUser writes a user's row, and the terms that it is found by.
func putUser(t *tx, id protocol.UserID, row userRow) error {
	var before []string
	switch old, err := getRow[userRow](t, rowKey(tableUser, id), "user", id); {
	case err == nil:
		before = userctr.SearchTerms(old.user(id))
		t.avatarLeft(old.Avatar, row.Avatar)
	case !protocol.Code_NOT_FOUND.Is(err):
		return err
	}
	putTerms(t, id, before, row)
	return putRow(t, rowKey(tableUser, id), row)
}

// putTerms writes the terms that a user is found by over those of the row before.
func putTerms(t *tx, id protocol.UserID, before []string, row userRow) {
	now := userctr.SearchTerms(row.user(id))
	for _, term := range before {
		if !slices.Contains(now, term) {
			t.delete(rowKey(tableTerm, term, id))
		}
	}
	for _, term := range now {
		if !slices.Contains(before, term) {
			t.write(rowKey(tableTerm, term, id), nil)
		}
	}
}

// FindTerms fills userctr.ProfileStore.
func (s *Store) FindTerms(_ context.Context, prefix string, behind userctr.TermPlace, limit int) (places []userctr.TermPlace, err error) {
	first := rowKey(tableTerm, prefix)
	from := first
	if behind != (userctr.TermPlace{}) {
		from = append(rowKey(tableTerm, behind.Term, behind.User), 0)
		if bytes.Compare(from, first) < 0 {
			from = first
		}
	}
	err = s.scan(from, after(first), func(key, _ []byte) error {
		if len(places) == limit {
			return errEnough
		}
		term, user, _ := bytes.Cut(key[1:], []byte{0})
		places = append(places, userctr.TermPlace{Term: string(term), User: string(user)})
		return nil
	})
	return places, err
}

// keyTerms says that all users' terms are there, and as which version of
// userctr.SearchTerms makes them; 8 bytes.
var keyTerms = rowKey(tableMeta, "search terms")

// termsVersion goes up when SearchTerms makes other terms than before.
const termsVersion = 1

// indexUsers makes the terms of the users of a store that was written without them.
// It may be ended and begun again: what is there is written once more.
func (s *Store) indexUsers() error {
	made, err := s.now().number(keyTerms)
	if err != nil || made == termsVersion {
		return err
	}
	const atOnce = 500
	for from := rowKey(tableUser); from != nil; {
		rows := make(map[protocol.UserID]userRow, atOnce)
		next := []byte(nil)
		err := s.scan(from, []byte{tableUser + 1}, func(key, value []byte) error {
			if len(rows) == atOnce {
				next = bytes.Clone(key)
				return errEnough
			}
			var row userRow
			if err := parseRow(value, &row); err != nil {
				return s.bad(key, err)
			}
			rows[string(key[1:])] = row
			return nil
		})
		if err != nil {
			return err
		}
		err = s.update(func(t *tx) error {
			for id, row := range rows {
				for _, term := range userctr.SearchTerms(row.user(id)) {
					t.write(rowKey(tableTerm, term, id), nil)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		from = next
	}
	return s.update(func(t *tx) error {
		t.put(keyTerms, number(termsVersion))
		return nil
	})
}
