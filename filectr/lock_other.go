//go:build !linux && !darwin

package filectr

import (
	"errors"
	"os"
)

func lockFile(*os.File) (took bool, err error) { return false, errors.ErrUnsupported }
