package pebblestore

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/userctr"
)

func TestStandings(t *testing.T) {
	storetest.Standings(t, func(t *testing.T) (actors.Standings, func() actors.Standings) {
		fs := vfs.NewMem()
		s := openIn(t, fs)
		t.Cleanup(func() { s.Close() })
		return s, func() actors.Standings {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openIn(t, fs)
			return s
		}
	})
}

func TestAStoreThatWasWrittenWithoutAnIndexOfNamesGetsOne(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	const n = 1100 // more than two commits' worth
	err := s.update(func(tx *tx) error {
		tx.delete(keyTerms)
		for i := range n {
			id := fmt.Sprintf("u%04d", i)
			if err := putRow(tx, rowKey(tableUser, id), userRow{Version: 1, Nickname: "Ann " + id, Kind: "human"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"after the first start", "after the second"} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openIn(t, fs)
		for term, want := range map[string]int{"ann": n, "u0": 1000, "u1": 100} {
			if got, err := s.FindTerms(t.Context(), term, userctr.TermPlace{}, 2*n); err != nil || len(got) != want {
				t.Errorf("%s: %d entries with %q, %v, want %d", when, len(got), term, err, want)
			}
		}
	}
	s.Close()
}
