package filectr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Collected is what became of contents that were looked at or copied.
type Collected struct {
	Contents int   `json:"contents"` // that are as they should be
	Bytes    int64 `json:"bytes"`    // of those
	Lacking  int   `json:"lacking"`  // missing or damaged; the log names them
	Passed   int   `json:"passed,omitempty"`
}

// collectors are how many contents are looked at side by side: a bucket answers each
// after some milliseconds.
const collectors = 8

// Collect calls all, which is to give it each content, and looks whether it is there;
// deep: whether it has its sum too. copyTo, where it is not nil, gets a copy of each,
// whose sum is looked at in any case.
func (c *Center) Collect(ctx context.Context, deep bool, copyTo *Directory, all func(each func(Sum) error) error) (got Collected, err error) {
	return Collect(ctx, c.blobs, c.log, deep, copyTo, all)
}

// Collect is Center.Collect of contents that no centre has.
func Collect(ctx context.Context, blobs Blobs, log *slog.Logger, deep bool, copyTo *Directory, all func(each func(Sum) error) error) (got Collected, err error) {
	var mu sync.Mutex
	var under sync.WaitGroup
	var failed error
	places := make(chan int, collectors)
	for i := range collectors {
		places <- i
	}
	err = all(func(sum Sum) error {
		mu.Lock()
		err := errors.Join(failed, ctx.Err())
		mu.Unlock()
		if err != nil {
			return err
		}
		place := <-places
		under.Go(func() {
			defer func() { places <- place }()
			n, err := collect(ctx, blobs, sum, deep, copyTo)
			mu.Lock()
			defer mu.Unlock()
			var no lacking
			switch {
			case err == nil:
				got.Contents++
				got.Bytes += n
			case errors.As(err, &no):
				got.Lacking++
				log.Error("a content of files is lost", "content", sum, "why", no)
			default:
				failed = errors.Join(failed, err)
			}
		})
		return nil
	})
	under.Wait()
	return got, errors.Join(err, failed)
}

// lacking says why a content is none.
type lacking string

func (l lacking) Error() string { return string(l) }

// collect looks at one content, and gives its size.
func collect(ctx context.Context, blobs Blobs, sum Sum, deep bool, copyTo *Directory) (int64, error) {
	blob, err := blobs.Open(ctx, sum)
	if errors.Is(err, ErrNoBlob) {
		return 0, lacking("it is not there")
	}
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	if copyTo == nil && !deep {
		return blob.Size(), nil
	}
	hash := sha256.New()
	if copyTo == nil {
		n, err := io.Copy(hash, blob)
		return n, judge(sum, hash, err)
	}
	near := filepath.Join(copyTo.dir, protocol.NewFileID()+draft)
	defer os.Remove(near)
	f, err := os.OpenFile(near, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("filectr: copy: %w", err)
	}
	n, err := io.Copy(io.MultiWriter(hash, f), blob)
	if err = judge(sum, hash, errors.Join(err, f.Close())); err != nil {
		return 0, err
	}
	return n, copyTo.Put(ctx, sum, near)
}

func judge(sum Sum, h hash.Hash, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("filectr: content %s: %w", sum, err)
	case Sum(h.Sum(nil)) != sum:
		return lacking("its bytes are others")
	}
	return nil
}

// PutBack keeps contents that lie in dir as in a Directory, like those of a backup, and
// that files have. Passed are those that no file has; lacking are those whose bytes are
// others. What is there already is replaced where it has another size or, deep, is damaged.
func (c *Center) PutBack(ctx context.Context, dir string, deep bool) (got Collected, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		sum, ok := ParseSum(filepath.Base(filepath.Dir(path)) + entry.Name())
		if !ok {
			return nil
		}
		n, passed, err := c.putBack(ctx, sum, path, deep)
		var no lacking
		switch {
		case errors.As(err, &no):
			got.Lacking++
			c.log.Error("a content is not put back", "path", path, "why", no)
		case err != nil:
			return err
		case passed:
			got.Passed++
		default:
			got.Contents++
			got.Bytes += n
		}
		return nil
	})
	return got, err
}

func (c *Center) putBack(ctx context.Context, sum Sum, path string, deep bool) (n int64, passed bool, err error) {
	if has, err := c.store.HasContent(ctx, sum); err != nil || !has {
		return 0, !has, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, false, fmt.Errorf("filectr: %w", err)
	}
	var no lacking
	if n, err := collect(ctx, c.blobs, sum, deep, nil); err == nil && n == info.Size() {
		return n, false, nil
	} else if err != nil && !errors.As(err, &no) {
		return 0, false, err
	}
	near := c.draft(protocol.NewFileID())
	defer os.Remove(near)
	if err := copyFile(path, near); err != nil {
		return 0, false, fmt.Errorf("filectr: %w", err)
	}
	f, err := os.Open(near)
	if err != nil {
		return 0, false, fmt.Errorf("filectr: %w", err)
	}
	defer f.Close()
	is, n, err := sumOf(f)
	switch {
	case err != nil:
		return 0, false, err
	case is != sum:
		return 0, false, lacking("its bytes are others")
	}
	return n, false, c.blobs.Put(ctx, sum, near)
}
