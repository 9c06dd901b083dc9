// Package pebblestore keeps everything in one directory of this machine, in
// Pebble (decision 0002). A Store fills actors.Journal and userctr.Store: rows
// and keys, and nothing that decides.
package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// Options of a Store. A zero field means its written default.
type Options struct {
	FS  vfs.FS       // vfs.Default; tests use vfs.NewMem()
	Log *slog.Logger // slog.Default()

	// Fatal is told of an error after which this process cannot go on writing. The
	// store refuses everything from then on; nothing that was acknowledged is lost by
	// ending the process, so Fatal should end it and need not return. Default: log and exit 1.
	Fatal func(error)

	MemTable int   // bytes; 32 MiB, see design: 4 MiB cost a fifth more CPU a message
	Cache    int64 // bytes of blocks kept in memory; 16 MiB, as the kernel caches the files too
	MinFree  int64 // bytes of disk under which writes are refused as BUSY; 64 MiB, negative: never
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Fatal == nil {
		log := o.Log
		o.Fatal = func(err error) {
			log.Error("the store cannot go on", "error", err)
			os.Exit(1)
		}
	}
	if o.MemTable == 0 {
		o.MemTable = 32 << 20
	}
	if o.Cache == 0 {
		o.Cache = 16 << 20
	}
	if o.MinFree == 0 {
		o.MinFree = 64 << 20
	}
	return o
}

// Store is one open directory. It is its only writer, in this and any process.
type Store struct {
	*rows.Store // what centres keep that asks neither sessions nor users
	dir         string
	opts        Options
	db          *pebble.DB
	lock        *pebble.Lock

	writing sync.Mutex // held from a change's first read to its place in Pebble's log
	counter int64      // of the newest change; under writing

	backups sync.Mutex // one at a time

	mark   marker
	space  space
	heads  headCache
	late   lateHeads
	hidden hidden
	full   atomic.Pointer[func(protocol.SessionID)] // of Watch
	failed atomic.Pointer[error]

	purges  sync.Mutex // one at a time
	purging atomic.Bool

	logEpoch   string // of every log in here
	epochFloor int64  // of every activation's epoch: see backup.go

	trimmed uint64 // bytes that had been written at the last Trim
}

// Open opens the store in dir, and makes it if dir is not there or empty. A
// second Open of the same directory, in whatever process, fails while the first
// lives. Everything in it is read first: a damaged file is an error that names it,
// and nothing is changed then.
func Open(dir string, opts Options) (*Store, error) {
	s := &Store{dir: dir, opts: opts.withDefaults()}
	s.Store = rows.New(database{s}, s.names)
	s.space.now = time.Now
	s.mark.log = s.opts.Log
	if err := s.opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pebblestore: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, s.opts.FS)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s is in use by another process (or cannot be locked): %w", dir, err)
	}
	ends := &logEnds{}
	if err := s.open(lock, ends); err != nil {
		return nil, errors.Join(err, s.mark.close(), lock.Close())
	}
	s.lock = lock
	if err := s.readMeta(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.findLate(ends); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.restored(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.indexUsers(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// LockDirectory takes a directory for this process, though no store of this package is in it.
// It fails while another process has it.
func LockDirectory(dir string) (io.Closer, error) {
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s is in use by another process (or cannot be locked): %w", dir, err)
	}
	return lock, nil
}

// open verifies what is there, then opens it with Pebble.
func (s *Store) open(lock *pebble.Lock, ends *logEnds) error {
	if err := s.check(lock, ends); err != nil {
		return err
	}
	o := pebbleOptions(watchedFS{s.opts.FS, s.mark.manifestSynced, &s.purging}, lock)
	o.MemTableSize = uint64(s.opts.MemTable)
	o.CacheSize = s.opts.Cache
	o.Logger = logger{s}
	o.EventListener = &pebble.EventListener{
		DataCorruption:  s.corrupt,
		BackgroundError: func(err error) { s.opts.Log.Error("the store's work in the background failed", "error", err) },
		ManifestCreated: func(info pebble.ManifestCreateInfo) {
			if info.Err == nil {
				s.mark.manifestUsed(int64(info.FileNum))
			}
		},
	}
	db, err := openPebble(s.dir, o)
	if err != nil {
		return blame(s.opts.FS, s.dir, err)
	}
	s.db = db
	return nil
}

// check verifies the directory and makes its mark what verify found.
func (s *Store) check(lock *pebble.Lock, ends *logEnds) error {
	fs := s.opts.FS
	if err := fs.RemoveAll(fs.PathJoin(s.dir, backupDraft)); err != nil {
		return fmt.Errorf("pebblestore: %w", err)
	}
	at, _, err := s.found(lock, ends)
	if err != nil {
		return err
	}
	if s.mark.file, err = writeMark(fs, s.dir, at); err != nil {
		return fmt.Errorf("pebblestore: %w", err)
	}
	s.mark.mark = at
	return nil
}

// found verifies the directory, and gives the mark that it deserves and, in ends, whose heads may be late. Nothing
// is changed. fresh: nothing was ever written, at most Pebble was about to make its files.
func (s *Store) found(lock *pebble.Lock, ends *logEnds) (at mark, fresh bool, err error) {
	fs := s.opts.FS
	names, err := fs.List(s.dir)
	if err != nil {
		return at, false, fmt.Errorf("pebblestore: %w", err)
	}
	fresh = true
	for _, name := range names {
		fresh = fresh && !strings.HasSuffix(name, ".log") && !strings.HasSuffix(name, ".sst") && !strings.HasPrefix(name, "marker.")
	}
	at, unmarked, err := readMark(fs, s.dir)
	switch {
	case err != nil && !missing(err):
		return at, fresh, fmt.Errorf("pebblestore: %w", err)
	case fresh && at == mark{}:
		return at, fresh, nil
	case err != nil:
		return at, fresh, fmt.Errorf("pebblestore: %s is missing, so nobody can say whether the store is whole; see docs/storage.md", fs.PathJoin(s.dir, markName))
	}
	if unmarked {
		s.opts.Log.Warn("the store's mark is empty: it is taken as it stands", "file", fs.PathJoin(s.dir, markName))
	}
	at, err = verify(fs, s.dir, lock, at, ends)
	return at, fresh, err
}

// pebbleOptions are what every opening of a store has in common, tuned as measured
// for the message path: bloom filters, as a client message id is looked up that
// mostly is not there, and 32 KiB blocks.
func pebbleOptions(fs vfs.FS, lock *pebble.Lock) *pebble.Options {
	o := &pebble.Options{FS: fs, Lock: lock, FormatMajorVersion: pebble.FormatNewest}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// Trim writes what memory holds of rows into tables, so that its room is free again: after
// a crowd has come, some 700 bytes for each. Less than 256 KiB stay where they are. One
// goroutine calls it.
func (s *Store) Trim() error {
	written := s.db.Metrics().WAL.BytesIn
	if written-s.trimmed < 256<<10 {
		return nil
	}
	s.trimmed = written
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", s.dir, err)
	}
	return nil
}

// errClosed is what a writer is told after Close.
var errClosed = errors.New("pebblestore: the store is closed")

// Close ends writing, then the store. Nobody may read any more.
func (s *Store) Close() error {
	s.writing.Lock()
	err := s.writeLate()
	s.failed.CompareAndSwap(nil, &errClosed)
	s.writing.Unlock()
	return errors.Join(err, s.db.Close(), s.mark.close(), s.lock.Close())
}

// broken is the error that ended this store's writing, nil while it can write.
func (s *Store) broken() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail ends this store's writing for good and tells Fatal, the first time.
func (s *Store) fail(err error) error {
	if s.failed.CompareAndSwap(nil, &err) {
		s.opts.Fatal(err)
	}
	return s.broken()
}

// corrupt is told of a file that was found damaged while the store was open. What
// needs the file fails with an error; the rest goes on.
func (s *Store) corrupt(info pebble.DataCorruptionInfo) {
	s.opts.Log.Error("a file of the store is damaged", "file", info.Path, "error", info.Details)
}

// logger brings what Pebble says into our log.
type logger struct{ s *Store }

func (l logger) Infof(format string, args ...any) {
	l.s.opts.Log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.s.opts.Log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called by Pebble where it cannot go on and does not expect to.
func (l logger) Fatalf(format string, args ...any) {
	err := l.s.fail(fmt.Errorf("pebblestore: %s: %s", l.s.dir, fmt.Sprintf(format, args...)))
	panic(err) // only when Fatal returned: Pebble's own state is undefined from here on
}
