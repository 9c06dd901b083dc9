//go:build unix && !linux

package jail

import "syscall"

// attr makes the program the first of a group, so that its children end with it.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
