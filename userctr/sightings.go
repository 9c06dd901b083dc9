package userctr

import (
	"context"
	"sync"
	"time"
)

// sightings are devices on their way into the store. Whoever signs in does not wait for
// them, and those of a crowd are written together: with a change and a sync for each, a
// first connect would take a third more CPU.
type sightings struct {
	mu      sync.Mutex
	waiting []*DeviceRow
	next    chan struct{} // closed when what waits is kept; nil: nothing waits
	now     chan struct{} // closed when what is being written is kept; nil: nothing is
	hurry   chan struct{} // of one: somebody waits for next
	writing bool          // write runs
}

const (
	// gather is how long the first of a crowd waits for others.
	gather = 100 * time.Millisecond
	// maxSightings is how many go into one change, so that none holds up others' for long.
	maxSightings = 256
)

func (s *sightings) note(c *Center, d *DeviceRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, d)
	if s.next == nil {
		s.next, s.hurry = make(chan struct{}), make(chan struct{}, 1)
	}
	if !s.writing {
		s.writing = true
		go s.write(c)
	}
}

// write writes until nothing waits.
func (s *sightings) write(c *Center) {
	for rows := s.take(); rows != nil; rows = s.take() {
		for len(rows) > 0 {
			part := rows[:min(len(rows), maxSightings)]
			rows = rows[len(part):]
			if err := c.store.SeeDevices(context.Background(), part, maxOutsideDevices); err != nil {
				c.log.Warn("devices could not be noted", "devices", len(part), "err", err)
				for _, d := range part { // they are when they come again
					c.arrivals.drop(c.arrival(d.User, d.Device))
				}
			}
		}
	}
}

// take says that what it gave before is written, and gives what has gathered, nil when
// nothing waits.
func (s *sightings) take() []*DeviceRow {
	s.mu.Lock()
	if s.now != nil {
		close(s.now)
		s.now = nil
	}
	if s.next == nil {
		s.writing = false
		s.mu.Unlock()
		return nil
	}
	hurry := s.hurry
	s.mu.Unlock()
	late := time.NewTimer(gather)
	defer late.Stop()
	select {
	case <-hurry:
	case <-late.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.waiting
	s.waiting, s.now, s.next = nil, s.next, nil
	return rows
}

// kept waits until what was noted before is in the store, or was given up.
func (s *sightings) kept(ctx context.Context) error {
	s.mu.Lock()
	last := s.now
	if s.next != nil {
		last = s.next
		select {
		case s.hurry <- struct{}{}:
		default:
		}
	}
	s.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
