package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/rows"
)

var _ migrate.Source = (*Export)(nil)

// Export is a store that nobody has open, read to be moved elsewhere. Nothing in it is changed: Pebble
// has it read-only.
type Export struct {
	s     *Store // what it reads with; its db is read-only
	again bool   // it is a backup that no server was started on yet
}

// OpenExport opens the store in dir as Open does: a second opener is refused, and everything is verified
// first, so that an error names the file that is damaged. A directory without a store, or one
// of another version of this program, is an error too.
func OpenExport(dir string, opts Options) (*Export, error) {
	x := &Export{s: &Store{dir: dir, opts: opts.withDefaults()}}
	s := x.s
	if names, err := s.opts.FS.List(dir); err != nil || len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("pebblestore: there is no store in %s", dir), err)
	}
	lock, err := pebble.LockDirectory(dir, s.opts.FS)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s is in use by another process (or cannot be locked): %w", dir, err)
	}
	s.lock = lock
	ends := &logEnds{}
	at, fresh, err := s.found(lock, ends)
	if err == nil && fresh {
		err = fmt.Errorf("pebblestore: there is no store in %s", dir)
	}
	if err == nil {
		o := pebbleOptions(s.opts.FS, lock)
		o.ReadOnly, o.CacheSize, o.Logger = true, s.opts.Cache, silent{}
		if s.db, err = openPebble(dir, o); err != nil {
			err = blame(s.opts.FS, dir, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := errors.Join(x.read(at), s.findLate(ends)); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// read reads what the store says of itself.
func (x *Export) read(at mark) (err error) {
	s := x.s
	v := s.now()
	made, err := v.number(keyFormat)
	if err == nil && made != format {
		err = fmt.Errorf("pebblestore: %s was written by another version of this program (format %d, this one moves %d)", s.dir, made, format)
	}
	if err != nil {
		return err
	}
	if s.counter, err = v.number(keyCounter); err != nil {
		return err
	}
	if s.counter != at.counter {
		return fmt.Errorf("pebblestore: %s: change %d was verified, and %d is read", s.dir, at.counter, s.counter)
	}
	if s.epochFloor, err = v.number(keyEpochFloor); err != nil {
		return err
	}
	epoch, found, err := s.get(keyLogEpoch)
	if err == nil && !found {
		err = s.bad(keyLogEpoch, errors.New("is missing"))
	}
	if err != nil {
		return err
	}
	s.logEpoch = string(epoch)
	if x.again, err = x.isBackup(); err != nil {
		return err
	}
	return x.knowsAll()
}

// isBackup says whether a start would find that the store is a backup: see Store.restored.
func (x *Export) isBackup() (bool, error) {
	fs, path := x.s.opts.FS, x.s.opts.FS.PathJoin(x.s.dir, backupName)
	f, err := fs.Open(path)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pebblestore: %w", err)
	}
	id, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("pebblestore: %s: %w", path, err)
	}
	known, found, err := x.s.get(keyRestored)
	return !found || string(known) != string(id), err
}

// knowsAll refuses a store with a table that Each would leave behind.
func (x *Export) knowsAll() error {
	it, err := x.s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("pebblestore: %s: %w", x.s.dir, err)
	}
	defer it.Close()
	for ok := it.First(); ok; {
		table := it.Key()[0]
		if !exported(table) {
			return x.s.bad(it.Key(), errors.New("is of a table that this version does not move: of a newer version of this program?"))
		}
		ok = it.SeekGE([]byte{table + 1})
	}
	return it.Error()
}

// exported says that Each gives what is in a table, or that it is made again from what Each gives:
// indexes, and the search's signatures.
func exported(table byte) bool {
	switch {
	case table == tableMeta, table >= tableHead && table <= tableDeed+1, table == tableDue, table == tableHome,
		table >= tableUser && table <= tableMerge, table == tablePush, table == tablePushed, table == tableTerm, table == tableStanding,
		table == tableAudit, table == tableAuditEnds, table == tableErasure,
		table >= tableContact && table <= tableWaitingInto, table >= tableLink && table <= tableNoticeDone,
		table >= tableSignature && table <= tableUnsigned+1, table == tableOriginal, table == tableBotCursor, table == tableBotState:
		return true
	}
	return rows.Has(table)
}

// Close lets go of the store.
func (x *Export) Close() error { return errors.Join(x.s.db.Close(), x.s.lock.Close()) }

// Origin fills migrate.Source.
func (x *Export) Origin() (of migrate.Origin, again bool) {
	return migrate.Origin{Change: x.s.counter, Epoch: x.s.logEpoch}, x.again
}

// Part fills migrate.Source. Whoever starts a server on the store again has a store that went back
// behind what clients have seen since.
func (x *Export) Part() error {
	fs, path := x.s.opts.FS, x.s.opts.FS.PathJoin(x.s.dir, backupName)
	if x.again {
		return nil
	}
	if err := writeFile(fs, path, newID()); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", path, err)
	}
	return syncDir(fs, x.s.dir)
}

// Contents calls each with every content that a file or an avatar has, once.
func (x *Export) Contents(_ context.Context, each func(filectr.Sum) error) error {
	return rows.ContentsIn(x.s.scan, each)
}
