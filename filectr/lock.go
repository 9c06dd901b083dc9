package filectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	tus "github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Beside an upload in parts in a shared directory: the file that is locked while a node works on
// it, and the one that says that another waits for it.
const (
	lockExt = ".lock"
	wantExt = ".want"
)

// locker has one request at a time work on an upload: of this process, and of all nodes
// where they share a directory.
func (c *Center) locker() tus.Locker {
	near := memorylocker.New()
	if c.cfg.Shared == "" {
		return near
	}
	return &sharedLocker{c, near}
}

type sharedLocker struct {
	c    *Center
	near tus.Locker
}

// NewLock fills tus.Locker.
func (l *sharedLocker) NewLock(id string) (tus.Lock, error) {
	near, err := l.near.NewLock(id)
	if err != nil || !protocol.IsFileID(id) {
		return near, err
	}
	if _, err := os.Stat(l.c.resumable(id + ".json")); err != nil { // no upload, or one that is a file by now
		return near, nil
	}
	return &sharedLock{c: l.c, id: id, near: near}, nil
}

// sharedLock is a lock of this process in front of a file's, which ends with its process.
type sharedLock struct {
	c    *Center
	id   string
	near tus.Lock
	file *os.File
	done chan struct{}
	over sync.WaitGroup
}

// lockPause is how often who waits for another node looks, and who works looks for who waits.
const lockPause = 100 * time.Millisecond

// Lock fills tus.Lock.
func (l *sharedLock) Lock(ctx context.Context, release func()) error {
	if err := l.near.Lock(ctx, release); err != nil {
		return err
	}
	err := l.far(ctx)
	if err != nil {
		return errors.Join(err, l.near.Unlock())
	}
	l.done = make(chan struct{})
	l.over.Go(func() {
		tick := time.NewTicker(lockPause)
		defer tick.Stop()
		for {
			select {
			case <-l.done:
				return
			case <-tick.C:
			}
			if _, err := os.Stat(l.c.resumable(l.id + wantExt)); err == nil {
				release()
				return
			}
		}
	})
	return nil
}

// far takes the file's lock, and says meanwhile that it is waited for.
func (l *sharedLock) far(ctx context.Context) error {
	f, err := os.OpenFile(l.c.resumable(l.id+lockExt), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	want := l.c.resumable(l.id + wantExt)
	waited := false
	for {
		took, err := lockFile(f)
		if took {
			l.file = f
			if waited {
				_ = os.Remove(want) // one that is left costs a request
			}
			return nil
		}
		if err != nil {
			return errors.Join(fmt.Errorf("filectr: lock an upload: %w", err), f.Close())
		}
		waited = true
		if w, err := os.OpenFile(want, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			err = w.Close()
			if err != nil {
				return errors.Join(err, f.Close())
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(tus.ErrLockTimeout, f.Close())
		case <-time.After(lockPause):
		}
	}
}

// Unlock fills tus.Lock.
func (l *sharedLock) Unlock() error {
	close(l.done)
	l.over.Wait()
	return errors.Join(l.file.Close(), l.near.Unlock())
}
