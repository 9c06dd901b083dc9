package filectr

import (
	"context"
	"slices"
	"sync"

	"github.com/troupe-im/troupe/internal/protocol"
)

// turns are for what takes a core and memory: so many at once. Of those who wait each user
// has one in turn, so that whoever sends a hundred pictures keeps others waiting for one.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[protocol.UserID][]chan struct{} // closed when it is theirs
	order   []protocol.UserID                   // who waits, the next one first
}

func newTurns(n int) *turns {
	return &turns{free: n, waiting: map[protocol.UserID][]chan struct{}{}}
}

// take waits for a turn of user's, until ctx ends, and gives what ends it.
func (t *turns) take(ctx context.Context, user protocol.UserID) (end func(), err error) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return t.end, nil
	}
	mine := make(chan struct{})
	if len(t.waiting[user]) == 0 {
		t.order = append(t.order, user)
	}
	t.waiting[user] = append(t.waiting[user], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return t.end, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting[user], mine); i >= 0 {
		t.leave(user, i)
	} else { // it came meanwhile
		t.pass()
	}
	return nil, ctx.Err()
}

func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass gives a turn to the next who waits.
func (t *turns) pass() {
	if len(t.order) == 0 {
		t.free++
		return
	}
	user := t.order[0]
	mine := t.waiting[user][0]
	t.leave(user, 0)
	if len(t.waiting[user]) > 0 { // behind the others
		t.order = append(t.order[1:], user)
	}
	close(mine)
}

// leave ends the i-th wait of user's.
func (t *turns) leave(user protocol.UserID, i int) {
	t.waiting[user] = slices.Delete(t.waiting[user], i, i+1)
	if len(t.waiting[user]) == 0 {
		delete(t.waiting, user)
		t.order = slices.DeleteFunc(t.order, func(u protocol.UserID) bool { return u == user })
	}
}
