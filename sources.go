package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// origin says where the value of a setting came from.
type origin struct {
	place string // "default", "--listen", "TROUPE_LISTEN", "FILE:3"
}

func (o origin) String() string {
	if o.place == "" {
		return "default"
	}
	return o.place
}

func (o origin) set() bool { return o.place != "" }

// loaded is a Config, and where each of its settings is from.
type loaded struct {
	Config
	from map[string]origin
	args []string // what was left of the command line
}

// loadConfig reads the settings: flags win over the environment, that over the
// file, that over the defaults. Every value must be readable; whether they make
// sense together is check's. extra, when not nil, adds a command's own flags.
// The error names each setting that is wrong; flag.ErrHelp says that help was asked for.
func loadConfig(args, environ []string, extra func(*flag.FlagSet)) (*loaded, error) {
	l := &loaded{from: map[string]origin{}}
	all := settings(&l.Config)
	known := map[string]*setting{}
	for i := range all {
		known[all[i].name] = &all[i]
	}

	type given struct{ value, place string }
	flags := map[string]given{}
	config := given{}
	set := flag.NewFlagSet("troupe", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Func("config", "YAML `FILE` with settings", func(s string) error { config = given{s, "--config"}; return nil })
	for _, s := range all {
		take := func(text string) error { flags[s.name] = given{text, "--" + s.name}; return nil }
		switch {
		case s.secret:
			set.Func(s.name+"-file", "`FILE` with it: "+s.help, func(file string) error {
				text, err := readSecretFile(file)
				flags[s.name] = given{text, "--" + s.name + "-file"}
				return err
			})
		case s.toggle:
			set.BoolFunc(s.name, s.help, take)
		default:
			set.Func(s.name, s.help, take)
		}
	}
	if extra != nil {
		extra(set)
	}
	rest, err := parseInterspersed(set, args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, suggestFlag(set, err)
	}
	l.args = rest

	var wrong []error
	env := map[string]given{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if name == "TROUPE_CONFIG" {
			if config.value == "" {
				config = given{value, name}
			}
			continue
		}
		setting, fromFile, ok := settingOfVariable(name, value, all)
		switch {
		case !ok:
			continue
		case setting == "":
			wrong = append(wrong, fmt.Errorf("%s: there is no such setting%s", name, didYouMean(name, variables(all))))
			continue
		}
		if _, twice := env[setting]; twice && name == "IM_PROFILE" {
			continue // the name of our own wins
		}
		if fromFile {
			text, err := readSecretFile(value)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
				continue
			}
			value = text
		}
		env[setting] = given{value, name}
	}

	file := map[string]given{}
	if config.value != "" {
		read, err := readConfigFile(config.value, known)
		if err != nil {
			wrong = append(wrong, err)
		}
		for name, line := range read {
			file[name] = given{line.value, line.place}
		}
	}

	for _, s := range all {
		if err := s.parse(s.std); err != nil && s.std != "" {
			return nil, fmt.Errorf("the default of %s: %w", s.name, err)
		}
		for _, source := range []map[string]given{flags, env, file} {
			g, ok := source[s.name]
			if !ok {
				continue
			}
			l.from[s.name] = origin{g.place}
			if err := s.parse(g.value); err != nil {
				wrong = append(wrong, fmt.Errorf("%s (%s): %w", s.name, g.place, err))
			}
			break
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	l.settle()
	return l, nil
}

// settingOfVariable finds the setting that an environment variable is for. ok is
// false for a variable that is none of ours; the setting is "" for one that looks
// like ours and is unknown.
func settingOfVariable(name, value string, all []setting) (setting string, file, ok bool) {
	if name == "IM_PROFILE" {
		return "profile", false, true
	}
	if !strings.HasPrefix(name, "TROUPE_") || strings.HasPrefix(name, "TROUPE_TEST_") {
		return "", false, false
	}
	if name == "TROUPE_TOKEN" || name == "TROUPE_PLANTED" { // internal/chat's, actors/planted.go's
		return "", false, false
	}
	for _, s := range all {
		if name == s.env() {
			return s.name, false, true
		}
		if s.secret && name == s.env()+"_FILE" {
			return s.name, true, true
		}
	}
	// Kubernetes tells every pod of a Service called troupe by such variables.
	if strings.HasPrefix(name, "TROUPE_SERVICE_") || strings.HasPrefix(name, "TROUPE_PORT") && (name != "TROUPE_PORT" || strings.Contains(value, "://")) {
		return "", false, false
	}
	return "", false, true
}

func variables(all []setting) []string {
	names := []string{"TROUPE_CONFIG"}
	for _, s := range all {
		names = append(names, s.env())
		if s.secret {
			names = append(names, s.env()+"_FILE")
		}
	}
	return names
}

// secretFiles are the files that settings were read from: bots do not see them, though
// their processes may be the same user's.
var secretFiles struct {
	sync.Mutex
	names []string
}

func isSecret(file string) {
	secretFiles.Lock()
	defer secretFiles.Unlock()
	if name, err := filepath.Abs(file); err == nil && !slices.Contains(secretFiles.names, name) {
		secretFiles.names = append(secretFiles.names, name)
	}
}

func secretsRead() []string {
	secretFiles.Lock()
	defer secretFiles.Unlock()
	return slices.Clone(secretFiles.names)
}

// A secret's file may end in a newline, which is no part of it.
func readSecretFile(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	isSecret(file)
	return strings.TrimRight(string(text), "\r\n"), nil
}

type line struct{ value, place string }

// readConfigFile gives the settings in a YAML file by their names. A list may
// stand for commas, a mapping for NAME=VALUE pairs.
func readConfigFile(file string, known map[string]*setting) (map[string]line, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	isSecret(file)
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("config: %s: %w", file, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil // nothing but comments
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("config: %s:%d: settings are written as `name: value`", file, top.Line)
	}
	read, wrong := map[string]line{}, []error(nil)
	for i := 0; i+1 < len(top.Content); i += 2 {
		k, v := top.Content[i], top.Content[i+1]
		place := fmt.Sprintf("%s:%d", file, k.Line)
		name := strings.ReplaceAll(k.Value, "_", "-")
		base, fromFile := strings.CutSuffix(name, "-file")
		s, ok := known[name]
		if !ok && fromFile && known[base] != nil && known[base].secret {
			s, ok = known[base], true
		}
		if !ok {
			var names []string
			for n := range known {
				names = append(names, key(n))
			}
			wrong = append(wrong, fmt.Errorf("config: %s: there is no setting %q%s", place, k.Value, didYouMean(k.Value, names)))
			continue
		}
		value, err := "", error(nil)
		if s != nil && s.tree {
			value, err = asJSON(v)
		} else {
			value, err = flat(v)
		}
		if err == nil && s.name != name {
			value, err = readSecretFile(value)
		}
		if err == nil {
			if _, twice := read[s.name]; twice {
				err = errors.New("it stands there twice")
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s (%s): %w", s.name, place, err))
			continue
		}
		read[s.name] = line{value, place}
	}
	return read, errors.Join(wrong...)
}

// asJSON gives a nested value as JSON.
func asJSON(v *yaml.Node) (string, error) {
	var value any
	if err := v.Decode(&value); err != nil {
		return "", err
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func flat(v *yaml.Node) (string, error) {
	switch v.Kind {
	case yaml.ScalarNode:
		if v.Tag == "!!null" {
			return "", nil
		}
		return v.Value, nil
	case yaml.SequenceNode, yaml.MappingNode:
		var parts []string
		for i, c := range v.Content {
			if c.Kind != yaml.ScalarNode {
				return "", errors.New("the value is nested too deep")
			}
			if v.Kind == yaml.MappingNode && i%2 == 1 {
				parts[len(parts)-1] += "=" + c.Value
			} else {
				parts = append(parts, c.Value)
			}
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("the value cannot be read; write it out")
}

// parseInterspersed lets flags stand behind arguments too: troupe backup DIR --data X.
func parseInterspersed(set *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := set.Parse(args); err != nil {
			return nil, err
		}
		args = set.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest = append(rest, args[0])
		args = args[1:]
	}
}

func suggestFlag(set *flag.FlagSet, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return err
	}
	var names []string
	set.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if nearest := didYouMean(strings.TrimPrefix(name, "-"), names); nearest != "" {
		return fmt.Errorf("there is no flag --%s%s", strings.TrimPrefix(name, "-"), strings.Replace(nearest, "mean ", "mean --", 1))
	}
	return fmt.Errorf("there is no flag --%s", strings.TrimPrefix(name, "-"))
}

// maxSlips is how many letters a name may differ by from the one that was meant.
const maxSlips = 2

// didYouMean is "; did you mean X?" with the nearest of names, "" when none is near:
// at most two letters are other ones, and most of the word is right. What all our
// variables begin with does not count.
func didYouMean(name string, names []string) string {
	bare := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "troupe_") }
	best, least := "", maxSlips+1
	for _, n := range names {
		d := distance(bare(name), bare(n))
		if 2*d < len(bare(name)) && (d < least || d == least && n < best) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's: how many letters must be added, dropped or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
