package pebblestore

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/migrate"
)

func TestAStoreThatThisVersionCannotMoveIsRefused(t *testing.T) {
	for says, change := range map[string]func(t *tx){
		"was written by another version":                func(t *tx) { t.put(keyFormat, number(format+1)) },
		"is of a table that this version does not move": func(t *tx) { t.put([]byte{0xf0, 1}, nil) },
	} {
		fs := vfs.NewMem()
		s := openIn(t, fs)
		makeRoom(t, s, someRoom)
		if err := s.update(func(t *tx) error { change(t); return nil }); err != nil {
			t.Fatal(err)
		}
		dir := s.dir
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if x, err := OpenExport(dir, small(fs)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("it is opened: %v, %v, want %q", x, err, says)
		}
	}
}

func TestARowThatCannotBeReadIsNamed(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	makeRoom(t, s, someRoom)
	if err := s.update(func(t *tx) error { t.put(rowKey(tableDevice, "ann", "phone"), []byte("{")); return nil }); err != nil {
		t.Fatal(err)
	}
	dir := s.dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := OpenExport(dir, small(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	err = x.Each(t.Context(), migrate.Devices, "", func(string, migrate.Item) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "row 48616e6e0070686f6e65") {
		t.Errorf("a damaged row: %v, want its key", err)
	}
}

func TestABackupThatNoServerWasStartedOnIsKnownAsOne(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	makeRoom(t, s, someRoom)
	if err := s.Backup("copy", nil); err != nil {
		t.Fatal(err)
	}
	dir := s.dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	is := func(dir string, want bool) {
		t.Helper()
		x, err := OpenExport(dir, small(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if _, again := x.Origin(); again != want {
			t.Errorf("%s may have gone back: %v, want %v", dir, again, want)
		}
	}
	is(dir, false)
	is("copy", true)
	started, err := Open("copy", small(fs))
	if err != nil {
		t.Fatal(err)
	}
	if err := started.Close(); err != nil {
		t.Fatal(err)
	}
	is("copy", false)
	x, err := OpenExport(dir, small(fs))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := x.Part(); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	is(dir, true) // what was moved once
}
