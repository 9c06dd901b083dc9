package protocol

import (
	"math/bits"
	"strings"
)

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
