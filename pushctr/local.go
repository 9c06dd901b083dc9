// Package pushctr carries events from the sessions to the nodes where their
// members are connected.
package pushctr

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/troupe-im/troupe/actors"
)

// Local is the streams of a process that is alone. Publish calls the receiver in
// the publisher's own goroutine: no hop and no wake-up stand between a commit and
// the sockets. So what Receive costs, the publisher pays, and a receiver that
// waits makes the publisher wait: receivers queue and return.
//
// Nothing is ever lost on the way, so Receiver.Lost is never called.
type Local struct {
	process  *process
	seed     maphash.Seed
	shards   [shards]interest
	receiver actors.Receiver // set by Start, before the first Follow
}

// shards keep followers of different subjects out of each other's way.
const shards = 64

// interest counts, per subject, how often it was followed more than unfollowed.
type interest struct {
	mu    sync.RWMutex
	count map[string]int32
}

// process is what the nodes in it share: each other. A server has one node; tests
// have several in one process.
type process struct {
	mu    sync.RWMutex
	nodes []*Local
}

// NewLocal gives the streams of a process with one node.
func NewLocal() *Local { return new(process).node() }

func (p *process) node() *Local {
	l := &Local{process: p, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].count = map[string]int32{}
	}
	return l
}

// Start names the receiver of this node.
func (l *Local) Start(receiver actors.Receiver) {
	l.receiver = receiver
	l.process.mu.Lock()
	defer l.process.mu.Unlock()
	// A new slice, as Publish walks the old one without the lock.
	l.process.nodes = append(l.process.nodes[:len(l.process.nodes):len(l.process.nodes)], l)
}

// Publish hands events to every node of the process that follows subject, burst
// to this one only, and returns when all of them have taken them. Publishers of one subject keep its
// order by publishing one after the other, as a session does.
func (l *Local) Publish(subject string, events []*actors.Event, burst *actors.Burst) {
	l.process.mu.RLock()
	nodes := l.process.nodes
	l.process.mu.RUnlock()
	for _, n := range nodes {
		if !n.follows(subject) {
			continue
		}
		// No lock is held: the receiver may follow, unfollow and publish.
		if n == l {
			n.receiver.Receive(subject, events, burst)
		} else {
			n.receiver.Receive(subject, events, nil)
		}
	}
}

// Follow counts one more interest of this node in each of subjects. The error is that
// Start was not called, or ctx's.
func (l *Local) Follow(ctx context.Context, subjects ...string) error {
	if l.receiver == nil {
		return errors.New("pushctr: a subject was followed before the streams were started")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, subject := range subjects {
		s := l.shard(subject)
		s.mu.Lock()
		s.count[subject]++
		s.mu.Unlock()
	}
	return nil
}

// FollowsAtOnce says that Follow only counts: it never waits (actors.Instant).
func (l *Local) FollowsAtOnce() {}

// Unfollow takes one interest back; with the last one events of subject end, but
// for those being published at this moment. One too many changes nothing.
func (l *Local) Unfollow(subject string) {
	s := l.shard(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := s.count[subject]; {
	case n > 1:
		s.count[subject] = n - 1
	case n == 1:
		delete(s.count, subject)
	}
}

func (l *Local) follows(subject string) bool {
	s := l.shard(subject)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.count[subject] > 0
}

func (l *Local) shard(subject string) *interest {
	return &l.shards[maphash.String(l.seed, subject)%shards]
}

// Another gives the streams of one node more in the same process.
func (l *Local) Another() *Local { return l.process.node() }
