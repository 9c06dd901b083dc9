package redisstreams

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/actors"
)

// reach is what a publisher knows of who follows its subjects: read once from Redis,
// where it is written then that this node wants to be told of those who come later.
// Who does not follow any more says so when something comes.
type reach struct {
	s      *Streams
	p      *place
	seed   maphash.Seed
	shards [shards]struct {
		sync.Mutex
		m map[string]*audience
	}
	waiting atomic.Int64 // bytes of events whose readers are not known yet
}

// audience is who follows one subject, without this node.
type audience struct {
	known   bool
	used    bool // since it was last looked at
	targets []target
	pending [][]byte // while it is not known
	since   time.Time
}

type target struct {
	peer *peer
	gen  uint64
}

// waitingBytes bounds what waits until it is known who is to have it.
const waitingBytes = 8 << 20

func newReach(s *Streams, p *place) *reach {
	r := &reach{s: s, p: p, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].m = map[string]*audience{}
	}
	return r
}

// publish queues events for every other node that follows subject. It does not wait.
func (r *reach) publish(subject string, events []*actors.Event) {
	sh := &r.shards[maphash.String(r.seed, subject)%shards]
	sh.Lock()
	defer sh.Unlock()
	a := sh.m[subject]
	if a == nil {
		a = &audience{}
		sh.m[subject] = a
		r.s.clerk.add(op{audienceOf, subject, nil})
	}
	a.used = true
	if a.known && len(a.targets) == 0 {
		return
	}
	item := eventsItem(subject, events)
	if a.known {
		r.send(a, item)
		return
	}
	now := time.Now()
	if len(a.pending) == 0 {
		a.since = now
	} else if now.Sub(a.since) > r.s.cfg.hold {
		r.forsake(a)
		a.since = now
	}
	if r.waiting.Load()+int64(len(item)) > waitingBytes {
		r.s.stats.Dropped.Add(int64(len(item)))
		r.s.owesAll.Store(true)
		return
	}
	r.waiting.Add(int64(len(item)))
	a.pending = append(a.pending, item)
}

// forsake drops what waits for an audience; its shard is held. As nobody knows who
// should have had it, everybody is told.
func (r *reach) forsake(a *audience) {
	for _, item := range a.pending {
		r.waiting.Add(-int64(len(item)))
		r.s.stats.Dropped.Add(int64(len(item)))
	}
	if len(a.pending) > 0 {
		r.s.owesAll.Store(true)
	}
	a.pending = nil
}

// send queues one item for everybody; the shard is held.
func (r *reach) send(a *audience, item []byte) {
	rest := a.targets[:0]
	for _, t := range a.targets {
		if !t.peer.gone.Load() {
			r.p.post.add(t.peer, item)
			rest = append(rest, t)
		}
	}
	clear(a.targets[len(rest):])
	a.targets = rest
}

// wanted says whether it has to be known who follows subject: it is asked for, and
// not known.
func (r *reach) wanted(subject string) (is, unknown bool) {
	sh := &r.shards[maphash.String(r.seed, subject)%shards]
	sh.Lock()
	defer sh.Unlock()
	a := sh.m[subject]
	return a != nil, a != nil && !a.known
}

// learned is told what Redis says of a subject's followers.
func (r *reach) learned(subject string, found []target) {
	sh := &r.shards[maphash.String(r.seed, subject)%shards]
	sh.Lock()
	defer sh.Unlock()
	a := sh.m[subject]
	if a == nil || a.known {
		return
	}
	for _, t := range found {
		a.add(t)
	}
	a.known = true
	if len(a.pending) > 0 && time.Since(a.since) > r.s.cfg.hold {
		r.forsake(a)
	}
	for _, item := range a.pending {
		r.waiting.Add(-int64(len(item)))
		r.send(a, item)
	}
	a.pending = nil
}

func (a *audience) add(t target) {
	for i := range a.targets {
		if a.targets[i].peer == t.peer {
			a.targets[i].gen = max(a.targets[i].gen, t.gen)
			return
		}
	}
	a.targets = append(a.targets, t)
}

// joined is told by a node that follows from now on.
func (r *reach) joined(n *peer, all []followed) {
	for _, f := range all {
		sh := &r.shards[maphash.String(r.seed, f.subject)%shards]
		sh.Lock()
		if a := sh.m[f.subject]; a != nil {
			a.add(target{n, f.gen})
		}
		sh.Unlock()
	}
}

// refused is told by a node that got what it does not follow; gen is the newest
// registration that it knew of then.
func (r *reach) refused(n *peer, f followed) {
	sh := &r.shards[maphash.String(r.seed, f.subject)%shards]
	sh.Lock()
	defer sh.Unlock()
	a := sh.m[f.subject]
	if a == nil {
		return
	}
	for i, t := range a.targets {
		if t.peer == n && t.gen <= f.gen {
			a.targets = append(a.targets[:i], a.targets[i+1:]...)
			return
		}
	}
}

// idle forgets the subjects of a shard on which nothing was published since it was
// last looked at, and gives the others.
func (r *reach) idle(shard int) (kept, forgotten []string) {
	sh := &r.shards[shard]
	sh.Lock()
	defer sh.Unlock()
	for subject, a := range sh.m {
		switch {
		case a.used || !a.known:
			a.used = false
			kept = append(kept, subject)
		default:
			delete(sh.m, subject)
			forgotten = append(forgotten, subject)
		}
	}
	return kept, forgotten
}
