package pebblestore

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	someRoom  = "s_aaaaaaaaaaaaaaaa"
	otherRoom = "p_zzzzzzzzzzzzzzzz"
)

// small makes tables soon, so that a test's store has files of every kind.
func small(fs vfs.FS) Options {
	o := quiet(fs)
	o.MemTable = 128 << 10
	return o
}

func makeRoom(t testing.TB, s *Store, id protocol.SessionID) {
	t.Helper()
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: id, Creator: "ann"},
		Members: []*actors.MemberRow{{User: "ann", Order: 1}}}
	if err := s.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		t.Fatal(err, a.Err)
	}
}

// entry is the one entry that a session of these tests has at seq.
func entry(id protocol.SessionID, seq int64) *protocol.Entry {
	return &protocol.Entry{Seq: seq, Sender: "ann", ClientMsgId: fmt.Sprint(id, seq), CreatedAt: seq,
		Content: &protocol.Content{Text: fmt.Sprintf("%0*d", 100+seq%100, seq*7919)}}
}

func say(t testing.TB, s *Store, id protocol.SessionID, from, to int64) {
	t.Helper()
	a := &actors.Append{Session: id, Epoch: 1, Vouched: true}
	for seq := from; seq <= to; seq++ {
		a.Entries = append(a.Entries, entry(id, seq))
		a.Hashes = append(a.Hashes, [8]byte{})
	}
	if err := s.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		t.Fatal(err, a.Err)
	}
}

// whole says whether all that was acknowledged is there.
func whole(s *Store, heads map[protocol.SessionID]int64) error {
	for id, head := range heads {
		entries, err := s.Range(context.Background(), id, 1, 1<<53, 1<<30, 1<<30)
		if err != nil {
			return err
		}
		if int64(len(entries)) != head {
			return fmt.Errorf("%d entries of %s, want %d", len(entries), id, head)
		}
		for i, e := range entries {
			if want := entry(id, int64(i+1)); e.Seq != want.Seq || e.Content.Text != want.Content.Text {
				return fmt.Errorf("entry %d of %s is %v", i+1, id, e)
			}
			sent, err := s.Sent(context.Background(), id, "ann", e.ClientMsgId)
			if err != nil || sent.Seq != e.Seq {
				return fmt.Errorf("sent of entry %d = %v, %w", e.Seq, sent, err)
			}
		}
		if _, err := s.Load(context.Background(), id); err != nil {
			return err
		}
	}
	return nil
}

// disk is the content of a store's directory.
type disk map[string][]byte

func read(t testing.TB, fs vfs.FS, dir string) disk {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := disk{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if d[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return d
}

// with is a file system that holds d, but for one file.
func (d disk) with(t testing.TB, changed string, content []byte) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range d {
		if name == changed {
			b = content
		}
		f, err := fs.Create("data/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(append([]byte(nil), b...)); err != nil { // Write may change what it is given
			t.Fatal(err)
		}
		f.Close()
	}
	return fs
}

// used makes a store with files of every kind, and gives its directory as it is
// while the store is open: as a killed process leaves it.
func used(t testing.TB) (killed, closed disk, heads map[protocol.SessionID]int64) {
	fs := vfs.NewCrashableMem()
	s, err := Open("data", small(fs))
	if err != nil {
		t.Fatal(err)
	}
	makeRoom(t, s, someRoom)
	makeRoom(t, s, otherRoom)
	for n := range int64(40) {
		say(t, s, someRoom, n*10+1, n*10+10)
		if n == 15 {
			if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		}
		if n == 20 || n == 30 { // several tables, and a log that is not the first
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		say(t, s, otherRoom, n+1, n+1)
	}
	// All that was written is kept, synced or not, at one moment.
	killed = read(t, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), "data")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return killed, read(t, fs, "data"), map[protocol.SessionID]int64{someRoom: 400, otherRoom: 40}
}

func TestADamagedFileIsNamedOrDoesNoHarm(t *testing.T) {
	killed, closed, heads := used(t)
	for kind, d := range map[string]disk{"killed": killed, "closed": closed} {
		opened, refused := map[string]int{}, map[string]int{}
		try := func(name, how string, content []byte) {
			t.Helper()
			s, err := Open("data", small(d.with(t, name, content)))
			if err != nil {
				refused[name]++
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%s: %s %s: the refusal does not name it: %v", kind, name, how, err)
				}
				return
			}
			opened[name]++
			if err := whole(s, heads); err != nil {
				t.Errorf("%s: %s %s: opened, but %v", kind, name, how, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%s: %s %s: Close = %v", kind, name, how, err)
			}
		}
		for name, b := range d {
			for _, at := range offsets(len(b)) {
				flipped := append([]byte(nil), b...)
				flipped[at] ^= 1 << (at % 8)
				try(name, fmt.Sprintf("with a bit of byte %d of %d flipped", at, len(b)), flipped)
				try(name, fmt.Sprintf("cut off at byte %d of %d", at, len(b)), b[:at])
			}
		}
		t.Logf("%s: refused %v, opened %v", kind, refused, opened)
	}
}

// offsets are a file's ends and some places between, more in a longer test.
func offsets(size int) (at []int) {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	edge, middle := 7, 6
	if os.Getenv("TROUPE_TEST_LONG") != "" {
		edge, middle = 200, 400
	}
	for i := range size {
		if i < edge || i >= size-edge || random.IntN(size) < middle {
			at = append(at, i)
		}
	}
	return at
}

func TestAMissingFileIsRefused(t *testing.T) {
	killed, _, heads := used(t)
	for name := range killed {
		d := disk{}
		for other, b := range killed {
			if other != name {
				d[other] = b
			}
		}
		s, err := Open("data", small(d.with(t, "", nil)))
		if err != nil {
			t.Logf("without %s: %v", name, err)
			continue
		}
		if err := whole(s, heads); err != nil {
			t.Errorf("without %s: opened, but %v", name, err)
		}
		s.Close()
	}
}
