package redisstreams

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// post is what waits to be written to other nodes' streams.
type post struct {
	s  *Streams
	p  *place
	mu sync.Mutex
	// peers by their streams' ids; dead are those that are no more.
	peers, dead map[string]*peer
	// Two goroutines write: one to those with whom all is well, one to those whose
	// part of Redis does not answer, so that these hold up nobody else.
	wake [2]chan struct{}
}

const (
	well = iota
	troubled
)

// batchBytes is about how long one entry of a stream gets.
const batchBytes = 128 << 10

// tails is how often a sender says again where it is, after it has fallen silent: so
// a reader notices also that the last entries never came.
const tails = 3

// peer is another node, as this one writes to it.
type peer struct {
	id, stream string
	gone       atomic.Bool // its stream is no more
	silent     atomic.Bool // it did not answer in time

	// Guarded by post.mu.
	queue  [][]byte
	size   int
	seq    uint64 // of the last batch
	flight []byte // a batch that is being written
	tail   bool   // flight only says where this sender is
	tails  int
	lane   int
	since  time.Time // when writing began to fail
}

func newPost(s *Streams, p *place) *post {
	o := &post{s: s, p: p, peers: map[string]*peer{}, dead: map[string]*peer{}}
	for i := range o.wake {
		o.wake[i] = make(chan struct{}, 1)
	}
	return o
}

// peer gives the one with this id, which is gone where it is dead.
func (o *post) peer(id string) *peer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := o.dead[id]; d != nil {
		return d
	}
	n := o.peers[id]
	if n == nil {
		n = &peer{id: id, stream: o.s.streamKey(id)}
		o.peers[id] = n
	}
	return n
}

func (o *post) heardOf(id string) {
	o.mu.Lock()
	n := o.peers[id]
	o.mu.Unlock()
	if n != nil {
		n.silent.Store(false)
	}
}

// add queues an item of a batch. Where too much waits, all of it is dropped, and the
// reader sees that a batch is missing.
func (o *post) add(n *peer, item []byte) {
	o.mu.Lock()
	if n.gone.Load() {
		o.mu.Unlock()
		return
	}
	n.queue = append(n.queue, item)
	if n.size += len(item); n.size > o.s.cfg.queue {
		o.drop(n)
	}
	lane := n.lane
	o.mu.Unlock()
	o.rouse(lane)
}

func (o *post) rouse(lane int) {
	select {
	case o.wake[lane] <- struct{}{}:
	default:
	}
}

// drop gives up what waits; mu is held.
func (o *post) drop(n *peer) {
	o.s.stats.Dropped.Add(int64(n.size))
	n.queue, n.size = nil, 0
	n.seq++
	n.tails = tails
}

// job is a batch on its way.
type job struct {
	peer *peer
	cmd  *redis.StringCmd
	data []byte
}

// take makes batches of what waits.
func (o *post) take(lane int) (jobs []job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.peers {
		if n.lane != lane {
			continue
		}
		if n.flight == nil && len(n.queue) > 0 {
			n.seq++
			size, count := 0, 0
			for count < len(n.queue) && (count == 0 || size+len(n.queue[count]) <= batchBytes) {
				size += len(n.queue[count])
				count++
			}
			b := head(make([]byte, 0, size+64), o.p.id, n.seq)
			for _, item := range n.queue[:count] {
				b = append(b, item...)
			}
			n.flight, n.tail = b, false
			if n.size -= size; count == len(n.queue) {
				n.queue = nil
			} else {
				n.queue = n.queue[count:]
			}
		}
		if n.flight != nil {
			jobs = append(jobs, job{peer: n, data: n.flight})
		}
	}
	return jobs
}

// write writes what waits in one pipeline, and while it is under way the next gathers.
func (o *post) write(ctx context.Context, lane int) {
	for {
		jobs := o.take(lane)
		if len(jobs) == 0 {
			select {
			case <-o.wake[lane]:
			case <-ctx.Done():
				return
			}
			continue
		}
		if !o.send(jobs, lane) && lane == troubled && !o.s.pause(ctx, 100*time.Millisecond) {
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (o *post) send(jobs []job, lane int) (sent bool) {
	ctx, cancel := o.s.timed()
	defer cancel()
	pipe := o.s.db.Pipeline()
	for i := range jobs {
		// A stream that is no more is not made again: its node has gone, or has a new one.
		jobs[i].cmd = pipe.XAdd(ctx, &redis.XAddArgs{Stream: jobs[i].peer.stream, NoMkStream: true, MaxLen: o.s.cfg.length, Approx: true, Values: []any{"b", jobs[i].data}})
	}
	pipe.Exec(ctx) // each command has its error
	sent = true
	now := time.Now()
	var failure error
	var moved [2]bool
	var gone []*peer
	o.mu.Lock()
	for _, j := range jobs {
		n, err := j.peer, j.cmd.Err()
		switch {
		case err == nil:
			n.flight, n.since = nil, time.Time{}
			if n.tails--; !n.tail {
				n.tails = tails
			}
			if n.lane = well; lane != well {
				moved[well] = true
			}
			o.s.stats.Sent.Add(1)
		case errors.Is(err, redis.Nil):
			n.gone.Store(true)
			n.queue, n.flight = nil, nil
			delete(o.peers, n.id)
			if len(o.dead) > 1000 {
				clear(o.dead)
			}
			o.dead[n.id] = n
			gone = append(gone, n)
		default:
			failure, sent = err, false
			if n.since.IsZero() {
				n.since = now
			} else if now.Sub(n.since) > o.s.cfg.hold {
				// The batch may be there or not: its number is used up.
				n.size += len(n.flight)
				n.flight = nil
				o.drop(n)
			}
			if n.lane = troubled; lane != troubled {
				moved[troubled] = true
			}
		}
	}
	o.mu.Unlock()
	for l, is := range moved {
		if is {
			o.rouse(l)
		}
	}
	if failure != nil {
		o.s.failed(failure)
	}
	for _, n := range gone {
		o.left(n)
	}
	return sent
}

// left is told when a node's stream is no more.
func (o *post) left(n *peer) {
	var waiting []uint64
	o.s.reg.Lock()
	for id, t := range o.p.tokens {
		if t.peer == n {
			waiting = append(waiting, id)
		}
	}
	o.s.reg.Unlock()
	for _, id := range waiting {
		o.s.answered(o.p, id, true)
	}
	o.s.clerk.add(op{fieldsOf, o.s.key("nodes"), []string{n.id}})
}

// remind has every reader told where this sender is, if it has just fallen silent.
func (o *post) remind() {
	o.mu.Lock()
	var lanes [2]bool
	for _, n := range o.peers {
		if n.tails > 0 && n.flight == nil && len(n.queue) == 0 {
			n.flight, n.tail = appendNumber(head(nil, o.p.id, n.seq), batchTail, 1), true
			lanes[n.lane] = true
		}
	}
	o.mu.Unlock()
	for lane, is := range lanes {
		if is {
			o.rouse(lane)
		}
	}
}

// drain waits until nothing waits.
func (o *post) drain(ctx context.Context) {
	for {
		o.mu.Lock()
		waits := false
		for _, n := range o.peers {
			waits = waits || n.flight != nil || len(n.queue) > 0
		}
		o.mu.Unlock()
		if !waits || !o.s.pause(ctx, 5*time.Millisecond) {
			return
		}
	}
}
