package model

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Row is what was used: on a day, by a bot, for a person, in a session. In answers to a Query
// what is not asked for is "".
type Row struct {
	Day        string `json:"day"` // 2006-01-02, UTC
	Bot        string `json:"bot,omitempty"`
	User       string `json:"user,omitempty"`
	Session    string `json:"session,omitempty"`
	Prompt     int64  `json:"promptTokens"`
	Completion int64  `json:"completionTokens"`
	Requests   int64  `json:"requests"`
	Failed     int64  `json:"failed"` // of them
	Cost       int64  `json:"cost"`   // in millionths of what prices are in
}

func (r *Row) add(o Row) {
	r.Prompt += o.Prompt
	r.Completion += o.Completion
	r.Requests += o.Requests
	r.Failed += o.Failed
	r.Cost += o.Cost
}

// Store keeps usage.
type Store interface {
	// AddUsage adds to what is known of a day, bot, person and session.
	AddUsage(ctx context.Context, r Row) error
	// UsageOf gives the rows of a day, ordered by bot, person and session, until each says no.
	UsageOf(ctx context.Context, day string, each func(Row) bool) error
	// UsageTotals gives what bots used on the days from and to and between them, in that order.
	UsageTotals(ctx context.Context, from, to string) ([]Row, error)
	// DropUsage forgets all before a day.
	DropUsage(ctx context.Context, before string) error
}

// Query asks for usage.
type Query struct {
	From, To string // days; "": 30 days back, today
	Bot      string // "": all
	User     string
	Session  string
	By       string // what rows are told apart by besides the bot: "day", "user", "session", or "": nothing
	Limit    int    // rows, those with the most tokens; 0: 100, 1000 at most
}

// maxDays is how many days one question by person or session reads, as it reads all of their rows.
const maxDays = 92

// Usage gives what was used. BAD_REQUEST: the days are none, or too many.
func (g *Gateway) Usage(ctx context.Context, q Query) ([]Row, error) {
	now := g.now().UTC()
	if q.To == "" {
		q.To = dayOf(now)
	}
	to, err := time.Parse(time.DateOnly, q.To)
	if err != nil {
		return nil, protocol.BadRequest("to is a day, like 2026-01-31")
	}
	if q.From == "" {
		q.From = dayOf(to.AddDate(0, 0, -29))
	}
	from, err := time.Parse(time.DateOnly, q.From)
	if err != nil || from.After(to) {
		return nil, protocol.BadRequest("from is a day, like 2026-01-01, and not after to")
	}
	switch q.By {
	case "", "day", "user", "session":
	default:
		return nil, protocol.BadRequest("by is day, user or session")
	}
	sums := map[Row]*Row{}
	take := func(r Row) {
		if q.Bot != "" && r.Bot != q.Bot || q.User != "" && r.User != q.User || q.Session != "" && r.Session != q.Session {
			return
		}
		k := Row{Bot: r.Bot}
		switch q.By {
		case "day":
			k.Day = r.Day
		case "user":
			k.User = r.User
		case "session":
			k.Session = r.Session
		}
		sum := sums[k]
		if sum == nil {
			sum = &Row{Day: k.Day, Bot: k.Bot, User: k.User, Session: k.Session}
			sums[k] = sum
		}
		sum.add(r)
	}
	if q.User == "" && q.Session == "" && (q.By == "" || q.By == "day") {
		all, err := g.store.UsageTotals(ctx, q.From, q.To)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			take(r)
		}
	} else {
		if to.Sub(from) >= maxDays*24*time.Hour {
			return nil, protocol.BadRequest("by person or session %d days at most are read at once", maxDays)
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			if err := g.store.UsageOf(ctx, dayOf(day), func(r Row) bool { take(r); return ctx.Err() == nil }); err != nil {
				return nil, err
			}
		}
	}
	rows := make([]Row, 0, len(sums))
	for _, r := range sums {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		most := 0
		if q.By != "day" {
			most = cmp.Compare(b.Prompt+b.Completion, a.Prompt+a.Completion)
		}
		return cmp.Or(most, cmp.Compare(a.Day, b.Day), cmp.Compare(a.Bot, b.Bot), cmp.Compare(a.User, b.User), cmp.Compare(a.Session, b.Session))
	})
	if q.Limit <= 0 {
		q.Limit = 100
	}
	return rows[:min(len(rows), q.Limit, 1000)], ctx.Err()
}

// Told counts what a bot says that it used in another way than the gateway's, and gives
// what is left for it: -1, no bound.
func (g *Gateway) Told(ctx context.Context, bot, user, session, model string, prompt, completion int64) (left int64, err error) {
	if g == nil {
		return -1, nil
	}
	if prompt < 0 || completion < 0 || prompt > math.MaxInt32 || completion > math.MaxInt32 {
		return 0, protocol.BadRequest("tokens are 0 to %d", math.MaxInt32)
	}
	w := Who{Bot: bot, User: user, Session: session}
	if prompt+completion > 0 {
		r := Row{Day: dayOf(g.now()), Bot: bot, User: user, Session: session, Prompt: prompt, Completion: completion, Requests: 1}
		if m := g.routes[model]; m != nil {
			r.Cost = m.cost(tokens{prompt, completion})
		}
		if err := g.store.AddUsage(ctx, r); err != nil {
			return 0, err
		}
		g.ledger.spend(w, prompt+completion)
	}
	return g.ledger.left(w), nil
}

// Left is how many tokens may still be used today for a person in a session by a bot; -1: without bound.
func (g *Gateway) Left(bot, user, session string) int64 {
	if g == nil {
		return -1
	}
	return g.ledger.left(Who{Bot: bot, User: user, Session: session})
}

// cost is in millionths, as prices are of a million tokens.
func (r *route) cost(t tokens) int64 {
	return int64(math.Round(float64(t.Prompt)*r.model.PriceIn + float64(t.Completion)*r.model.PriceOut))
}

// Run forgets what is kept for long enough, once a day, until ctx ends.
func (g *Gateway) Run(ctx context.Context) {
	if g == nil {
		return
	}
	t := time.NewTicker(24 * time.Hour)
	defer t.Stop()
	for {
		if err := g.store.DropUsage(ctx, dayOf(g.now().AddDate(0, 0, -g.cfg.Keep))); err != nil && ctx.Err() == nil {
			g.log.Error("what models used long ago could not be forgotten", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
