// Package template is the project that `troupe bot new` writes: a bot that works, with a
// test, a manifest, and a page on what to do next.
package template

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// The files have one more ending than they are written with, as a go.mod inside another
// module is not packed.
//
//go:embed project
var files embed.FS

// Project is what is written into the files. Only ID has to be given.
type Project struct {
	ID      string // of the bot: 1 to 32 of a-z, 0-9 and -, beginning with a letter
	Name    string // as people see it; made of the ID
	Module  string // of Go; the ID
	Version string // of github.com/troupe-im/troupe; v0.0.0, which needs Replace
	Replace string // a directory that has Troupe's sources; "": they are fetched
}

var id = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Write writes a project into a directory, which is made, and gives the names of its
// files. A directory that has one of them already is left as it is: fs.ErrExist.
func Write(dir string, p Project) ([]string, error) {
	if !id.MatchString(p.ID) {
		return nil, fmt.Errorf("%q is no name for a bot: 1 to 32 of a-z, 0-9 and -, beginning with a letter", p.ID)
	}
	p.Name = cmp.Or(p.Name, strings.ToUpper(p.ID[:1])+strings.ReplaceAll(p.ID[1:], "-", " "))
	p.Module, p.Version = cmp.Or(p.Module, p.ID), cmp.Or(p.Version, "v0.0.0")
	written := map[string][]byte{}
	err := fs.WalkDir(files, "project", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Delims("[[", "]]").Parse(string(text))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, p); err != nil {
			return err
		}
		written[strings.TrimSuffix(strings.TrimPrefix(path, "project/"), ".tmpl")] = b.Bytes()
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name := range written {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), cmp.Or(err, fs.ErrExist))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for _, name := range []string{"main.go", "main_test.go", "manifest.yaml", "README.md", "go.mod", ".gitignore"} {
		text, ok := written[strings.TrimPrefix(name, ".")]
		if !ok {
			text = written[name]
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
