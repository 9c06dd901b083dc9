package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/storetest"
)

var _ actors.Journal = (*Store)(nil)

func TestStoreIsAJournal(t *testing.T) {
	storetest.Journal(t, func(t testing.TB) storetest.Store {
		fs := vfs.NewMem()
		s := openIn(t, fs)
		t.Cleanup(func() { s.Close() })
		return storetest.Store{Journal: s, Reopen: func() actors.Journal {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openIn(t, fs)
			return s
		}}
	})
}

func TestStoreKeepsNotices(t *testing.T) {
	storetest.Notices(t, func(t *testing.T) actors.NoticeStore {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() { s.Close() })
		return s
	})
}
