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
and put the copy in the place of the data directory.

Where files are in a bucket (s3-endpoint), it is looked whether all are there that the
copy names; with --files they are copied into DIR/files/blobs, from where "troupe files
put" brings them into a bucket again.`

// backup copies the data directory: by the running server, as it holds the
// directory's lock, or else by itself.
func (p *program) backup(ctx context.Context, args []string) error {
	var files bool
	l, err := p.settings(args, backupUsage, func(f *flag.FlagSet) {
		f.BoolVar(&files, "files", false, "copy files out of the bucket as well")
	})
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
	var done backedUp
	err = askAdmin(ctx, l.Data, "POST", "/backup", backupTo{dir, files}, &done)
	if errors.Is(err, errNotRunning) {
		err = p.withData(&l.Config, func(d *data) (err error) {
			done, err = d.backup(ctx, dir, files)
			return err
		})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is copied to %s\n", l.Data, dir)
	if done.Bucket != "" {
		fmt.Fprintf(p.out, "%d contents of files, %d bytes, stay in the bucket %s: copy that too, or say --files\n", done.Contents, done.Bytes, done.Bucket)
	} else {
		fmt.Fprintf(p.out, "with %d contents of files, %d bytes\n", done.Contents, done.Bytes)
	}
	if done.Lacking > 0 {
		fmt.Fprintf(p.err, "%d contents of files are missing or damaged where they are kept, so the copy lacks them: the log names them\n", done.Lacking)
	}
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
