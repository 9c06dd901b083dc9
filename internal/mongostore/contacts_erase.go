package mongostore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// eraseContacts removes what a user keeps of others and others of it, and the requests from and to it. It reads the two
// tables while others write: the user is shut out already, and what is made of it meanwhile is made
// of somebody who is erased.
func (s *Store) eraseContacts(ctx context.Context, user protocol.UserID) error {
	mine, theirs := wordKey(tableContact, user, ""), append([]byte{0}, user...)
	contacts, err := s.keysOf(ctx, tableContact, func(key, _ []byte) (bool, error) {
		return bytes.HasPrefix(key, mine) || bytes.HasSuffix(key, theirs), nil
	})
	if err != nil {
		return err
	}
	requests, err := s.keysOf(ctx, tableRequest, func(_, value []byte) (bool, error) {
		r := &protocol.Request{}
		err := proto.Unmarshal(value, r)
		return r.From == user || r.Target == user || r.User == user, err
	})
	if err != nil {
		return err
	}
	for _, what := range []struct {
		keys  [][]byte
		erase func(t rows.Tx, key []byte) error
	}{{contacts, eraseContact}, {requests, eraseRequest}} {
		for part := range slices.Chunk(what.keys, atOnce) {
			err := s.ledger.Update(ctx, func(t rows.Tx) error {
				for _, key := range part {
					if err := what.erase(t, key); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// keysOf gives the keys of those rows of a table that is picks.
func (s *Store) keysOf(ctx context.Context, table byte, is func(key, value []byte) (bool, error)) (keys [][]byte, err error) {
	err = s.ledger.Scan(ctx, []byte{table}, []byte{table + 1}, func(key, value []byte) error {
		yes, err := is(key, value)
		if yes {
			keys = append(keys, bytes.Clone(key))
		}
		return err
	})
	return keys, err
}

// eraseContact removes what one user keeps of another.
func eraseContact(t rows.Tx, key []byte) error {
	if _, found, err := t.Get(key); err != nil || !found {
		return err
	}
	t.Delete(key)
	owner, _, _ := bytes.Cut(key[1:], []byte{0})
	version := wordKey(tableContacts, string(owner))
	n, err := getter(t.Get).number(version)
	t.Put(version, binary.BigEndian.AppendUint64(nil, uint64(n+1)))
	return err
}

// eraseRequest removes a request from where it is.
func eraseRequest(t rows.Tx, key []byte) error {
	r, err := getter(t.Get).request(string(key[1:]))
	if err != nil || r == nil {
		return err
	}
	lists(r, func(all, waiting byte, owner string) {
		t.Delete(placeKey(all, owner, placeOf(r)))
		t.Delete(placeKey(waiting, owner, placeOf(r)))
	})
	asked, _, err := t.Get(askedKey(r))
	if err != nil {
		return err
	}
	if string(asked) == r.Id {
		t.Delete(askedKey(r))
	}
	t.Delete(key)
	return nil
}
