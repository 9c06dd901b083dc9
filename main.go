// Troupe is a chat server: one binary that people, devices and bots are members
// through. `troupe` alone, or `troupe serve`, starts it with nothing else installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

const usage = `Troupe, a chat server. usage: troupe COMMAND [flags]

  serve            start the server (also without a command)
  health           say whether the server that runs here is ready, and fail where it is not
  config check     print the settings in force and where each is from
  user add NAME    make a user, of a running server or a stopped one
  notice TEXT      tell users of a running server something
  user …           find, show, disable, enable, reset, admin, export, erase
  session …        find, show, dissolve, recall, release, reject
  key …            make, list, revoke
  app …            make, list, limits, secret, revoke, remove
  release …        add, list, withdraw: versions of clients that are given out
  bot …            ps, logs, approve, restart, new, dev …: bots that are members
  audit …          list, export, verify: what was done, and that nothing of it was changed
  files …          check, put: the contents of files, in the data directory or a bucket
  backup DIR       copy everything that is kept into DIR, while the server runs or not
  migrate          move everything from a data directory into MongoDB
  secrets new FILE make what all nodes of an installation of several share
  chat             chat from this terminal
  load             drive a running server, and check and measure it
  version          print the version
  help             this text; troupe COMMAND --help says more

Settings are flags over TROUPE_* variables over one YAML file (--config):
"troupe serve --help" lists them.
`

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried
	exitUsage  = 2 // it was not understood
)

// errUsage is an error about the command line or the settings.
type errUsage struct{ error }

// program is what a command works with.
type program struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
}

func main() {
	// A second signal ends the process at once, as it has the default effect again.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// run does what args say and gives the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	err := p.command(ctx, args)
	var bad errUsage
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &bad):
		fmt.Fprintf(p.err, "troupe: %s\n", indent(err))
		return exitUsage
	default:
		fmt.Fprintf(p.err, "troupe: %s\n", indent(err))
		return exitFailed
	}
}

func indent(err error) string { return strings.ReplaceAll(err.Error(), "\n", "\n        ") }

func (p *program) command(ctx context.Context, args []string) error {
	word := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		word, args = args[0], args[1:]
	}
	if len(args) > 0 && slices.Contains([]string{"config", "user", "session", "audit", "files", "key", "app", "release"}, word) && !strings.HasPrefix(args[0], "-") {
		word, args = word+" "+args[0], args[1:]
	}
	if word == "serve" && len(args) == 1 {
		switch args[0] {
		case "-h", "-help", "--help":
			fmt.Fprint(p.out, usage, "\nSettings:\n")
			printSettings(p.out)
			return nil
		case "-version", "--version":
			word = "version"
		}
	}
	if word == "bot" {
		return p.bot(ctx, args)
	}
	if _, ok := managingApps[word]; ok {
		return p.manageApps(ctx, word, args)
	}
	if _, ok := managingReleases[word]; ok {
		return p.manageReleases(ctx, word, args)
	}
	if _, ok := managing[word]; ok {
		return p.manage(ctx, word, args)
	}
	switch word {
	case "serve":
		return p.serve(ctx, args)
	case "health":
		return p.health(ctx, args)
	case "config check":
		return p.configCheck(args)
	case "user add":
		return p.userAdd(ctx, args)
	case "notice":
		return p.notice(ctx, args)
	case "secrets":
		return p.secrets(args)
	case "backup":
		return p.backup(ctx, args)
	case "migrate":
		return p.migrate(ctx, args)
	case "chat":
		return p.chat(ctx, args)
	case "load":
		return p.load(ctx, args)
	case "plugin": // how the server starts the bots that come along; nobody else does
		return plugin(args)
	case "version":
		fmt.Fprintln(p.out, "troupe", version())
		return nil
	case "help":
		fmt.Fprint(p.out, usage)
		return nil
	}
	if len(args) > 0 && slices.Contains([]string{"user", "session", "audit", "files", "key", "app", "release"}, word) { // "troupe user --help"
		help := manageUsage
		if word == "key" || word == "app" {
			help = manageAppsUsage
		}
		if word == "release" {
			help = manageReleasesUsage
		}
		fmt.Fprintln(p.out, help)
		return nil
	}
	known := append(slices.AppendSeq(slices.Sorted(maps.Keys(managing)), maps.Keys(managingApps)), "release add", "release list", "release withdraw", "bot", "serve", "health", "config check", "user add", "notice", "backup", "migrate", "secrets new", "chat", "load", "version", "help")
	fmt.Fprint(p.err, usage, "\n")
	return errUsage{fmt.Errorf("there is no command %q%s", word, didYouMean(word, known))}
}

// settings reads the settings of a command out of its arguments, the environment
// and the file. On --help it prints about and the flags.
func (p *program) settings(args []string, about string, extra func(*flag.FlagSet)) (*loaded, error) {
	l, err := loadConfig(args, p.environ, extra)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(p.out, about, "\n\nSettings:\n")
		printSettings(p.out)
		return nil, err
	}
	if err != nil {
		return nil, errUsage{err}
	}
	return l, nil
}
