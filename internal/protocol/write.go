package protocol

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Writers of the generated encoders. Each appends to b; none allocates beyond b's growth.

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

// appendEscaped appends the inside of a JSON string: quotes, backslash, control
// characters, U+2028 and U+2029 (line ends in JavaScript) are escaped, nothing
// for HTML's sake. What is not UTF-8, which no client can have sent, becomes U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	done := 0
	for i := plainPrefix(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[done:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			done = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[done:i]...), `\ufffd`...)
			done = i + n
		case r == 0x2028 || r == 0x2029:
			b = append(append(b, s[done:i]...), '\\', 'u', '2', '0', '2', hexDigits[r&15])
			done = i + n
		}
		i += n
	}
	return append(b, s[done:]...)
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// appendDouble appends x; what JSON has no number for becomes 0.
func appendDouble(b []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = 0
	}
	return strconv.AppendFloat(b, x, 'g', -1, 64)
}

// appendRaw appends a value that is JSON already.
func appendRaw(b []byte, value string) []byte {
	if value == "" {
		return append(b, "null"...)
	}
	return append(b, value...)
}

// appendWord appends an enum's word, or the number where it has none.
func appendWord(b []byte, word string, number int32) []byte {
	if word == "" {
		return strconv.AppendInt(b, int64(number), 10)
	}
	b = append(b, '"')
	b = append(b, word...)
	return append(b, '"')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// fields is what the generator writes for a message.
type fields interface {
	// appendFields appends ,"name":value for each field that is to be written.
	appendFields(b []byte) []byte
	// fieldOf gives the number of a field by its JSON name, counted from 0; -1: none.
	fieldOf(name []byte) int
	// readField reads the value of a field into the message.
	readField(r *reader, field int)
	// names are the fields' JSON names, in the order that fieldOf counts.
	names() []string
	// needs has a bit for each field that must be there.
	needs() uint64
	// check refuses what protobuf takes and JSON would not.
	check(r *reader)
}

// appendObject appends m as an object.
func appendObject(b []byte, m fields) []byte {
	at := len(b)
	b = m.appendFields(b)
	if len(b) == at {
		return append(b, '{', '}')
	}
	b[at] = '{' // where the first field's comma stood
	return append(b, '}')
}

// appendMessage is appendObject as appendMap's value writer.
func appendMessage[M fields](b []byte, m M) []byte { return appendObject(b, m) }

func appendObjects[M fields](b []byte, list []M) []byte {
	b = append(b, '[')
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendObject(b, m)
	}
	return append(b, ']')
}

// appendMap appends m with its keys in order, so that equal frames are equal bytes.
func appendMap[V any](b []byte, m map[string]V, value func([]byte, V) []byte) []byte {
	b = append(b, '{')
	var room [16]string
	keys := room[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		b = value(b, m[key])
	}
	return append(b, '}')
}
