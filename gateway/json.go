package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth is of arrays and objects within each other, as in frames.
const maxDepth = 16

var (
	errNotJSON   = errors.New("not valid JSON")
	errDeep      = fmt.Errorf("more than %d levels of nesting", maxDepth)
	errSurrogate = errors.New("half a surrogate pair")
)

// unmarshal is json.Unmarshal for what strangers send. As in frames, what it takes has
// one meaning only, and what is not known is not looked at; its errors name the field
// and say nothing of our types.
func unmarshal(data []byte, v any) error {
	if err := strict(data); err != nil {
		return err
	}
	if err := fit(data, v); err != nil {
		return err
	}
	err := json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s: wrong type", wrong.Field)
	case errors.As(err, new(*json.SyntaxError)):
		return errNotJSON
	}
	return errors.New("wrong type")
}

// strict refuses invalid UTF-8, halves of surrogate pairs, keys that stand twice, and depth.
func strict(data []byte) error {
	if !utf8.Valid(data) {
		return errNotJSON
	}
	if loneSurrogate(data) {
		return errSurrogate
	}
	d := json.NewDecoder(bytes.NewReader(data))
	type level struct {
		keys map[string]bool // nil in an array
		key  bool            // the next token is a key
	}
	var open []level
	for {
		t, err := d.Token()
		if err == io.EOF {
			if len(open) > 0 {
				return errNotJSON
			}
			return nil
		}
		if err != nil {
			return errNotJSON
		}
		delim, isDelim := t.(json.Delim)
		if n := len(open); n > 0 && open[n-1].key && !isDelim {
			key := t.(string)
			if open[n-1].keys[key] {
				return fmt.Errorf("%.64s: stands twice", key)
			}
			open[n-1].keys[key], open[n-1].key = true, false
			continue
		}
		if isDelim && (delim == '{' || delim == '[') {
			if len(open) == maxDepth {
				return errDeep
			}
			l := level{}
			if delim == '{' {
				l = level{keys: map[string]bool{}, key: true}
			}
			open = append(open, l)
			continue
		}
		if isDelim {
			open = open[:len(open)-1]
		}
		if n := len(open); n > 0 && open[n-1].keys != nil {
			open[n-1].key = true
		}
	}
}
