package redisstreams

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const shards = 256

// interest is one subject that this node follows.
type interest struct {
	count  int32         // how often; guarded by its shard
	stands atomic.Bool   // it is registered, and who publishes knows
	gen    atomic.Uint64 // of the registration

	// Guarded by Streams.reg.
	waits int           // publishers that did not answer yet
	late  bool          // somebody did not wait until it stood: Lost is owed then
	ready chan struct{} // closed when it stands; nil: nobody waits
}

// follows counts interests.
type follows struct {
	seed   maphash.Seed
	shards [shards]struct {
		sync.RWMutex
		m map[string]*interest
	}
}

func (f *follows) init() {
	f.seed = maphash.MakeSeed()
	for i := range f.shards {
		f.shards[i].m = map[string]*interest{}
	}
}

func (f *follows) has(subject string) bool { return f.get(subject) != nil }

func (f *follows) get(subject string) *interest {
	s := &f.shards[maphash.String(f.seed, subject)%shards]
	s.RLock()
	defer s.RUnlock()
	return s.m[subject]
}

// add counts one more. True: it is the first.
func (f *follows) add(subject string) (in *interest, first bool) {
	s := &f.shards[maphash.String(f.seed, subject)%shards]
	s.Lock()
	defer s.Unlock()
	if in = s.m[subject]; in == nil {
		in, first = &interest{}, true
		s.m[subject] = in
	}
	in.count++
	return in, first
}

// remove counts one less. True: it was the last.
func (f *follows) remove(subject string) (last bool) {
	s := &f.shards[maphash.String(f.seed, subject)%shards]
	s.Lock()
	defer s.Unlock()
	in := s.m[subject]
	if in == nil {
		return false
	}
	if in.count--; in.count == 0 {
		delete(s.m, subject)
		return true
	}
	return false
}

type following struct {
	subject string
	in      *interest
}

// all gives a shard's.
func (f *follows) all(shard int) []following {
	s := &f.shards[shard]
	s.RLock()
	defer s.RUnlock()
	all := make([]following, 0, len(s.m))
	for subject, in := range s.m {
		all = append(all, following{subject, in})
	}
	return all
}

// Follow registers subjects, and waits for it a moment: where Redis is away, or a
// publisher does not answer, Receiver.Lost follows when it is done. So whoever signs in
// while Redis is away can do so. The error is that the streams do not run.
func (s *Streams) Follow(ctx context.Context, subjects ...string) error {
	if s.receiver == nil {
		return errors.New("redisstreams: a subject was followed before the streams were started")
	}
	if s.ctx.Err() != nil {
		return errors.New("redisstreams: the streams are closed")
	}
	var wait []*interest
	for _, subject := range subjects {
		in, first := s.follows.add(subject)
		if first {
			s.clerk.add(op{interestOf, subject, nil})
		}
		if !in.stands.Load() {
			wait = append(wait, in)
		}
	}
	if len(wait) == 0 {
		return nil
	}
	patience := s.cfg.wait
	if s.down.Load() {
		patience = 0
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for i, in := range wait {
		ready := s.readiness(in)
		if ready == nil {
			continue
		}
		select {
		case <-ready:
			continue
		case <-enough.C:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.doNotWait(wait[i:])
		return nil
	}
	return nil
}

// readiness gives what is closed when in stands; nil: it does.
func (s *Streams) readiness(in *interest) chan struct{} {
	s.reg.Lock()
	defer s.reg.Unlock()
	if in.stands.Load() {
		return nil
	}
	if in.ready == nil {
		in.ready = make(chan struct{})
	}
	return in.ready
}

func (s *Streams) doNotWait(all []*interest) {
	s.reg.Lock()
	defer s.reg.Unlock()
	for _, in := range all {
		if !in.stands.Load() {
			in.late = true
		}
	}
}

// stand is told when an interest is registered; reg is held.
func (s *Streams) stand(in *interest) {
	in.stands.Store(true)
	if in.ready != nil {
		close(in.ready)
		in.ready = nil
	}
	if in.late {
		in.late = false
		s.owe()
	}
}

// Unfollow takes one interest back. With the last one, what still comes is refused to
// its publisher.
func (s *Streams) Unfollow(subject string) {
	if s.follows.remove(subject) {
		s.clerk.add(op{interestOf, subject, nil})
	}
}

// token is a question to a publisher, whether it knows of new interests.
type token struct {
	id      uint64
	peer    *peer
	all     []followed
	waiting []*interest // nil: nobody waits any more
	asked   time.Time
	late    bool // an answer means that events may have been missed until now
}

// answered is told when a publisher knows, or is no more.
func (s *Streams) answered(p *place, id uint64, gone bool) {
	s.reg.Lock()
	defer s.reg.Unlock()
	t := p.tokens[id]
	if t == nil {
		return
	}
	delete(p.tokens, id)
	s.release(t)
	if t.late && !gone {
		s.owe()
	}
}

// release lets those go who wait for t; reg is held.
func (s *Streams) release(t *token) {
	for _, in := range t.waiting {
		if in.waits--; in.waits == 0 {
			s.stand(in)
		}
	}
	t.waiting = nil
}

// askAgain looks at questions that were not answered: nobody waits for a publisher that
// is silent, but it is asked until it answers or is gone.
func (s *Streams) askAgain(p *place) {
	now := time.Now()
	var again []*token
	s.reg.Lock()
	for _, t := range p.tokens {
		if now.Sub(t.asked) >= s.cfg.wait*2/3 {
			t.asked, t.late = now, true
			t.peer.silent.Store(true)
			s.release(t)
			again = append(again, t)
		}
	}
	s.reg.Unlock()
	for _, t := range again {
		p.post.add(t.peer, followItem(t.id, t.all))
	}
}
