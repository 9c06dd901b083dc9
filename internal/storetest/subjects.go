package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func subjectsKeepTheirUsers(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	a, b := userctr.Subject{Realm: "iss:a", Sub: "7"}, userctr.Subject{Realm: "iss:b", Sub: "7"}
	_, err := s.Subject(ctx, a)
	wants(t, err, protocol.Code_NOT_FOUND)
	for of, id := range map[userctr.Subject]string{a: "u_a", b: "u_b"} {
		u := user(id, "")
		if got, err := s.AddSubject(ctx, of, u); err != nil || got != id || u.Version != 1 {
			t.Errorf("AddSubject = %q, %v, version %d", got, err, u.Version)
		}
	}
	if got, err := s.AddSubject(ctx, a, user("u_c", "")); err != nil || got != "u_a" {
		t.Errorf("a second AddSubject = %q, %v, want the first one's user", got, err)
	}
	_, err = s.User(ctx, "u_c")
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = s.AddSubject(ctx, userctr.Subject{Realm: "iss:a", Sub: "8"}, user("u_a", ""))
	wants(t, err, protocol.Code_CONFLICT)
	if got, err := s.Subject(ctx, b); err != nil || got != "u_b" {
		t.Errorf("Subject = %q, %v", got, err)
	}
	if got, err := s.SubjectsOf(ctx, "u_a"); err != nil || !slices.Equal(got, []userctr.Subject{a}) {
		t.Errorf("SubjectsOf = %v, %v", got, err)
	}
	must(t, s.RemoveSubjects(ctx, "u_a"))
	if got, err := s.SubjectsOf(ctx, "u_a"); err != nil || len(got) != 0 {
		t.Errorf("SubjectsOf = %v, %v after they were removed", got, err)
	}
	if got, err := s.AddSubject(ctx, a, user("u_d", "")); err != nil || got != "u_d" {
		t.Errorf("AddSubject after it was removed = %q, %v", got, err)
	}
}

func oneUserOfASubject(t *testing.T, s userctr.Store) {
	of := userctr.Subject{Realm: "app:x", Sub: "7"}
	var got [50]protocol.UserID
	atOnce(t, len(got), nil, func(i int) (err error) {
		got[i], err = s.AddSubject(t.Context(), of, user(fmt.Sprint("u_", i), ""))
		return err
	})
	for i := range got {
		if got[i] != got[0] {
			t.Fatalf("the subject became the users %s and %s", got[0], got[i])
		}
	}
	is, err := s.Missing(t.Context(), func() (ids []protocol.UserID) {
		for i := range got {
			ids = append(ids, fmt.Sprint("u_", i))
		}
		return ids
	}())
	if err != nil || len(is) != len(got)-1 {
		t.Errorf("%d of %d users were not made, %v", len(is), len(got), err)
	}
}
