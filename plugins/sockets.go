package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/jail"
)

// makeRun makes the directory of sockets, anew: what lies there is a dead server's. A
// socket's path has 107 bytes at the most, so it may have to lie elsewhere than the data.
func (h *Host) makeRun() error {
	h.run = filepath.Join(h.cfg.Data, "run")
	if len(h.run) > 40 || jail.Owner(h.level) != os.Getuid() { // somebody else has to reach it
		dir := os.TempDir()
		if len(dir) > 30 {
			dir = "/tmp"
		}
		h.run = filepath.Join(dir, fmt.Sprintf("troupe-%d-%08x", os.Getuid(), hash(h.cfg.Data)))
	}
	if i, err := os.Lstat(h.run); err == nil && (!i.IsDir() || ours(h.run) != nil) {
		return fmt.Errorf("%s, for the sockets of bots, is somebody else's", h.run)
	}
	err := os.RemoveAll(h.run)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o700)
	if jail.Owner(h.level) != os.Getuid() {
		mode = 0o711
	}
	if err := os.Mkdir(h.run, mode); err != nil {
		return err
	}
	if h.held, err = hold(filepath.Join(h.run, "held")); err != nil {
		return err
	}
	if base := filepath.Base(h.run); strings.HasPrefix(base, "troupe-") {
		sweep(filepath.Join(filepath.Dir(h.run), fmt.Sprintf("troupe-%d-*", os.Getuid())))
	}
	return os.Chmod(h.run, mode)
}

// sweep removes directories of sockets whose server was killed, and has not come back on
// its data.
func sweep(pattern string) {
	all, _ := filepath.Glob(pattern)
	for _, dir := range all {
		i, err := os.Lstat(dir)
		if err != nil || !i.IsDir() || ours(dir) != nil || time.Since(i.ModTime()) < time.Minute { // it may be about to be held
			continue
		}
		if f, err := hold(filepath.Join(dir, "held")); err == nil {
			_ = os.RemoveAll(dir)
			f.Close()
		}
	}
}

func hash(s string) (h uint32) { // FNV-1a
	h = 2166136261
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// socketDir makes a directory for one process, which nobody else may look into.
func (h *Host) socketDir() (string, error) {
	dir := filepath.Join(h.run, strconv.FormatInt(h.n.Add(1), 10))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if owner := jail.Owner(h.level); owner != os.Getuid() {
		return dir, os.Chown(dir, owner, -1)
	}
	return dir, nil
}

// give makes a socket that of who bots are.
func (h *Host) give(socket string) error {
	if owner := jail.Owner(h.level); owner != os.Getuid() {
		return os.Chown(socket, owner, -1)
	}
	return nil
}
