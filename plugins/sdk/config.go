package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// configSchema is the JSON Schema of the struct that v points to.
func configSchema(v any) (map[string]any, error) {
	t := reflect.TypeOf(v)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("a bot's Config is a pointer to a struct, not a %s", t)
	}
	return objectSchema(t.Elem())
}

func objectSchema(t reflect.Type) (map[string]any, error) {
	properties := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := settingName(f)
		if name == "" {
			continue
		}
		s, err := schemaOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("Config.%s: %w", f.Name, err)
		}
		if help := f.Tag.Get("help"); help != "" {
			s["description"] = help
		}
		if choices := f.Tag.Get("choices"); choices != "" {
			s["enum"] = splitChoices(choices)
		}
		for tag, key := range map[string]string{"min": "minimum", "max": "maximum", "default": "default"} {
			if text, ok := f.Tag.Lookup(tag); ok {
				if f.Type.Kind() == reflect.String || f.Type == reflect.TypeFor[Span]() {
					if key == "default" { // bounds are of numbers
						s[key] = text
					}
					continue
				}
				var v any
				if err := json.Unmarshal([]byte(text), &v); err != nil {
					return nil, fmt.Errorf("Config.%s: %s: %w", f.Name, tag, err)
				}
				s[key] = v
			}
		}
		properties[name] = s
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}, nil
}

func schemaOf(t reflect.Type) (map[string]any, error) {
	switch {
	case t == durationType:
		return nil, fmt.Errorf("a duration is an sdk.Span there, as JSON has no durations")
	case t == reflect.TypeFor[Span]():
		return map[string]any{"type": "string", "format": "duration"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Struct:
		return objectSchema(t)
	case reflect.Slice:
		items, err := schemaOf(t.Elem())
		return map[string]any{"type": "array", "items": items}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("the keys of %s are no strings", t)
		}
		values, err := schemaOf(t.Elem())
		return map[string]any{"type": "object", "additionalProperties": values}, err
	}
	return nil, fmt.Errorf("%s can't be a setting", t)
}

// Span is a duration among settings, written as 90s, 10m, 2h or 3d.
type Span time.Duration

// UnmarshalText reads it.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := ParseDuration(string(text))
	*s = Span(d)
	return err
}

// MarshalText writes it as Go does: 1h30m0s.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

func settingName(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch name {
	case "-":
		return ""
	case "":
		return strings.ToLower(f.Name)
	}
	return name
}

func splitChoices(tag string) []string { return strings.Split(tag, ",") }

// defaults fills the zero fields of the struct that v points to from their tags.
func defaults(v reflect.Value) error {
	for i := range v.NumField() {
		f, to := v.Type().Field(i), v.Field(i)
		if settingName(f) == "" {
			continue
		}
		if to.Kind() == reflect.Struct {
			if err := defaults(to); err != nil {
				return err
			}
			continue
		}
		text, ok := f.Tag.Lookup("default")
		if !ok || !to.IsZero() {
			continue
		}
		raw := []byte(text)
		if to.Kind() == reflect.String || to.Type() == reflect.TypeFor[Span]() {
			raw, _ = json.Marshal(text)
		}
		if err := json.Unmarshal(raw, to.Addr().Interface()); err != nil {
			return fmt.Errorf("Config.%s: its default: %w", f.Name, err)
		}
	}
	return nil
}

// fill puts settings into what Config points to, over the defaults of its tags. Names
// are as in the schema.
func fill(config any, text string) error {
	if err := defaults(reflect.ValueOf(config).Elem()); err != nil {
		return err
	}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), config)
}
