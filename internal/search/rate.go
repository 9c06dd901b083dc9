package search

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/protocol"
)

// rates limits how often a user searches.
type rates struct {
	mu    sync.Mutex
	users map[protocol.UserID]*rate.Limiter
	swept time.Time
}

// take fails with RATE_LIMITED when user asks too often.
func (r *rates) take(user protocol.UserID, c Config, now time.Time) error {
	if c.Rate < 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.swept) > time.Minute {
		r.swept = now
		for u, l := range r.users {
			if l.TokensAt(now) >= float64(c.Burst) {
				delete(r.users, u)
			}
		}
	}
	l := r.users[user]
	if l == nil {
		if r.users == nil {
			r.users = map[protocol.UserID]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Limit(c.Rate), c.Burst)
		r.users[user] = l
	}
	turn := l.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	turn.CancelAt(now)
	return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "too many searches, slow down", RetryAfterMs: max(1, wait.Milliseconds())}
}
