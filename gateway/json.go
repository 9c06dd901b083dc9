package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// maxDepth is of arrays and objects within each other, as in frames.
const maxDepth = 16

var (
	errNotJSON = errors.New("not valid JSON")
	errTwice   = errors.New("a key is there twice")
	errDeep    = errors.New("too deeply nested")
)

// unmarshal is json.Unmarshal for what strangers send: what it takes has one
// meaning only, and its errors say nothing of our types.
func unmarshal(data []byte, v any) error {
	if err := strict(data); err != nil {
		return err
	}
	if json.Unmarshal(data, v) != nil {
		return errors.New("a field has the wrong type")
	}
	return nil
}

// strict refuses invalid UTF-8, keys that are there twice, and depth.
func strict(data []byte) error {
	if !utf8.Valid(data) {
		return errNotJSON
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
				return errTwice
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
