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
