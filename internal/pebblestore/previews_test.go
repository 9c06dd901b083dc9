package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/storetest"
)

func TestPreviews(t *testing.T) {
	storetest.Previews(t, func(t *testing.T) preview.Store {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
