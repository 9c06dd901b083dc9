package redisstreams

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each fault happens to a real server under load. What is asked for is always the same:
// events flow again by themselves, nothing is missing of which no loss tells, and
// nobody who published waited.
func TestWhatHappensToRedisLosesNothingSilently(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, fault := range []struct {
		name string
		does func(t *testing.T, r *server, s *scene)
		lost bool // a loss is told in any case
	}{
		{"it is stopped for a while", func(t *testing.T, r *server, s *scene) {
			r.signal(syscall.SIGSTOP)
			s.troubled(s.publisher)
			s.publish(200)
			r.signal(syscall.SIGCONT)
		}, false},
		{"it dies and comes back empty", func(t *testing.T, r *server, s *scene) {
			r.kill()
			s.troubled(s.publisher)
			s.publish(200)
			r.start()
			r.ready()
		}, true},
		{"it dies and comes back empty at once", func(t *testing.T, r *server, s *scene) { r.again() }, true},
		{"it is flushed", func(t *testing.T, r *server, s *scene) {
			if err := r.FlushAll(ctx).Err(); err != nil {
				t.Error(err)
			}
		}, true},
		{"its connections are ended", func(t *testing.T, r *server, s *scene) {
			for range 5 {
				if err := r.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
					t.Error(err)
				}
				s.publish(100)
			}
		}, false},
		{"it evicts keys", func(t *testing.T, r *server, s *scene) {
			r.ConfigSet(ctx, "maxmemory-policy", "allkeys-random")
			r.ConfigSet(ctx, "maxmemory", "8mb")
			junk := strings.Repeat("x", 64<<10)
			before := s.lossesSoFar()
			n := 0
			eventually(t, "no loss is told though keys were evicted", func() bool {
				s.publish(10)
				for range 20 {
					n++
					r.Set(ctx, "junk:"+time.Duration(n).String(), junk, 0)
				}
				return s.lossesSoFar() > before
			})
			r.ConfigSet(ctx, "maxmemory", "0")
		}, true},
		{"it is full and refuses", func(t *testing.T, r *server, s *scene) {
			r.ConfigSet(ctx, "maxmemory", "1")
			eventually(t, "nothing is refused", func() bool { s.publish(1); return s.publisher.stats.Dropped.Load() > 0 })
			r.ConfigSet(ctx, "maxmemory", "0")
		}, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			r := redisServer(t)
			s := newScene(t, r.config(), r.config())
			s.publish(300)
			before := s.lossesSoFar()
			fault.does(t, r, s)
			took := s.live()
			t.Logf("live again after %v", took)
			if took > 15*time.Second { // promised are 5 s, on a machine that has the time
				t.Errorf("events flow again after %v", took)
			}
			if fault.lost {
				s.lost(before)
			}
			s.publish(100)
			s.complete()
			s.prompt()
		})
	}
}

func TestATrimmedStreamIsNoticed(t *testing.T) {
	r := redisServer(t)
	s := newScene(t, quick(r.config()), quick(r.config()))
	release := make(chan struct{})
	s.mu.Lock()
	s.hold = release
	s.mu.Unlock()
	key := s.reader.place.Load().stream
	eventually(t, "the stream does not grow", func() bool {
		s.publish(10)
		n, err := r.XLen(context.Background(), key).Result()
		return err == nil && n > 300
	})
	if err := r.XTrimMaxLen(context.Background(), key, 1).Err(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.hold = nil
	s.mu.Unlock()
	close(release)
	s.lost(0)
	s.publish(10)
	s.complete()
}

// The last entries of a flow are the ones behind which nothing comes that would show
// the hole.
func TestALostTailIsNoticed(t *testing.T) {
	r := redisServer(t)
	s := newScene(t, quick(r.config()), quick(r.config()))
	release := make(chan struct{})
	s.mu.Lock()
	s.hold = release
	s.mu.Unlock()
	key := s.reader.place.Load().stream
	eventually(t, "the stream does not grow", func() bool {
		s.publish(10)
		n, err := r.XLen(context.Background(), key).Result()
		return err == nil && n > 300
	})
	ids, err := r.XRevRangeN(context.Background(), key, "+", "-", 5).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ids {
		if err := r.XDel(context.Background(), key, e.ID).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	s.hold = nil
	s.mu.Unlock()
	close(release)
	eventually(t, "no loss is told", func() bool { return s.lossesSoFar() > 0 }) // though nothing more is published
	s.complete()
}

func TestANodeThatWasCutOffCatchesUp(t *testing.T) {
	t.Parallel()
	r := redisServer(t)
	way := newProxy(t, r.addr())
	c := way.config()
	c.lease = 2 * time.Second // its stream goes meanwhile
	s := newScene(t, r.config(), c)
	way.sever()
	s.troubled(s.reader)
	key := s.reader.place.Load().stream
	eventually(t, "its stream does not go", func() bool { s.publish(1); return r.Exists(context.Background(), key).Val() == 0 })
	way.mend()
	s.lost(0)
	s.live()
	s.publish(100)
	s.complete()
	s.prompt()
}

func TestANodeThatCouldNotPublishTellsOthersSo(t *testing.T) {
	r := redisServer(t)
	way := newProxy(t, r.addr())
	c := quick(way.config())
	c.hold = 200 * time.Millisecond
	s := newScene(t, c, quick(r.config()))
	s.follow(s.reader, "s:new") // on which nobody has published yet
	way.sever()
	s.troubled(s.publisher)
	first := s.publish(1)
	s.publisher.Publish("s:new", message(1_000_000), nil)
	eventually(t, "nothing is given up", func() bool {
		s.publish(1)
		s.publisher.Publish("s:new", message(1_000_000), nil)
		return s.publisher.stats.Dropped.Load() > 0 && s.publisher.owesAll.Load()
	})
	way.mend()
	eventually(t, "the reader is not told", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.toldUpTo >= first
	})
	s.live()
	s.complete()
	s.prompt()
}

func TestWhatWaitsForASlowRedisIsBounded(t *testing.T) {
	r := redisServer(t)
	way := newProxy(t, r.addr())
	c := way.config()
	c.queue, c.hold = 64<<10, time.Hour
	s := newScene(t, c, r.config())
	way.sever()
	s.troubled(s.publisher)
	eventually(t, "nothing is dropped", func() bool { s.publish(100); return s.publisher.stats.Dropped.Load() > 256<<10 })
	post := s.publisher.place.Load().post
	post.mu.Lock()
	for _, n := range post.peers {
		if n.size > c.queue {
			t.Errorf("%d bytes wait for one node, want at most %d", n.size, c.queue)
		}
	}
	post.mu.Unlock()
	way.mend()
	s.lost(0)
	s.live()
	s.complete()
	s.prompt()
}

func TestWhoeverSignsInWhileRedisIsAwayIsCaughtUp(t *testing.T) {
	r := redisServer(t)
	way := newProxy(t, r.addr())
	s := newScene(t, r.config(), way.config())
	way.sever()
	s.troubled(s.reader)
	began := time.Now()
	s.follow(s.reader, "s:b")
	if took := time.Since(began); took > time.Second {
		t.Errorf("following took %v while Redis was away", took)
	}
	s.publisher.Publish("s:b", message(1_000_000), nil)
	before := s.lossesSoFar()
	way.mend()
	s.lost(before)
	eventually(t, "what comes then does not arrive", func() bool {
		s.publisher.Publish("s:b", message(1_000_001), nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.got[1_000_001]
	})
}

func TestANodeStartsBeforeRedis(t *testing.T) {
	r := redisServer(t)
	r.kill()
	s := &scene{t: t, got: map[int]bool{}}
	s.publisher, s.reader = open(t, quick(r.config())), open(t, quick(r.config()))
	s.publisher.Start(nobody{})
	s.reader.Start(s)
	s.follow(s.reader, "s:a")
	s.publish(10)
	r.start()
	r.ready()
	s.live()
	s.complete()
}

func TestANodeThatDiedLeavesNothingBehind(t *testing.T) {
	ctx := context.Background()
	r := redisServer(t)
	way := newProxy(t, r.addr())
	dying := quick(way.config())
	dying.lease = time.Second
	s := newScene(t, quick(r.config()), dying)
	field := followsField + s.reader.place.Load().id
	way.sever() // for good
	key := s.publisher.interestKey("s:a")
	if is, err := r.HExists(ctx, key, field).Result(); err != nil || !is {
		t.Fatalf("the reader is not registered: %v, %v", is, err)
	}
	post := s.publisher.place.Load().post
	eventually(t, "the dead node is still written to", func() bool {
		s.publish(1)
		post.mu.Lock()
		defer post.mu.Unlock()
		return len(post.peers) == 0
	})
	// Whoever looks at the subject next removes what the dead node left there.
	other := open(t, quick(r.config()))
	other.Start(nobody{})
	s.follow(other, "s:a")
	other.Publish("s:a", message(1), nil)
	s.follow(s.publisher, "s:a")
	eventually(t, "the dead node's interest stays", func() bool {
		other.Unfollow("s:a")
		s.follow(other, "s:a")
		other.Publish("s:a", message(1), nil)
		is, err := r.HExists(ctx, key, field).Result()
		return err == nil && !is
	})
	if ttl := r.PTTL(ctx, key).Val(); ttl <= 0 {
		t.Errorf("an interest that nobody renews stays for ever (%v)", ttl)
	}
}
