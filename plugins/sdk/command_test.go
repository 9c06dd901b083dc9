package sdk

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

type everything struct {
	Word   string
	Count  int `default:"3"`
	Many   int64
	Ratio  float64
	Loud   bool
	Wait   time.Duration
	Who    Person
	Choice string   `choices:"a,b"`
	Rest   []string `arg:"rest,optional"`
}

func TestArgumentsAreTakenAsModelsAndFormsGiveThem(t *testing.T) {
	fields, err := fieldsOf(reflect.TypeFor[everything]())
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]everything{
		`{}`: {Count: 3},
		`{"word":"x","count":5,"many":7.0,"ratio":1.5,"loud":true,"wait":90000,"who":"u_1","choice":"a","rest":"a \"b c\""}`: {
			"x", 5, 7, 1.5, true, 90 * time.Second, Person{User: "u_1"}, "a", []string{"a", "b c"}},
		`{"word":5,"count":"5","many":"7","ratio":"1.5","loud":"true","wait":"1h30m","who":{"user":"u_1","name":"Ann"},"rest":["a","b c"]}`: {
			"5", 5, 7, 1.5, true, 90 * time.Minute, Person{User: "u_1", Name: "Ann"}, "", []string{"a", "b c"}},
	} {
		var got everything
		if err := decodeArgs(json.RawMessage(in), fields, reflect.ValueOf(&got).Elem()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{`[]`, `{"count":1.5}`, `{"count":1e300}`, `{"wait":"soon"}`, `{"wait":1e300}`, `{"loud":"perhaps"}`, `{"who":5}`} {
		var got everything
		if err := decodeArgs(json.RawMessage(in), fields, reflect.ValueOf(&got).Elem()); err == nil {
			t.Errorf("%s is read as %+v", in, got)
		}
	}
}

func FuzzCommandArguments(f *testing.F) {
	for _, s := range []string{`{}`, `{"count":"5","wait":"1h"}`, `{"who":{"user":1}}`, `{"rest":[1]}`, "null", "\xff"} {
		f.Add(s)
	}
	fields, err := fieldsOf(reflect.TypeFor[everything]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var got everything
		_ = decodeArgs(json.RawMessage(in), fields, reflect.ValueOf(&got).Elem()) // it does not panic
	})
}

func TestABotThatCannotBeIsToldWhy(t *testing.T) {
	run := func(*Ctx) error { return nil }
	for why, b := range map[string]*Bot{
		"a bot's ID":           {ID: "Bad"},
		"handle":               {ID: "b", Personas: []Persona{{Handle: "B"}}},
		"two personas":         {ID: "b", Personas: []Persona{{Handle: "x"}, {Handle: "x"}}},
		"a command's name":     {ID: "b", Commands: []Command{{Name: "/x"}}},
		"two commands":         {ID: "b", Commands: []Command{{Name: "x", Run: run}, {Name: "x", Run: run}}},
		"the rest of the line": {ID: "b", Commands: []Command{{Name: "x", Args: []Arg{{Name: "a", Type: "text"}, {Name: "b"}}}}},
		"no name of its own":   {ID: "b", Commands: []Command{{Name: "x", Args: []Arg{{Name: "a"}, {Name: "a"}}}}},
		"comes after":          {ID: "b", Commands: []Command{{Name: "x", Args: []Arg{{Name: "a", Optional: true}, {Name: "b"}}}}},
		"no choices":           {ID: "b", Commands: []Command{{Name: "x", Args: []Arg{{Name: "a", Type: "choice"}}}}},
		"which is none":        {ID: "b", Commands: []Command{{Name: "x", Args: []Arg{{Name: "a", Type: "date"}}}}},
		"a pointer":            {ID: "b", Config: struct{}{}},
		"an sdk.Span":          {ID: "b", Config: &struct{ Wait time.Duration }{}},
	} {
		if err := b.Check(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q is told as %v", why, err)
		}
	}
}

func TestAStructThatCannotBeArgumentsIsNotStarted(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a channel is an argument")
		}
	}()
	On("x", "", func(*Ctx, struct{ C chan int }) error { return nil })
}

func TestTextsAreCutBetweenLettersOnly(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a": 0, "é": 0, "\xc3": 1, "a\xe4\xbd": 2, "\xf0\x9f\xa6": 3, "\xff": 0, "\x80\x80\x80\x80": 0} {
		if got := incomplete([]byte(in)); got != want {
			t.Errorf("%q has %d bytes of a letter that is not all there, want %d", in, got, want)
		}
	}
}

func TestErrorsAreComparedByTheirCodes(t *testing.T) {
	err := errors.Join(errors.New("x"), &Error{Code: "CONFLICT", Detail: "somebody was quicker"})
	if !errors.Is(err, &Error{Code: "CONFLICT"}) || errors.Is(err, &Error{Code: "BUSY"}) || Code(err) != "CONFLICT" || Code(nil) != "" || Code(errors.New("x")) != "INTERNAL" {
		t.Errorf("%v has the code %s", err, Code(err))
	}
}
