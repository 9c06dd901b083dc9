package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

const manageReleasesUsage = `usage:
  troupe release add FILE --platform PLATFORM --version VERSION [--channel CHANNEL] [--build NUMBER]
                 [--minimum VERSION] [--notes TEXT] [--notes-file [LANGUAGE=]FILE]… [--app APP]
                                  give a version of a client out
  troupe release list [--platform PLATFORM] [--channel CHANNEL] [--app APP] [--all]
                                  those that stand, the last made first; --all: withdrawn ones too
  troupe release withdraw RELEASE take one back, for good

A running server does it, asked through DATA/admin.sock; of a stopped one the data
directory is opened. The server reads FILE itself. docs/files.md says what clients are told.`

// managingReleases are the commands of manageReleases, and how many arguments each takes.
var managingReleases = map[string]int{"release add": 1, "release list": 0, "release withdraw": 1}

// manageReleases gives out, shows and withdraws versions of clients.
func (p *program) manageReleases(ctx context.Context, command string, args []string) error {
	var in newRelease
	var all bool
	l, err := p.settings(args, manageReleasesUsage, func(f *flag.FlagSet) {
		if command == "release withdraw" {
			return
		}
		f.StringVar(&in.Platform, "platform", "", "`PLATFORM` of the client, as it says it at its sign-in")
		f.StringVar(&in.Channel, "channel", "", "`CHANNEL`; stable when it isn't said")
		f.StringVar(&in.App, "app", "", "`APP` whose client it is; none: the installation's own")
		if command == "release list" {
			f.BoolVar(&all, "all", false, "withdrawn ones too")
			return
		}
		f.StringVar(&in.Version, "version", "", "`VERSION`, like 1.4.2, 10402, 2.0-beta.1 or 1.4.2+10402")
		f.Int64Var(&in.Build, "build", 0, "`NUMBER` of the build: of the same version the higher one is newer")
		f.StringVar(&in.Minimum, "minimum", "", "clients below this `VERSION` have to go on to it")
		note := func(language, text string) {
			if in.Notes == nil {
				in.Notes = map[string]string{}
			}
			in.Notes[language] = strings.TrimSpace(text)
		}
		f.Func("notes", "`TEXT` for people: what is new", func(s string) error {
			note("default", s)
			return nil
		})
		f.Func("notes-file", "the same out of a `FILE`, or LANGUAGE=FILE, like zh=notes.zh.txt", func(s string) error {
			language, file, ok := strings.Cut(s, "=")
			if !ok {
				language, file = "default", s
			}
			text, err := os.ReadFile(file)
			note(language, string(text))
			return err
		})
	})
	if err != nil {
		return err
	}
	if n := managingReleases[command]; len(l.args) != n {
		return errUsage{fmt.Errorf("%s takes %d arguments, not %d\n%s", command, n, len(l.args), manageReleasesUsage)}
	}
	switch command {
	case "release add":
		if in.Platform == "" || in.Version == "" {
			return errUsage{fmt.Errorf("release add needs --platform and --version\n%s", manageReleasesUsage)}
		}
		if in.Path, err = filepath.Abs(l.args[0]); err != nil {
			return err
		}
		var made madeRelease
		if err := p.do(ctx, &l.Config, "release-add", in, &made); err != nil {
			return err
		}
		if made.Again {
			fmt.Fprintln(p.err, "it had been released before, just so:")
		}
		return p.show(nil, made.Release)
	case "release withdraw":
		var v json.RawMessage
		return p.show(p.do(ctx, &l.Config, "release-withdraw", aboutRelease{l.args[0]}, &v), v)
	}
	find := findReleases{App: in.App, Platform: in.Platform, Channel: in.Channel, All: all}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for {
		var page releaseRows
		if err := p.do(ctx, &l.Config, "release-list", find, &page); err != nil {
			return err
		}
		for _, text := range page.Rows {
			var r releaseRow
			if err := json.Unmarshal(text, &r); err != nil {
				return err
			}
			version, state := r.Version, ""
			if r.Build != 0 && !strings.Contains(version, "+") {
				version += fmt.Sprintf("+%d", r.Build)
			}
			if r.Minimum != "" {
				state = "minimum " + r.Minimum
			}
			if r.Withdrawn != "" {
				state = "withdrawn " + r.Withdrawn
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d bytes\t%s\t%s\n", r.ID, r.Platform, r.Channel, version, r.Name, r.Size, r.App, state)
			find.After = r.ID
		}
		if len(page.Rows) < releasesPage {
			return w.Flush()
		}
	}
}
