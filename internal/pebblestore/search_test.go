package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
)

func TestStoreIsSearched(t *testing.T) {
	storetest.Search(t, func(t *testing.T) storetest.Searched {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() { s.Close() })
		return s
	})
}
