package pebblestore

import (
	"testing"

	"github.com/troupe-im/troupe/userctr"
)

func TestWhatWasTrimmedIsStillThere(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add := func(id string, padding int) {
		t.Helper()
		if err := s.AddUser(t.Context(), &userctr.User{ID: id, Nickname: id, Outside: string(make([]byte, padding)), Kind: userctr.Human}, ""); err != nil {
			t.Fatal(err)
		}
	}
	add("u_small", 0)
	tables := func() int64 { return s.db.Metrics().Total().TablesCount }
	if err := s.Trim(); err != nil || tables() != 0 {
		t.Errorf("%d tables were written of next to nothing (%v)", tables(), err)
	}
	for _, id := range []string{"u_1", "u_2", "u_3"} {
		add(id, 100_000)
	}
	for range 2 { // the second has nothing to do
		if err := s.Trim(); err != nil || tables() != 1 {
			t.Errorf("%d tables were written, want one (%v)", tables(), err)
		}
	}
	for _, id := range []string{"u_small", "u_1", "u_2", "u_3"} {
		if _, err := s.User(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}
