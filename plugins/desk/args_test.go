package desk

import (
	"encoding/json"
	"testing"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

func everyArgument() *botv1.Command {
	return &botv1.Command{Name: "x", Args: []*botv1.Argument{
		{Name: "i", Type: "integer", Min: -5, Max: 1e9}, {Name: "n", Type: "number"}, {Name: "b", Type: "boolean"}, {Name: "d", Type: "duration"},
		{Name: "u", Type: "user"}, {Name: "c", Type: "choice", Choices: []string{"one", "two"}, Std: "one"}, {Name: "w", Type: "word"}, {Name: "t", Type: "text"},
	}}
}

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		"", "1 2 yes 10m @ann two \"a b\" rest of it", `1 "never closed`, `{"i":1,"n":2.5,"b":true,"d":"90s","u":"ann","c":"two","w":"x","t":["a","b"]}`,
		`{"i":1e400}`, `{"i":{}}`, `{"d":1e300}`, "\u3000“”「", `{"u":{"user":"ann"}}`, "9e9 NaN", `{"n":"Inf"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &checker{say: &chinese, locale: "zh-CN", cmd: everyArgument(), mention: []*botv1.Person{{User: "ann", Name: "Ann Lee"}}, member: func(u string) bool { return u == "ann" }}
		for _, read := range []func() (map[string]any, error){
			func() (map[string]any, error) { return c.line(text) },
			func() (map[string]any, error) { return c.object([]byte(text)) },
		} {
			got, err := read()
			if err != nil {
				if err.Error() == "" {
					t.Error("an error without words")
				}
				continue
			}
			if _, err := json.Marshal(got); err != nil {
				t.Errorf("%v is no JSON: %v", got, err)
			}
			if u, ok := got["u"]; ok && u != "ann" {
				t.Errorf("u is %v", u)
			}
			if i, ok := got["i"].(int64); ok && (i < -5 || i > 1e9) {
				t.Errorf("i is %d", i)
			}
			if choice := got["c"]; choice != "one" && choice != "two" {
				t.Errorf("c is %v", choice)
			}
		}
	})
}

func TestALongTextIsSplitWhereALineEnds(t *testing.T) {
	for text, want := range map[string][2]string{
		"short":            {"short", ""},
		"one\ntwo":         {"one\ntwo", ""},
		"twelve12 letters": {"twelve12", "letters"},
		"一二三四五":            {"一二三", "四五"},
		"line one\nline 2": {"line one", "line 2"},
	} {
		if first, rest := split(text, 10); [2]string{first, rest} != want {
			t.Errorf("%q becomes %q and %q", text, first, rest)
		}
	}
}

func TestAReplysIdSaysHowManyBotsStandBeforeIt(t *testing.T) {
	one := replyID("e", 1, 2)
	if one != replyID("e", 1, 2) || one == replyID("e", 2, 2) || one == replyID("f", 1, 2) || hopsOf(one) != 2 {
		t.Errorf("the id is %s, hops %d", one, hopsOf(one))
	}
	for _, id := range []string{"", "b", "bx.", "desk.loop.1", "1", "b1"} {
		if hopsOf(id) != maxHops {
			t.Errorf("%q has %d hops", id, hopsOf(id))
		}
	}
}
