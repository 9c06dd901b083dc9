package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/troupe-im/troupe/plugins"
)

const (
	devLook = 300 * time.Millisecond // between two looks at the files
	devKept = 2                      // versions that stay on disk: the one that runs, and the one that drains
)

// botDev builds the bot in dir and runs it in a server, again whenever a file changes,
// until ctx ends. Then nothing of it is left.
func (p *program) botDev(ctx context.Context, l *loaded, dir string) error {
	if dir == "" {
		dir = "."
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	d := &devBot{p: p, c: &l.Config, dir: dir}
	if err := d.read(); err != nil {
		return err
	}
	var list botList
	if err := askAdmin(ctx, l.Data, "POST", "/do/bot-ps", struct{}{}, &list); errors.Is(err, errNotRunning) {
		if err := l.check(l.from); err != nil {
			return errUsage{err}
		}
		stop, err := d.embed(ctx, l)
		if err != nil {
			return err
		}
		defer stop()
		err = askAdmin(ctx, l.Data, "POST", "/do/bot-ps", struct{}{}, &list)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	d.to = filepath.Join(list.Dir, d.id)
	defer d.remove()
	go d.tail(ctx)
	for seen := ""; ctx.Err() == nil; {
		if now := d.looks(); now != seen {
			seen = now
			if err := d.again(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintf(p.err, "-- %s: %v\n", d.id, err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(devLook):
		}
	}
	return nil
}

// devBot is a bot that somebody works on.
type devBot struct {
	p        *program
	c        *Config
	dir, to  string
	id       string
	manifest map[string]any
	versions []string
}

// embed starts a server for it.
func (d *devBot) embed(ctx context.Context, l *loaded) (stop func(), err error) {
	fmt.Fprintf(d.p.err, "-- no server runs on %s: one is started\n", l.Data)
	log := newLog(d.p.err, &l.Config)
	s, err := start(&l.Config, log, func(error) { os.Exit(exitFailed) })
	if err != nil {
		return nil, err
	}
	if err := s.greet(ctx, d.p.out); err != nil {
		return nil, errors.Join(err, s.stop(context.Background()))
	}
	return func() {
		drain, cancel := context.WithTimeout(context.Background(), l.Drain)
		defer cancel()
		_ = s.stop(drain)
	}, nil
}

// read reads the manifest; without one it is a bot that is called like its directory, and may speak.
func (d *devBot) read() error {
	d.manifest = map[string]any{"id": filepath.Base(d.dir), "protocol": 1, "version": "0.1.0", "scopes": []string{"write"}}
	text, err := os.ReadFile(filepath.Join(d.dir, "manifest.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &d.manifest)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", filepath.Join(d.dir, "manifest.yaml"), err)
	}
	if d.id, _ = d.manifest["id"].(string); !botName.MatchString(d.id) {
		return fmt.Errorf("%s: the bot's id %q is not 1 to 32 of a-z, 0-9 and -, beginning with a letter", d.dir, d.id)
	}
	return nil
}

// looks is what the files look like, without reading them.
func (d *devBot) looks() string {
	var s strings.Builder
	_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it comes and goes
		}
		if name := e.Name(); e.IsDir() && path != d.dir && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return filepath.SkipDir
		}
		if i, err := e.Info(); err == nil && !e.IsDir() && e.Name() != d.id { // its own program is built by whoever tries it
			fmt.Fprintln(&s, path, i.ModTime().UnixNano(), i.Size())
		}
		return nil
	})
	return s.String()
}

// again builds what there is now and has the server run it beside what runs.
func (d *devBot) again(ctx context.Context) error {
	if err := d.read(); err != nil {
		return err
	}
	base, _ := d.manifest["version"].(string)
	base, _, _ = strings.Cut(base, "-")
	version := fmt.Sprintf("%s-dev.%013d", base, time.Now().UnixMilli())
	made := filepath.Join(d.to, version)
	hidden := filepath.Join(d.to, "."+version) // not a version until it is whole
	if err := os.MkdirAll(hidden, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(hidden)
	began := time.Now()
	if err := d.build(ctx, hidden); err != nil {
		return err
	}
	d.manifest["version"] = version
	text, err := yaml.Marshal(d.manifest)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(hidden, "manifest.yaml"), text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(hidden, made); err != nil {
		return err
	}
	d.versions = append(d.versions, made)
	var a plugins.Approval
	if err := d.p.do(ctx, d.c, "bot-approve", aboutBot{Bot: d.id}, &a); err != nil {
		if err := d.p.do(ctx, d.c, "bot-reload", struct{}{}, &struct{}{}); err != nil {
			return err
		}
		if err := d.p.do(ctx, d.c, "bot-approve", aboutBot{Bot: d.id}, &a); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.p.err, "-- %s %s is built (%v) and approved with: %s\n", d.id, version, time.Since(began).Round(time.Millisecond), strings.Join(a.Scopes, ", "))
	for len(d.versions) > devKept {
		_ = os.RemoveAll(d.versions[0])
		d.versions = d.versions[1:]
	}
	return nil
}

// build puts what is to run into a directory.
func (d *devBot) build(ctx context.Context, to string) error {
	if _, err := os.Stat(filepath.Join(d.dir, "go.mod")); err == nil {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(to, d.id), ".")
		cmd.Dir = d.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
		if schema, _ := d.manifest["config_schema"].(string); schema != "" && filepath.IsLocal(schema) {
			if err := copyFile(filepath.Join(d.dir, schema), filepath.Join(to, schema)); err != nil {
				return fmt.Errorf("config_schema: %w", err)
			}
		}
		d.manifest["binaries"] = map[string]any{runtime.GOOS + "/" + runtime.GOARCH: map[string]any{"path": d.id}}
		return nil
	}
	if _, ok := d.manifest["binaries"]; !ok {
		return fmt.Errorf("%s has neither a go.mod nor a manifest.yaml that says what is to be started", d.dir)
	}
	// Another language: all that is there. A sum that is for a release would not fit.
	if all, ok := d.manifest["binaries"].(map[string]any); ok {
		for _, b := range all {
			if of, ok := b.(map[string]any); ok {
				delete(of, "sha256")
			}
		}
	}
	return os.CopyFS(to, withoutHidden{os.DirFS(d.dir)})
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// withoutHidden is a directory without what begins with a dot, and without its manifest.
type withoutHidden struct{ fs.FS }

func (w withoutHidden) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(w.FS, name)
	var seen []fs.DirEntry
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), ".") && e.Type()&fs.ModeSymlink == 0 && (name != "." || e.Name() != "manifest.yaml") {
			seen = append(seen, e)
		}
	}
	return seen, err
}

// tail shows the bot's log, and what becomes of it.
func (d *devBot) tail(ctx context.Context) {
	about, told := aboutBot{Bot: d.id}, time.Now()
	for ctx.Err() == nil {
		var list botList
		if d.p.do(ctx, d.c, "bot-ps", struct{}{}, &list) == nil {
			for _, b := range list.Items {
				if b.ID != d.id {
					continue
				}
				for _, e := range b.Events {
					if e.At.After(told) {
						told = e.At
						fmt.Fprintf(d.p.err, "-- %s is %s %s\n", d.id, e.State, e.Why)
					}
				}
			}
		}
		var got botLines
		if d.p.do(ctx, d.c, "bot-logs", about, &got) == nil {
			for _, line := range got.Lines {
				about.After = line.N
				fmt.Fprintln(d.p.out, line.Text)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(devLook):
		}
	}
}

// remove takes away what was made. A server that runs on ends the bot.
func (d *devBot) remove() {
	for _, dir := range d.versions {
		_ = os.RemoveAll(dir)
	}
	_ = os.Remove(d.to) // when nothing else is in it
	_ = d.p.do(context.Background(), d.c, "bot-reload", struct{}{}, &struct{}{})
}
