package filectr

import (
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// rate lets each user do something burst times at once, and then once every so often.
type rate struct {
	burst int
	every time.Duration

	mu   sync.Mutex
	full map[protocol.UserID]time.Time // when the user may do it burst times again
}

// remembered is how many users are known before those who waited long enough are forgotten.
const remembered = 10_000

// take takes one turn of user, or says RATE_LIMITED and how long to wait.
func (r *rate) take(user protocol.UserID, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full == nil {
		r.full = map[protocol.UserID]time.Time{}
	}
	if len(r.full) >= remembered {
		for u, full := range r.full {
			if !full.After(now) {
				delete(r.full, u)
			}
		}
	}
	full := r.full[user]
	if full.Before(now) {
		full = now
	}
	full = full.Add(r.every)
	if wait := full.Sub(now) - time.Duration(r.burst)*r.every; wait > 0 {
		return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "too many pictures in a short time", RetryAfterMs: wait.Milliseconds() + 1}
	}
	r.full[user] = full
	return nil
}
