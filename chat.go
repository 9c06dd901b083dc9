package main

import (
	"context"

	"github.com/troupe-im/troupe/internal/chat"
)

func (p *program) chat(ctx context.Context, args []string) error {
	return chat.Main(ctx, args, p.in, p.out)
}
