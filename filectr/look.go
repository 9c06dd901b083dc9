package filectr

import (
	"context"
)

// look finds out what a file is besides its type, fills it in, and gives the contents
// that are to be kept.
func (c *Center) look(_ context.Context, f *File, path string) ([]part, error) {
	return []part{{f.Sum, path}}, nil
}
