package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/plugins/model"
)

func TestUsage(t *testing.T) {
	storetest.Usage(t, func(t *testing.T) model.Store {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
