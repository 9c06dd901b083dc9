package model

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Who is whose request it is. User and Session are "" for what a bot asks by itself: that
// counts like one more person, and one more session.
type Who struct {
	Plugin  string
	Bot     string // user ids
	User    string
	Session string
}

// purse is one thing that has a budget.
type purse struct {
	of string // user, session, bot or all
	id string
}

// account is what was spent on one day.
type account struct {
	day   string
	spent map[purse]int64
	held  map[purse]int64 // for answers that are being written
}

// ledger keeps the budgets: at no moment is more spent and held of a purse than its budget,
// as far as estimates are from above.
type ledger struct {
	budgets Budgets
	now     func() time.Time

	mu    sync.Mutex
	today *account
}

// hold is a reservation.
type hold struct {
	l      *ledger
	of     *account
	purses []purse
	n      int64
	once   sync.Once
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func newLedger(b Budgets, now func() time.Time) *ledger { return &ledger{budgets: b, now: now} }

// load counts what was spent today already.
func (l *ledger) load(ctx context.Context, s Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account()
	return s.UsageOf(ctx, a.day, func(r Row) bool {
		for _, p := range pursesOf(Who{Bot: r.Bot, User: r.User, Session: r.Session}) {
			a.spent[p] += r.Prompt + r.Completion
		}
		return true
	})
}

func (l *ledger) account() *account {
	if day := dayOf(l.now()); l.today == nil || l.today.day != day {
		l.today = &account{day: day, spent: map[purse]int64{}, held: map[purse]int64{}}
	}
	return l.today
}

func pursesOf(w Who) []purse {
	return []purse{{"user", w.User}, {"session", w.Session}, {"bot", w.Bot}, {"all", ""}}
}

func (l *ledger) budget(p purse) int64 {
	switch p.of {
	case "user":
		return l.budgets.User
	case "session":
		return l.budgets.Session
	case "bot":
		return l.budgets.Bot
	}
	return l.budgets.All
}

// hold reserves n tokens, of all purses or of none.
func (l *ledger) hold(w Who, n int64) (*hold, *failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, purses := l.account(), pursesOf(w)
	for _, p := range purses {
		if b := l.budget(p); b > 0 && a.spent[p]+a.held[p]+n > b {
			f := fail(http.StatusTooManyRequests, codeBudget+p.of, "%s", overBudget(p, b, n, b-a.spent[p]))
			if a.spent[p]+n <= b { // it is held, and may come free
				f.after = time.Second
			} else {
				now := l.now().UTC()
				f.after = now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
			}
			return nil, f
		}
	}
	for _, p := range purses {
		a.held[p] += n
	}
	return &hold{l: l, of: a, purses: purses, n: n}, nil
}

func overBudget(p purse, budget, wants, left int64) string {
	whose := map[string]string{"user": "this person", "session": "this session", "bot": "this bot", "all": "this installation"}[p.of]
	return fmt.Sprintf("the budget of %s for today is %d tokens, of which %d are left; this needs up to %d", whose, budget, max(left, 0), wants)
}

// settle ends the reservation: took is what was used.
func (h *hold) settle(took int64) {
	h.once.Do(func() {
		h.l.mu.Lock()
		defer h.l.mu.Unlock()
		for _, p := range h.purses {
			if h.of.held[p] -= h.n; h.of.held[p] == 0 {
				delete(h.of.held, p)
			}
			if took > 0 {
				h.of.spent[p] += took
			}
		}
	})
}

// spend counts what was used without asking.
func (l *ledger) spend(w Who, took int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account()
	for _, p := range pursesOf(w) {
		a.spent[p] += took
	}
}

// left is how many tokens may still be used today; -1: without bound.
func (l *ledger) left(w Who) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, left := l.account(), int64(-1)
	for _, p := range pursesOf(w) {
		if b := l.budget(p); b > 0 {
			if n := max(b-a.spent[p]-a.held[p], 0); left < 0 || n < left {
				left = n
			}
		}
	}
	return left
}
