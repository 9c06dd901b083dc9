package child

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// bound sets what this process may take at most.
func bound() error {
	text, err := os.ReadFile("/proc/self/statm") // pages of address space, and more
	if err != nil {
		return err
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		return err
	}
	most := pages*uint64(os.Getpagesize()) + memory
	for what, most := range map[int]uint64{syscall.RLIMIT_AS: most, syscall.RLIMIT_CPU: cpu, syscall.RLIMIT_FSIZE: file, syscall.RLIMIT_CORE: 0} {
		if err := syscall.Setrlimit(what, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}
