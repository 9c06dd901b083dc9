package pebblestore

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAfterAPowerCutAllThatWasAcknowledgedIsThere(t *testing.T) {
	for _, percent := range []int{0, 30, 100} {
		mem := vfs.NewCrashableMem()
		s, err := Open("data", small(mem))
		if err != nil {
			t.Fatal(err)
		}
		makeRoom(t, s, someRoom)
		var acked atomic.Int64
		var wait sync.WaitGroup
		done := make(chan struct{})
		wait.Go(func() {
			for n := int64(1); ; n += 5 {
				select {
				case <-done:
					return
				default:
				}
				say(t, s, someRoom, n, n+4)
				acked.Store(n + 4)
			}
		})
		random := rand.New(rand.NewPCG(uint64(percent), 1))
		for before := int64(0); before < 2000; {
			if acked.Load() < before+150 {
				continue
			}
			before = acked.Load()
			cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
			after, err := Open("data", small(cut))
			if err != nil {
				t.Fatalf("%d %% of unsynced bytes kept: %v", percent, err)
			}
			stored, err := after.Load(context.Background(), someRoom)
			if err != nil || stored.Head < before {
				t.Errorf("%d entries were acknowledged, the head is %+v, %v", before, stored, err)
			} else if err := whole(after, map[protocol.SessionID]int64{someRoom: stored.Head}); err != nil {
				t.Error(err)
			}
			if err := after.Close(); err != nil {
				t.Error(err)
			}
		}
		close(done)
		wait.Wait()
		s.Close()
	}
}

func TestWhatWasNotAcknowledgedMayEndAnywhere(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	defer s.Close()
	makeRoom(t, s, someRoom)
	say(t, s, someRoom, 1, 20)
	before := read(t, fs, "data")
	say(t, s, someRoom, 21, 21)
	for name, b := range read(t, fs, "data") {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		torn := [][]byte{append(b[:len(before[name]):len(before[name])], make([]byte, 100000)...),
			append(b[:len(before[name]):len(before[name])], "garbage that a dying disk wrote"...)}
		for end := len(before[name]); end <= len(b); end++ {
			torn = append(torn, b[:end])
		}
		for _, content := range torn {
			after, err := Open("data", quiet(before.with(t, name, content)))
			if err != nil {
				t.Fatalf("%s of %d bytes, %d acknowledged: %v", name, len(content), len(before[name]), err)
			}
			if head := after.counter; head < 3 {
				t.Errorf("counter = %d", head)
			}
			stored, err := after.Load(context.Background(), someRoom)
			if err != nil {
				t.Fatal(err)
			}
			if err := whole(after, map[protocol.SessionID]int64{someRoom: max(20, stored.Head)}); err != nil {
				t.Error(err)
			}
			after.Close()
		}
	}
}

// gate holds up the making of tables, so that logs pile up.
type gate struct {
	vfs.FS
	open chan struct{}
}

func (g gate) Unwrap() vfs.FS { return g.FS }

func (g gate) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		<-g.open
	}
	return g.FS.Create(name, category)
}

func TestALogThatOthersFollowIsMissedWhereverItIsCut(t *testing.T) {
	g := gate{vfs.NewMem(), make(chan struct{})}
	s, err := Open("data", small(g))
	if err != nil {
		t.Fatal(err)
	}
	makeRoom(t, s, someRoom)
	logs := func(d disk) (names []string) {
		for name := range d {
			if strings.HasSuffix(name, ".log") {
				names = append(names, name)
			}
		}
		return names
	}
	head := int64(0)
	var d disk
	for d = read(t, g, "data"); len(logs(d)) < 2; d = read(t, g, "data") {
		say(t, s, someRoom, head+1, head+5)
		head += 5
	}
	say(t, s, someRoom, head+1, head+5)
	d, heads := read(t, g, "data"), map[protocol.SessionID]int64{someRoom: head + 5}
	close(g.open)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open("data", small(d.with(t, "", nil))); err != nil {
		t.Fatal(err)
	} else if err := whole(s, heads); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, name := range logs(d) {
		size := len(d[name])
		for _, at := range offsets(size) {
			s, err := Open("data", small(d.with(t, name, d[name][:at])))
			if err == nil {
				if err := whole(s, heads); err != nil {
					t.Errorf("%s cut off at %d of %d: opened, but %v", name, at, size, err)
				}
				s.Close()
			} else if !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut off at %d of %d: the refusal does not name it: %v", name, at, size, err)
			}
		}
	}
}

func TestADirectoryOfThisMachineIsOpenedAsAKilledProcessLeftIt(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	s, err := Open(dir, quiet(nil)) // makes no tables meanwhile: reading a directory file by file is not one moment
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	makeRoom(t, s, someRoom)
	for n := range int64(60) {
		say(t, s, someRoom, n*20+1, n*20+20)
	}
	heads := map[protocol.SessionID]int64{someRoom: 1200}
	for name, b := range read(t, vfs.Default, dir) {
		if err := writeFile(vfs.Default, vfs.Default.PathJoin(copied, name), string(b)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		after, err := Open(copied, small(nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := whole(after, heads); err != nil {
			t.Error(err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnEmptiedMarkMeansTakeItAsItStands(t *testing.T) {
	killed, _, heads := used(t)
	var newest string
	for name := range killed {
		if strings.HasSuffix(name, ".log") {
			newest = max(newest, name)
		}
	}
	cut := killed[newest][:len(killed[newest])-10]
	if _, err := Open("data", small(killed.with(t, newest, cut))); err == nil || !strings.Contains(err.Error(), newest) {
		t.Fatalf("Open = %v, want a refusal that names %s", err, newest)
	}
	killed[markName] = nil
	fs := killed.with(t, newest, cut)
	for range 2 {
		s, err := Open("data", small(fs))
		if err != nil {
			t.Fatal(err)
		}
		heads[otherRoom] = 39 // the last change was its 40th
		if err := whole(s, heads); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}
