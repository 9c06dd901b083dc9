package userctr

import (
	"context"
	"sync"
)

// sightings are devices on their way into the store. Whoever signs in does not wait for
// them, and those of a crowd are written together: with a change and a sync for each, a
// first connect would take a third more CPU.
type sightings struct {
	mu      sync.Mutex
	waiting []*DeviceRow
	turns   [2]chan struct{} // closed when what is being written, and what waits now, is kept; nil: nothing is
}

// maxSightings is how many go into one change, so that none holds up others' for long.
const maxSightings = 256

func (s *sightings) note(c *Center, d *DeviceRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, d)
	if s.turns[1] == nil {
		s.turns[1] = make(chan struct{})
	}
	if s.turns[0] == nil {
		s.turn()
		go s.write(c)
	}
}

// turn makes what waits what is written.
func (s *sightings) turn() { s.turns = [2]chan struct{}{s.turns[1], nil} }

func (s *sightings) write(c *Center) {
	for {
		s.mu.Lock()
		rows := s.waiting
		s.waiting = nil
		s.mu.Unlock()
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
		s.mu.Lock()
		close(s.turns[0])
		if s.turn(); s.turns[0] == nil {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// kept waits until what was noted before is in the store, or was given up.
func (s *sightings) kept(ctx context.Context) error {
	s.mu.Lock()
	last := s.turns[1]
	if last == nil {
		last = s.turns[0]
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
