package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

type (
	filesIn struct {
		Deep bool `json:"deep,omitempty"`
	}
	filesFrom struct {
		Dir  string `json:"dir"`
		Deep bool   `json:"deep,omitempty"`
	}
)

// deedsOfFiles are what "troupe files" does.
var deedsOfFiles = map[string]deed{
	"files-check": of(func(ctx context.Context, o *operator, in filesIn) (any, error) {
		return o.files.Collect(ctx, in.Deep, nil, func(each func(filectr.Sum) error) error { return o.store.Contents(ctx, each) })
	}),
	"files-put": of(func(ctx context.Context, o *operator, in filesFrom) (any, error) {
		if !filepath.IsAbs(in.Dir) {
			return nil, protocol.BadRequest("%s is no absolute path", in.Dir)
		}
		return o.files.PutBack(ctx, in.Dir, in.Deep)
	}),
}

// filesOf does what "troupe files check" and "troupe files put" say.
func (p *program) filesOf(ctx context.Context, c *Config, dir string, deep bool) error {
	var got filectr.Collected
	if dir == "" {
		return p.tellFiles(p.do(ctx, c, "files-check", filesIn{deep}, &got), &got)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return p.tellFiles(p.do(ctx, c, "files-put", filesFrom{dir, deep}, &got), &got)
}

func (p *program) tellFiles(err error, got *filectr.Collected) error {
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d contents of files are there, %d bytes\n", got.Contents, got.Bytes)
	if got.Passed > 0 {
		fmt.Fprintf(p.out, "%d were passed over, as no file has them\n", got.Passed)
	}
	if got.Lacking > 0 {
		return fmt.Errorf("%d contents are missing or damaged: the log names them", got.Lacking)
	}
	return nil
}
