package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/troupe-im/troupe/plugins/sdk/args"
)

const (
	longestSchema  = 64 << 10 // bytes
	mostComplaints = 5        // about settings, in one error
)

// schemaFile reads the schema that a manifest names; "": it names none.
func (f *found) schemaFile() (string, error) {
	if f.Manifest == nil || f.Manifest.ConfigSchema == "" {
		return "", nil
	}
	name := filepath.Join(f.Dir, f.Manifest.ConfigSchema)
	info, err := os.Lstat(name)
	if err != nil {
		return "", fmt.Errorf("config_schema: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > longestSchema {
		return "", fmt.Errorf("config_schema: %s is no file of at most %d bytes", name, longestSchema)
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// checkSettings says what is wrong with a plugin's settings by the JSON Schema that it
// came with (draft 2020-12 where it says nothing else); "" is no schema. Settings that
// nobody gave are {}. What stands in them is not in the error: it may be somebody's.
func checkSettings(id, schema, settings string) error {
	if schema == "" {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	c.RegisterFormat(&jsonschema.Format{Name: "duration", Validate: isDuration})
	c.AssertFormat()
	const name = "troupe:config.schema.json"
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err == nil {
		err = c.AddResource(name, doc)
	}
	var compiled *jsonschema.Schema
	if err == nil {
		compiled, err = c.Compile(name)
	}
	if err != nil {
		return fmt.Errorf("the schema of its settings is no JSON Schema: %.500s", err)
	}
	if settings == "" {
		settings = "{}"
	}
	given, err := jsonschema.UnmarshalJSON(strings.NewReader(settings))
	if err != nil {
		return fmt.Errorf("the settings of bot %s are no JSON: %w", id, err)
	}
	var wrong *jsonschema.ValidationError
	if err := compiled.Validate(given); errors.As(err, &wrong) {
		all := complaints(wrong, nil)
		if len(all) > mostComplaints {
			all = append(all[:mostComplaints], fmt.Sprintf("and %d more", len(all)-mostComplaints))
		}
		return fmt.Errorf("bot-config, the settings of bot %s: %s", id, strings.Join(all, "; "))
	} else if err != nil {
		return fmt.Errorf("the settings of bot %s: %w", id, err)
	}
	return nil
}

// complaints are those at the ends of the tree: what is above only says that there are some.
func complaints(e *jsonschema.ValidationError, all []string) []string {
	if len(e.Causes) == 0 {
		at := strings.Join(e.InstanceLocation, ".")
		if at != "" {
			at += ": "
		}
		return append(all, at+complaint(e.ErrorKind))
	}
	for _, c := range e.Causes {
		all = complaints(c, all)
	}
	return all
}

func complaint(k jsonschema.ErrorKind) string {
	switch k := k.(type) { // those whose words repeat the value
	case *kind.Enum:
		want, _ := json.Marshal(k.Want)
		return fmt.Sprintf("it has to be one of %s", want)
	case *kind.Const:
		want, _ := json.Marshal(k.Want)
		return fmt.Sprintf("it has to be %s", want)
	case *kind.Pattern:
		return "it has to look like " + k.Want
	case *kind.Format:
		if k.Want == "duration" {
			return "a time like 90s, 10m, 2h or 3d is needed"
		}
		return "it is no " + k.Want
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

func isDuration(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	_, err := args.Duration(text)
	return err
}

// nothing loads no schema: what one refers to has to stand in it.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not loaded: a schema refers to itself alone", url)
}
