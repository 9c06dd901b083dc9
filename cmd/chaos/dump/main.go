// Command dump prints what a store directory holds about sessions, as JSON. It
// reads the rows by itself (rows.go) and imports nothing of the server, so that
// a mistake there cannot hide itself here. Give it a copy: it opens read-only,
// but a directory has one user at a time.
//
//	dump DIR > dump.json
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dump DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dump:", err)
		os.Exit(1)
	}
}

func run(dir string) (err error) {
	store, err := find(dir)
	if err != nil {
		return err
	}
	db, err := pebble.Open(store, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		return fmt.Errorf("%s: %w", store, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all, err := read(db)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// find gives the directory at or under dir that holds Pebble's files.
func find(dir string) (string, error) {
	found := ""
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(path), "marker.manifest.") {
			found = filepath.Dir(path)
			return fs.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("%s: no store in here", dir)
	}
	return found, err
}

// quiet keeps what Pebble tells about its work to itself; errors are returned as well.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(format string, args ...any) { slog.Error(fmt.Sprintf(format, args...)) }
func (quiet) Fatalf(format string, args ...any) { slog.Error(fmt.Sprintf(format, args...)); os.Exit(1) }
