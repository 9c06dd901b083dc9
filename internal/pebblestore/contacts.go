package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var _ actors.Contacts = (*Store)(nil)

// CommitContacts fills actors.Contacts.
func (s *Store) CommitContacts(_ context.Context, change *actors.ContactChange) error {
	err := s.update(func(t *tx) error {
		rows, err := t.checkContacts(change)
		if err == nil {
			t.writeContacts(rows)
		}
		return err
	})
	var r refusal
	if errors.As(err, &r) {
		return r.error
	}
	return err
}

// get makes a view a reader of rows.
func (v view) get(key []byte) (value []byte, found bool, err error) {
	found, err = v.row(key, func(b []byte) error { value = append([]byte{}, b...); return nil })
	return value, found, err
}

// Pair fills actors.Contacts.
func (s *Store) Pair(_ context.Context, user, other protocol.UserID) (p *actors.Pair, err error) {
	p = &actors.Pair{}
	return p, s.at(func(v view) (err error) {
		if p.Mine, err = getContact(v, user, other); err != nil {
			return err
		}
		if p.Theirs, err = getContact(v, other, user); err != nil {
			return err
		}
		p.Waiting, err = v.asked(&protocol.Request{Kind: protocol.RequestKind_FRIEND_REQUEST, From: user, Target: other})
		return err
	})
}

// Asked fills actors.Contacts.
func (s *Store) Asked(_ context.Context, like *protocol.Request) (r *protocol.Request, err error) {
	return r, s.at(func(v view) (err error) {
		r, err = v.asked(like)
		return err
	})
}

func (v view) asked(like *protocol.Request) (*protocol.Request, error) {
	id, found, err := v.get(askedKey(like))
	if err != nil || !found {
		return nil, err
	}
	return getRequest(v, string(id))
}

func getRequest(from reader, id string) (*protocol.Request, error) {
	row, err := getRow[requestRow](from, rowKey(tableRequest, id), "request", id)
	if err != nil {
		return nil, err
	}
	return row.request(id), nil
}

// ContactsOf fills actors.Contacts.
func (s *Store) ContactsOf(ctx context.Context, user, behind protocol.UserID, limit int) (list []*actors.ContactRow, version int64, err error) {
	if limit <= 0 {
		version, err = getNumber(s, rowKey(tableContacts, user))
		return nil, version, err
	}
	return list, version, s.at(func(v view) error {
		if version, err = v.number(rowKey(tableContacts, user)); err != nil {
			return err
		}
		prefix := rowKey(tableContact, user, "")
		from := prefix
		if behind != "" {
			from = append(rowKey(tableContact, user, behind), 0)
		}
		return scan(v.r, s.dir, from, after(prefix), func(key, value []byte) error {
			var row contactRow
			if err := parseRow(value, &row); err != nil {
				return s.bad(key, err)
			}
			c := row.contact(user, string(key[len(prefix):]))
			if list = append(list, &c); len(list) == limit {
				return errEnough
			}
			return ctx.Err()
		})
	})
}

// Blocked fills actors.Contacts.
func (s *Store) Blocked(_ context.Context, user protocol.UserID, ids []protocol.UserID) (blocked []protocol.UserID, err error) {
	for _, id := range ids {
		row, err := getContact(s, user, id)
		if err != nil {
			return nil, err
		}
		if row.Blocked {
			blocked = append(blocked, id)
		}
	}
	return blocked, nil
}

// Request fills actors.Contacts.
func (s *Store) Request(_ context.Context, id string) (*protocol.Request, error) {
	return getRequest(s, id)
}

// RequestsOf fills actors.Contacts.
func (s *Store) RequestsOf(ctx context.Context, user protocol.UserID, page actors.RequestPage) ([]*protocol.Request, error) {
	return s.requests(ctx, tableRequestOf, tableWaitingOf, user, page)
}

// RequestsInto fills actors.Contacts.
func (s *Store) RequestsInto(ctx context.Context, session protocol.SessionID, page actors.RequestPage) ([]*protocol.Request, error) {
	return s.requests(ctx, tableRequestInto, tableWaitingInto, session, page)
}

func (s *Store) requests(ctx context.Context, all, waiting byte, owner string, page actors.RequestPage) (list []*protocol.Request, err error) {
	table := all
	if page.Waiting {
		table = waiting
	}
	prefix := rowKey(table, owner, "")
	from := prefix
	if page.After != (actors.RequestPlace{}) {
		from = append(placeKey(table, owner, page.After), 0)
	}
	if page.Limit <= 0 {
		return nil, nil
	}
	none := true // as for most people, which needs no view of one moment
	if err := s.scan(from, after(prefix), func(_, _ []byte) error { none = false; return errEnough }); err != nil || none {
		return nil, err
	}
	return list, s.at(func(v view) error {
		return scan(v.r, s.dir, from, after(prefix), func(key, _ []byte) error {
			if len(key) < len(prefix)+8 {
				return s.bad(key, errShort)
			}
			r, err := getRequest(v, string(key[len(prefix)+8:]))
			if err != nil {
				return s.bad(key, err)
			}
			if list = append(list, r); len(list) == page.Limit {
				return errEnough
			}
			return ctx.Err()
		})
	})
}

// WaitingInto fills actors.Contacts. It goes through the table and the sessions
// side by side, so that sessions without a request cost a comparison.
func (s *Store) WaitingInto(ctx context.Context, sessions []protocol.SessionID, limit int) (list []*protocol.Request, err error) {
	if len(sessions) == 0 {
		return nil, nil
	}
	sorted := slices.Sorted(slices.Values(sessions))
	return list, s.at(func(v view) (err error) {
		it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: []byte{tableWaitingInto}, UpperBound: []byte{tableWaitingInto + 1}})
		if err != nil {
			return fmt.Errorf("pebblestore: %s: %w", s.dir, err)
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for len(sorted) > 0 && len(list) < limit && ctx.Err() == nil {
			prefix := rowKey(tableWaitingInto, sorted[0], "")
			for ok := it.SeekGE(prefix); ; ok = it.Next() {
				if !ok {
					return it.Error()
				}
				owner := placeOwner(it.Key())
				if owner != sorted[0] {
					at, _ := slices.BinarySearch(sorted, owner)
					sorted = sorted[at:]
					break
				}
				r, err := getRequest(v, string(it.Key()[len(prefix)+8:]))
				if err != nil {
					return s.bad(it.Key(), err)
				}
				if list = append(list, r); len(list) == limit {
					return nil
				}
			}
		}
		return ctx.Err()
	})
}
