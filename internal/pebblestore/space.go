package pebblestore

import (
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// space knows whether there is room on the disk, and asks at most once a second.
type space struct {
	mu   sync.Mutex
	now  func() time.Time // time.Now, but for tests
	next time.Time        // when to ask again
	low  bool
}

// roomy is nil while there is room to write, else what a writer is told: BUSY. It heals by itself.
func (s *Store) roomy() error {
	if s.opts.MinFree < 0 {
		return nil
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	if now := s.space.now(); !now.Before(s.space.next) {
		s.space.next = now.Add(time.Second)
		// An error (a file system that cannot tell) says nothing about the room there is.
		if use, err := s.opts.FS.GetDiskUsage(s.dir); err == nil {
			low := use.AvailBytes < uint64(s.opts.MinFree)
			if low != s.space.low {
				s.opts.Log.Warn("room on the store's disk changed", "refusing", low, "free", use.AvailBytes, "floor", s.opts.MinFree)
			}
			s.space.low = low
		}
	}
	if s.space.low {
		return &protocol.Error{Code: protocol.Code_BUSY, Detail: "the disk is full", RetryAfterMs: 1000}
	}
	return nil
}

// Ready is nil while the store can write, else why it cannot.
func (s *Store) Ready() error {
	if err := s.broken(); err != nil {
		return err
	}
	return s.roomy()
}
