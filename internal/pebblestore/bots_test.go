package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
)

func TestBots(t *testing.T) {
	storetest.Bots(t, func(t *testing.T) storetest.BotStore {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
