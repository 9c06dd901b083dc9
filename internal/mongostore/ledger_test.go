package mongostore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/rows"
)

func TestWordsOfKeysLieInTheOrderOfTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.ByteRange(0, 4), 0, 6)
		if rapid.Bool().Draw(t, "any") {
			some = rapid.SliceOfN(rapid.Byte(), 0, 6)
		}
		a, b := some.Draw(t, "a"), some.Draw(t, "b")
		if back, err := bytesOf(word(a)); err != nil || !bytes.Equal(back, a) {
			t.Fatalf("%x comes back as %x, %v", a, back, err)
		}
		va, vb := versionID(word(a), 1<<62), versionID(word(b), 1)
		if order := bytes.Compare(a, b); order != 0 && order != cmpWords(va, vb) {
			t.Fatalf("%x and %x lie as %q and %q", a, b, va, vb)
		}
		if bytes.Compare(a, b) < 0 && va >= word(b) {
			t.Fatalf("a version of %x is not before %x", a, b)
		}
	})
}

func cmpWords(a, b string) int { return bytes.Compare([]byte(a), []byte(b)) }

// twoNodes are two stores on one database, as two processes have them.
func twoNodes(t *testing.T) (a, b *Store) {
	uri := mongotest.URI(t)
	return openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})
}

var counter = []byte{0xf0, 0}

func countUp(t rows.Tx) error {
	was, _, err := t.Get(counter)
	if err != nil {
		return err
	}
	n := uint64(0)
	if len(was) == 8 {
		n = binary.BigEndian.Uint64(was)
	}
	t.Put(counter, binary.BigEndian.AppendUint64(nil, n+1))
	return nil
}

func counted(t *testing.T, l *ledger) uint64 {
	t.Helper()
	b, found, err := l.Get(t.Context(), counter)
	if err != nil || !found {
		t.Fatalf("no counter: %v", err)
	}
	return binary.BigEndian.Uint64(b)
}

func TestNoChangeOfTwoNodesIsLost(t *testing.T) {
	a, b := twoNodes(t)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if err := []*Store{a, b}[i%2].ledger.Update(t.Context(), countUp); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range []*Store{a, b} {
		if n := counted(t, s.ledger); n != 60 {
			t.Errorf("counted %d, want 60", n)
		}
	}
}

func TestAChangeWhoseAuthorDiedIsThereForTheNext(t *testing.T) {
	a, b := twoNodes(t)
	ctx := t.Context()
	if err := a.ledger.Update(ctx, countUp); err != nil {
		t.Fatal(err)
	}
	died := &change{ID: 2, By: "one who died", Writes: []written{{Key: word(counter), Value: binary.BigEndian.AppendUint64(nil, 41)}}}
	if other, err := b.ledger.insert(ctx, died); err != nil || other {
		t.Fatal(other, err)
	}
	for _, s := range []*Store{a, b} {
		if err := s.ledger.Update(ctx, countUp); err != nil {
			t.Fatal(err)
		}
	}
	if n := counted(t, a.ledger); n != 43 {
		t.Errorf("counted %d, want 43", n)
	}
}

func TestAChangeIsAskedForAgainWhereItsAnswerWasLost(t *testing.T) {
	s := open(t)
	c := &change{ID: 1, By: "me", Writes: []written{{Key: word(counter), Value: []byte("x")}}}
	for range 2 {
		if other, err := s.ledger.insert(t.Context(), c); err != nil || other {
			t.Fatal(other, err)
		}
	}
	again := *c
	again.By = "another"
	if other, err := s.ledger.insert(t.Context(), &again); err != nil || !other {
		t.Errorf("another's change took the same number: %v", err)
	}
}

func TestARefusalIsOfWhatStandsThere(t *testing.T) {
	a, b := twoNodes(t)
	ctx := t.Context()
	key, no := []byte{0xf1}, errors.New("it is there")
	once := func(t rows.Tx) error {
		if _, found, err := t.Get(key); err != nil || found {
			return errors.Join(err, no)
		}
		t.Put(key, nil)
		return nil
	}
	gone := func(t rows.Tx) error { t.Delete(key); return nil }
	for range 3 {
		if err := a.ledger.Update(ctx, once); err != nil {
			t.Fatal(err)
		}
		if err := b.ledger.Update(ctx, once); !errors.Is(err, no) {
			t.Fatalf("twice: %v", err)
		}
		if err := b.ledger.Update(ctx, gone); err != nil { // a's memory has it still
			t.Fatal(err)
		}
	}
	if _, found, err := a.ledger.Get(ctx, key); err != nil || found {
		t.Errorf("it is there: %v", err)
	}
}

func TestRowsAreThoseOfAMapWhateverIsForgotten(t *testing.T) {
	a, b := twoNodes(t)
	ctx := context.Background()
	want := map[string]string{}
	prefix := []byte{0xf2}
	rapid.Check(t, func(t *rapid.T) {
		if len(want) > 12 {
			clear(want)
			for _, l := range []*ledger{a.ledger} {
				if err := l.Update(ctx, func(x rows.Tx) error {
					return x.Scan(prefix, []byte{0xf3}, func(key, _ []byte) error { x.Delete(key); return nil })
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		l := []*ledger{a.ledger, b.ledger}[rapid.IntRange(0, 1).Draw(t, "node")]
		changes := map[string]string{}
		for _, key := range rapid.SliceOfNDistinct(rapid.StringMatching(`[\x00-\x04a]{0,2}`), 1, 3, rapid.ID[string]).Draw(t, "keys") {
			changes[key] = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "value")
		}
		err := l.Update(ctx, func(x rows.Tx) error {
			for key, v := range changes {
				if v == "" {
					x.Delete(append(slices.Clone(prefix), key...))
				} else {
					x.Put(append(slices.Clone(prefix), key...), []byte(v))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for key, v := range changes {
			if want[key] = v; v == "" {
				delete(want, key)
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "forget") == 0 {
			// As keepLog is: nobody is behind what is forgotten.
			if err := l.forget(ctx, min(a.ledger.applied, b.ledger.applied)-1); err != nil {
				t.Fatal(err)
			}
		}
		var got, wanted []string
		err = l.Scan(ctx, prefix, []byte{0xf3}, func(key, value []byte) error {
			got = append(got, fmt.Sprintf("%x=%s", key[1:], value))
			return nil
		})
		for _, key := range slices.Sorted(maps.Keys(want)) {
			wanted = append(wanted, fmt.Sprintf("%x=%s", key, want[key]))
		}
		if err != nil || !slices.Equal(got, wanted) {
			t.Fatalf("rows are %q, %v, want %q", got, err, wanted)
		}
	})
}
