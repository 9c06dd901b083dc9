package pebblestore

import (
	"bytes"
	"context"
	"errors"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Tables of those whom outside systems vouch for.
const (
	tableSubject  = 0x49 // realm, subject → user
	tableSubjects = 0x4a // user, realm, subject → nothing
)

// Subject fills userctr.SubjectStore.
func (s *Store) Subject(_ context.Context, of userctr.Subject) (protocol.UserID, error) {
	id, found, err := s.get(rowKey(tableSubject, of.Realm, of.Sub))
	if err == nil && !found {
		err = protocol.NotFound("a subject of %s", of.Realm)
	}
	return string(id), err
}

// AddSubject fills userctr.SubjectStore.
func (s *Store) AddSubject(_ context.Context, of userctr.Subject, u *userctr.User) (id protocol.UserID, err error) {
	row := rowOfUser(u)
	row.Version = 1
	err = s.update(func(t *tx) error {
		key := rowKey(tableSubject, of.Realm, of.Sub)
		if has, found, err := t.get(key); err != nil || found {
			id = string(has)
			return err
		}
		if _, found, err := t.get(rowKey(tableUser, u.ID)); err != nil || found {
			return either(err, protocol.Conflict("user %s exists", u.ID))
		}
		id = u.ID
		t.put(key, []byte(u.ID))
		t.put(rowKey(tableSubjects, u.ID, of.Realm, of.Sub), nil)
		return putUser(t, u.ID, row)
	})
	if err == nil && id == u.ID {
		u.Version = 1
	}
	return id, err
}

// SubjectsOf fills userctr.SubjectStore.
func (s *Store) SubjectsOf(_ context.Context, user protocol.UserID) (all []userctr.Subject, err error) {
	prefix := rowKey(tableSubjects, user, "")
	err = s.scanPrefix(prefix, func(key, _ []byte) error {
		realm, sub, found := bytes.Cut(key[len(prefix):], []byte{0})
		if !found {
			return errors.New("pebblestore: a damaged row of subjects")
		}
		all = append(all, userctr.Subject{Realm: string(realm), Sub: string(sub)})
		return nil
	})
	return all, err
}

// RemoveSubjects fills userctr.SubjectStore.
func (s *Store) RemoveSubjects(ctx context.Context, user protocol.UserID) error {
	all, err := s.SubjectsOf(ctx, user)
	if err != nil {
		return err
	}
	return s.update(func(t *tx) error {
		for _, of := range all {
			t.delete(rowKey(tableSubject, of.Realm, of.Sub))
			t.delete(rowKey(tableSubjects, user, of.Realm, of.Sub))
		}
		return nil
	})
}
