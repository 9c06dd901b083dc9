package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/userctr"
)

func TestUsers(t *testing.T) {
	storetest.Users(t, func(t *testing.T) userctr.Store {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func TestErasure(t *testing.T) {
	storetest.Erasure(t, func(t *testing.T) storetest.Everything {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
