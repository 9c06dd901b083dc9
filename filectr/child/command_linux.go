package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

const others = prefix + "others"

// Somebody else's program is started by a child that has bound itself, and becomes it.
func init() {
	if len(os.Args) < 3 || os.Args[1] != others {
		return
	}
	err := bound()
	if err == nil {
		err = syscall.Exec(os.Args[2], os.Args[2:], nil)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(127)
}

// Command is somebody else's program, by its whole path, with a child's bounds and
// without our environment.
func Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{others, program}, args...)...)
	cmd.Env = []string{}
	return cmd
}
