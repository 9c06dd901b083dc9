package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
)

func TestFiles(t *testing.T) {
	storetest.Files(t, func(t *testing.T) storetest.FileStore {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
