package redisstreams

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// vitals is what is looked at to notice that Redis is not what it was.
type vitals struct {
	mu      sync.Mutex       // of servers
	servers map[string]int64 // by run id: how many keys it has evicted
	guards  map[string]string
	made    bool // a guard had to be made
}

// pulse keeps this node's stream and its interests alive, and looks whether Redis has
// forgotten something: then the node takes a new place.
func (s *Streams) pulse(born chan<- struct{}) {
	var known *vitals
	var last, next time.Time // doubt, when it is acted on
	var wait time.Duration
	renewal := renewal{every: s.cfg.life / 3 / shards, next: time.Now()}
	doubt := ""
	for s.pauseUnlessNew(known == nil) {
		if known == nil {
			if v, err := s.begin(); err != nil {
				s.failed(err)
			} else {
				known = v
				s.start(s.place.Load())
				close(born)
				s.hearing.now(&s.hearing.kept)
				s.fine()
			}
			continue
		}
		why, err := s.keep(known)
		if why != "" {
			doubt = why
			s.hearing.lossy.Store(true)
		}
		if err != nil {
			s.failed(err)
			continue
		}
		s.hearing.now(&s.hearing.kept)
		now := time.Now()
		if doubt != "" && !now.Before(next) {
			if now.Sub(last) > time.Minute {
				wait = 0
			}
			last = now
			if err := s.anew(doubt); err != nil {
				s.failed(err)
				continue
			}
			wait = min(max(2*wait, 2*s.cfg.beat), 30*time.Second)
			next = now.Add(wait)
			doubt = ""
			s.hearing.lossy.Store(false)
		}
		s.fine()
		s.place.Load().post.remind()
		if s.owesAll.Swap(false) {
			if err := s.tellAll(); err != nil {
				s.owesAll.Store(true)
			}
		}
		renewal.some(s, now)
	}
}

// pauseUnlessNew waits for the next beat; the first one is at once.
func (s *Streams) pauseUnlessNew(is bool) bool {
	if is && !s.down.Load() {
		return s.ctx.Err() == nil
	}
	return s.pause(s.ctx, s.cfg.beat)
}

// begin makes the first place known.
func (s *Streams) begin() (*vitals, error) {
	if err := s.birth(s.place.Load()); err != nil {
		return nil, err
	}
	v := &vitals{}
	return v, s.examine(v)
}

// birth makes a place's stream, which is what tells others that it lives.
func (s *Streams) birth(p *place) error {
	ctx, cancel := s.timed()
	defer cancel()
	_, err := s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.XAdd(ctx, &redis.XAddArgs{Stream: p.stream, Values: []any{"b", head(nil, p.id, 1)}})
		tx.PExpire(ctx, p.stream, s.cfg.lease)
		return nil
	})
	if err != nil {
		return err
	}
	return s.db.HSet(ctx, s.key("nodes"), p.id, 1).Err()
}

// keep prolongs what is this node's, and says why Redis is to be doubted, if it is.
func (s *Streams) keep(known *vitals) (doubt string, err error) {
	p := s.place.Load()
	ctx, cancel := s.timed()
	defer cancel()
	pipe := s.db.Pipeline()
	lives := pipe.PExpire(ctx, p.stream, s.cfg.lease)
	pipe.HSet(ctx, s.key("nodes"), p.id, 1)
	pipe.XTrimMinIDApprox(ctx, p.stream, *p.position.Load(), 0) // it was read
	if _, err := pipe.Exec(ctx); err != nil && lives.Err() != nil {
		return "", err
	}
	if !lives.Val() {
		doubt = "the stream of this node is gone"
	}
	now := &vitals{}
	if err := s.examine(now); err != nil {
		return doubt, err
	}
	if why := known.compare(now); why != "" {
		doubt = why
	}
	return doubt, nil
}

// compare takes over what is seen now, and says what is not as it was.
func (v *vitals) compare(now *vitals) (doubt string) {
	if now.made {
		doubt = "Redis has lost keys"
	}
	for key, value := range now.guards {
		if v.guards[key] != value {
			v.guards[key], doubt = value, "Redis has lost keys"
		}
	}
	for run, evicted := range now.servers {
		before, ok := v.servers[run]
		switch {
		case !ok:
			doubt = "another server is master, or it was started again"
		case evicted > before:
			doubt = "Redis evicts keys: set its maxmemory-policy to noeviction, or give it more memory"
		}
	}
	if len(now.servers) > 0 {
		v.servers = now.servers
	}
	return doubt
}

// guards are keys that stand for what the servers keep: one, or in a cluster 16 of
// them, spread over the slots.
func (s *Streams) guards() (keys []string) {
	if s.cfg.Kind != Cluster {
		return []string{s.key("guard")}
	}
	for n, i := 0, 0; len(keys) < 16; i++ {
		if tag := strconv.Itoa(i); slot(tag)/1024 == n {
			keys = append(keys, s.key("guard:{"+tag+"}"))
			n, i = n+1, -1
		}
	}
	return keys
}

// slot is where a cluster puts a key with this hash tag: CRC-16/XMODEM modulo 16,384.
func slot(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % 16384)
}

// examine reads the vitals. Of servers that do not answer they have nothing.
func (s *Streams) examine(v *vitals) error {
	ctx, cancel := s.timed()
	defer cancel()
	v.servers, v.guards = map[string]int64{}, map[string]string{}
	pipe := s.db.Pipeline()
	keys := s.guards()
	made, values := make([]*redis.BoolCmd, len(keys)), make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		made[i], values[i] = pipe.SetNX(ctx, key, newID(), 0), pipe.Get(ctx, key)
	}
	_, failure := pipe.Exec(ctx)
	answered := false
	for i, key := range keys {
		if made[i].Err() == nil && values[i].Err() == nil {
			v.guards[key], v.made, answered = values[i].Val(), v.made || made[i].Val(), true
		}
	}
	if !answered {
		return failure
	}
	return s.eachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		server, err := c.Info(ctx, "server").Result()
		if err != nil {
			return err
		}
		stats, err := c.Info(ctx, "stats").Result()
		if err != nil {
			return err
		}
		evicted, _ := strconv.ParseInt(infoValue(stats, "evicted_keys"), 10, 64)
		v.saw(infoValue(server, "run_id"), evicted)
		return nil
	})
}

// saw notes a server. Those of a cluster are asked at once.
func (v *vitals) saw(run string, evicted int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.servers[run] = evicted
}

// eachMaster asks every server that is written to. Of a cluster some may not answer.
func (s *Streams) eachMaster(ctx context.Context, ask func(context.Context, *redis.Client) error) error {
	switch c := s.db.(type) {
	case *redis.ClusterClient:
		c.ForEachMaster(ctx, ask)
		return nil
	case *redis.Client:
		return ask(ctx, c)
	}
	return fmt.Errorf("redisstreams: a client of kind %T", s.db)
}

// anew takes a new place: a new stream, into which all interests are registered again,
// with Lost to follow when they are. Others are told that what this node wrote last may
// not have come.
func (s *Streams) anew(why string) error {
	old, p := s.place.Load(), s.newPlace()
	if err := s.birth(p); err != nil {
		return err
	}
	s.log.Warn("events of other nodes may be missing: catching up", "why", why)
	s.doubts.Add(1)
	s.settle(p)
	s.owesAll.Store(true)
	ctx, cancel := s.timed()
	defer cancel()
	pipe := s.db.Pipeline()
	pipe.Del(ctx, old.stream)
	pipe.HDel(ctx, s.key("nodes"), old.id)
	if _, err := pipe.Exec(ctx); err != nil {
		s.failed(err) // it expires
	}
	return nil
}

// tellAll tells every other node that it may have missed something from here.
func (s *Streams) tellAll() error {
	ctx, cancel := s.timed()
	defer cancel()
	ids, err := s.db.HKeys(ctx, s.key("nodes")).Result()
	if err != nil {
		return err
	}
	p := s.place.Load()
	for _, id := range ids {
		if id == p.id {
			continue
		}
		if n := p.post.peer(id); n.gone.Load() {
			s.clerk.add(op{fieldsOf, s.key("nodes"), []string{id}})
		} else {
			p.post.add(n, appendNumber(nil, batchLost, 1))
		}
	}
	return nil
}

// renewal prolongs interests, shard by shard, so that only those of nodes that died expire.
type renewal struct {
	every time.Duration
	next  time.Time
	shard int
}

func (r *renewal) some(s *Streams, now time.Time) {
	for ; !now.Before(r.next); r.next = r.next.Add(r.every) {
		reach := s.place.Load().reach
		var ops []op
		for _, f := range s.follows.all(r.shard) {
			if f.in.stands.Load() {
				ops = append(ops, op{renewInterest, f.subject, nil})
			}
		}
		kept, forgotten := reach.idle(r.shard)
		for _, subject := range kept {
			ops = append(ops, op{renewAudience, subject, nil})
		}
		for _, subject := range forgotten {
			ops = append(ops, op{audienceOf, subject, nil})
		}
		s.clerk.add(ops...)
		r.shard = (r.shard + 1) % shards
	}
}
