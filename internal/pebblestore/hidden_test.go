package pebblestore

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestReadersSeeWhatIsOnTheDisk(t *testing.T) {
	var h hidden
	k := sessionKey{id: [sessionBytes]byte{1}}
	at := func(last int64) map[sessionKey]head { return map[sessionKey]head{k: {last: last}} }
	want := func(what string, seq int64) {
		t.Helper()
		if got, _ := h.synced(k, 100); got != seq {
			t.Errorf("%s: readers see up to %d, want %d", what, got, seq)
		}
	}
	want("nothing under way", 100)
	h.hide(at(5), nil) // 6 to 7
	want("one commit", 5)
	h.hide(at(7), nil) // 8 to 9, before the first is synced
	want("two commits", 5)
	h.show(at(7), nil)
	want("the first is synced", 7)
	h.show(at(9), nil)
	want("both are", 100)
}

// stuckFS holds the syncs of Pebble's log while it is stuck.
type stuckFS struct {
	vfs.FS
	stuck     *atomic.Bool
	come, let chan struct{}
}

func (fs stuckFS) Unwrap() vfs.FS { return fs.FS }

func (fs stuckFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return stuckFile{f, fs}, nil
}

type stuckFile struct {
	vfs.File
	fs stuckFS
}

func (f stuckFile) hold() {
	if f.fs.stuck.CompareAndSwap(true, false) {
		f.fs.come <- struct{}{}
		<-f.fs.let
	}
}

func (f stuckFile) Sync() error     { f.hold(); return f.File.Sync() }
func (f stuckFile) SyncData() error { f.hold(); return f.File.SyncData() }

func TestARecallIsSeenWholeOrNotAtAll(t *testing.T) {
	fs := stuckFS{vfs.NewMem(), &atomic.Bool{}, make(chan struct{}), make(chan struct{})}
	s := openIn(t, fs)
	defer s.Close()
	ctx := t.Context()
	id := protocol.NewSessionID()
	commit := func(a *actors.Append) {
		a.Session, a.Epoch = id, 1
		if err := errors.Join(s.Commit([]*actors.Append{a}), a.Err); err != nil {
			t.Error(err)
		}
	}
	said := func(recalled bool) *protocol.Entry {
		e := &protocol.Entry{Seq: 1, Sender: "ann", ClientMsgId: "c", Recalled: recalled}
		if !recalled {
			e.Content = &protocol.Content{Text: "hello"}
		}
		return e
	}
	commit(&actors.Append{Create: true, Claim: true, Info: &protocol.SessionInfo{Session: id},
		Members: []*actors.MemberRow{{User: "ann", Order: 1}, {User: "bob", Order: 2}}})
	commit(&actors.Append{Entries: []*protocol.Entry{said(false)}})
	look := func(when string, head, unread int64, text string) {
		t.Helper()
		row, err := s.HomeOf(ctx, "bob", id, "d")
		if err != nil || row.Head != head || row.Unread != unread || row.Last.Content.GetText() != text {
			t.Errorf("%s: home row %+v, %v", when, row, err)
		}
		log, err := s.Range(ctx, id, 1, 9, 9, 1e6)
		if err != nil || int64(len(log)) != head || log[0].Content.GetText() != text {
			t.Errorf("%s: log %v, %v", when, log, err)
		}
		n, _, err := s.Unread(ctx, id, "bob", 0, 9)
		if err != nil || n != unread {
			t.Errorf("%s: %d unread, %v", when, n, err)
		}
	}
	look("before", 1, 1, "hello")
	fs.stuck.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		commit(&actors.Append{Entries: []*protocol.Entry{{Seq: 2, Kind: protocol.Kind_RECALL, Sender: "ann", Target: 1}},
			Rewrites: []*protocol.Entry{said(true)}})
	}()
	<-fs.come
	look("not on the disk yet", 1, 1, "hello")
	close(fs.let)
	<-done
	look("after", 2, 0, "")
}
