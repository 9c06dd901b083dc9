// Package pebblestore keeps everything in one directory of this machine, in
// Pebble (decision 0002). A Store fills actors.Journal and userctr.Store: rows
// and keys, and nothing that decides.
package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
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
	dir  string
	opts Options
	db   *pebble.DB
	lock *pebble.Lock

	writing sync.Mutex // held from a change's first read to its place in Pebble's log
	counter int64      // of the newest change; under writing

	heads  headCache
	failed atomic.Pointer[error]

	logEpoch   string // of every log in here
	epochFloor int64  // of every activation's epoch: see restore.go
}

// Open opens the store in dir, and makes it if dir is not there or empty. A
// second Open of the same directory, in whatever process, fails while the first lives.
func Open(dir string, opts Options) (*Store, error) {
	s := &Store{dir: dir, opts: opts.withDefaults()}
	if err := s.opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pebblestore: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, s.opts.FS)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s is in use by another process (or cannot be locked): %w", dir, err)
	}
	s.lock = lock
	if s.db, err = pebble.Open(dir, s.pebbleOptions()); err != nil {
		return nil, errors.Join(fmt.Errorf("pebblestore: %s: %w", dir, err), lock.Close())
	}
	if err := s.readMeta(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pebbleOptions are tuned as measured for the message path: a large memtable, bloom
// filters, as a client id is looked up that mostly is not there, and 32 KiB blocks.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 s.opts.FS,
		Lock:               s.lock,
		MemTableSize:       uint64(s.opts.MemTable),
		CacheSize:          s.opts.Cache,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             logger{s},
		EventListener:      &pebble.EventListener{DataCorruption: s.corrupt},
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// Close waits for nothing: whoever writes must have been told to end before.
func (s *Store) Close() error {
	err := s.db.Close()
	return errors.Join(err, s.lock.Close())
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
