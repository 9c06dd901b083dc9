package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// found is a version of a plugin as it lies on disk, or as it is built in.
type found struct {
	ID, Version string
	Dir         string // "": built in
	Manifest    *Manifest
	Sum         string // of the manifest, hex
	Wrong       error  // it cannot be run
}

// builtIn says whether a version is this same program.
func (f *found) builtIn() bool { return f.Dir == "" }

// discover looks at DIR/ID/VERSION/manifest.yaml. A directory that is not there has
// none; one in which others than its owner write is refused whole.
func discover(dir string) (map[string][]*found, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := ours(dir); err != nil {
		return nil, err
	}
	all := map[string][]*found{}
	for _, e := range entries {
		id := e.Name()
		if strings.HasPrefix(id, ".") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		versions, err := os.ReadDir(filepath.Join(dir, id))
		if err == nil && e.Type()&fs.ModeSymlink != 0 {
			err = errors.New("it is a link, and where that leads may change")
		}
		if err == nil && !goodID.MatchString(id) {
			err = fmt.Errorf("%q is not 1 to 32 of a-z, 0-9 and -, beginning with a letter", id)
		}
		if err == nil {
			err = ours(filepath.Join(dir, id))
		}
		if err != nil {
			all[id] = append(all[id], &found{ID: id, Dir: filepath.Join(dir, id), Wrong: fmt.Errorf("%s: %w", filepath.Join(dir, id), err)})
			continue
		}
		for _, v := range versions {
			if strings.HasPrefix(v.Name(), ".") || !v.IsDir() {
				continue
			}
			f := &found{ID: id, Version: v.Name(), Dir: filepath.Join(dir, id, v.Name())}
			f.Wrong = f.read()
			all[id] = append(all[id], f)
		}
		slices.SortFunc(all[id], func(a, b *found) int { // the newest first
			switch {
			case newer(a.Version, b.Version):
				return -1
			case newer(b.Version, a.Version):
				return 1
			}
			return strings.Compare(a.Version, b.Version)
		})
	}
	return all, nil
}

// read reads the manifest, and looks whether what it says is there.
func (f *found) read() error {
	if err := ours(f.Dir); err != nil {
		return err
	}
	m, text, err := readManifest(f.Dir)
	if err != nil {
		return err
	}
	file := filepath.Join(f.Dir, manifestFile)
	if m.ID != f.ID || m.Version != f.Version {
		return fmt.Errorf("%s: it says %s %s, and lies in the directory of %s %s", file, m.ID, m.Version, f.ID, f.Version)
	}
	b, err := m.binary()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := ours(filepath.Join(f.Dir, b.Path)); err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	f.Manifest, f.Sum = m, hex.EncodeToString(sum[:])
	return nil
}

// open opens the binary and gives its SHA-256. What is started is the file that is open,
// so that nobody can put another in its place meanwhile.
func (f *found) open() (*os.File, string, error) {
	b, err := f.Manifest.binary()
	if err != nil {
		return nil, "", err
	}
	file, err := os.Open(filepath.Join(f.Dir, b.Path))
	if err != nil {
		return nil, "", err
	}
	h := sha256.New()
	if _, err = io.Copy(h, file); err != nil {
		return nil, "", errors.Join(err, file.Close())
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if b.SHA256 != "" && b.SHA256 != sum {
		return nil, "", errors.Join(fmt.Errorf("%s: its SHA-256 is %s, and %s says %s: it is damaged or another", file.Name(), sum, manifestFile, b.SHA256), file.Close())
	}
	return file, sum, nil
}

// sumOf gives the binary's SHA-256.
func (f *found) sumOf() (string, error) {
	file, sum, err := f.open()
	if err != nil {
		return "", err
	}
	return sum, file.Close()
}
