package pebblestore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// get reads one row; the value is the caller's own. No row is not an error.
func (s *Store) get(key []byte) (value []byte, found bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("pebblestore: %s: %w", s.dir, err)
	}
	value = bytes.Clone(v)
	if value == nil {
		value = []byte{}
	}
	return value, true, closer.Close()
}

// errEnough ends a scan early, without an error.
var errEnough = errors.New("enough")

// scan calls each with the rows from <= key < to in order. Key and value are
// good only during the call. An error of each ends the scan and is returned;
// errEnough ends it without one.
func (s *Store) scan(from, to []byte, each func(key, value []byte) error) error {
	return scan(s.db, s.dir, from, to, each)
}

func scan(db pebble.Reader, dir string, from, to []byte, each func(key, value []byte) error) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return fmt.Errorf("pebblestore: %s: %w", dir, err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			err = fmt.Errorf("pebblestore: %s: %w", dir, e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("pebblestore: %s: %w", dir, err)
		}
		if err := each(it.Key(), v); err == errEnough {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// scanPrefix calls each with the rows whose key begins with prefix, as scan does.
func (s *Store) scanPrefix(prefix []byte, each func(key, value []byte) error) error {
	return s.scan(prefix, after(prefix), each)
}

// tx is one atomic change, made while nothing else is written.
type tx struct {
	s     *Store
	batch *pebble.Batch
	// own holds what this change wrote so far and get must see; nil is a deleted row.
	own   map[string][]byte
	ended bool
}

// get reads one row as it is after what tx wrote so far.
func (t *tx) get(key []byte) (value []byte, found bool, err error) {
	if v, ok := t.own[string(key)]; ok {
		return v, v != nil, nil
	}
	return t.s.get(key)
}

// scanPrefix reads rows as they were before this change.
func (t *tx) scanPrefix(prefix []byte, each func(key, value []byte) error) error {
	return t.s.scanPrefix(prefix, each)
}

// put writes a row.
func (t *tx) put(key, value []byte) {
	t.write(key, value)
	if value == nil {
		value = []byte{}
	}
	t.keep(key, value)
}

func (t *tx) keep(key, value []byte) {
	if t.own == nil {
		t.own = map[string][]byte{}
	}
	t.own[string(key)] = value
}

// delete ends a row; there need not be one.
func (t *tx) delete(key []byte) {
	_ = t.batch.Delete(key, nil) // an error is impossible here: the batch is not indexed
	t.keep(key, nil)
}

// write is put for a row that nothing reads back within this change.
func (t *tx) write(key, value []byte) {
	_ = t.batch.Set(key, value, nil) // as in delete
}

// update makes one atomic change durable: f reads and writes through t while
// nothing else in the store is written, so what it finds (that a name is free,
// say) is still so when its rows are there. When f fails nothing is written and
// update returns its error. Concurrent updates share their syncs. With little disk
// space left it fails with protocol.Code_BUSY and writes nothing.
func (s *Store) update(f func(t *tx) error) error {
	if err := s.roomy(); err != nil {
		return err
	}
	t, err := s.begin()
	if err != nil {
		return err
	}
	defer t.abandon()
	if err := f(t); err != nil {
		return err
	}
	return t.commit(nil)
}

// begin takes the right to write, which commit and abandon give back.
func (s *Store) begin() (*tx, error) {
	s.writing.Lock()
	if err := s.broken(); err != nil {
		s.writing.Unlock()
		return nil, err
	}
	t := &tx{s: s, batch: s.db.NewBatch()}
	// Every change begins with its number: see mark.go.
	t.write(keyCounter, number(s.counter+1))
	return t, nil
}

// abandon ends a change that was not committed; after commit it does nothing. It
// is deferred, as a panic in what writes must not hold up everybody else.
func (t *tx) abandon() {
	if !t.ended {
		t.ended = true
		t.s.writing.Unlock()
	}
}

// commit applies the change, calls applied (which may be nil), lets the next change
// begin, and waits for the disk.
func (t *tx) commit(applied func()) error {
	s := t.s
	if t.batch.Count() <= 1 { // nothing but the number
		return nil
	}
	n := s.counter + 1
	err := s.db.ApplyNoSyncWait(t.batch, pebble.Sync)
	if err == nil {
		s.counter = n
		if applied != nil {
			applied()
		}
	}
	t.abandon()
	if err != nil {
		return s.fail(fmt.Errorf("pebblestore: %s: commit: %w", s.dir, err))
	}
	if err := t.batch.SyncWait(); err != nil {
		return s.fail(fmt.Errorf("pebblestore: %s: sync: %w", s.dir, err))
	}
	s.mark.synced(n)
	return t.batch.Close()
}
