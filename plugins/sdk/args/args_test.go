package args_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/args"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

var remind = &botv1.Command{Name: "remind", Args: []*botv1.Argument{
	{Name: "in", Type: "duration", Required: true},
	{Name: "what", Type: "text", Required: true},
}}

var roll = &botv1.Command{Name: "roll", Args: []*botv1.Argument{
	{Name: "sides", Type: "integer", Required: true, Min: 2, Max: 100},
	{Name: "mode", Type: "choice", Choices: []string{"sum", "Each"}, Std: "sum"},
	{Name: "loud", Type: "boolean"},
	{Name: "who", Type: "user"},
}}

func everybody(word string) (string, bool) {
	word = strings.TrimPrefix(word, "@")
	return "u_" + word, word == "ann"
}

func TestALineIsReadAsItsCommandSays(t *testing.T) {
	for _, c := range []struct {
		command    *botv1.Command
		line, want string
	}{
		{remind, "10m tea", `{"in":600000,"what":"tea"}`},
		{remind, `  1h30m   the "big" one `, `{"in":5400000,"what":"the \"big\" one"}`},
		{remind, "10分钟 喝茶", `{"in":600000,"what":"喝茶"}`},
		{roll, "6", `{"mode":"sum","sides":6}`},
		{roll, "6 each yes @ann", `{"loud":true,"mode":"Each","sides":6,"who":"u_ann"}`},
	} {
		got, err := args.Parse(c.command, c.line, everybody)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %s, %v, want %s", c.line, got, err, c.want)
		}
	}
}

func TestAWrongLineIsToldByArgument(t *testing.T) {
	for _, c := range []struct {
		command        *botv1.Command
		line, argument string
	}{
		{remind, "", "in"},
		{remind, "10m", "what"},
		{remind, "soon tea", "in"},
		{remind, "1000000d tea", "in"},
		{roll, "1", "sides"},
		{roll, "101", "sides"},
		{roll, "six", "sides"},
		{roll, "6 most", "mode"},
		{roll, "6 sum perhaps", "loud"},
		{roll, "6 sum yes bob", "who"},
		{roll, "6 sum yes ann more", ""},
	} {
		_, err := args.Parse(c.command, c.line, everybody)
		var e *args.Error
		if !errors.As(err, &e) || e.Argument != c.argument {
			t.Errorf("Parse(%q): %v, want an error about %q", c.line, err, c.argument)
		}
	}
}

func TestAnObjectIsReadAsALineIs(t *testing.T) {
	for in, want := range map[string]string{
		`{"sides":6}`: `{"mode":"sum","sides":6}`,
		`{"sides":"6","loud":"true","unknown":[1]}`: `{"loud":true,"mode":"sum","sides":6}`,
		`{"sides":6.0,"loud":false,"who":"ann"}`:    `{"loud":false,"mode":"sum","sides":6,"who":"u_ann"}`,
		`{"sides":6.5}`:                             "",
		`{"sides":{}}`:                              "",
		`[]`:                                        "",
		`{}`:                                        "",
		`{"sides":6,"mode":"no"}`:                   "",
	} {
		got, err := args.Check(roll, in, everybody)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Check(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
	poll := &botv1.Command{Name: "poll", Args: []*botv1.Argument{{Name: "options", Type: "text"}}}
	got, err := args.Check(poll, `{"options":["a","b c"]}`, nil)
	if err != nil || got != `{"options":"a \"b c\""}` {
		t.Errorf("a list = %s, %v", got, err)
	}
}

func TestWordsInQuotesAreOne(t *testing.T) {
	for line, want := range map[string][]string{
		`"Lunch?" a b c`:    {"Lunch?", "a", "b", "c"},
		`“午饭？” 面 「米 饭」`:     {"午饭？", "面", "米 饭"},
		`a  b	c`:            {"a", "b", "c"},
		`5" screen`:         {`5"`, "screen"}, // nothing closes it
		`"" x`:              {"", "x"},
		``:                  nil,
		"\u3000全 角\u3000空格": {"全", "角", "空格"},
	} {
		if got := args.Words(line); !reflect.DeepEqual(got, want) {
			t.Errorf("Words(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestDurationsAreAsPeopleWriteThem(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "10m": 10 * time.Minute, "2h": 2 * time.Hour, "3d": 72 * time.Hour,
		"1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "10": 10 * time.Minute, "2小时": 2 * time.Hour,
		"": -1, "m": -1, "10x": -1, "1e9h": -1, "-5m": -1, "NaN": -1, "..m": -1,
	} {
		got, err := args.Duration(in)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("Duration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestSplitFindsCommands(t *testing.T) {
	for in, want := range map[string][3]string{
		"/remind 10m tea":             {"remind", "", "10m tea"},
		"/Remind@bot 10m tea":         {"remind", "bot", "10m tea"},
		"/help":                       {"help", "", ""},
		"／help me":                    {"help", "", "me"},
		"/ help":                      {},
		"/usr/bin/env":                {},
		"help":                        {},
		"/" + strings.Repeat("a", 33): {},
	} {
		name, handle, line := args.Split(in)
		if [3]string{name, handle, line} != want {
			t.Errorf("Split(%q) = %q %q %q, want %q", in, name, handle, line, want)
		}
	}
}

func TestASchemaSaysWhatACommandTakes(t *testing.T) {
	var s struct {
		Required   []string
		Properties map[string]struct {
			Type string
			Enum []string
		}
	}
	if err := json.Unmarshal([]byte(args.Schema(roll)), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Required) != 1 || s.Properties["sides"].Type != "integer" || len(s.Properties["mode"].Enum) != 2 {
		t.Errorf("the schema is %s", args.Schema(roll))
	}
	if got := args.Usage(roll); got != "/roll <sides> [mode] [loud] [who]" {
		t.Errorf("Usage = %s", got)
	}
}

// Whatever is typed or given, what comes out is a JSON object that Check takes again.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"6 each yes ann", `{"sides":"6"}`, `"a b" c`, "10m tea", "9007199254740993", "\xff", `{"sides":1e400}`} {
		f.Add(s)
	}
	commands := []*botv1.Command{remind, roll, {Name: "n", Args: []*botv1.Argument{
		{Name: "a", Type: "number", Required: true}, {Name: "b", Type: "word"}, {Name: "c", Type: "text"},
	}}}
	f.Fuzz(func(t *testing.T, in string) {
		for _, c := range commands {
			for _, read := range []func(*botv1.Command, string, args.Users) (string, error){args.Parse, args.Check} {
				out, err := read(c, in, nil)
				if err != nil {
					var e *args.Error
					if !errors.As(err, &e) {
						t.Errorf("%q: %v is no *args.Error", in, err)
					}
					continue
				}
				again, err := args.Check(c, out, nil)
				if err != nil || again != out {
					t.Errorf("%q is read as %s, and that as %s, %v", in, out, again, err)
				}
			}
		}
		args.Words(in)
		args.Split(in)
	})
}
