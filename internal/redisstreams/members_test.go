package redisstreams

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
)

// watcher is a node as the others see it.
type watcher struct {
	*Members
	streams *Streams
	mu      sync.Mutex
	views   []actors.View
	outs    []error
}

func (w *watcher) ids() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.views[len(w.views)-1].Members {
		ids = append(ids, m.ID)
	}
	return ids
}

func (w *watcher) version() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.views[len(w.views)-1].Version
}

func (w *watcher) out() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outs) > 0
}

// fewest is the smallest number of nodes that w has seen after it saw most.
func (w *watcher) fewest(most int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	least := most
	for i := len(w.views) - 1; i >= 0; i-- {
		if least = min(least, len(w.views[i].Members)); len(w.views[i].Members) == most && i < len(w.views)-1 {
			break
		}
	}
	return least
}

func joins(t *testing.T, c Config, id, address string) *watcher {
	t.Helper()
	c.memberBeat, c.memberLife = 50*time.Millisecond, time.Second
	w := &watcher{streams: open(t, c)}
	w.streams.Start(nobody{})
	w.Members = w.streams.Members("key")
	if err := w.Join(actors.Member{ID: id, Address: address}, func(v actors.View) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.views = append(w.views, v)
	}, func(why error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outs = append(w.outs, why)
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

func see(t *testing.T, ids string, all ...*watcher) {
	t.Helper()
	for _, w := range all {
		eventually(t, fmt.Sprintf("%s does not see %s but %v", w.self.ID, ids, w.ids()), func() bool { return fmt.Sprint(w.ids()) == ids })
	}
}

func TestNodesSeeWhoComesAndWhoGoes(t *testing.T) {
	s := redisServer(t)
	a, b := joins(t, s.config(), "a", "h:1"), joins(t, s.config(), "b", "h:2")
	see(t, "[a b]", a, b)
	eventually(t, "views of one version differ", func() bool { return a.version() == b.version() })
	for _, is := range []actors.Member{{Sight: actors.Dim, Misses: "x,a"}, {Sight: actors.Blind, Misses: "a"}, {Sight: actors.Clear}} {
		if err := b.See(context.Background(), is.Sight); err != nil {
			t.Error(err)
		}
		if err := b.Miss(context.Background(), is.Misses); err != nil {
			t.Error(err)
		}
		eventually(t, "a does not see whom b reaches", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			got := a.views[len(a.views)-1].Members[1]
			return got.Sight == is.Sight && got.Misses == is.Misses
		})
	}
	if err := b.Leave(context.Background()); err != nil {
		t.Error(err)
	}
	eventually(t, "a does not see that b leaves", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		last := a.views[len(a.views)-1].Members
		return len(last) == 2 && last[1].Leaving
	})
	if err := b.Quit(context.Background()); err != nil {
		t.Error(err)
	}
	see(t, "[a]", a)
	other := open(t, s.config())
	other.Start(nobody{})
	if err := other.Members("other").Join(actors.Member{ID: "x", Address: "h:9"}, func(actors.View) {}, func(error) {}); err == nil {
		t.Error("a node of another installation comes in")
	}
}

func TestANodeThatIsNotSeenIsGivenUpAndKnowsIt(t *testing.T) {
	s := redisServer(t)
	a, b := joins(t, s.config(), "a", "h:1"), joins(t, s.config(), "b", "h:2")
	see(t, "[a b]", a, b)
	b.Members.mu.Lock() // it stands still, as a paused process does
	see(t, "[a]", a)
	b.Members.mu.Unlock()
	eventually(t, "b does not know that it was given up", b.out)
	if a.out() {
		t.Error("a was given up")
	}
	if err := b.See(context.Background(), actors.Blind); err != nil {
		t.Error(err)
	}
	if n, err := s.HExists(context.Background(), "troupe:{members}:who", "b").Result(); n || err != nil {
		t.Errorf("b has written itself back: %v, %v", n, err)
	}
	again := joins(t, s.config(), "c", "h:1") // a's process was killed and started again at once
	see(t, "[c]", again)
	eventually(t, "a does not know that another is in its place", a.out)
}

func TestARedisThatForgetsEverybodyIsTold(t *testing.T) {
	s := redisServer(t)
	a, b, c := joins(t, s.config(), "a", "h:1"), joins(t, s.config(), "b", "h:2"), joins(t, s.config(), "c", "h:3")
	see(t, "[a b c]", a, b, c)
	for range 3 {
		before := a.version()
		if err := s.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "they are not there again", func() bool {
			n, err := s.HLen(context.Background(), "troupe:{members}:who").Result()
			return err == nil && n == 5 && a.version() > before
		})
	}
	s.kill() // and comes back without anything, after longer than a node may be silent
	timer := time.NewTimer(1500 * time.Millisecond)
	<-timer.C
	s.again()
	see(t, "[a b c]", a, b, c)
	eventually(t, "they are not there again", func() bool {
		n, err := s.HLen(context.Background(), "troupe:{members}:who").Result()
		return err == nil && n == 5
	})
	for _, w := range []*watcher{a, b, c} {
		if w.out() || w.fewest(3) < 3 {
			t.Errorf("%s has seen %d nodes, given up: %v", w.self.ID, w.fewest(3), w.out())
		}
	}
}
