//go:build unix

package plugins

import (
	"fmt"
	"os"
	"syscall"
)

// ours refuses a file or directory in which anybody but us or root may write: what is
// started from there would be theirs to choose.
func ours(path string) error {
	i, err := os.Stat(path)
	if err != nil {
		return err
	}
	if s, ok := i.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to user %d, who could change what is started: it has to be ours (%d) or root's", path, s.Uid, os.Getuid())
	}
	if i.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written to by others (%#o), who could change what is started: chmod go-w %s", path, i.Mode().Perm(), path)
	}
	return nil
}

// hold opens a file that nobody else holds; the process's end lets go of it.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
