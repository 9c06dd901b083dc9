package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// walkers is how many goroutines read a store at its start: more do not help on two
// cores, and elsewhere the disk is what they wait for.
const walkers = 2

// each calls f with 0..n-1 in a few goroutines, until one fails.
func each(n int, f func(i int) error) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, walkers)
	for w := range walkers {
		wait.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[w] = f(i); errs[w] != nil {
					next.Store(int64(n))
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// verifyTables checks the checksum of every block in every table that db uses.
func verifyTables(fs vfs.FS, dir string, db *pebble.DB) error {
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	var paths []string
	for _, tables := range levels {
		for _, table := range tables {
			paths = append(paths, fs.PathJoin(dir, fmt.Sprintf("%06d.sst", table.BackingSSTNum)))
		}
	}
	return each(len(paths), func(i int) error {
		if err := verifyTable(fs, paths[i]); err != nil {
			return fmt.Errorf("%s is damaged: %w", paths[i], err)
		}
		return nil
	})
}

func verifyTable(fs vfs.FS, path string) (err error) {
	defer func() {
		if r := recover(); r != nil { // what is damaged before its checksum was read can make Pebble panic
			err = fmt.Errorf("%v", r)
		}
	}()
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	o := pebbleOptions(fs, nil)
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// verifySessions walks the keys of all entries: every session's run from 1
// to what its head says. Those that run beyond are noted in ends.
func verifySessions(db *pebble.DB, ends *logEnds) error {
	const parts = 16 // of s_ sessions, and as many of p_ sessions: their ids are spread evenly
	return each(2*parts, func(i int) error {
		bound := func(table byte, part int) []byte {
			if part == parts {
				return []byte{table + 1}
			}
			return []byte{table, byte(part * 256 / parts)}
		}
		bit, part := byte(i/parts), i%parts
		return verifySessionsOf(db,
			bound(tableHead|bit, part), bound(tableHead|bit, part+1),
			bound(tableEntry|bit, part), bound(tableEntry|bit, part+1), ends)
	})
}

// verifySessionsOf walks heads and entries between keys, side by side.
func verifySessionsOf(db *pebble.DB, head, headEnd, entry, entryEnd []byte, ends *logEnds) (err error) {
	heads, err := db.NewIter(&pebble.IterOptions{LowerBound: head, UpperBound: headEnd})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, heads.Close()) }()
	entries, err := db.NewIter(&pebble.IterOptions{LowerBound: entry, UpperBound: entryEnd})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, entries.Close()) }()
	more := entries.First()
	for ok := heads.First(); ok; ok = heads.Next() {
		row, err := heads.ValueAndErr()
		if err != nil {
			return err
		}
		h, err := parseHead(row)
		if err != nil {
			return fmt.Errorf("session %s: %w", sessionOf(heads.Key()), err)
		}
		id, seq := heads.Key()[1:], int64(0)
		for more && bytes.Equal(entries.Key()[1:1+sessionBytes], id) {
			if seq++; seqOf(entries.Key()) != seq {
				return fmt.Errorf("session %s: entry %d is missing", sessionOf(heads.Key()), seq)
			}
			more = entries.Next()
		}
		if seq > h.last {
			ends.add(sessionOf(heads.Key()), seq)
		}
		if seq < h.last {
			return fmt.Errorf("session %s: its log ends at %d, its head says %d", sessionOf(heads.Key()), seq, h.last)
		}
	}
	if more && entries.Error() == nil {
		return fmt.Errorf("session %s: has entries and no head", sessionOf(entries.Key()))
	}
	return nil
}
