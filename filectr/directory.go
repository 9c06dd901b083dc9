package filectr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Directory is Blobs in a directory of this machine: DIR/ab/cdef… is the content
// whose sum begins with abcdef.
type Directory struct {
	dir string
}

// draft ends the name of a file that is not kept yet. A crash leaves some behind.
const draft = ".draft"

// NewDirectory opens dir, makes it when there is none, and removes what a crash left.
// It belongs to one process.
func NewDirectory(dir string) (*Directory, error) { return openDirectory(dir, 0) }

// NewSharedDirectory is NewDirectory for one that processes of several machines share: what was
// begun within the last hour may be another's.
func NewSharedDirectory(dir string) (*Directory, error) { return openDirectory(dir, time.Hour) }

// ReadDirectory is one that is only read, by whoever does not own it: nothing is made or removed.
func ReadDirectory(dir string) *Directory { return &Directory{dir: dir} }

func openDirectory(dir string, age time.Duration) (*Directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"+draft))
	copies, e := filepath.Glob(filepath.Join(dir, "*"+draft)) // of Collect
	err = errors.Join(err, e)
	for _, path := range append(left, copies...) {
		if info, e := os.Stat(path); e != nil || time.Since(info.ModTime()) < age {
			continue
		}
		if e := os.Remove(path); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	return &Directory{dir: dir}, nil
}

func (d *Directory) path(sum Sum) string {
	name := sum.String()
	return filepath.Join(d.dir, name[:2], name[2:])
}

// Put fills Blobs: the bytes are synced before they get their name, and the name
// before Put returns.
func (d *Directory) Put(_ context.Context, sum Sum, path string) error {
	to := d.path(sum)
	if err := d.put(to, path); err != nil {
		return fmt.Errorf("filectr: keep %s: %w", sum, err)
	}
	return nil
}

func (d *Directory) put(to, path string) error {
	folder := filepath.Dir(to)
	if err := os.Mkdir(folder, 0o700); err == nil {
		if err := syncDir(d.dir); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncFile(path); err != nil {
		return err
	}
	if os.Rename(path, to) != nil { // another file system, say
		near := filepath.Join(folder, protocol.NewFileID()+draft)
		if err := copyFile(path, near); err != nil {
			return errors.Join(err, os.Remove(near))
		}
		if err := os.Rename(near, to); err != nil {
			return err
		}
	}
	return syncDir(folder)
}

// Open fills Blobs.
func (d *Directory) Open(_ context.Context, sum Sum) (Blob, error) {
	f, err := d.find(sum)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoBlob
	}
	if err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileBlob{f, info.Size()}, nil
}

// fileBlob is an *os.File that knows its size; net/http sends it without copying.
type fileBlob struct {
	*os.File
	size int64
}

func (b *fileBlob) Size() int64 { return b.size }

// find opens a content in its place, or set aside. It looks at both again, as one that is
// being returned may be missed in both.
func (d *Directory) find(sum Sum) (f *os.File, err error) {
	for range 3 {
		if f, err = os.Open(d.path(sum)); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		copies, err := filepath.Glob(d.path(sum) + ".*" + asideExt)
		if err != nil {
			return nil, err
		}
		for _, path := range copies {
			if f, err := os.Open(path); !errors.Is(err, fs.ErrNotExist) {
				return f, err
			}
		}
	}
	return nil, err
}

// asideExt ends the names of copies that were set aside: SUM.NAME in the place of SUM.
const asideExt = ".aside"

func (d *Directory) aside(a Aside) string { return d.path(a.Sum) + "." + a.Name + asideExt }

// SetAside fills Blobs. It is durable, so that a content whose rows are gone is found again.
func (d *Directory) SetAside(_ context.Context, sum Sum) (Aside, error) {
	a := newAside(sum)
	err := os.Rename(d.path(sum), d.aside(a))
	if errors.Is(err, fs.ErrNotExist) {
		return a, ErrNoBlob
	}
	if err == nil {
		err = syncDir(filepath.Dir(d.path(sum)))
	}
	if err != nil {
		return a, fmt.Errorf("filectr: %w", err)
	}
	return a, nil
}

// Return fills Blobs.
func (d *Directory) Return(_ context.Context, a Aside) error {
	err := os.Rename(d.aside(a), d.path(a.Sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(d.path(a.Sum)))
	}
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	return nil
}

// Drop fills Blobs. It need not be durable: what comes back after a crash is found by Asides.
func (d *Directory) Drop(_ context.Context, a Aside) error {
	if err := os.Remove(d.aside(a)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("filectr: %w", err)
	}
	return nil
}

// Asides fills Blobs.
func (d *Directory) Asides(_ context.Context, before time.Time) (all []Aside, err error) {
	paths, err := filepath.Glob(filepath.Join(d.dir, "??", "*"+asideExt))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), asideExt)
		if a, ok := parseAside(filepath.Base(filepath.Dir(path))+name, before); ok {
			all = append(all, a)
		}
	}
	return all, err
}

// Ready fills Blobs.
func (d *Directory) Ready(context.Context) error {
	_, err := os.Stat(d.dir)
	return err
}

// CopyTo gives to, which must not be there, every content: as a link where the
// file system can, else as a copy. Nothing may be deleted meanwhile.
func (d *Directory) CopyTo(to string) error {
	err := filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inner, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inner)
		switch {
		case entry.IsDir():
			return os.Mkdir(target, 0o700)
		case filepath.Ext(path) == draft:
			return nil
		}
		if err := os.Link(path, target); err == nil {
			return nil
		}
		return copyFile(path, target)
	})
	if err != nil {
		return fmt.Errorf("filectr: copy: %w", err)
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = syncDir(path)
		}
		return err
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(dir string) error { return syncFile(dir) }

// copyFile makes to, durably.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in)
	return errors.Join(err, out.Sync(), out.Close())
}
