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
	less   chan struct{} // closed when somebody has one place less; nil: nobody waits for that
}

func newPlaces(n int) *places {
	return &places{all: make(chan struct{}, n), of: map[protocol.UserID]int{}}
}

// take gives what leaves the place again, or BUSY.
func (p *places) take(user protocol.UserID, guest bool) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.share(user, guest); err != nil {
		return nil, err
	}
	select {
	case p.all <- struct{}{}:
	default:
		p.unshare(user, guest)
		return nil, protocol.Errorf(protocol.Code_BUSY, "%d uploads are under way, which are as many as are taken at once", cap(p.all))
	}
	return p.leaver(user, guest), nil
}

// wait takes a place when there is one that user may have, for an upload whose bytes are
// all there.
func (p *places) wait(ctx context.Context, user protocol.UserID, guest bool) (leave func(), err error) {
	for {
		p.mu.Lock()
		err := p.share(user, guest)
		if err != nil && p.less == nil {
			p.less = make(chan struct{})
		}
		less := p.less
		p.mu.Unlock()
		if err == nil {
			break
		}
		select {
		case <-less:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select { // in the order in which they came
	case p.all <- struct{}{}:
		return p.leaver(user, guest), nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.unshare(user, guest)
		return nil, ctx.Err()
	}
}

func (p *places) leaver(user protocol.UserID, guest bool) func() {
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.unshare(user, guest)
		<-p.all
	}
}

// share counts a place of user's, or says BUSY where it would be more than a share. The
// caller holds mu, as of unshare.
func (p *places) share(user protocol.UserID, guest bool) error {
	n := cap(p.all)
	if own := max(1, n/4); p.of[user] >= own {
		return protocol.Errorf(protocol.Code_BUSY, "%d uploads of yours are under way, which are as many as are taken of one at once", own)
	}
	if guest && p.guests >= max(1, n/2) {
		return protocol.Errorf(protocol.Code_BUSY, "as many uploads of visitors are under way as are taken at once")
	}
	p.of[user]++
	if guest {
		p.guests++
	}
	return nil
}

func (p *places) unshare(user protocol.UserID, guest bool) {
	if p.of[user]--; p.of[user] == 0 {
		delete(p.of, user)
	}
	if guest {
		p.guests--
	}
	if p.less != nil {
		close(p.less)
		p.less = nil
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
