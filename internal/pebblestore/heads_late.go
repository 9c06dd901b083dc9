package pebblestore

import (
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// lateHeads are heads whose rows say less than the log. A commit that adds entries to a session and changes
// nothing else of it leaves its head here: of a message's three rows it would be the one that is written anew by
// each. The rows are made up for before anybody takes a view (see snapshot), when there are too many, and by
// Close. After a kill Open finds these heads again in the log: see findLate.
type lateHeads struct {
	mu sync.RWMutex
	of map[sessionKey]head
}

// mostLate is how many heads may be late: they take some 100 bytes each.
const mostLate = 4096

func (l *lateHeads) get(k sessionKey) (head, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	h, ok := l.of[k]
	return h, ok
}

func (l *lateHeads) len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.of)
}

func (l *lateHeads) all() map[sessionKey]head {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[sessionKey]head, len(l.of))
	maps.Copy(all, l.of)
	return all
}

// put makes heads late that changed; those with rows are so no longer.
func (l *lateHeads) put(changed, rows map[sessionKey]head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[sessionKey]head{}
	}
	maps.Copy(l.of, changed)
	for k := range rows {
		delete(l.of, k)
	}
}

// mayBeLate says that a head's row may wait: the log alone tells what changed.
func mayBeLate(before, now head) bool {
	return before.epoch != 0 && before.epoch == now.epoch && before.members == now.members
}

// snapshot is a view of one moment, in the middle of no commit, in which every head has its row.
func (s *Store) snapshot() (*pebble.Snapshot, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.writeLate(); err != nil {
		return nil, err
	}
	return s.db.NewSnapshot(), nil
}

// writeLate gives the late heads their rows. It does not wait for the disk, as what they say can be found again.
// s.writing is held.
func (s *Store) writeLate() error {
	if s.late.len() == 0 || s.broken() != nil {
		return nil
	}
	batch := s.db.NewBatch()
	_ = batch.Set(keyCounter, number(s.counter+1), nil) // an error is impossible, as in tx.write
	late := s.late.all()
	for k, h := range late {
		_ = batch.Set(k.head(), h.row(), nil)
	}
	if err := s.db.Apply(batch, pebble.NoSync); err != nil {
		return s.fail(fmt.Errorf("pebblestore: %s: heads: %w", s.dir, err))
	}
	s.counter++
	s.late.put(nil, late)
	return batch.Close()
}

// logEnds are sessions whose heads may be late, and the seq that their logs may end with.
type logEnds struct {
	mu sync.Mutex
	of map[sessionKey]int64
}

func (e *logEnds) add(k sessionKey, seq int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[sessionKey]int64{}
	}
	e.of[k] = max(e.of[k], seq)
}

// addChange adds the entries that a change writes. rows stands behind the first of its rows.
func (e *logEnds) addChange(rows batchrepr.Reader) {
	for {
		_, key, _, ok, err := rows.Next()
		if err != nil || !ok {
			return // whether a change is whole is Pebble's to say
		}
		if len(key) == 1+sessionBytes+8 && key[0]&^1 == tableEntry {
			e.add(sessionOf(key), seqOf(key))
		}
	}
}

// findLate finds the heads that were late when the store was left, which is without a Close.
func (s *Store) findLate(ends *logEnds) error {
	late := map[sessionKey]head{}
	for k, end := range ends.of {
		var h head
		found, err := s.now().row(k.head(), func(b []byte) (err error) { h, err = parseHead(b); return err })
		if err != nil {
			return err
		}
		if !found || h.last >= end {
			continue
		}
		err = s.scan(k.entry(h.last+1), after(k.entry(end)), func(key, row []byte) error {
			if len(row) < entryHeader {
				return s.bad(key, errShort)
			}
			if h.last++; seqOf(key) != h.last {
				return s.bad(key, errors.New("its log has a hole before it"))
			}
			if row[0]&flagMessage != 0 && row[0]&flagQuiet == 0 {
				h.message = h.last
			}
			return nil
		})
		if err != nil {
			return err
		}
		late[k] = h
	}
	s.late.put(late, nil)
	return nil
}

// lateOr is a head as now, or as its row says.
func (s *Store) lateOr(k sessionKey, row head) head {
	if h, ok := s.late.get(k); ok && h.last > row.last {
		return h
	}
	return row
}

// writeHeads writes the rows of those heads that may not be late, and gives them: they are to be taken off those
// that are.
func (c *committer) writeHeads() (rows map[sessionKey]head) {
	if c.s.late.len()+len(c.heads) > mostLate {
		rows = c.s.late.all()
		maps.Copy(rows, c.heads)
	} else {
		for k, h := range c.heads {
			if !mayBeLate(c.before[k], h) {
				if rows == nil {
					rows = map[sessionKey]head{}
				}
				rows[k] = h
			}
		}
	}
	for k, h := range rows {
		c.write(k.head(), h.row())
	}
	return rows
}
