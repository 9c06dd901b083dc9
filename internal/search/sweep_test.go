package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// lazy is a store that does nothing, and takes its time for it.
type lazy struct {
	search.Store
	look, sign time.Duration // that it takes, sign of each session

	mu       sync.Mutex
	unsigned []protocol.SessionID // in order
	looked   int
	signed   []protocol.SessionID
	busy     time.Duration
	longest  time.Duration // of one call
	refuses  bool
	full     func(protocol.SessionID)
}

func (l *lazy) Prepare(context.Context, byte) error         { return nil }
func (l *lazy) Watch(full func(session protocol.SessionID)) { l.full = full }

func (l *lazy) takes(d time.Duration) {
	time.Sleep(d) // in a bubble
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy += d
	l.longest = max(l.longest, d)
}

func (l *lazy) Unsigned(_ context.Context, after protocol.SessionID, limit int) ([]protocol.SessionID, protocol.SessionID, error) {
	l.takes(l.look)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked++
	from, there := slices.BinarySearch(l.unsigned, after)
	if there {
		from++
	}
	page := slices.Clone(l.unsigned[from:min(from+limit, len(l.unsigned))])
	if len(page) == limit {
		return page, page[limit-1], nil
	}
	return page, "", nil
}

func (l *lazy) Sign(_ context.Context, sessions []protocol.SessionID, tails bool, _ func([]search.Message) []byte) ([]protocol.SessionID, error) {
	n := min(64, len(sessions))
	l.takes(time.Duration(n) * l.sign)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuses {
		return nil, errors.New("not now")
	}
	for _, id := range sessions[:n] {
		l.signed = append(l.signed, id)
		if i, there := slices.BinarySearch(l.unsigned, id); there {
			l.unsigned = slices.Delete(l.unsigned, i, i+1)
		}
	}
	return sessions[n:], nil
}

// state gives how often it was asked what is unsigned, and what was signed since it was asked last.
func (l *lazy) state() (looked int, signed []protocol.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	signed, l.signed = l.signed, nil
	return l.looked, signed
}

func (l *lazy) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unsigned)
}

func someSessions(n int) (all []protocol.SessionID) {
	for i := range n {
		all = append(all, fmt.Sprintf("s_%016d", i))
	}
	return all
}

// runs has a center at work until the test ends.
func runs(t *testing.T, cfg search.Config, l *lazy) *bytes.Buffer {
	var log bytes.Buffer
	c := search.New(cfg, l, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return &log
}

func TestASweepLeavesMostOfASlowStoreToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 200 * time.Millisecond // as FerretDB has taken for a session
		l := &lazy{look: 300 * time.Millisecond, sign: each, unsigned: someSessions(80)}
		runs(t, search.Config{}, l)
		began := time.Now()
		for l.left() > 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		took := time.Since(began)
		l.mu.Lock()
		busy, longest := l.busy, l.longest
		l.mu.Unlock()
		t.Logf("%s of work in %s", busy, took)
		if busy*8 > took || busy*12 < took {
			t.Errorf("the store was at work for %s of %s, want about a tenth", busy, took)
		}
		if longest > 2*each {
			t.Errorf("one step took %s", longest)
		}
	})
}

func TestAQuickStoreIsSweptInFewSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lazy{look: time.Millisecond, sign: 100 * time.Microsecond, unsigned: someSessions(10_000)}
		log := runs(t, search.Config{}, l)
		time.Sleep(15 * time.Second) // it has a second of work
		synctest.Wait()
		if n := l.left(); n > 0 {
			t.Errorf("%d sessions are unsigned", n)
		}
		if !strings.Contains(log.String(), "sessions=10000") {
			t.Errorf("the log has %q", log)
		}
	})
}

func TestFullBlocksAreSignedAtOnceWhileASweepRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lazy{look: time.Second, sign: time.Second, unsigned: someSessions(1000)}
		runs(t, search.Config{}, l)
		time.Sleep(30 * time.Second) // and 2.5 hours to come
		synctest.Wait()
		l.state()
		l.full("s_full")
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if _, signed := l.state(); !slices.Contains(signed, "s_full") {
			t.Errorf("signed are %v", signed)
		}
	})
}

func TestOfSeveralNodesOneLooksForWhatIsUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		mine := false
		turn := func(is bool) {
			mu.Lock()
			defer mu.Unlock()
			mine = is
		}
		l := &lazy{unsigned: someSessions(10)}
		runs(t, search.Config{Turn: func() bool { mu.Lock(); defer mu.Unlock(); return mine }}, l)
		time.Sleep(time.Hour)
		l.full("s_full")
		time.Sleep(time.Second)
		if looked, signed := l.state(); looked != 0 || !slices.Equal(signed, []protocol.SessionID{"s_full"}) {
			t.Errorf("while another node does it this one has looked %d times, and has signed %v", looked, signed)
		}
		turn(true) // the other one died
		time.Sleep(20 * time.Second)
		if _, signed := l.state(); len(signed) != 10 {
			t.Errorf("20 s after it became this one's turn %v were signed", signed)
		}
		before, _ := l.state()
		turn(false)
		time.Sleep(time.Hour)
		if looked, _ := l.state(); looked != before {
			t.Errorf("the other node came back, and this one looked %d times more", looked-before)
		}
	})
}

func TestFullBlocksThatTheStoreDidNotTakeAreSignedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lazy{refuses: true}
		runs(t, search.Config{Turn: func() bool { return false }}, l)
		l.full("s_full")
		time.Sleep(time.Minute)
		l.mu.Lock()
		l.refuses = false
		l.mu.Unlock()
		time.Sleep(20 * time.Second)
		if _, signed := l.state(); !slices.Equal(signed, []protocol.SessionID{"s_full"}) {
			t.Errorf("signed are %v", signed)
		}
	})
}

func TestFullBlocksAreSignedInATwentiethOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lazy{sign: 10 * time.Millisecond}
		runs(t, search.Config{}, l)
		synctest.Wait()
		began := time.Now()
		for range 60 { // half a minute in which there is always more
			for _, id := range someSessions(100) {
				l.full(id)
			}
			time.Sleep(500 * time.Millisecond)
		}
		l.mu.Lock()
		busy := l.busy
		l.mu.Unlock()
		if all := time.Since(began); busy < all/25 || busy > all/15 {
			t.Errorf("%v of %v were spent on signing, want a twentieth", busy, all)
		}
		time.Sleep(time.Minute)
		l.state()
		l.full("s_last")
		time.Sleep(time.Second)
		if _, signed := l.state(); len(signed) != 1 {
			t.Errorf("when all was signed and it had rested, %d were signed within a second of being full, want 1", len(signed))
		}
	})
}

func TestWhatIsFullIsSignedOnceAndNothingIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lazy{sign: time.Millisecond}
		runs(t, search.Config{}, l)
		all := someSessions(300)
		for _, id := range all {
			l.full(id)
			l.full(id)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		_, signed := l.state()
		slices.Sort(signed)
		if !slices.Equal(signed, all) {
			t.Errorf("%d were signed, want each of %d once", len(signed), len(all))
		}
	})
}
