package mongostore

import (
	"context"
	"sync"

	"github.com/troupe-im/troupe/internal/protocol"
)

// states holds rows of sessions used lately as this process knows them, so that a
// commit reads nothing for them. One that is out of date does no harm: the number of
// the next commit is taken then, and the row is read again. It is two maps: when the
// young one is full it becomes the old one, and what is used moves back.
type states struct {
	mu         sync.Mutex
	young, old map[protocol.SessionID]*sessionRow
}

// statesKept is how many rows each map holds: at some 1 KB each the two take 32 MB.
const statesKept = 16384

func (c *states) get(id protocol.SessionID) *sessionRow {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.young[id]; r != nil {
		return r
	}
	r := c.old[id]
	if r != nil {
		c.keep(id, r)
	}
	return r
}

// put keeps a row, unless a newer one is there.
func (c *states) put(r *sessionRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range []map[protocol.SessionID]*sessionRow{c.young, c.old} {
		if at := m[r.ID]; at != nil && at.N > r.N {
			return
		}
	}
	c.keep(r.ID, r)
}

func (c *states) keep(id protocol.SessionID, r *sessionRow) {
	if c.young == nil || len(c.young) >= statesKept {
		c.old, c.young = c.young, make(map[protocol.SessionID]*sessionRow, 64)
	}
	c.young[id] = r
}

func (c *states) forget(id protocol.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, id)
	delete(c.old, id)
}

// state gives a session's row as this process knows it, or reads it.
func (s *Store) state(ctx context.Context, id protocol.SessionID) (*sessionRow, error) {
	if r := s.states.get(id); r != nil {
		return r, nil
	}
	return s.current(ctx, id)
}

// current reads a session's row, and brings it up to the newest commit: whoever wrote
// one may have died before all of it was where it belongs.
func (s *Store) current(ctx context.Context, id protocol.SessionID) (*sessionRow, error) {
	row, err := get[sessionRow](ctx, s, inSessions, id)
	if err != nil {
		return nil, err
	}
	if row == nil {
		row = &sessionRow{ID: id}
	}
	for {
		c, err := s.behind(ctx, row)
		if err != nil {
			return nil, err
		}
		if c == nil {
			s.states.put(row)
			return row, nil
		}
		if row, err = s.apply(ctx, row, c); err != nil {
			return nil, err
		}
	}
}

// behind gives the commit that is behind those a row is of, nil: there is none.
func (s *Store) behind(ctx context.Context, row *sessionRow) (*commitDoc, error) {
	return get[commitDoc](ctx, s, inCommits, commitID(row.ID, row.N+1))
}

// known gives the row of a session that must exist.
func (s *Store) known(ctx context.Context, id protocol.SessionID) (*sessionRow, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := protocol.ParseSessionID(id); err != nil {
		return nil, protocol.NotFound("session %s", id)
	}
	row, err := s.state(ctx, id)
	if err == nil && !row.exists() {
		err = protocol.NotFound("session %s", id)
	}
	return row, err
}
