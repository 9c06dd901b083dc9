//go:build !linux

package child

import (
	"context"
	"os/exec"
)

// Command is somebody else's program, by its whole path, without our environment.
func Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{}
	return cmd
}
