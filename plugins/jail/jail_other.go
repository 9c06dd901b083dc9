//go:build !linux

package jail

import (
	"errors"
	"os"
	"os/exec"
)

// Best is what this machine allows: nothing here, and why.
func Best() (Level, error) { return None, errors.New("namespaces are Linux's") }

// Owner is who the program will be.
func Owner(Level) int { return os.Getuid() }

func command(s *Spec) (*exec.Cmd, func(), error) {
	path := s.Path
	if s.Self {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, nil, err
		}
	} else if path == "" {
		path = s.File.Name()
	}
	return &exec.Cmd{Path: path, Args: s.Args, Env: s.Env, Dir: s.Dir, ExtraFiles: s.Extra, SysProcAttr: attr()}, func() {}, nil
}
