package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// openIn opens a store in fs, whose end is the test's.
func openIn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("data", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func quiet(fs vfs.FS) Options {
	return Options{FS: fs, Log: slog.New(slog.DiscardHandler), Fatal: func(error) {}}
}

func TestOfManyWhoTakeOneNameOneGetsIt(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	defer s.Close()
	taken := errors.New("taken")
	var won sync.Map
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			key := rowKey(tableUsersFirst, "ann")
			err := s.update(func(t *tx) error {
				if _, found, err := t.get(key); err != nil || found {
					return errors.Join(err, taken)
				}
				t.put(key, fmt.Append(nil, i))
				return nil
			})
			if err == nil {
				won.Store(i, true)
			} else if !errors.Is(err, taken) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 16 got the name, want 1", n)
	}
}

func TestAnUpdateThatFailsWritesNothing(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	defer s.Close()
	no := errors.New("no")
	key := rowKey(tableUsersFirst, "x")
	if err := s.update(func(t *tx) error { t.put(key, []byte("1")); return no }); err != no {
		t.Fatalf("update = %v, want what f returned", err)
	}
	if _, found, err := s.get(key); found || err != nil {
		t.Errorf("row is there = %v, %v", found, err)
	}
}

func TestAnUpdateSeesItsOwnRowsAndOthersAfterReopening(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	key, gone := rowKey(tableUsersFirst, "a", "b"), rowKey(tableUsersFirst, "a", "c")
	err := s.update(func(t *tx) error {
		t.put(key, []byte("1"))
		t.put(gone, nil)
		t.delete(gone)
		v, found, err := t.get(key)
		if string(v) != "1" || !found || err != nil {
			return fmt.Errorf("own row = %q, %v, %v", v, found, err)
		}
		if _, found, _ := t.get(gone); found {
			return errors.New("a deleted row is there")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, fs)
	defer s.Close()
	var rows []string
	if err := s.scanPrefix(rowKey(tableUsersFirst, "a", ""), func(k, v []byte) error {
		rows = append(rows, string(k[1:])+"="+string(v))
		return nil
	}); err != nil || strings.Join(rows, " ") != "a\x00b=1" {
		t.Errorf("rows = %q, %v", rows, err)
	}
}

func TestASecondOpenOfADirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir, quiet(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Open(dir, quiet(nil)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second Open = %v, want that it is in use", err)
	}
}

func TestSessionKeySaysWhatItsIDSays(t *testing.T) {
	for id, ok := range map[string]bool{
		"s_abcdefghijklmnop":  true,
		"p_777777aaaaaaaaaa":  true,
		"q_abcdefghijklmnop":  false,
		"s_abcdefghijklmno1":  false, // 1 is no digit of base32
		"s_ABCDEFGHIJKLMNOP":  false,
		"s_abcdefghijklmno":   false,
		"s_abcdefghijklmno\n": false,
		"":                    false,
	} {
		k, got := parseSession(id)
		if got != ok {
			t.Errorf("parseSession(%q) ok = %v, want %v", id, got, ok)
		} else if ok && (k.String() != id || sessionOf(k.entry(7)) != k) {
			t.Errorf("parseSession(%q) = %q, of a key %q", id, k, sessionOf(k.entry(7)))
		}
	}
}

func TestAStoreOfANewerProgramIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	if err := s.update(func(t *tx) error { t.put(keyFormat, number(format+1)); return nil }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open("data", quiet(fs)); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open = %v, want that it is from a newer version", err)
	}
}
