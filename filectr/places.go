package filectr

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// places are for uploads at once. Nobody takes all of them: of one user there is a
// quarter, of all visitors half.
type places struct {
	all chan struct{}

	mu     sync.Mutex
	guests int
	of     map[protocol.UserID]int
}

func newPlaces(n int) *places {
	return &places{all: make(chan struct{}, n), of: map[protocol.UserID]int{}}
}

// take gives what leaves the place again, or BUSY.
func (p *places) take(user protocol.UserID, guest bool) (leave func(), err error) {
	n := cap(p.all)
	p.mu.Lock()
	defer p.mu.Unlock()
	if own := max(1, n/4); p.of[user] >= own {
		return nil, protocol.Errorf(protocol.Code_BUSY, "%d uploads of yours are under way, which are as many as are taken of one at once", own)
	}
	if guest && p.guests >= max(1, n/2) {
		return nil, protocol.Errorf(protocol.Code_BUSY, "as many uploads of visitors are under way as are taken at once")
	}
	select {
	case p.all <- struct{}{}:
	default:
		return nil, protocol.Errorf(protocol.Code_BUSY, "%d uploads are under way, which are as many as are taken at once", n)
	}
	p.of[user]++
	if guest {
		p.guests++
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.of[user]--; p.of[user] == 0 {
			delete(p.of, user)
		}
		if guest {
			p.guests--
		}
		<-p.all
	}, nil
}

// wait takes a place when there is one, for an upload whose bytes are all there.
func (p *places) wait(ctx context.Context) (leave func(), err error) {
	select {
	case p.all <- struct{}{}:
		return func() { <-p.all }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A body has to come at this pace at least, and never pause for longer than that.
const (
	pace  = 16 << 10 // bytes per second
	pause = 30 * time.Second
)

// due is when bytes behind the first n of a body have to be there at the latest, that
// began to come at begin: one that drips holds its place for no longer than one that
// stands still.
func due(begin time.Time, n int64) time.Time {
	return begin.Add(pause + time.Duration(n/pace)*time.Second)
}

// unfinishedMost is how many uploads in parts of one user may wait for their end.
const unfinishedMost = 100

// unfinished are the uploads in parts that have begun, by their users.
type unfinished struct {
	mu sync.Mutex
	of map[protocol.UserID]map[string]bool
	by map[string]protocol.UserID
}

// add notes one. BUSY: its user has as many as may be.
func (u *unfinished) add(user protocol.UserID, id string, most int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of, u.by = map[protocol.UserID]map[string]bool{}, map[string]protocol.UserID{}
	}
	if len(u.of[user]) >= most {
		return protocol.Errorf(protocol.Code_BUSY, "%d uploads of yours wait for their end: go on with one, or cancel it", most)
	}
	if u.of[user] == nil {
		u.of[user] = map[string]bool{}
	}
	u.of[user][id], u.by[id] = true, user
	return nil
}

func (u *unfinished) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, ok := u.by[id]
	if !ok {
		return
	}
	delete(u.by, id)
	if delete(u.of[user], id); len(u.of[user]) == 0 {
		delete(u.of, user)
	}
}
