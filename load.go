package main

import (
	"context"

	"github.com/troupe-im/troupe/internal/load"
)

func (p *program) load(ctx context.Context, args []string) error {
	return load.Main(ctx, args, p.out)
}
