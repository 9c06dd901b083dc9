package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/mongostore"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/userctr"
)

// filled makes a store with something of everything, and closes it.
func filled(t *testing.T) (dir string, what *storetest.Filled, told []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	s := embedded(t, dir)
	what = storetest.Fill(t, s)
	told = what.Told(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, what, told
}

func embedded(t *testing.T, dir string) *pebblestore.Store {
	t.Helper()
	s, err := pebblestore.Open(dir, pebblestore.Options{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// moving is a migration that is under way.
type moving struct {
	t      *testing.T
	dir    string
	uri    string
	said   bytes.Buffer
	change func(migrate.Target) migrate.Target // what the target is seen as
	origin migrate.Origin
}

func (m *moving) run(ctx context.Context) (*migrate.Report, error) {
	m.t.Helper()
	from, err := pebblestore.OpenExport(m.dir, pebblestore.Options{})
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := mongostore.OpenImport(ctx, mongostore.Options{URI: m.uri})
	if err != nil {
		return nil, err
	}
	defer to.Close()
	of, again := from.Origin()
	if of.Installation = "one"; m.origin.Installation != "" {
		of.Installation = m.origin.Installation
	}
	epoch := of.Epoch
	if again {
		epoch = "another"
	}
	var target migrate.Target = to
	if m.change != nil {
		target = m.change(to)
	}
	return migrate.Run(ctx, migrate.Config{Origin: of, Epoch: epoch, Every: 1, Say: func(line string) { fmt.Fprintln(&m.said, line) }}, from, target)
}

func shared(t *testing.T, uri string) *mongostore.Store {
	t.Helper()
	s, err := mongostore.Open(t.Context(), mongostore.Options{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// files are the names and contents of a directory's files.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[d.Name()] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d lines are told, want %d", what, len(got), len(want))
	}
	wrong := 0
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] && wrong < 10 {
			wrong++
			t.Errorf("%s:\n got %.2000s\nwant %.2000s", what, got[i], want[i])
		}
	}
}

func TestWhatIsMovedIsToldAndGoesOnAsItWas(t *testing.T) {
	dir, what, told := filled(t)
	before := files(t, dir)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	beside := embedded(t, copied)
	defer beside.Close()
	first, err := beside.Load(t.Context(), "s_aaaaaaaaaaaaaaaa")
	if err != nil {
		t.Fatal(err)
	}
	epoch := first.LogEpoch
	m := &moving{t: t, dir: dir, uri: mongotest.URI(t)}
	report, err := m.run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, &m.said)
	}
	for _, k := range report.Kinds {
		if k.Count == 0 {
			t.Errorf("there was nothing of %s to be moved: the test shows nothing about it", k.Kind)
		}
	}
	after := files(t, dir)
	if after["troupe.backup"] == "" {
		t.Error("the source does not know that it is a backup now")
	}
	delete(after, "troupe.backup")
	for name, text := range after {
		if before[name] != text {
			t.Errorf("%s of the source has changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("the source had %d files, and has %d", len(before), len(after))
	}
	is := shared(t, m.uri)
	same(t, "moved", what.Told(t, is), told)

	// The second time there is nothing to do.
	m.said.Reset()
	again, err := m.run(t.Context())
	if err != nil || again.Already.IsZero() {
		t.Errorf("the second run: %+v, %v", again, err)
	}

	// It goes on as what was not moved does.
	one, two := *what, *what
	one.GoOn(t, beside)
	two.GoOn(t, is)
	same(t, "afterwards", two.Told(t, is), one.Told(t, beside))

	// A server that is started on the source again has all of it, and logs of another epoch.
	was := embedded(t, dir)
	session := "s_aaaaaaaaaaaaaaaa"
	old, err := was.Load(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	now, err := is.Load(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	if now.LogEpoch == old.LogEpoch || now.LogEpoch != epoch {
		t.Errorf("the logs' epoch was %s, is %s where they were moved, and %s in the source", epoch, now.LogEpoch, old.LogEpoch)
	}
	if old.Head != now.Head-2 {
		t.Errorf("the source has %d entries, and what was moved %d and two more", old.Head, now.Head-2)
	}
	if err := was.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), "used since") {
		t.Errorf("a source that has gone on is taken for the one that was moved: %v", err)
	}
}

// broken ends with an error at the n-th write.
type broken struct {
	migrate.Target
	left  *int
	after bool // what was to be written is written first
}

var errBroken = errors.New("broken off")

func (b broken) do(write func() error) error {
	if *b.left--; *b.left > 0 {
		return write()
	}
	if b.after {
		return errors.Join(write(), errBroken)
	}
	return errBroken
}

func (b broken) Put(ctx context.Context, kind migrate.Kind, items []migrate.Item) error {
	return b.do(func() error { return b.Target.Put(ctx, kind, items) })
}

func (b broken) Note(ctx context.Context, kind migrate.Kind, at migrate.Place) error {
	return b.do(func() error { return b.Target.Note(ctx, kind, at) })
}

func (b broken) Finish(ctx context.Context) error {
	return b.do(func() error { return b.Target.Finish(ctx) })
}

func TestWhatIsBrokenOffGoesOnWhereverItWas(t *testing.T) {
	dir, what, told := filled(t)
	m := &moving{t: t, dir: dir, uri: mongotest.URI(t)}
	left, runs := 0, 0
	m.change = func(to migrate.Target) migrate.Target {
		left = 3 + runs*2 // further each time, with another write being the last one
		runs++
		return broken{to, &left, runs%2 == 0}
	}
	done := false // though nobody was told
	for {
		_, err := m.run(t.Context())
		if err == nil {
			break
		}
		if done || !errors.Is(err, errBroken) {
			t.Fatalf("run %d: %v", runs, err)
		}
		if s, err := mongostore.Open(t.Context(), mongostore.Options{URI: m.uri}); err == nil {
			if of, _ := s.Moved(); left > 0 || runs%2 != 0 || of != "one" {
				t.Errorf("run %d: a server starts on what was half moved", runs)
			}
			done = true
			s.Close()
		}
	}
	if runs < 5 {
		t.Errorf("it was broken off %d times only", runs-1)
	}
	same(t, "moved", what.Told(t, shared(t, m.uri)), told)
}

func TestADatabaseThatIsInUseIsRefused(t *testing.T) {
	dir, _, _ := filled(t)
	uri := mongotest.URI(t)
	shared(t, uri)
	m := &moving{t: t, dir: dir, uri: uri}
	refused := func(says string) {
		t.Helper()
		if _, err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("it is moved into a database in use: %v, want %q", err, says)
		}
	}
	refused("a server was started on it")

	m.uri = mongotest.URI(t)
	left := 5
	m.change = func(to migrate.Target) migrate.Target { return broken{to, &left, false} }
	refused(errBroken.Error())
	m.origin.Installation = "two"
	refused("another installation")
	m.origin.Installation = ""
	old := embedded(t, dir)
	if err := old.BeginErasure(t.Context(), &userctr.Erasure{User: "cid"}); err != nil {
		t.Fatal(err)
	}
	refused("in use by another process")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	refused("half moved there")
}

func TestADamagedSourceIsNamedAndNothingIsMoved(t *testing.T) {
	dir, _, _ := filled(t)
	s := embedded(t, dir)
	if err := s.Purge(t.Context()); err != nil { // into tables
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	slices.Sort(tables)
	text, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/3] ^= 4
	if err := os.WriteFile(tables[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &moving{t: t, dir: dir, uri: mongotest.URI(t)}
	if _, err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Base(tables[0])) {
		t.Errorf("a damaged table: %v, want it named", err)
	}
	m.dir = filepath.Join(t.TempDir(), "none")
	if _, err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no store") {
		t.Errorf("no store: %v", err)
	}
	if _, err := os.Stat(m.dir); err == nil {
		t.Error("it was made")
	}
}
