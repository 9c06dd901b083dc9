package actors

import (
	"hash/maphash"
	"slices"
	"sync"
)

// audience knows which users of this node follow which subject: the sessions they
// are in, and themselves. It is a table
// under sharded read locks: as an actor it cost a third more per message
// (docs/decisions/0003).
type audience struct {
	once   sync.Once
	seed   maphash.Seed
	shards [64]struct {
		sync.RWMutex
		users map[string][]address // copied on change
	}
}

func (a *audience) shard(id string) *struct {
	sync.RWMutex
	users map[string][]address
} {
	a.once.Do(func() { a.seed = maphash.MakeSeed() })
	return &a.shards[maphash.String(a.seed, id)%uint64(len(a.shards))]
}

// of gives the local users who follow subject; the slice is not to be changed.
func (a *audience) of(subject string) []address {
	s := a.shard(subject)
	s.RLock()
	defer s.RUnlock()
	return s.users[subject]
}

// join puts user into subject's audience. True: it was not there.
func (a *audience) join(subject string, user address) bool {
	s := a.shard(subject)
	s.Lock()
	defer s.Unlock()
	before := s.users[subject]
	if slices.Contains(before, user) {
		return false
	}
	if s.users == nil {
		s.users = map[string][]address{}
	}
	// Room for as many again, so that a large audience is not copied for each that
	// joins: readers hold the shorter slice and never look past it.
	s.users[subject] = append(before, user)
	return true
}

// leave takes user out. True: it was there.
func (a *audience) leave(subject string, user address) bool {
	s := a.shard(subject)
	s.Lock()
	defer s.Unlock()
	before := s.users[subject]
	i := slices.Index(before, user)
	if i < 0 {
		return false
	}
	if len(before) == 1 {
		delete(s.users, subject)
		return true
	}
	after := make([]address, 0, len(before)-1)
	s.users[subject] = append(append(after, before[:i]...), before[i+1:]...)
	return true
}
