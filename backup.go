package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
)

const backupUsage = `usage: troupe backup DIR [flags]

Copies everything that is kept into DIR, which must not exist or be empty, as it
stood at one moment. The server may go on running. To restore, stop the server
and put the copy in the place of the data directory.`

// backup copies the data directory: by the running server, as it holds the
// directory's lock, or else by itself.
func (p *program) backup(ctx context.Context, args []string) error {
	l, err := p.settings(args, backupUsage, func(f *flag.FlagSet) {})
	if err != nil {
		return err
	}
	if len(l.args) != 1 {
		return errUsage{errors.New("backup takes one directory: troupe backup DIR")}
	}
	dir, err := filepath.Abs(l.args[0])
	if err != nil {
		return err
	}
	err = askAdmin(ctx, l.Data, "POST", "/backup", backupTo{dir}, &struct{}{})
	if errors.Is(err, errNotRunning) {
		err = p.withData(&l.Config, func(d *data) error { return d.backup(dir) })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is copied to %s\n", l.Data, dir)
	return nil
}

// withData opens the data directory of a server that doesn't run, for one thing.
func (p *program) withData(c *Config, do func(*data) error) error {
	log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := openData(c, log)
	if err != nil {
		return fmt.Errorf("no server answers at %s, so the data directory was to be opened: %w", filepath.Join(c.Data, adminSocket), err)
	}
	return errors.Join(do(d), d.close())
}
