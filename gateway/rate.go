package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/protocol"
)

// rates limits what one user may ask by REST, as the connection actor limits what
// comes over a socket.
type rates struct {
	perSecond rate.Limit // writes; of reads ten times as many
	burst     int

	mu    sync.Mutex
	users map[protocol.UserID]*limiter
	swept time.Time
}

type limiter struct {
	writes, reads *rate.Limiter
	used          time.Time
}

// newRates limits nothing when Config.Rate is below 0.
func newRates(c Config) *rates {
	r := &rates{perSecond: rate.Limit(c.Rate), burst: c.RateBurst, users: map[protocol.UserID]*limiter{}}
	return r
}

// take fails with RATE_LIMITED when user asks too often.
func (r *rates) take(user protocol.UserID, write bool) error {
	if r.perSecond < 0 {
		return nil
	}
	now := time.Now()
	r.mu.Lock()
	l := r.users[user]
	if l == nil {
		l = &limiter{writes: rate.NewLimiter(r.perSecond, r.burst), reads: rate.NewLimiter(10*r.perSecond, 10*r.burst)}
		r.users[user] = l
	}
	l.used = now
	if now.Sub(r.swept) > time.Minute { // a bucket that was not used for a minute is full again
		r.swept = now
		for u, old := range r.users {
			if now.Sub(old.used) > time.Minute {
				delete(r.users, u)
			}
		}
	}
	r.mu.Unlock()
	bucket := l.reads
	if write {
		bucket = l.writes
	}
	turn := bucket.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	turn.CancelAt(now)
	return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "too many requests, slow down", RetryAfterMs: max(1, wait.Milliseconds())}
}
