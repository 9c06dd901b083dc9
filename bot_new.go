package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/troupe-im/troupe/plugins/sdk/template"
)

var botName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// botNew writes a project of a bot that works. It overwrites nothing.
func (p *program) botNew(name, dir, module string) error {
	if !botName.MatchString(name) {
		return errUsage{fmt.Errorf("%q is no name of a bot: 1 to 32 of a-z, 0-9 and -, beginning with a letter", name)}
	}
	if dir == "" {
		dir = name
	}
	what := template.Project{ID: name, Module: module, Version: release}
	if release == "" { // built of sources, which are then what the bot is built with
		if what.Replace = sourcesOf(); what.Replace == "" {
			what.Replace = "../troupe"
		}
	}
	if _, err := template.Write(dir, what); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is in %s. Next:\n  cd %s\n  go mod tidy\n  troupe bot dev\n", name, dir, dir)
	return nil
}

// sourcesOf is where the sources of this program are, when it is used beside them; "": not known.
func sourcesOf() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return ""
	}
	for _, dir := range []string{filepath.Dir(self), "."} {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module github.com/troupe-im/troupe\n") {
			if dir, err = filepath.Abs(dir); err == nil {
				return dir
			}
		}
	}
	return ""
}
