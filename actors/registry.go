package actors

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// registry finds the one actor of this node for an id. It is what a cluster's
// placement does for many nodes.
type registry struct {
	once   sync.Once
	seed   maphash.Seed
	shards [64]struct {
		sync.RWMutex
		refs map[string]*ref
	}
}

// ref is an actor in a registry and what others may read of it without a message.
type ref struct {
	address
	active      atomic.Int64                    // Unix milliseconds of the last sign of life
	connections atomic.Int32                    // of a user
	leaving     atomic.Bool                     // told to passivate
	status      atomic.Uint32                   // of a user: how it wants to be seen, a place in statuses
	shown       atomic.Uint32                   // of a user: how this node, being alone, last said it is seen; 0 is offline
	hidden      atomic.Pointer[map[string]bool] // of a user: from whom its presence is hidden, as it blocked them
}

func (r *registry) shard(id string) *struct {
	sync.RWMutex
	refs map[string]*ref
} {
	r.once.Do(func() { r.seed = maphash.MakeSeed() })
	return &r.shards[maphash.String(r.seed, id)%uint64(len(r.shards))]
}

func (r *registry) find(id string) *ref {
	s := r.shard(id)
	s.RLock()
	defer s.RUnlock()
	return s.refs[id]
}

// get gives the actor of id; start makes it when there is none, and must not send
// messages, as the shard is locked.
func (r *registry) get(id string, start func(*ref) address) address {
	if found := r.find(id); found != nil {
		return found.address
	}
	s := r.shard(id)
	s.Lock()
	defer s.Unlock()
	if found := s.refs[id]; found != nil {
		return found.address
	}
	if s.refs == nil {
		s.refs = map[string]*ref{}
	}
	made := &ref{}
	made.address = start(made)
	s.refs[id] = made
	return made.address
}

// remove takes the ref out, so that the next get starts a new actor.
func (r *registry) remove(id string, which *ref) {
	s := r.shard(id)
	s.Lock()
	defer s.Unlock()
	if s.refs[id] == which {
		delete(s.refs, id)
	}
}

// each calls f for every ref, of one shard's copy at a time.
func (r *registry) each(f func(id string, which *ref)) {
	for i := range r.shards {
		s := &r.shards[i]
		s.RLock()
		ids := make([]string, 0, len(s.refs))
		refs := make([]*ref, 0, len(s.refs))
		for id, which := range s.refs {
			ids, refs = append(ids, id), append(refs, which)
		}
		s.RUnlock()
		for j := range ids {
			f(ids[j], refs[j])
		}
	}
}

func (r *registry) len() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.RLock()
		n += len(s.refs)
		s.RUnlock()
	}
	return n
}
