package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxWhole is the largest integer that every reader of JSON has exactly: a double's 2^53.
const maxWhole = 1 << 53

// fit refuses what encoding/json would take for v's type though it is not what it says:
// a key in another letter case, and an integer that a double cannot hold or that is
// written with a fraction or exponent.
func fit(data []byte, v any) error {
	t := reflect.TypeOf(v).Elem()
	if t.Kind() == reflect.Interface {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var parsed any
	if d.Decode(&parsed) != nil {
		return errNotJSON
	}
	return fits(parsed, t, "")
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func fits(v any, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return fitsItself(v, t, path)
	}
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() == reflect.Struct {
			return fitsStruct(v, t, path)
		}
	case []any:
		if t.Kind() != reflect.Slice {
			return nil
		}
		for i, item := range v {
			if err := fits(item, t.Elem(), path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case json.Number:
		if t.Kind() < reflect.Int || t.Kind() > reflect.Uint64 {
			return nil
		}
		if n, err := strconv.ParseInt(v.String(), 10, 64); err != nil || n < -maxWhole || n > maxWhole {
			return fmt.Errorf("%s: a whole number within 2^53 is needed", path)
		}
	}
	return nil
}

// fitsItself lets a type that reads JSON its own way say whether it takes v.
func fitsItself(v any, t reflect.Type, path string) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = reflect.New(t).Interface().(json.Unmarshaler).UnmarshalJSON(b)
	}
	if err != nil {
		return fmt.Errorf("%s: wrong type, or a word that is not known", path)
	}
	return nil
}

func fitsStruct(v map[string]any, t reflect.Type, path string) error {
	fields := fieldsOf(t)
	if path != "" {
		path += "."
	}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		field, known := fields[key]
		if known {
			if err := fits(v[key], field, path+key); err != nil {
				return err
			}
			continue
		}
		for name := range fields {
			if strings.EqualFold(name, key) {
				return fmt.Errorf("%s%s: other letter case: it is %s", path, key, name)
			}
		}
	}
	return nil
}

// fieldsOf gives the types of a struct's fields by their names in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous && name == "" || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	return fields
}

// loneSurrogate says whether text, whose backslashes are those of JSON strings, has half
// of a surrogate pair, which encoding/json would replace without a word.
func loneSurrogate(text []byte) bool {
	unit := func(i int) (rune, bool) {
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		return rune(n), err == nil
	}
	for i := bytes.IndexByte(text, '\\'); i >= 0 && i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first, ok := unit(i)
		if !ok || !utf16.IsSurrogate(first) {
			i++ // what it escapes
			continue
		}
		second, _ := unit(i + 6)
		if utf16.DecodeRune(first, second) == '\uFFFD' {
			return true
		}
		i += 11
	}
	return false
}
