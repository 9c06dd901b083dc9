package actors

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// alone is the Attendance of a process with one node: what it would keep of its
// users is what their refs say, and when it dies nothing is left of it.
type alone struct{ node *Node }

func (alone) Renew(context.Context, string, time.Duration) (bool, error) { return false, nil }
func (alone) Lapsed(context.Context) ([]Standing, error)                 { return nil, nil }

func (a alone) Put(_ context.Context, _ string, users []Standing) (changed []Standing, _ error) {
	for _, s := range users {
		if protocol.IsBot(s.User) {
			if a.node.presence.show(s.User, shownAs(s.Status)) {
				changed = append(changed, s)
			}
			continue
		}
		if r := a.node.people.find(s.User); r != nil && r.shown.Swap(shownAs(s.Status)) != shownAs(s.Status) {
			changed = append(changed, s)
		}
	}
	return changed, nil
}

func (a alone) Find(_ context.Context, ids []protocol.UserID) (seen []Standing, _ error) {
	for _, id := range ids {
		if at, ok := a.node.presence.bot(id); ok {
			if at.shown != 0 {
				seen = append(seen, Standing{User: id, Status: statuses[at.shown-1]})
			}
			continue
		}
		if r := a.node.people.find(id); r != nil {
			if shown := r.shown.Load(); shown != 0 {
				seen = append(seen, Standing{id, statuses[shown-1], r.active.Load()})
			}
		}
	}
	return seen, nil
}

// shownAs is a status as a ref has it: 0 is offline.
func shownAs(status string) uint32 {
	for i, s := range statuses[:offline] {
		if s == status {
			return uint32(i + 1)
		}
	}
	return 0
}

// Register is the Attendance of several nodes in one process. It is also what one
// for several processes has to do.
type Register struct {
	mu    sync.Mutex
	until map[string]time.Time // by node
	users map[protocol.UserID][]entered
}

// entered is what one node said of a user. The last of a user's is what is seen.
type entered struct {
	node string
	Standing
}

// NewRegister makes an empty one.
func NewRegister() *Register {
	return &Register{until: map[string]time.Time{}, users: map[protocol.UserID][]entered{}}
}

// Renew fills Attendance.
func (g *Register) Renew(_ context.Context, node string, ttl time.Duration) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, there := g.until[node]
	forgotten := !there || time.Now().After(until)
	g.until[node] = time.Now().Add(ttl)
	return forgotten, nil
}

// Put fills Attendance.
func (g *Register) Put(_ context.Context, node string, users []Standing) (changed []Standing, _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range users {
		before := g.seen(s.User)
		all := without(g.users[s.User], node)
		if s.Status != statusOffline {
			all = append(all, entered{node, s})
		}
		if g.users[s.User] = all; len(all) == 0 {
			delete(g.users, s.User)
		}
		now := g.seen(s.User)
		if now.Status == statusOffline {
			now.LastActive = s.LastActive
		}
		if now.Status != before.Status {
			changed = append(changed, now)
		}
	}
	return changed, nil
}

func without(all []entered, node string) (rest []entered) {
	for _, e := range all {
		if e.node != node {
			rest = append(rest, e)
		}
	}
	return rest
}

// seen is how a user is seen altogether; mu is held.
func (g *Register) seen(user protocol.UserID) Standing {
	all := g.users[user]
	if len(all) == 0 {
		return Standing{User: user, Status: statusOffline}
	}
	return all[len(all)-1].Standing
}

// Find fills Attendance. Who is on a dead node alone is offline at once.
func (g *Register) Find(_ context.Context, ids []protocol.UserID) (seen []Standing, _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		for _, e := range g.users[id] {
			if time.Now().Before(g.until[e.node]) {
				seen = append(without1(seen, id), e.Standing)
			}
		}
	}
	return seen, nil
}

// without1 takes the last one off when it is id's.
func without1(seen []Standing, id protocol.UserID) []Standing {
	if n := len(seen); n > 0 && seen[n-1].User == id {
		return seen[:n-1]
	}
	return seen
}

// Lapsed fills Attendance.
func (g *Register) Lapsed(context.Context) (lapsed []Standing, _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for node, until := range g.until {
		if time.Now().Before(until) {
			continue
		}
		delete(g.until, node)
		for id := range g.users {
			before := g.seen(id)
			if g.users[id] = without(g.users[id], node); len(g.users[id]) == 0 {
				delete(g.users, id)
			}
			now := g.seen(id)
			now.LastActive = max(now.LastActive, before.LastActive)
			if now.Status != before.Status {
				lapsed = append(lapsed, now)
			}
		}
	}
	return lapsed, nil
}
