package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// LockFile stands in the data directory: who approved what.
const LockFile = "plugins.lock"

// Approval says that a version of a plugin may run, as it was when somebody said so.
type Approval struct {
	ID       string    `yaml:"id"`
	Version  string    `yaml:"version"`
	Manifest string    `yaml:"manifest"` // its SHA-256, hex
	Binary   string    `yaml:"binary"`
	Scopes   []string  `yaml:"scopes,flow"` // granted
	By       string    `yaml:"by"`
	At       time.Time `yaml:"at"`
}

// lockText is what the file says.
type lockText struct {
	Plugins  []Approval `yaml:"plugins"`
	Disabled []string   `yaml:"disabled,omitempty,flow"` // plugins that somebody switched off
}

// lock is plugins.lock. The host alone writes it.
type lock struct {
	file string
	mu   sync.Mutex
	text lockText
}

// openLock reads the file; one that is not there says nothing.
func openLock(data string) (*lock, error) {
	l := &lock{file: filepath.Join(data, LockFile)}
	text, err := os.ReadFile(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&l.text); err != nil {
		return nil, fmt.Errorf("%s: %w", l.file, err)
	}
	return l, nil
}

// approval gives what was approved of a version; nil: nothing.
func (l *lock) approval(id, version string) *Approval {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.text.Plugins {
		if a.ID == id && a.Version == version {
			return &a
		}
	}
	return nil
}

func (l *lock) approve(a Approval) error {
	return l.change(func(t *lockText) {
		t.Plugins = slices.DeleteFunc(t.Plugins, func(o Approval) bool { return o.ID == a.ID && o.Version == a.Version })
		if strings.Contains(a.Version, devMark) { // of what somebody works on the last two are enough
			var older []string
			for _, o := range t.Plugins {
				if o.ID == a.ID && strings.Contains(o.Version, devMark) {
					older = append(older, o.Version)
				}
			}
			if slices.Sort(older); len(older) > 1 {
				t.Plugins = slices.DeleteFunc(t.Plugins, func(o Approval) bool { return o.ID == a.ID && slices.Contains(older[:len(older)-1], o.Version) })
			}
		}
		t.Plugins = append(t.Plugins, a)
		slices.SortFunc(t.Plugins, func(x, y Approval) int {
			return strings.Compare(x.ID+" "+x.Version, y.ID+" "+y.Version)
		})
	})
}

func (l *lock) disabled(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.text.Disabled, id)
}

func (l *lock) disable(id string, off bool) error {
	return l.change(func(t *lockText) {
		t.Disabled = slices.DeleteFunc(t.Disabled, func(o string) bool { return o == id })
		if off {
			t.Disabled = append(t.Disabled, id)
			slices.Sort(t.Disabled)
		}
	})
}

// change writes the file anew, whole or not at all.
func (l *lock) change(how func(t *lockText)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := lockText{slices.Clone(l.text.Plugins), slices.Clone(l.text.Disabled)}
	how(&next)
	text, err := yaml.Marshal(next)
	if err != nil {
		return err
	}
	text = append([]byte("# Which bots may run here, and with what. The server writes this: troupe bot approve NAME.\n"), text...)
	f, err := os.CreateTemp(filepath.Dir(l.file), LockFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), l.file); err != nil {
		return err
	}
	l.text = next
	return nil
}
