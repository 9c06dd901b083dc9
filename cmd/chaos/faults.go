package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
	"github.com/troupe-im/troupe/cmd/chaos/proxy"
)

// trouble is one thing that goes wrong with an installation. do lets it happen, waits
// and heals it; m is the node that was chosen for it.
type trouble struct {
	name string
	of   string // what it is about: node, redis, sentinel, mongo, network
	whom bool   // it happens to one node
	dark bool   // nothing can be acknowledged while it lasts
	deaf bool   // the node's clients are not heard, and are not told so
	do   func(ctx context.Context, i *installation, m *member) error
}

// troubles are all of them. Two nodes that hold a session to be theirs come about by
// themselves: where a node is stopped or cut off from Redis, the others place its
// sessions anew, and it does not know.
var troubles = []trouble{
	{"kill -9 of a node", "node", true, false, false, func(ctx context.Context, i *installation, m *member) error {
		if err := m.kill(); err != nil {
			return err
		}
		i.r.pause(ctx, time.Second)
		return m.start(ctx)
	}},
	{"kill -9 of all nodes but one", "node", true, false, false, func(ctx context.Context, i *installation, m *member) error {
		if err := i.each(func(o *member) error {
			if o == m {
				return nil
			}
			return o.kill()
		}); err != nil {
			return err
		}
		i.r.pause(ctx, time.Second)
		return i.settle(ctx)
	}},
	{history.Stop, "node", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		for _, m := range i.nodes {
			i.fault(trouble{name: history.Stop}, m)
			err := errors.Join(m.leave(), m.start(ctx))
			i.mend(history.Stop, m)
			if err != nil {
				return err
			}
			i.r.pause(ctx, time.Second)
		}
		return nil
	}},
	{"a node leaves, and joins later", "node", true, false, false, func(ctx context.Context, i *installation, m *member) error {
		m.hide(true)
		defer m.hide(false)
		if err := m.leave(); err != nil {
			return err
		}
		i.r.wait(ctx, 5*time.Second)
		return m.start(ctx)
	}},
	{"a node is stopped for 5 s", "node", true, false, true, stopped(5 * time.Second)},
	{"a node is stopped for 12 s", "node", true, false, true, stopped(12 * time.Second)},
	{"a node is cut off from Redis", "redis", true, false, false, links(proxy.Cut, 5*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toRedis} })},
	{"silence between a node and Redis", "redis", true, false, false, links(proxy.Silent, 6*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toRedis} })},
	{"a node is cut off from MongoDB", "network", true, false, false, links(proxy.Cut, 5*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toMongo} })},
	{"silence between a node and MongoDB", "network", true, false, false, links(proxy.Silent, 6*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toMongo} })},
	{"MongoDB's answers to a node are lost", "network", true, false, false, links(proxy.Swallow, time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toMongo} })},
	{"a slow way to MongoDB", "network", true, false, false, links(proxy.Slow, 4*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.toMongo} })},
	{"no other node reaches a node", "network", true, false, false, links(proxy.Cut, 5*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.peers} })},
	{"silence on the way to a node", "network", true, false, false, links(proxy.Silent, 5*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.peers} })},
	{"silence on the way back from a node", "network", true, false, false, links(proxy.Mute, 5*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.peers} })},
	{"a slow way to a node", "network", true, false, false, links(proxy.Slow, 4*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.peers} })},
	{"a node is cut off from all but its clients", "redis", true, false, false, links(proxy.Silent, 7*time.Second, func(m *member) []*proxy.Link {
		return []*proxy.Link{m.toRedis, m.toMongo, m.peers}
	})},
	{"half-open connections of clients", "network", true, false, true, links(proxy.Silent, 12*time.Second, func(m *member) []*proxy.Link { return []*proxy.Link{m.front} })},
	{"Redis is killed and comes back empty", "redis", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		i.redis.servers[0].kill()
		i.r.pause(ctx, time.Second)
		return i.redis.servers[0].start(ctx)
	}},
	{"Redis is flushed", "redis", false, false, false, func(_ context.Context, i *installation, _ *member) error { return i.redis.flush() }},
	{"Redis is full", "redis", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		return i.redisWhile(ctx, 3*time.Second, []string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"})
	}},
	{"Redis evicts keys", "redis", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		if err := i.redisWhile(ctx, 3*time.Second, []string{"CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"}); err != nil {
			return err
		}
		return nil
	}},
	{"Redis answers nothing for 4 s", "redis", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		return i.daemonStops(ctx, i.redis.servers[0], 4*time.Second)
	}},
	{"streams are trimmed under a stopped node", "redis", true, false, true, func(ctx context.Context, i *installation, m *member) error {
		if err := m.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		i.r.wait(ctx, time.Second)
		names, err := ask(i.redis.servers[0].address, "KEYS", "troupe:{*}")
		for _, name := range names {
			if _, e := ask(i.redis.servers[0].address, "XTRIM", name, "MAXLEN", "0"); e != nil && !strings.Contains(e.Error(), "WRONGTYPE") {
				err = errors.Join(err, e)
			}
		}
		return errors.Join(err, m.signal(syscall.SIGCONT))
	}},
	{"Sentinel makes another Redis master", "sentinel", false, false, false, func(ctx context.Context, i *installation, _ *member) error {
		old := i.redis.master()
		for _, d := range i.redis.servers { // it lags behind when its time comes
			if d != old {
				if err := i.daemonStops(ctx, d, time.Second); err != nil {
					return err
				}
			}
		}
		old.kill()
		deadline := time.Now().Add(startTimeout)
		for i.redis.master() == old {
			if time.Now().After(deadline) || ctx.Err() != nil {
				return errors.New("the Sentinels make nobody else master")
			}
			time.Sleep(50 * time.Millisecond)
		}
		i.r.pause(ctx, time.Second)
		return old.start(ctx)
	}},
	{"MongoDB is killed", "mongo", false, true, false, func(ctx context.Context, i *installation, _ *member) error {
		i.store.kill()
		i.r.pause(ctx, time.Second)
		return i.store.start(ctx)
	}},
	{"MongoDB answers nothing for 4 s", "mongo", false, true, false, func(ctx context.Context, i *installation, _ *member) error {
		return i.daemonStops(ctx, i.store, 4*time.Second)
	}},
}

// links has links of a node do something for a while.
func links(mode proxy.Mode, lasts time.Duration, of func(m *member) []*proxy.Link) func(context.Context, *installation, *member) error {
	return func(ctx context.Context, i *installation, m *member) error {
		for _, l := range of(m) {
			l.Set(mode)
		}
		i.r.wait(ctx, lasts)
		for _, l := range of(m) {
			l.Set(proxy.Open)
		}
		return nil
	}
}

// stopped has a node do nothing for a while, and not know it.
func stopped(lasts time.Duration) func(context.Context, *installation, *member) error {
	return func(ctx context.Context, i *installation, m *member) error {
		if err := m.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		i.r.wait(ctx, lasts)
		return m.signal(syscall.SIGCONT)
	}
}

func (m *member) signal(s syscall.Signal) error { return m.cmd.Process.Signal(s) }

// leaveWithin is far over what a stop may take; the checker is stricter.
const leaveWithin = 60 * time.Second

// leave is SIGTERM, and returns when the node is gone.
func (m *member) leave() error {
	if err := m.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-m.exited:
		m.run.nemesis(history.Left, m.name)
		return nil
	case <-time.After(leaveWithin):
		return fmt.Errorf("%s was asked to stop and runs on after %v", m.name, leaveWithin)
	}
}

func (i *installation) daemonStops(ctx context.Context, d *daemon, lasts time.Duration) error {
	if err := d.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	i.r.wait(ctx, lasts)
	return d.signal(syscall.SIGCONT)
}

func (i *installation) redisWhile(ctx context.Context, lasts time.Duration, begin, end []string) error {
	at := i.redis.servers[0].address
	if _, err := ask(at, begin...); err != nil {
		return err
	}
	i.r.wait(ctx, lasts)
	_, err := ask(at, end...)
	return err
}

// wait is a pause of a given length.
func (r *run) wait(ctx context.Context, lasts time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(lasts):
	}
}

// chosen gives the kinds of trouble that this installation can have and that were asked
// for: by a part of their names, or by what they are about.
func (i *installation) chosen() ([]trouble, error) {
	c := i.r.Cluster
	possible := map[string]bool{"node": true, "network": true, "redis": !c.Sentinel, "sentinel": c.Sentinel, "mongo": i.store != nil}
	about := map[string]bool{"node": true, "network": true, "redis": true, "sentinel": true, "mongo": true}
	var all []trouble
	for _, t := range troubles {
		asked := c.Faults == "" || slices.ContainsFunc(strings.Split(c.Faults, ","), func(word string) bool {
			return t.of == word || !about[word] && strings.Contains(t.name, word)
		})
		if possible[t.of] && asked {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing that can happen here is called %q", c.Faults)
	}
	return all, nil
}

// trouble has things go wrong in an order of chance, each kind once before one comes
// again; before the next all nodes serve. Every second time clients are in a rush.
func (i *installation) trouble(ctx context.Context) error {
	kinds, err := i.chosen()
	if err != nil {
		return err
	}
	r := i.r
	var next []trouble
	many := r.Cluster.Troubles
	if many == 0 {
		many = len(kinds)
	}
	for n := range many {
		if err := i.settle(ctx); err != nil {
			return err
		}
		r.pause(ctx, r.Every)
		if len(next) == 0 {
			next = slices.Clone(kinds)
			r.rng.Shuffle(len(next), func(a, b int) { next[a], next[b] = next[b], next[a] })
		}
		t := next[0]
		next = next[1:]
		var m *member
		if t.whom {
			m = i.nodes[r.rng.IntN(len(i.nodes))]
		}
		if n%2 == 1 {
			r.rush.Store(true)
			r.pause(ctx, 60*time.Millisecond)
		}
		own := t.name == history.Stop // it tells of each node by itself
		if !own {
			i.fault(t, m)
		}
		r.rush.Store(false)
		err := t.do(ctx, i, m)
		if !own {
			i.mend(t.name, m)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return i.settle(ctx)
}

// settle waits until all nodes serve. One that ended by itself, as the others had given it
// up, is started again, as whoever runs it does.
func (i *installation) settle(ctx context.Context) error {
	deadline := time.Now().Add(settleWithin)
	for serving := 0; serving < settled; {
		serving++
		for _, m := range i.nodes {
			select {
			case <-m.exited:
				serving = 0
				i.r.say("           %s ended and is started again", m.name)
				if err := m.start(ctx); err != nil {
					return err
				}
			default:
				if ok, err := i.r.get(ctx, m.front.Addr(), "", "/readyz", nil); err != nil || !ok {
					serving = 0
				}
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not all nodes serve again after %v", settleWithin)
		}
		i.r.wait(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// settled is how often in a row all nodes have to be ready; settleWithin far over what a
// recovery takes, which the checker measures.
const (
	settled      = 10
	settleWithin = 60 * time.Second
)
