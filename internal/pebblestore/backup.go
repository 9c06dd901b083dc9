package pebblestore

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// backupName is a file that only a backup has: its content names the backup. A
// store that finds it has been restored: see restored.
const backupName = "troupe.backup"

// Backup makes dir a copy of the store as it is at one moment during the call,
// verified and synced, while writing goes on. dir must not exist or be empty; its parent
// must exist. On the same file system tables are hard links: to survive the disk, the copy must be copied on.
func (s *Store) Backup(dir string) (err error) {
	fs := s.opts.FS
	switch names, err := fs.List(dir); {
	case err == nil && len(names) > 0:
		return fmt.Errorf("pebblestore: backup: %s is not empty", dir)
	case err == nil:
		if err := fs.Remove(dir); err != nil { // Pebble wants to make it
			return fmt.Errorf("pebblestore: backup: %w", err)
		}
	case !missing(err):
		return fmt.Errorf("pebblestore: backup: %w", err)
	}
	s.mark.mu.Lock()
	least := s.mark.mark.counter
	s.mark.mu.Unlock()
	if err := s.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("pebblestore: backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("pebblestore: backup: %w", err), fs.RemoveAll(dir))
		}
	}()
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return err
	}
	found, err := verify(fs, dir, lock, mark{counter: least})
	if err = errors.Join(err, lock.Close()); err != nil {
		return err
	}
	if err := writeFile(fs, fs.PathJoin(dir, backupName), newID()); err != nil {
		return err
	}
	if err := syncFiles(fs, dir); err != nil {
		return err
	}
	// The mark comes last: without it a copy that was broken off is not opened.
	f, err := writeMark(fs, dir, found)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(fs, fs.PathDir(dir)))
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
