// Package redisstreams carries events between nodes that share a Redis, and keeps who
// is there: it fills actors.Streams and actors.Attendance.
//
// Each node reads one stream of its own, into which the others write. Who follows a
// subject is a hash that a publisher reads once; from then on whoever comes newly tells
// the publisher, and waits for its answer. Nothing here is the truth: what is doubtful
// ends in Receiver.Lost, and the log has it. docs/redis.md says what is stored.
package redisstreams

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
)

// Streams is one node's end of the streams.
type Streams struct {
	cfg      Config
	log      *slog.Logger
	db       redis.UniversalClient // for all but reading
	reading  redis.UniversalClient
	receiver actors.Receiver // set by Start

	follows follows
	clerk   clerk
	hearing hearing

	// reg guards what is registered where: the fields of interests that say so, the
	// tokens of the place, and which place it is.
	reg   sync.Mutex
	place atomic.Pointer[place]

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	owesAll   atomic.Bool  // all other nodes are to be told that they lost something
	down      atomic.Bool  // Redis did not answer when last asked
	complaint atomic.Int64 // when that was last logged, Unix milliseconds
	complains atomic.Bool  // it was logged, and not yet that it is over
	doubts    atomic.Int64 // how often what Redis has was doubted

	stats Stats
}

// Stats counts what happened since the start.
type Stats struct {
	Sent     atomic.Int64 // entries written to other nodes' streams
	Received atomic.Int64 // entries read from this node's
	Dropped  atomic.Int64 // bytes that could not be written in time
	Losses   atomic.Int64 // calls of Receiver.Lost
}

// Stats gives the counts; read them with sync/atomic loads.
func (s *Streams) Stats() *Stats { return &s.stats }

// place is what a node is to others: a stream that was made for it, and what was said
// under its name. When there is doubt whether the stream has had everything, or others'
// interests are what they were, the node takes a new one.
type place struct {
	id       string
	stream   string
	post     *post
	reach    *reach
	gen      atomic.Uint64 // of the newest registration
	position atomic.Pointer[string]
	seen     map[string]uint64 // the reader's: the last seq from each sender
	stop     context.CancelFunc

	nextToken uint64
	tokens    map[uint64]*token // guarded by Streams.reg
}

// Open connects to a Redis. What is certainly wrong is an error: a password, a right
// that is missing, a version before 6.2. A Redis that is not there is waited for: the
// node works alone until it comes.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Streams, error) {
	redis.SetLogger(silent{}) // what goes wrong is in the errors, and those are logged
	s := &Streams{cfg: cfg.withDefaults(), log: log}
	s.db, s.reading = s.cfg.client(s.cfg.PoolSize), s.cfg.client(2)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.follows.init()
	s.clerk.init()
	s.hearing.init()
	if err := s.try(ctx); err != nil {
		if !away(err) {
			s.db.Close()
			s.reading.Close()
			s.stop()
			return nil, fmt.Errorf("%s: %w", s.cfg, err)
		}
		s.failed(err)
	}
	s.settle(s.newPlace())
	return s, nil
}

// silent is go-redis' own log.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// try looks whether this Redis can be used.
func (s *Streams) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.Timeout)
	defer cancel()
	if err := s.db.Ping(ctx).Err(); err != nil {
		return err
	}
	info, err := s.db.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	version := infoValue(info, "redis_version")
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	if a < 6 || a == 6 && b < 2 {
		return fmt.Errorf("version %.20q: 6.2 or newer is needed", version)
	}
	return s.trial(ctx)
}

// trial uses every command once, as a right that is missing is better known now.
func (s *Streams) trial(ctx context.Context) error {
	tag := "{" + newID() + "}"
	stream, hash, set, text := s.key("trial:x"+tag), s.key("trial:h"+tag), s.key("trial:s"+tag), s.key("trial:t"+tag)
	if _, err := s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"b", ""}})
		tx.PExpire(ctx, stream, time.Second)
		return nil
	}); err != nil && !strings.HasPrefix(err.Error(), "EXECABORT") { // which command was refused is told below
		return err
	}
	pipe := s.db.Pipeline()
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"b", ""}})
	pipe.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, "0-0"}, Block: -1})
	pipe.XTrimMinIDApprox(ctx, stream, "0", 0)
	pipe.PExpire(ctx, stream, time.Second)
	pipe.HSet(ctx, hash, "a", "1", "b", "2")
	pipe.HGetAll(ctx, hash)
	pipe.HKeys(ctx, hash)
	pipe.Eval(ctx, "return redis.call('HINCRBY', KEYS[1], 'a', 1)", []string{hash})
	pipe.HDel(ctx, hash, "a", "b")
	pipe.SAdd(ctx, set, "a", "b")
	pipe.SMembers(ctx, set)
	pipe.SRandMemberN(ctx, set, 1)
	pipe.SRem(ctx, set, "a", "b")
	pipe.SetNX(ctx, text, 1, time.Second)
	pipe.Set(ctx, text, 1, time.Second)
	pipe.Get(ctx, text)
	pipe.Exists(ctx, text)
	pipe.Del(ctx, stream, hash, set, text)
	cmds, err := pipe.Exec(ctx)
	for _, c := range cmds {
		if c.Err() != nil {
			return fmt.Errorf("%s: %w", c.Name(), c.Err())
		}
	}
	return err
}

// away tells whether err says that Redis is not to be reached, or not ready yet.
func away(err error) bool {
	var said redis.Error
	if errors.As(err, &said) {
		for _, passing := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "TRYAGAIN", "OOM", "MISCONF", "NOREPLICAS", "BUSY"} {
			if strings.HasPrefix(said.Error(), passing) {
				return true
			}
		}
		return false
	}
	text := err.Error()
	return !strings.Contains(text, "x509:") && !strings.Contains(text, "tls:") && !strings.Contains(text, "or newer is needed")
}

func (s *Streams) key(name string) string { return s.cfg.Prefix + ":" + name }

func (s *Streams) interestKey(subject string) string { return s.key("interest:{" + subject + "}") }

func newID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *Streams) newPlace() *place {
	id := newID()
	p := &place{id: id, stream: s.streamKey(id), seen: map[string]uint64{}, tokens: map[uint64]*token{}}
	zero := "0-0"
	p.position.Store(&zero)
	p.post = newPost(s, p)
	p.reach = newReach(s, p)
	return p
}

func (s *Streams) streamKey(id string) string { return s.key("{" + id + "}") }

// settle makes p the place of this node; whatever is followed is registered there anew.
func (s *Streams) settle(p *place) {
	s.reg.Lock()
	old := s.place.Swap(p)
	if old != nil {
		old.tokens = nil
	}
	s.reg.Unlock()
	if old == nil {
		return
	}
	for i := range s.follows.shards {
		for _, f := range s.follows.all(i) {
			s.reg.Lock()
			f.in.stands.Store(false)
			f.in.waits, f.in.late = 0, true
			s.reg.Unlock()
			s.clerk.add(op{interestOf, f.subject, nil})
		}
	}
	s.hearing.moved.Store(true)
	s.owe()
	s.start(p)
	if old.stop != nil {
		old.stop()
	}
}

// start lets a place's goroutines run.
func (s *Streams) start(p *place) {
	ctx, stop := context.WithCancel(s.ctx)
	p.stop = stop
	brought := make(chan *batch, 64)
	s.running.Go(func() { s.read(ctx, p, brought) })
	s.running.Go(func() { s.deliver(ctx, p, brought) })
	for lane := range p.post.wake {
		s.running.Go(func() { p.post.write(ctx, lane) })
	}
}

// Start names the receiver and begins.
func (s *Streams) Start(receiver actors.Receiver) {
	s.receiver = receiver
	born := make(chan struct{})
	s.running.Go(func() { s.pulse(born) })
	s.running.Go(func() {
		select {
		case <-born:
			s.clerk.run(s)
		case <-s.ctx.Done():
		}
	})
	s.running.Go(s.lose)
}

// Close ends it: what waits to be written goes out within a second, others learn that
// this node has gone.
func (s *Streams) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p := s.place.Load()
	if s.receiver != nil && !s.down.Load() {
		p.post.drain(ctx)
	}
	s.stop()
	if !s.down.Load() {
		pipe := s.db.Pipeline()
		pipe.Del(ctx, p.stream)
		pipe.HDel(ctx, s.key("nodes"), p.id)
		if _, err := pipe.Exec(ctx); err != nil {
			s.failed(err)
		}
	}
	err := s.reading.Close() // so that the reader need not wait
	s.running.Wait()
	return errors.Join(err, s.db.Close())
}

// Publish gives events to this node at once, and leaves those for others to the writer.
func (s *Streams) Publish(subject string, events []*actors.Event, burst *actors.Burst) {
	if s.follows.has(subject) {
		s.receiver.Receive(subject, events, burst)
	}
	s.place.Load().reach.publish(subject, events)
}

// pause waits. False: ctx ended.
func (s *Streams) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// failed notes that Redis does not do what it is asked for, and says so now and then.
func (s *Streams) failed(err error) {
	s.down.Store(true)
	if s.ctx.Err() != nil {
		return
	}
	now := time.Now().UnixMilli()
	if last := s.complaint.Load(); now-last >= 10_000 && s.complaint.CompareAndSwap(last, now) {
		s.complains.Store(true)
		s.log.Warn("Redis does not answer: other nodes' events come late", "redis", s.cfg.String(), "err", err)
	}
}

func (s *Streams) fine() {
	if s.down.Swap(false) && s.complains.Swap(false) {
		s.log.Info("Redis answers", "redis", s.cfg.String())
	}
}

// timed bounds one exchange with Redis.
func (s *Streams) timed() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.cfg.Timeout)
}

// infoValue finds a value in what INFO gives.
func infoValue(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
