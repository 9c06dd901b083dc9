package protocol

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may stand in each other, the frame
// itself being the first. A raw value has fewer, as it may be sent on from deeper
// down: in an auth_reply's snapshot it stands under seven others.
const (
	maxDepth    = 16
	maxRawDepth = 8
)

// A reader takes a JSON text apart, byte by byte and once. It refuses what two
// readers might understand differently: a key twice, a key in another letter
// case, what is not UTF-8, lone surrogates, integers that a double cannot hold.
// The first fault stays in err; after it every method does nothing.
type reader struct {
	data    []byte
	pos     int
	depth   int
	limit   int // of depth, within a raw value; 0: maxDepth
	err     *Error
	path    []string // of the fault, innermost first
	scratch []byte   // of strings with escapes
}

// fail keeps the first fault.
func (r *reader) fail(code Code, what string) {
	if r.err == nil {
		r.err = &Error{Code: code, Detail: what}
	}
}

func (r *reader) bad(what string) { r.fail(Code_BAD_REQUEST, what) }

// fault is the error with the name of the field in front, under the frame's type.
func (r *reader) fault(typ string) *Error {
	if typ == "" && len(r.path) == 0 {
		return r.err
	}
	var b strings.Builder
	b.WriteString(typ)
	for i := len(r.path) - 1; i >= 0; i-- {
		if b.Len() > 0 && r.path[i][0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(r.path[i])
	}
	b.WriteString(": ")
	b.WriteString(r.err.Detail)
	r.err.Detail = b.String()
	return r.err
}

// at notes where the fault is, while the readers return from it.
func (r *reader) at(name string) {
	if r.err != nil && len(r.path) < maxDepth {
		r.path = append(r.path, name)
	}
}

// space skips white space and gives the byte behind it, 0 at the end.
func (r *reader) space() byte {
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// open goes into an object or a list.
func (r *reader) open(bracket byte, what string) bool {
	if r.err != nil {
		return false
	}
	if r.space() != bracket {
		r.bad(what)
		return false
	}
	if r.depth++; r.depth > maxDepth || r.limit > 0 && r.depth > r.limit {
		r.bad("nested too deep")
		return false
	}
	r.pos++
	return true
}

// more says whether another element follows, and stands before it; else the
// object or list is over. first is true before the first element.
func (r *reader) more(first bool, bracket byte) bool {
	if r.err != nil {
		return false
	}
	c := r.space()
	if c == bracket {
		r.pos++
		r.depth--
		return false
	}
	if first {
		return true
	}
	if c != ',' {
		r.syntax()
		return false
	}
	r.pos++
	return true
}

func (r *reader) syntax() {
	if r.pos >= len(r.data) {
		r.bad("not JSON: it ends too early")
		return
	}
	r.bad("not JSON at byte " + strconv.Itoa(r.pos))
}

// end refuses anything behind the value.
func (r *reader) end() {
	if r.err == nil && (r.space() != 0 || r.pos < len(r.data)) {
		r.bad("not JSON: something follows at byte " + strconv.Itoa(r.pos))
	}
}

// key reads an object's key and the colon. It is good until the next escaped string.
func (r *reader) key() []byte {
	if r.space() != '"' {
		r.syntax()
		return nil
	}
	key := r.text()
	if r.err == nil {
		if r.space() != ':' {
			r.syntax()
			return nil
		}
		r.pos++
	}
	return key
}

// null takes a null, which is as good as the field's absence.
func (r *reader) null() bool {
	if r.err != nil || r.space() != 'n' {
		return false
	}
	return r.literal("null")
}

func (r *reader) literal(word string) bool {
	if len(r.data)-r.pos >= len(word) && string(r.data[r.pos:r.pos+len(word)]) == word {
		r.pos += len(word)
		return true
	}
	r.syntax()
	return false
}

// string reads a string into a copy of its own: nothing of the input is kept.
func (r *reader) string() string {
	if r.err != nil {
		return ""
	}
	if r.space() != '"' {
		r.wrong("a string is needed")
		return ""
	}
	return string(r.text())
}

// wrong is a value of the wrong type, or no value at all.
func (r *reader) wrong(what string) {
	switch c := r.space(); {
	case c == '"', c == '{', c == '[', c == '-', c >= '0' && c <= '9', c == 't', c == 'f', c == 'n':
		r.bad(what)
	default:
		r.syntax()
	}
}

// text reads the string at r.pos, which is its quote. What it gives is part of
// the input or of the scratch buffer.
func (r *reader) text() []byte {
	start := r.pos + 1
	n, ascii := cleanPrefix(r.data[start:])
	for i := start + n; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			s := r.data[start:i]
			if !ascii && !utf8.Valid(s) {
				r.bad("not UTF-8")
			}
			return s
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.pos = i
			r.syntax()
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.pos = len(r.data)
	r.syntax()
	return nil
}

// escaped reads on from the first backslash of a string.
func (r *reader) escaped(start, i int) []byte {
	b := append(r.scratch[:0], r.data[start:i]...)
	for i < len(r.data) {
		c := r.data[i]
		i++
		switch {
		case c == '"':
			r.pos = i
			r.scratch = b
			if !utf8.Valid(b) {
				r.bad("not UTF-8")
			}
			return b
		case c < ' ':
			r.pos = i - 1
			r.syntax()
			return nil
		case c != '\\':
			b = append(b, c)
			continue
		}
		if i == len(r.data) {
			break
		}
		c = r.data[i]
		i++
		switch c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			char, n := r.surrogates(i)
			if n == 0 {
				return nil
			}
			b = utf8.AppendRune(b, char)
			i += n
		default:
			r.pos = i - 1
			r.syntax()
			return nil
		}
	}
	r.pos = len(r.data)
	r.syntax()
	return nil
}

// surrogates reads the digits behind \u at i, and where they are the first half of
// a pair, the other half too. It gives the character and the number of bytes.
func (r *reader) surrogates(i int) (rune, int) {
	char, ok := r.hex4(i)
	if !ok {
		r.pos = min(i, len(r.data))
		r.syntax()
		return 0, 0
	}
	if char < 0xD800 || char > 0xDFFF {
		return char, 4
	}
	if char < 0xDC00 && i+6 <= len(r.data) && r.data[i+4] == '\\' && r.data[i+5] == 'u' {
		if low, ok := r.hex4(i + 6); ok && low >= 0xDC00 && low <= 0xDFFF {
			return (char-0xD800)<<10 + (low - 0xDC00) + 0x10000, 10
		}
	}
	r.bad("half of a surrogate pair")
	return 0, 0
}

func (r *reader) hex4(i int) (rune, bool) {
	if i+4 > len(r.data) {
		return 0, false
	}
	var n rune
	for _, c := range r.data[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | rune(c)
	}
	return n, true
}

func (r *reader) bool() bool {
	if r.err != nil {
		return false
	}
	switch r.space() {
	case 't':
		return r.literal("true")
	case 'f':
		r.literal("false")
		return false
	}
	r.wrong("true or false is needed")
	return false
}

// raw reads any value and gives it as it is written.
func (r *reader) raw() string {
	if r.err != nil {
		return ""
	}
	r.space()
	start := r.pos
	r.limit = r.depth + maxRawDepth
	r.skip()
	r.limit = 0
	if r.err != nil {
		return ""
	}
	return string(r.data[start:r.pos])
}

// strings reads a list of strings.
func (r *reader) strings() []string {
	var list []string
	if !r.open('[', "a list is needed") {
		return nil
	}
	for first := true; r.more(first, ']'); first = false {
		if list == nil {
			list = make([]string, 0, 4)
		}
		list = append(list, r.string())
		r.atIndex(len(list) - 1)
	}
	return list
}

func (r *reader) atIndex(i int) {
	if r.err != nil {
		r.at("[" + strconv.Itoa(i) + "]")
	}
}

// word reads an enum's value: one of its words, or its number. What lookup does
// not know is refused.
func (r *reader) word(byWord func([]byte) (int32, bool), known func(int32) bool) int32 {
	if r.err != nil {
		return 0
	}
	switch {
	case r.space() == '"':
		n, ok := byWord(r.text())
		if !ok {
			r.bad("an unknown word")
		}
		return n
	case r.atNumber():
		n := r.int32()
		if r.err == nil && !known(n) {
			r.bad("an unknown number")
		}
		return n
	}
	r.wrong("a word is needed")
	return 0
}
