package pebblestore

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// filling is a file system whose free space the test says.
type filling struct {
	vfs.FS
	free  atomic.Uint64
	asked atomic.Int64
}

func (f *filling) Unwrap() vfs.FS { return f.FS }

func (f *filling) GetDiskUsage(string) (vfs.DiskUsage, error) {
	f.asked.Add(1)
	return vfs.DiskUsage{AvailBytes: f.free.Load()}, nil
}

func TestAFullDiskIsBusyUntilThereIsRoomAgain(t *testing.T) {
	disk := &filling{FS: vfs.NewMem()}
	disk.free.Store(1 << 30)
	s := openIn(t, disk)
	defer s.Close()
	clock := time.Unix(1000, 0)
	s.space.now, s.space.next = func() time.Time { return clock }, clock
	makeRoom(t, s, someRoom)
	append := func() (error, error) {
		a := &actors.Append{Session: someRoom, Epoch: 1}
		a.Marks = []actors.Mark{{User: "ann", ReadSeq: clock.Unix()}}
		return s.Commit([]*actors.Append{a}), a.Err
	}
	disk.free.Store(1000)
	clock = clock.Add(time.Minute)
	asked := disk.asked.Load()
	for range 10 {
		if err, refused := append(); err != nil || !protocol.Code_BUSY.Is(refused) {
			t.Fatalf("Commit on a full disk = %v, %v, want BUSY", err, refused)
		}
	}
	if err := s.update(func(*tx) error { t.Error("was called"); return nil }); !protocol.Code_BUSY.Is(err) {
		t.Errorf("update on a full disk = %v, want BUSY", err)
	}
	if err := s.Ready(); !protocol.Code_BUSY.Is(err) {
		t.Errorf("Ready on a full disk = %v, want BUSY", err)
	}
	if n := disk.asked.Load() - asked; n != 1 {
		t.Errorf("the free space was asked for %d times within a second, want 1", n)
	}
	disk.free.Store(1 << 30)
	clock = clock.Add(time.Second)
	if err, refused := append(); err != nil || refused != nil {
		t.Errorf("Commit when there is room again = %v, %v", err, refused)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready when there is room again = %v", err)
	}
}

// lying is a file system whose syncs of logs fail when the test says so.
type lying struct {
	vfs.FS
	broken atomic.Bool
}

var errDisk = errors.New("the disk is gone")

func (l *lying) Unwrap() vfs.FS { return l.FS }

func (l *lying) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, category)
	if strings.HasSuffix(name, ".log") && err == nil {
		f = &lyingFile{f, l}
	}
	return f, err
}

type lyingFile struct {
	vfs.File
	fs *lying
}

func (f *lyingFile) err() error {
	if f.fs.broken.Load() {
		return errDisk
	}
	return nil
}

func (f *lyingFile) Sync() error     { return errors.Join(f.err(), f.File.Sync()) }
func (f *lyingFile) SyncData() error { return errors.Join(f.err(), f.File.SyncData()) }

func TestAFailedSyncIsFatalAndNothingIsAcknowledgedAfterIt(t *testing.T) {
	disk := &lying{FS: vfs.NewMem()}
	o := quiet(disk)
	fatal := make(chan error, 9)
	o.Fatal = func(err error) { fatal <- err }
	s, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	makeRoom(t, s, someRoom)
	say(t, s, someRoom, 1, 5)
	disk.broken.Store(true)
	commit := func(seq int64) error {
		return s.Commit([]*actors.Append{{Session: someRoom, Epoch: 1, Entries: []*protocol.Entry{entry(someRoom, seq)}}})
	}
	if err := commit(6); !errors.Is(err, errDisk) {
		t.Errorf("Commit whose sync fails = %v, want the disk's error", err)
	}
	if err := <-fatal; !errors.Is(err, errDisk) {
		t.Errorf("Fatal is told %v", err)
	}
	disk.broken.Store(false)
	if err := commit(7); !errors.Is(err, errDisk) {
		t.Errorf("Commit after a failed sync = %v, want the same error: the log's end is unknown", err)
	}
	if err := s.Ready(); !errors.Is(err, errDisk) {
		t.Errorf("Ready = %v", err)
	}
	if len(fatal) > 0 {
		t.Errorf("Fatal is told again: %v", <-fatal)
	}
	// What the process leaves behind has all that was acknowledged.
	after, err := Open("data", quiet(read(t, disk, "data").with(t, "", nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	stored, err := after.Load(t.Context(), someRoom)
	if err != nil || stored.Head < 5 {
		t.Errorf("Load = %+v, %v, want 5 entries at least", stored, err)
	}
}
