package protocol

import (
	"math/bits"
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
	ascii := true
	for i := start; i < len(r.data); i++ {
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

// number takes a number as it is written; whole says that it has no fraction and
// no exponent.
func (r *reader) number() (digits []byte, whole bool) {
	i := r.pos
	at := func() byte {
		if i < len(r.data) {
			return r.data[i]
		}
		return 0
	}
	run := func() bool {
		from := i
		for c := at(); c >= '0' && c <= '9'; c = at() {
			i++
		}
		return i > from
	}
	if at() == '-' {
		i++
	}
	zero := at() == '0'
	from := i
	ok := run() && (!zero || i == from+1)
	whole = true
	if ok && at() == '.' {
		i++
		whole, ok = false, run()
	}
	if c := at(); ok && (c == 'e' || c == 'E') {
		i++
		if c := at(); c == '+' || c == '-' {
			i++
		}
		whole, ok = false, run()
	}
	digits = r.data[r.pos:i]
	r.pos = i
	if !ok {
		r.syntax()
	}
	return digits, whole
}

func (r *reader) atNumber() bool {
	c := r.space()
	return c == '-' || c >= '0' && c <= '9'
}

// int reads an integer within ±2^53.
func (r *reader) int() int64 {
	if r.err != nil {
		return 0
	}
	if !r.atNumber() {
		r.wrong("a whole number is needed")
		return 0
	}
	digits, whole := r.number()
	if r.err != nil {
		return 0
	}
	if !whole {
		r.bad("a whole number is needed")
		return 0
	}
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	var n int64
	for _, c := range digits {
		if n = n*10 + int64(c-'0'); n > maxInteger {
			r.fail(Code_OUT_OF_RANGE, "a whole number within 2^53 is needed")
			return 0
		}
	}
	if negative {
		n = -n
	}
	return n
}

// int32 reads an integer of 32 bits.
func (r *reader) int32() int32 {
	n := r.int()
	if int64(int32(n)) != n {
		r.fail(Code_OUT_OF_RANGE, "a whole number within 2^31 is needed")
		return 0
	}
	return int32(n)
}

func (r *reader) double() float64 {
	if r.err != nil {
		return 0
	}
	if !r.atNumber() {
		r.wrong("a number is needed")
		return 0
	}
	digits, _ := r.number()
	if r.err != nil {
		return 0
	}
	x, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		r.fail(Code_OUT_OF_RANGE, "a number that a double holds is needed")
		return 0
	}
	return x
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

// object reads an object into m.
func (r *reader) object(m fields) {
	if !r.open('{', "an object is needed") {
		return
	}
	var seen, present uint64
	var others keys
	for first := true; r.more(first, '}'); first = false {
		key := r.key()
		if r.err != nil {
			return
		}
		i := m.fieldOf(key)
		if i < 0 {
			r.other(key, &others, m.names())
			continue
		}
		if r.once(&seen, i) && !r.null() {
			m.readField(r, i)
			present |= 1 << i
		}
		if r.err != nil {
			r.at(m.names()[i])
			return
		}
	}
	r.missing(m, present)
}

// once refuses a field that stands twice.
func (r *reader) once(seen *uint64, i int) bool {
	bit := uint64(1) << i
	if *seen&bit != 0 {
		r.bad("stands twice")
		return false
	}
	*seen |= bit
	return true
}

// missing refuses an object without a field that must be there.
func (r *reader) missing(m fields, seen uint64) {
	if lack := m.needs() &^ seen; lack != 0 && r.err == nil {
		r.bad("is missing")
		r.at(m.names()[bits.TrailingZeros64(lack)])
	}
}

// other skips the value of an unknown key, which must not stand twice, nor be a
// known one in other letters.
func (r *reader) other(key []byte, others *keys, known ...[]string) {
	name := string(key)
	for _, names := range known {
		for _, n := range names {
			if strings.EqualFold(n, name) {
				r.bad("other letter case: it is " + n)
			}
		}
	}
	if !others.add(name) {
		r.bad("stands twice")
	}
	r.skip()
	if r.err != nil {
		r.at(shortened(name))
	}
}

// shortened keeps an error's text readable whatever the key.
func shortened(key string) string {
	if key == "" {
		return `""`
	}
	const most = 40
	if len(key) <= most {
		return key
	}
	return strings.ToValidUTF8(key[:most], "") + "…"
}

// objects reads a list of objects, each into a new one.
func objects[M any, P interface {
	*M
	fields
}](r *reader) []P {
	var list []P
	if !r.open('[', "a list is needed") {
		return nil
	}
	for first := true; r.more(first, ']'); first = false {
		m := P(new(M))
		r.object(m)
		r.atIndex(len(list))
		list = append(list, m)
	}
	return list
}

// readMap reads an object whose keys are data.
func readMap[V any](r *reader, value func() V) map[string]V {
	if !r.open('{', "an object is needed") {
		return nil
	}
	m := map[string]V{}
	for first := true; r.more(first, '}'); first = false {
		key := string(r.key())
		if r.err != nil {
			return nil
		}
		if _, twice := m[key]; twice {
			r.bad("stands twice")
		} else {
			m[key] = value()
		}
		if r.err != nil {
			r.at(shortened(key))
			return nil
		}
	}
	return m
}

// skip reads any value and keeps nothing of it.
func (r *reader) skip() {
	if r.err != nil {
		return
	}
	switch c := r.space(); {
	case c == '"':
		r.text()
	case c == '{':
		r.skipObject()
	case c == '[':
		r.open('[', "")
		for first := true; r.more(first, ']'); first = false {
			r.skip()
		}
	case c == '-', c >= '0' && c <= '9':
		r.number()
	case c == 't':
		r.literal("true")
	case c == 'f':
		r.literal("false")
	case c == 'n':
		r.literal("null")
	default:
		r.syntax()
	}
}

func (r *reader) skipObject() {
	r.open('{', "")
	var others keys
	for first := true; r.more(first, '}'); first = false {
		key := r.key()
		if r.err == nil && !others.add(string(key)) {
			r.bad("a key stands twice")
		}
		r.skip()
	}
}

// keys is a small set of the keys of one object.
type keys struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

// add says whether key was not in it yet.
func (k *keys) add(key string) bool {
	if k.many != nil {
		before := len(k.many)
		k.many[key] = struct{}{}
		return len(k.many) > before
	}
	for _, other := range k.few[:k.n] {
		if other == key {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	k.many = map[string]struct{}{key: {}}
	for _, other := range k.few {
		k.many[other] = struct{}{}
	}
	return true
}
