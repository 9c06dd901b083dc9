package sdk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Command is what people call by /name, and assistants as a tool. On makes one with
// typed arguments; one without arguments needs no more than a Name, Help and Run. The
// host checks arguments before the bot sees them.
type Command struct {
	Name        string            // a-z, 0-9, -; 32 at most
	Help        string            // one line, in English
	HelpIn      map[string]string // by locale: zh-CN
	Args        []Arg             // in the order in which they are typed
	Destructive bool              // as a tool of an assistant it needs a person's click
	ReadOnly    bool              // it changes nothing
	Persona     string            // the handle of who serves it
	Run         func(*Ctx) error
}

// Arg is an argument of a command.
type Arg struct {
	Name     string
	Type     string // text (the rest of the line), word, integer, number, boolean, duration, user, choice
	Help     string
	HelpIn   map[string]string
	Optional bool
	Choices  []string
	Default  string
	Min, Max float64 // of integer and number; both 0: no bounds
}

// On is a command whose arguments are the fields of a struct, in their order:
//
//	type args struct {
//		In   time.Duration `help:"in how long" zh:"多久以后"`
//		What string        `arg:",text" help:"of what" zh:"什么事"`
//	}
//
// The tag arg has a name (else the field's, in lower case) and words after commas: text,
// word, optional. Others are help, zh (the help in Chinese), choices (split by commas),
// default, min, max. A field is a string (a word, unless it says text), a bool, an int,
// an int64, a float64, a time.Duration, a Person (a user) or a []string (the rest of the
// line, split into words; "two words" in quotes are one). What has a default is optional.
func On[A any](name, help string, run func(*Ctx, A) error) Command {
	cmd := Command{Name: name, Help: help}
	fields, err := fieldsOf(reflect.TypeFor[A]())
	if err != nil {
		panic(fmt.Sprintf("sdk.On(%q): %v", name, err)) // the author's mistake, at the bot's first breath
	}
	for _, f := range fields {
		cmd.Args = append(cmd.Args, f.arg)
	}
	cmd.Run = func(c *Ctx) error {
		var a A
		if err := decodeArgs(c.Args, fields, reflect.ValueOf(&a).Elem()); err != nil {
			return Drop(fmt.Errorf("/%s: %w", name, err))
		}
		return run(c, a)
	}
	return cmd
}

// In adds the help in another language.
func (c Command) In(locale, help string) Command {
	m := map[string]string{locale: help}
	for k, v := range c.HelpIn {
		if k != locale {
			m[k] = v
		}
	}
	c.HelpIn = m
	return c
}

// ReadsOnly says that the command changes nothing.
func (c Command) ReadsOnly() Command { c.ReadOnly = true; return c }

// Destroys says that an assistant has to ask a person before it uses the command.
func (c Command) Destroys() Command { c.Destructive = true; return c }

// As says which persona serves the command.
func (c Command) As(handle string) Command { c.Persona = handle; return c }

var types = map[string]bool{
	"text": true, "word": true, "integer": true, "number": true, "boolean": true,
	"duration": true, "user": true, "choice": true,
}

func (c *Command) check() error {
	if !handle.MatchString(c.Name) {
		return fmt.Errorf("a command's name is 1 to 32 of a-z, 0-9 and -, beginning with a letter; this is %q", c.Name)
	}
	names, optional := map[string]bool{}, ""
	for i, a := range c.Args {
		typ := cmp.Or(a.Type, "word")
		switch {
		case a.Name == "" || names[a.Name]:
			return fmt.Errorf("/%s: argument %d has no name of its own", c.Name, i+1)
		case !types[typ]:
			return fmt.Errorf("/%s: %s has the type %q, which is none", c.Name, a.Name, a.Type)
		case typ == "text" && i < len(c.Args)-1:
			return fmt.Errorf("/%s: %s takes the rest of the line, and is not the last", c.Name, a.Name)
		case typ == "choice" && len(a.Choices) == 0:
			return fmt.Errorf("/%s: %s has no choices", c.Name, a.Name)
		case !a.Optional && a.Default == "" && optional != "":
			return fmt.Errorf("/%s: %s has to be given, and comes after %s, which has not", c.Name, a.Name, optional)
		}
		if a.Optional || a.Default != "" {
			optional = a.Name
		}
		names[a.Name] = true
	}
	return nil
}

func (c *Command) wire() *botv1.Command {
	w := &botv1.Command{
		Name: c.Name, Help: c.Help, HelpIn: c.HelpIn, Destructive: c.Destructive, ReadOnly: c.ReadOnly, Persona: c.Persona,
	}
	for _, a := range c.Args {
		w.Args = append(w.Args, &botv1.Argument{
			Name: a.Name, Help: a.Help, HelpIn: a.HelpIn, Type: cmp.Or(a.Type, "word"), Required: !a.Optional && a.Default == "",
			Choices: a.Choices, Std: a.Default, Min: a.Min, Max: a.Max,
		})
	}
	return w
}

// decodeArgs puts a JSON object into the fields of a struct.
func decodeArgs(raw json.RawMessage, fields []field, into reflect.Value) error {
	values := map[string]json.RawMessage{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &values); err != nil {
			return fmt.Errorf("its arguments are no JSON object: %w", err)
		}
	}
	for _, f := range fields {
		v, ok := values[f.arg.Name]
		if !ok || string(v) == "null" {
			if f.arg.Default == "" {
				continue
			}
			v, _ = json.Marshal(f.arg.Default)
		}
		if err := f.set(into.Field(f.index), v); err != nil {
			return fmt.Errorf("%s: %w", f.arg.Name, err)
		}
	}
	return nil
}
