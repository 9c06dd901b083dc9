//go:build linux || darwin

package filectr

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file's lock, if nobody has it. It ends with the file, or its process.
func lockFile(f *os.File) (took bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
