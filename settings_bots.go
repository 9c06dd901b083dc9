package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// botSettings reads a JSON object of settings by bot, or the file that has it.
func botSettings(name, help string, to *map[string]json.RawMessage) setting {
	return setting{name: name, help: help, tree: true, parse: func(s string) error {
		*to = nil
		s = strings.TrimSpace(s)
		if s == "" || s == "null" {
			return nil
		}
		if !strings.HasPrefix(s, "{") {
			text, err := os.ReadFile(s)
			if err != nil {
				return err
			}
			s = string(text)
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s), &all); err != nil {
			return fmt.Errorf("an object {BOT: {SETTING: VALUE}} is needed, or a file with one: %w", err)
		}
		for bot, of := range all {
			if of = []byte(strings.TrimSpace(string(of))); len(of) == 0 || of[0] != '{' {
				return fmt.Errorf("%s: an object {SETTING: VALUE} is needed", bot)
			}
		}
		*to = all
		return nil
	}, show: func() string { return strings.Join(slices.Sorted(maps.Keys(*to)), ",") }} // values may be somebody's
}

// whichBots are the bots that come along and run; nil: all.
func (c *Config) whichBots() []string {
	switch c.Bots {
	case "all", "":
		return nil
	case "off":
		return []string{}
	}
	return split(c.Bots)
}

var goodLocale = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

// checkBots looks whether there are the bots that are to run.
func (c *Config) checkBots(refuse func(name, format string, args ...any)) {
	if c.BotsLocale != "" && !goodLocale.MatchString(c.BotsLocale) {
		refuse("bots-locale", "%q is no language, like en or zh-CN", c.BotsLocale)
	}
	known := slices.Sorted(maps.Keys(builtInBots()))
	for _, name := range c.whichBots() {
		if !slices.Contains(known, name) {
			refuse("bots", "no bot that comes along is called %q%s; there are %s", name, didYouMean(name, known), strings.Join(known, ", "))
		}
	}
	if i, err := os.Stat(c.Plugins.Dir); c.Plugins.Dir != "" && (err != nil || !i.IsDir()) {
		refuse("plugins", "%v", cmpErr(err, errors.New(c.Plugins.Dir+" is no directory")))
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
