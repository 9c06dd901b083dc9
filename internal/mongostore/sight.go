package mongostore

import (
	"context"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// sight is when the database last answered this process, whatever it said, and what ends
// the attempts that wait for it.
type sight struct {
	last  atomic.Int64 // Unix milliseconds
	hurry atomic.Pointer[hurry]
}

// hurry ends attempts under way when it is cancelled.
type hurry struct {
	context.Context
	now context.CancelFunc
}

const (
	askEvery  = 400 * time.Millisecond // while nobody else asks
	askWithin = 1500 * time.Millisecond
)

func (s *sight) saw() { s.last.Store(time.Now().UnixMilli()) }

// since says whether the database has answered anything that this process asked after a time.
func (s *sight) since(at time.Time) bool { return s.last.Load() > at.UnixMilli() }

// patient lets attempts take their time again.
func (s *sight) patient() {
	h := &hurry{}
	h.Context, h.now = context.WithCancel(context.Background())
	s.hurry.Store(h)
}

func (s *sight) hurried() bool { return s.hurry.Load().Err() != nil }

// attempt bounds one attempt at one command.
func (s *Store) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	within, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	stop := context.AfterFunc(s.sight.hurry.Load(), cancel)
	return within, func() { stop(); cancel() }
}

// Silent fills actors.Distant.
func (s *Store) Silent() time.Duration {
	return time.Since(time.UnixMilli(s.sight.last.Load()))
}

// Yield fills actors.Distant. The database counts as away until it answers.
func (s *Store) Yield() { s.sight.hurry.Load().now() }

// watch asks the database for a sign of life when nobody else has had one lately.
func (s *Store) watch() {
	for s.closing.Err() == nil {
		if s.Silent() >= askEvery {
			ctx, cancel := context.WithTimeout(s.closing, askWithin)
			if err := s.db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err == nil {
				s.sight.saw()
			}
			cancel()
		}
		s.pause(s.closing, askEvery/4)
	}
}
