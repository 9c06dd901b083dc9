package redisstreams

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// clerk keeps the hashes of interests as they should be: one goroutine that does what
// queued in pipelines. What is to be done is looked up when it is done, so that a
// subject that is followed and left again ends up right in whatever order that came.
type clerk struct {
	mu   sync.Mutex
	ops  []op
	busy bool // with ops that were taken
	wake chan struct{}
}

type op struct {
	kind   opKind
	name   string   // a subject, or with fieldsOf a key
	fields []string // of fieldsOf
}

type opKind uint8

const (
	interestOf    opKind = iota // make it so that others know whether this node follows a subject
	audienceOf                  // find out who follows a subject, or be told no more
	fieldsOf                    // remove fields of a hash
	renewInterest               // what stands already is to stand longer
	renewAudience
)

// A hash of interests has a field for each node: "f" and its id of those who follow,
// with the generation as value, "p" and its id of those who publish.
const (
	followsField   = "f"
	publishesField = "p"
)

func (c *clerk) init() { c.wake = make(chan struct{}, 1) }

func (c *clerk) add(ops ...op) {
	c.mu.Lock()
	c.ops = append(c.ops, ops...)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// atOnce is how many operations share a pipeline: some 1,500 commands.
const atOnce = 512

func (c *clerk) take() []op {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(atOnce, len(c.ops))
	ops := c.ops[:n:n]
	if c.ops = c.ops[n:]; len(c.ops) == 0 {
		c.ops = nil
	}
	c.busy = n > 0
	return ops
}

// works says whether there is something to do.
func (c *clerk) works() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy || len(c.ops) > 0
}

func (c *clerk) run(s *Streams) {
	tick := time.NewTicker(s.cfg.wait / 6)
	defer tick.Stop()
	for {
		ops := c.take()
		if len(ops) == 0 {
			select {
			case <-c.wake:
			case <-tick.C:
				s.askAgain(s.place.Load())
			case <-s.ctx.Done():
				return
			}
			continue
		}
		select {
		case <-tick.C:
			s.askAgain(s.place.Load())
		default:
		}
		if failed := s.register(ops); len(failed) > 0 {
			c.add(failed...)
			if !s.pause(s.ctx, 100*time.Millisecond) {
				return
			}
		}
		if s.ctx.Err() != nil {
			return
		}
	}
}

// asked is an operation on its way.
type asked struct {
	op
	in   *interest
	gen  uint64
	cmds []redis.Cmder
	all  *redis.MapStringStringCmd
}

// register does ops and gives those that failed.
func (s *Streams) register(ops []op) (failed []op) {
	p := s.place.Load()
	ctx, cancel := s.timed()
	defer cancel()
	pipe := s.db.Pipeline()
	under := make([]*asked, 0, len(ops))
	done := map[opKind]map[string]bool{interestOf: {}, audienceOf: {}}
	for _, o := range ops {
		if once := done[o.kind]; once != nil {
			if once[o.name] {
				continue
			}
			once[o.name] = true
		}
		a := &asked{op: o}
		key := s.interestKey(o.name)
		stand := func(field string, value any, look bool) {
			a.cmds = append(a.cmds, pipe.HSet(ctx, key, field+p.id, value), pipe.PExpire(ctx, key, s.cfg.life))
			if look {
				a.all = pipe.HGetAll(ctx, key)
				a.cmds = append(a.cmds, a.all)
			}
		}
		switch o.kind {
		case interestOf:
			if a.in = s.follows.get(o.name); a.in == nil {
				a.cmds = append(a.cmds, pipe.HDel(ctx, key, followsField+p.id))
				break
			}
			a.gen = p.gen.Add(1)
			a.in.gen.Store(a.gen)
			stand(followsField, a.gen, true)
		case audienceOf:
			is, unknown := p.reach.wanted(o.name)
			switch {
			case !is:
				a.cmds = append(a.cmds, pipe.HDel(ctx, key, publishesField+p.id))
			case unknown:
				stand(publishesField, 1, true)
			default:
				continue
			}
		case fieldsOf:
			a.cmds = append(a.cmds, pipe.HDel(ctx, o.name, o.fields...))
		case renewInterest:
			in := s.follows.get(o.name)
			if in == nil {
				continue
			}
			stand(followsField, in.gen.Load(), false)
		case renewAudience:
			if is, _ := p.reach.wanted(o.name); !is {
				continue
			}
			stand(publishesField, 1, false)
		}
		under = append(under, a)
	}
	if len(under) == 0 {
		return nil
	}
	pipe.Exec(ctx) // each command has its error
	var joined []*asked
	for _, a := range under {
		err := a.failed(p)
		switch {
		case err != nil:
			s.failed(err)
			failed = append(failed, a.op)
		case a.in != nil:
			joined = append(joined, a)
		case a.all != nil:
			p.reach.learned(a.name, s.targets(p, a))
		}
	}
	return append(failed, s.joined(p, joined)...)
}

// errNotSeen says that what was written was not there when the hash was read behind
// it: the two went to different servers.
var errNotSeen = errors.New("redisstreams: a hash does not have what was written")

func (a *asked) failed(p *place) error {
	for _, c := range a.cmds {
		if err := c.Err(); err != nil {
			return err
		}
	}
	if a.all == nil {
		return nil
	}
	field, value := publishesField, "1"
	if a.in != nil {
		field, value = followsField, strconv.FormatUint(a.gen, 10)
	}
	if a.all.Val()[field+p.id] != value {
		return errNotSeen
	}
	return nil
}

// others gives the other nodes of a hash that are not known to be dead, and has the
// dead ones' fields removed.
func (s *Streams) others(p *place, a *asked, field string, each func(n *peer, value string)) {
	var dead []string
	for name, value := range a.all.Val() {
		if len(name) < 2 || name[1:] == p.id {
			continue
		}
		n := p.post.peer(name[1:])
		switch {
		case n.gone.Load():
			dead = append(dead, name)
		case name[:1] == field:
			each(n, value)
		}
	}
	if len(dead) > 0 {
		s.clerk.add(op{fieldsOf, s.interestKey(a.name), dead})
	}
}

func (s *Streams) targets(p *place, a *asked) (found []target) {
	s.others(p, a, followsField, func(n *peer, value string) {
		gen, _ := strconv.ParseUint(value, 10, 64)
		found = append(found, target{n, gen})
	})
	return found
}

// joined tells the publishers of subjects that this node follows them now. It gives
// back what has to be done again, as the node has another place meanwhile.
func (s *Streams) joined(p *place, all []*asked) (again []op) {
	questions := map[*peer]*token{}
	s.reg.Lock()
	if s.place.Load() != p {
		s.reg.Unlock()
		for _, a := range all {
			again = append(again, a.op)
		}
		return again
	}
	now := time.Now()
	for _, a := range all {
		s.others(p, a, publishesField, func(n *peer, _ string) {
			t := questions[n]
			if t == nil {
				p.nextToken++
				t = &token{id: p.nextToken, peer: n, asked: now, late: n.silent.Load()}
				questions[n] = t
				p.tokens[t.id] = t
			}
			t.all = append(t.all, followed{a.name, a.gen})
			if !t.late {
				t.waiting = append(t.waiting, a.in)
				a.in.waits++
			}
		})
		if a.in.waits == 0 {
			s.stand(a.in)
		}
	}
	s.reg.Unlock()
	for n, t := range questions {
		p.post.add(n, followItem(t.id, t.all))
		if n.gone.Load() { // it went before it could be asked
			s.answered(p, t.id, true)
		}
	}
	return nil
}
