package pebblestore

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/rows"
)

// backupName is a file that only a backup has: its content names the backup. A
// store that finds it has been restored: see restored.
const backupName = "troupe.backup"

// backupDraft is where a backup begins, in the store's own directory, so that its
// tables can be links. One that is left behind is removed at the next start.
const backupDraft = "backup.draft"

// Backup makes dir a copy of the store as it is at one moment during the call,
// verified and synced. dir must not exist or be empty; its parent must exist.
// Writing pauses while tables are linked and the last log is copied, some tens of
// milliseconds; all else is done beside it. Where dir is on the store's own file
// system tables stay links: to survive the disk, the copy must be copied on.
// contents, where it is not nil, is called with what calls it with each content that the
// copy's files have, once; when it fails the copy is none.
func (s *Store) Backup(dir string, contents func(each func(func(filectr.Sum) error) error) error) (err error) {
	s.backups.Lock()
	defer s.backups.Unlock()
	fs := s.opts.FS
	if names, err := fs.List(dir); err == nil && len(names) > 0 {
		return fmt.Errorf("pebblestore: backup: %s is not empty", dir)
	} else if err != nil && !missing(err) {
		return fmt.Errorf("pebblestore: backup: %w", err)
	}
	draft := fs.PathJoin(s.dir, backupDraft)
	defer func() {
		err = errors.Join(err, fs.RemoveAll(draft))
		if err != nil {
			err = errors.Join(fmt.Errorf("pebblestore: backup: %w", err), emptyDir(fs, dir))
		}
	}()
	if err := errors.Join(fs.RemoveAll(draft), s.db.Flush()); err != nil {
		return err
	}
	least, at, err := s.checkpoint(draft)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	if err := moveFiles(fs, draft, dir); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return err
	}
	found, err := verify(fs, dir, lock, mark{counter: least}, &logEnds{})
	if err = errors.Join(err, lock.Close()); err != nil {
		return err
	}
	if err := writeFile(fs, fs.PathJoin(dir, backupName), newID()); err != nil {
		return err
	}
	if err := syncFiles(fs, dir); err != nil {
		return err
	}
	if contents != nil {
		err := contents(func(each func(filectr.Sum) error) error {
			return rows.ContentsIn(func(from, to []byte, each func(key, value []byte) error) error {
				return scan(at, s.dir, from, to, each)
			}, each)
		})
		if err != nil {
			return err
		}
	}
	// The mark comes last: without it a copy that was broken off is not opened.
	f, err := writeMark(fs, dir, found)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(fs, fs.PathDir(dir)))
}

// checkpoint makes Pebble's copy, and gives the number of its newest change and a view of
// what it has. Nothing may write meanwhile: Pebble copies its log bit by bit, and what is
// written behind the place it has come to makes that look like damage before it.
func (s *Store) checkpoint(dir string) (counter int64, at *pebble.Snapshot, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.broken(); err != nil {
		return 0, nil, err
	}
	if err := s.writeLate(); err != nil {
		return 0, nil, err
	}
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return 0, nil, err
	}
	return s.counter, s.db.NewSnapshot(), nil
}

// moveFiles gives the files of one directory to another, which may be on another disk.
func moveFiles(fs vfs.FS, from, to string) error {
	if err := fs.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := vfs.LinkOrCopy(fs, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func emptyDir(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if missing(err) {
		return nil
	}
	for _, name := range names {
		err = errors.Join(err, fs.RemoveAll(fs.PathJoin(dir, name)))
	}
	return err
}

func writeFile(fs vfs.FS, path, text string) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFiles(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return syncDir(fs, dir)
}

// restored looks whether this store is a backup's copy that is opened for the
// first time. Then its logs may have gone back: they get a new epoch, and every
// activation's epoch goes up, past what may have been claimed since the backup.
func (s *Store) restored() error {
	fs, path := s.opts.FS, s.opts.FS.PathJoin(s.dir, backupName)
	f, err := fs.Open(path)
	if missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pebblestore: %w", err)
	}
	id, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", path, err)
	}
	known, _, err := s.get(keyRestored)
	if err != nil {
		return err
	}
	if known == nil || string(known) != string(id) {
		if err := s.raiseEpochs(id); err != nil {
			return err
		}
	}
	if err := fs.Remove(path); err != nil {
		return fmt.Errorf("pebblestore: %w", err)
	}
	return syncDir(fs, s.dir)
}

// claimsSince is how many activations of one session a restored store believes
// to have been between the backup and its loss.
const claimsSince = 1 << 20

func (s *Store) raiseEpochs(backup []byte) error {
	floor, epoch := s.epochFloor, newID()
	err := s.scan([]byte{tableHead}, []byte{tableHead + 2}, func(key, value []byte) error {
		h, err := parseHead(value)
		floor = max(floor, h.epoch)
		return err
	})
	if err != nil {
		return err
	}
	floor += claimsSince
	err = s.update(func(t *tx) error {
		t.put(keyRestored, backup)
		t.put(keyLogEpoch, []byte(epoch))
		t.put(keyEpochFloor, number(floor))
		return nil
	})
	if err != nil {
		return err
	}
	s.opts.Log.Info("the store was restored from a backup: its logs have a new epoch", "epoch", epoch)
	s.logEpoch, s.epochFloor = epoch, floor
	return nil
}
