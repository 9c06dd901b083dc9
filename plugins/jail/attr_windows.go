package jail

import "syscall"

func attr() *syscall.SysProcAttr { return nil }
