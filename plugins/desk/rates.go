package desk

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/protocol"
)

// rates bounds what bots say.
type rates struct {
	d   *Desks
	mu  sync.Mutex
	in  map[place]*pace
	bot map[protocol.UserID]*rate.Limiter
}

// pace is a bot's in a session.
type pace struct {
	second, minute *rate.Limiter
	at             time.Time
}

// take counts one message, or says when it may come: RATE_LIMITED.
func (r *rates) take(bot protocol.UserID, session protocol.SessionID) error {
	cfg := &r.d.cfg
	if cfg.SessionRate < 0 {
		return nil
	}
	now := r.d.need.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.in == nil {
		r.in, r.bot = map[place]*pace{}, map[protocol.UserID]*rate.Limiter{}
	}
	p := r.in[place{bot, session}]
	if p == nil {
		p = &pace{
			second: rate.NewLimiter(rate.Limit(cfg.SessionRate), cfg.SessionBurst),
			minute: rate.NewLimiter(rate.Limit(float64(cfg.SessionMin)/60), cfg.SessionMin),
		}
		r.in[place{bot, session}] = p
	}
	p.at = now
	all := r.bot[bot]
	if all == nil {
		all = rate.NewLimiter(rate.Limit(cfg.BotRate), int(cfg.BotRate))
		r.bot[bot] = all
	}
	var taken []*rate.Reservation
	var wait time.Duration
	for _, l := range [...]*rate.Limiter{p.second, p.minute, all} {
		t := l.ReserveN(now, 1)
		taken = append(taken, t)
		wait = max(wait, t.DelayFrom(now))
	}
	if wait <= 0 {
		return nil
	}
	for _, t := range taken {
		t.CancelAt(now)
	}
	return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "the bot says too much", RetryAfterMs: max(1, wait.Milliseconds())}
}

func (r *rates) forget() {
	now := r.d.need.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, p := range r.in {
		if now.Sub(p.at) > 2*time.Minute {
			delete(r.in, at)
		}
	}
}
