package pebblestore

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/storetest"
)

func releasedStore(release string) string { return "testdata/releases/" + release + ".tar.gz" }

// What a release has written is read as that release read it. TROUPE_WRITE_RELEASE=0.2 writes
// the fixture of a further one.
func TestWhatReleasesWroteIsRead(t *testing.T) {
	for _, release := range storetest.Releases {
		t.Run(release, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			unpack(t, releasedStore(release), dir)
			for range 2 { // and once more, after this version has had it open
				s, err := Open(dir, quiet(vfs.Default))
				if err != nil {
					t.Fatal(err)
				}
				storetest.Written(t, release, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestWriteRelease(t *testing.T) {
	release := storetest.WriteRelease()
	if release == "" {
		t.Skip("TROUPE_WRITE_RELEASE names no release")
	}
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(dir, quiet(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Write(t, release, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	pack(t, dir, releasedStore(release))
}

func pack(t *testing.T, dir, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	err = w.AddFS(os.DirFS(dir))
	if err := errors.Join(err, w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, from, dir string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else {
			var content []byte
			content, err = io.ReadAll(r)
			err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
