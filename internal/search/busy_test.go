package search_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// slowStore is a store whose readers stay inside until they are let go.
type slowStore struct {
	search.Store
	inside chan struct{} // one for each that has come in
	leave  chan struct{} // closed: they go on
	now    atomic.Int32
	most   atomic.Int32
}

func (s *slowStore) Look(ctx context.Context, use func(search.Reader) error) error {
	return s.Store.Look(ctx, func(r search.Reader) error {
		n := s.now.Add(1)
		defer s.now.Add(-1)
		for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
		}
		s.inside <- struct{}{}
		<-s.leave
		return use(r)
	})
}

func TestMessagesAreStoredWhileSomebodySearchesAllTheTime(t *testing.T) {
	w := &town{t: t, store: openStore(t), random: rand.New(rand.NewPCG(1, 1)), clock: 1_700_000_000_000}
	r := w.room()
	w.say(r, 200)
	const searches = 50
	slow := &slowStore{Store: w.store, inside: make(chan struct{}, searches), leave: make(chan struct{})}
	c := search.New(search.Config{Rate: -1}, slow, time.Now, slog.New(slog.DiscardHandler))
	var all sync.WaitGroup
	for range searches {
		all.Go(func() {
			if _, err := c.Find(t.Context(), "ann", search.Query{Words: "今晚"}); err != nil {
				t.Error(err)
			}
		})
	}
	<-slow.inside
	<-slow.inside // all turns are taken, and the others wait

	w.say(r, 200)
	w.sign(r)
	w.change(r)
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Find(short, "bob", search.Query{Words: "今晚"}); !protocol.Code_BUSY.Is(err) {
		t.Errorf("another's search that cannot wait: %v, want BUSY", err)
	}

	close(slow.leave)
	all.Wait()
	if n := slow.most.Load(); n != 2 {
		t.Errorf("%d searches were at work at the same time, want 2", n)
	}
}
