package mongostore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Commit fills actors.Journal. An Append whose fate is unknown, as the database went away
// in the middle, has actors.ErrUnknown; the others are refused as BUSY then, which is
// definite. It gives no error for the batch as a whole.
func (s *Store) Commit(batch []*actors.Append) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	ctx := s.closing
	for _, a := range batch {
		a.Err = nil
	}
	for len(batch) > 0 {
		var works []*work
		works, batch = cut(batch)
		s.round(ctx, works)
	}
	return nil
}

// work is what one session writes in one commit.
type work struct {
	session protocol.SessionID
	appends []*actors.Append
	alone   bool // with a change of contacts, which is made or refused by itself

	row      *sessionRow // before it
	doc      *commitDoc  // nil: all of it was refused, or is marks
	marks    []markRow   // all that it writes
	accepted []*actors.Append
	tried    int // how often another activation was first
}

// cut takes from a batch what can be done at once: of each session its first appends.
func cut(batch []*actors.Append) (works []*work, rest []*actors.Append) {
	by := make(map[protocol.SessionID]*work, len(batch))
	for _, a := range batch {
		w := by[a.Session]
		switch {
		case w == nil:
			w = &work{session: a.Session, appends: []*actors.Append{a}, alone: a.Contacts != nil}
			by[a.Session] = w
			works = append(works, w)
		case w.alone || a.Contacts != nil:
			w.alone = true // what follows waits too, as the order is that of the batch
			rest = append(rest, a)
		default:
			w.appends = append(w.appends, a)
		}
	}
	return works, rest
}

// preparing is how many sessions of a commit are read at once.
const preparing = 8

// round writes works, and sets the Err of what was not written.
func (s *Store) round(ctx context.Context, works []*work) {
	for len(works) > 0 {
		var all sync.WaitGroup
		room := make(chan struct{}, preparing)
		for _, w := range works {
			if s.states.get(w.session) != nil && !w.reads() {
				s.prepare(ctx, w)
				continue
			}
			room <- struct{}{}
			all.Go(func() { s.prepare(ctx, w); <-room })
		}
		all.Wait()
		var docs []*commitDoc
		var wrote, marking []*work
		for _, w := range works {
			if w.doc != nil {
				docs, wrote = append(docs, w.doc), append(wrote, w)
			} else if len(w.marks) > 0 {
				marking = append(marking, w)
			}
		}
		works = nil
		s.markAlone(ctx, marking)
		if len(docs) == 0 {
			return
		}
		outcomes := s.insertCommits(ctx, docs)
		var stored []*work
		for i, w := range wrote {
			switch err := outcomes[i]; {
			case err == nil:
				stored = append(stored, w)
			case errors.Is(err, errNumber):
				s.states.forget(w.session)
				w.tried++
				works = append(works, w)
			default:
				s.states.forget(w.session)
				w.refuse(err)
			}
		}
		s.settle(ctx, stored)
	}
}

func (w *work) refuse(err error) {
	for _, a := range w.accepted {
		a.Err = err
	}
}

// markAlone writes the marks of works that have nothing else.
func (s *Store) markAlone(ctx context.Context, works []*work) {
	var p projection
	for _, w := range works {
		p.marks = append(p.marks, w.marks...)
	}
	if s.away.Load() {
		for _, w := range works {
			w.refuse(s.busy("marks", nil))
		}
		return
	}
	if err := s.project(ctx, &p); err != nil { // some may be written
		for _, w := range works {
			w.refuse(fmt.Errorf("mongostore: marks of %s: %w (%w)", w.session, actors.ErrUnknown, err))
		}
	}
}

// settle brings to their places what was just committed. It is durable already: where
// that fails, whoever reads the session next does it.
func (s *Store) settle(ctx context.Context, stored []*work) {
	var p projection
	var plain []*work
	for _, w := range stored {
		if w.doc.Pending != nil {
			s.settlePending(ctx, w)
			continue
		}
		row, err := w.row.next(w.doc)
		if err == nil {
			w.row = row
			p.add(row, w.doc)
			plain = append(plain, w)
			continue
		}
		s.log.Error("a commit cannot be read", "session", w.session, "err", err)
		s.states.forget(w.session)
	}
	if err := s.project(ctx, &p); err != nil {
		s.log.Error("what was committed is brought to its places later", "sessions", len(plain), "err", err)
		for _, w := range plain {
			s.states.forget(w.session)
			s.late(w.session)
		}
	} else {
		for _, w := range plain {
			s.states.put(w.row)
		}
	}
	full := s.full.Load()
	for _, w := range plain {
		if s.plain {
			s.overtaken(ctx, w.session)
		}
		if full != nil && w.fillsBlock() {
			(*full)(w.session)
		}
	}
}

// overtaken applies once more what another activation committed after us: FerretDB
// may have let our older row win over its newer one. MongoDB never does.
func (s *Store) overtaken(ctx context.Context, id protocol.SessionID) {
	row := s.states.get(id)
	if row == nil {
		return
	}
	for {
		c, err := get[commitDoc](ctx, s, inCommits, commitID(id, row.N+1))
		if err != nil || c == nil {
			return
		}
		if row, err = s.apply(ctx, row, c); err != nil {
			return
		}
		s.states.put(row)
	}
}

// late has a session brought up to date once the database is back.
func (s *Store) late(id protocol.SessionID) {
	s.workers.Go(func() {
		for s.closing.Err() == nil {
			if _, err := s.current(s.closing, id); err == nil {
				return
			}
			s.pause(s.closing, lateEvery)
		}
	})
}
