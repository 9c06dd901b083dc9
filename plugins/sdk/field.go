package sdk

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/args"
)

// field is a struct's field as an argument or setting.
type field struct {
	index int
	arg   Arg
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	personType   = reflect.TypeFor[Person]()
	wordsType    = reflect.TypeFor[[]string]()
)

// fieldsOf reads a struct's tags.
func fieldsOf(t reflect.Type) ([]field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, words, _ := strings.Cut(f.Tag.Get("arg"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		a := Arg{Name: name, Help: f.Tag.Get("help"), Default: f.Tag.Get("default")}
		if zh := f.Tag.Get("zh"); zh != "" {
			a.HelpIn = map[string]string{"zh-CN": zh}
		}
		if choices := f.Tag.Get("choices"); choices != "" {
			a.Choices = strings.Split(choices, ",")
		}
		var err error
		if a.Type, err = typeOf(f.Type, len(a.Choices) > 0); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		for word := range strings.SplitSeq(words, ",") {
			switch word {
			case "":
			case "optional":
				a.Optional = true
			case "text", "word":
				a.Type = word
			default:
				return nil, fmt.Errorf("%s: nobody knows what %q means", f.Name, word)
			}
		}
		for tag, to := range map[string]*float64{"min": &a.Min, "max": &a.Max} {
			if s := f.Tag.Get(tag); s != "" {
				if *to, err = strconv.ParseFloat(s, 64); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", f.Name, tag, err)
				}
			}
		}
		out = append(out, field{i, a})
	}
	return out, nil
}

func typeOf(t reflect.Type, choices bool) (string, error) {
	switch t {
	case durationType:
		return "duration", nil
	case personType:
		return "user", nil
	case wordsType:
		return "text", nil
	}
	switch t.Kind() {
	case reflect.String:
		if choices {
			return "choice", nil
		}
		return "word", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int64:
		return "integer", nil
	case reflect.Float64:
		return "number", nil
	}
	return "", fmt.Errorf("%s can't be an argument", t)
}

// set puts a JSON value into v. It takes "5" for 5, as models and forms write it, and a
// duration in milliseconds or as text (90s, 10m, 2h, 3d).
func (f *field) set(v reflect.Value, raw json.RawMessage) error {
	var text string
	isText := json.Unmarshal(raw, &text) == nil
	switch {
	case v.Type() == durationType:
		if isText {
			d, err := ParseDuration(text)
			v.SetInt(int64(d))
			return err
		}
		var ms float64
		if err := json.Unmarshal(raw, &ms); err != nil {
			return err
		}
		if math.Abs(ms) > float64(math.MaxInt64/int64(time.Millisecond)) {
			return fmt.Errorf("%v ms are too long", ms)
		}
		v.SetInt(int64(ms * float64(time.Millisecond)))
	case v.Type() == personType:
		if isText {
			v.Set(reflect.ValueOf(Person{User: text}))
			return nil
		}
		return json.Unmarshal(raw, v.Addr().Interface())
	case v.Type() == wordsType:
		if isText {
			v.Set(reflect.ValueOf(Words(text)))
			return nil
		}
		return json.Unmarshal(raw, v.Addr().Interface())
	case v.Kind() == reflect.String:
		if !isText {
			text = string(raw) // a number where a word was meant
		}
		v.SetString(text)
	case isText && v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case isText && v.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		v.SetFloat(n)
		return err
	case isText:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case v.Kind() == reflect.Int || v.Kind() == reflect.Int64:
		var n float64 // a model writes 5.0 too
		if err := json.Unmarshal(raw, &n); err != nil {
			return err
		}
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return fmt.Errorf("%v is no integer", n)
		}
		v.SetInt(int64(n))
	default:
		return json.Unmarshal(raw, v.Addr().Interface())
	}
	return nil
}

// ParseDuration reads 90s, 10m, 2h, 3d, 1w and sums of them: 1h30m. A number alone is in
// minutes, as people mean it.
func ParseDuration(text string) (time.Duration, error) { return args.Duration(text) }

// Words splits a line into words. What is in quotes ("", “”, 「」) is one word.
func Words(line string) []string { return args.Words(line) }
