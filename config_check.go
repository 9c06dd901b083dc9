package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// configCheck prints what is in force and where it is from; the error is what
// keeps a server with these settings from starting.
func (p *program) configCheck(args []string) error {
	l, err := p.settings(args, "usage: troupe config check [flags]\n\nPrints the settings in force and where each is from. Exit status 0: a server would start with them.", nil)
	if err != nil {
		return failed(err)
	}
	if len(l.args) > 0 {
		return errUsage{fmt.Errorf("config check takes no %q", l.args[0])}
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, s := range settings(&l.Config) {
		value := s.show()
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", key(s.name), value, l.from[s.name])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return l.check(l.from)
}

// failed makes an error of the settings one that was found by looking: config
// check was asked for just that, so it is no misuse of the program.
func failed(err error) error {
	if bad, ok := err.(errUsage); ok {
		return bad.error
	}
	return err
}

// printSettings lists every setting with its flag, variable, key and default.
func printSettings(w io.Writer) {
	for _, s := range settings(new(Config)) {
		flag, what := "--"+s.name, s.help
		if i := strings.Index(what, "`"); i >= 0 && !s.toggle && !s.secret {
			j := i + 1 + strings.Index(what[i+1:], "`")
			flag += " " + strings.ToUpper(what[i+1:j])
			what = what[:i] + what[i+1:j] + what[j+1:]
		}
		if s.secret {
			flag += "-file FILE"
		}
		fmt.Fprintf(w, "  %s\n        %s", flag, what)
		if s.std != "" && s.std != "false" {
			fmt.Fprintf(w, " (default %s)", s.std)
		}
		fmt.Fprintf(w, "\n        %s, in the file %s\n", s.env(), key(s.name))
	}
	fmt.Fprint(w, "  --config FILE\n        YAML file with settings\n        TROUPE_CONFIG\n")
}
