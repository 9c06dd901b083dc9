package actors

import (
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// guesses slows down those who try codes: 20 that are none, then one in ten
// seconds. What was right is given back. A code has 128 bits, so this is against
// the load and the log, not for the code's sake.
type guesses struct {
	mu sync.Mutex
	by map[protocol.UserID]*bucket
}

const (
	guessRate  = 0.1 // a second
	guessBurst = 20
)

// take counts a try, or says how long to wait for the next.
func (g *guesses) take(user protocol.UserID) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.by[user]
	if b == nil {
		if g.by == nil {
			g.by = map[protocol.UserID]*bucket{}
		}
		b = &bucket{}
		g.by[user] = b
	}
	return b.take(guessRate, guessBurst)
}

func (g *guesses) giveBack(user protocol.UserID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.by[user]; b != nil {
		b.spent = max(0, b.spent-1)
	}
}

// forget drops those who have their whole burst again.
func (g *guesses) forget(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for user, b := range g.by {
		if b.spent-float64(now.UnixNano()-b.at)*guessRate/1e9 <= 0 {
			delete(g.by, user)
		}
	}
}
