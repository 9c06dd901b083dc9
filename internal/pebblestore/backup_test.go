package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestABackupDuringWritesIsOneMomentOfThem(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open("data", small(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	makeRoom(t, s, someRoom)
	say(t, s, someRoom, 1, 10)
	started, done := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	var acked atomic.Int64
	defer wait.Wait()
	defer close(done)
	wait.Go(func() {
		for n := int64(11); n < 3000; n++ {
			say(t, s, someRoom, n, n)
			if acked.Store(n); n == 200 {
				close(started)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	<-started
	for i := range 3 {
		least := acked.Load()
		dir := fmt.Sprint("backup", i)
		if err := s.Backup(dir, nil); err != nil {
			t.Fatal(err)
		}
		copied, err := Open(dir, small(fs))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := copied.Load(context.Background(), someRoom)
		if err != nil || stored.Head < least {
			t.Errorf("head of the copy = %+v, %v, was %d before", stored, err, least)
		} else if names, err := fs.List("data/" + backupDraft); err == nil {
			t.Errorf("a draft is left behind: %v", names)
		} else if err := whole(copied, map[protocol.SessionID]int64{someRoom: stored.Head}); err != nil {
			t.Error(err)
		}
		copied.Close()
	}
}

func TestARestoredStoreTakesANewLogEpochOnce(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	makeRoom(t, s, someRoom)
	say(t, s, someRoom, 1, 10)
	if err := s.Backup("backup", nil); err != nil {
		t.Fatal(err)
	}
	backup := read(t, fs, "backup")
	before, err := s.Load(context.Background(), someRoom)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openIn(t, fs)
	if same, err := again.Load(context.Background(), someRoom); err != nil || same.LogEpoch != before.LogEpoch {
		t.Errorf("the store that was backed up has log epoch %v, %v, want %s", same.LogEpoch, err, before.LogEpoch)
	}
	again.Close()

	epochs := map[string]bool{before.LogEpoch: true}
	for range 2 { // of one backup, two restored stores
		restored := backup.with(t, "", nil)
		var after *actors.Stored
		for n := range 3 {
			r := openIn(t, restored)
			stored, err := r.Load(context.Background(), someRoom)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 && (stored.LogEpoch != after.LogEpoch || stored.Epoch != after.Epoch) {
				t.Errorf("opened again, the restored store has epochs %s, %d, had %s, %d", stored.LogEpoch, stored.Epoch, after.LogEpoch, after.Epoch)
			}
			after = stored
			r.Close()
		}
		if epochs[after.LogEpoch] || after.Epoch <= before.Epoch || after.Head != 10 {
			t.Errorf("restored: %+v, want a new log epoch and an activation epoch over %d", after, before.Epoch)
		}
		epochs[after.LogEpoch] = true
		r := openIn(t, restored)
		old := &actors.Append{Session: someRoom, Epoch: before.Epoch, Entries: []*protocol.Entry{entry(someRoom, 11)}}
		claim := &actors.Append{Session: someRoom, Epoch: after.Epoch + 1, Claim: true, Head: after.Head}
		if err := r.Commit([]*actors.Append{old, claim}); err != nil || !errors.Is(old.Err, actors.ErrStale) || claim.Err != nil {
			t.Errorf("an activation from before the backup, a new one: %v, %v, %v", err, old.Err, claim.Err)
		}
		r.Close()
	}
}

func TestABackupGoesNowhereButIntoAnEmptyDirectory(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	defer s.Close()
	makeRoom(t, s, someRoom)
	if err := fs.MkdirAll("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup("empty", nil); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	for _, dir := range []string{"empty", "data"} {
		if err := s.Backup(dir, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("into %s: %v, want a refusal", dir, err)
		}
	}
}

func TestABackupThatWasBrokenOffIsNotOpened(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	defer s.Close()
	makeRoom(t, s, someRoom)
	if err := s.Backup("backup", nil); err != nil {
		t.Fatal(err)
	}
	d := read(t, fs, "backup")
	delete(d, markName)
	if _, err := Open("data", quiet(d.with(t, "", nil))); err == nil || !strings.Contains(err.Error(), markName) {
		t.Errorf("Open = %v, want a refusal that names %s", err, markName)
	}
}

func TestASessionMadeInARestoredStoreIsWrittenAtOnce(t *testing.T) {
	fs := vfs.NewMem()
	s := openIn(t, fs)
	makeRoom(t, s, someRoom)
	if err := errors.Join(s.Backup("backup", nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open("backup", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := protocol.NewSessionID()
	made := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: id},
		Members: []*actors.MemberRow{{User: "ann", Order: 1}}}
	if err := errors.Join(s.Commit([]*actors.Append{made}), made.Err); err != nil {
		t.Fatal(err)
	}
	said := &actors.Append{Session: id, Epoch: made.Epoch, Entries: []*protocol.Entry{{Seq: 1, Sender: "ann", ClientMsgId: "c"}}}
	if err := errors.Join(s.Commit([]*actors.Append{said}), said.Err); err != nil {
		t.Errorf("the first message: %v", err)
	}
}
