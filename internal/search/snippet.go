package search

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A snippet has about snippetSize characters, of which some stand before the first mark, and
// marksKept marks at most.
const (
	snippetSize   = 120
	snippetBefore = 30
	marksKept     = 50
)

// hit makes a snippet of the text in which most of the words stand.
func (t *terms) hit(f Found, content []byte) Hit {
	h := Hit{Found: f}
	best, text := 0, []byte(nil)
	said(content, func(at field, b []byte) bool {
		t.field.fold(b, false)
		n := 0
		for _, w := range t.words {
			if bytes.Contains(t.field.text, w) {
				n++
			}
		}
		if n > best {
			best, text, h.Field = n, b, at.String()
		}
		return n < len(t.words)
	})
	h.Snippet, h.Marks = snippet(text, t.ranges(text))
	return h
}

// ranges are the bytes of text in which words stand, in order, none overlapping another.
func (t *terms) ranges(text []byte) (all [][2]int) {
	t.field.fold(text, true)
	for _, w := range t.words {
		for from := 0; len(all) < 4*marksKept; {
			i := bytes.Index(t.field.text[from:], w)
			if i < 0 {
				break
			}
			i += from
			from = i + len(w)
			all = append(all, [2]int{t.field.at[i], t.field.end[from-1]})
		}
	}
	slices.SortFunc(all, func(a, b [2]int) int { return a[0] - b[0] })
	kept := all[:0]
	for _, r := range all {
		if n := len(kept); n > 0 && r[0] < kept[n-1][1] {
			kept[n-1][1] = max(kept[n-1][1], r[1])
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// snippet cuts text around the first of the ranges and gives those that are in the piece, in
// UTF-16 units of it. Where it is cut there is an ellipsis; a white space or control character is a space.
func snippet(text []byte, ranges [][2]int) (string, [][2]int) {
	from := 0
	if len(ranges) > 0 {
		from = back(text, ranges[0][0], snippetBefore)
	}
	if utf8.RuneCount(text) <= snippetSize {
		from = 0
	}
	to, n := from, 0
	for ; to < len(text) && n < snippetSize; n++ {
		_, size := utf8.DecodeRune(text[to:])
		to += size
	}
	to = whole(text, to)
	var out []byte
	var marks [][2]int
	units := 0 // UTF-16 units written
	if from > 0 {
		out, units = append(out, "…"...), 1
	}
	for i := from; i < to; {
		for len(ranges) > 0 && ranges[0][0] <= i && len(marks) < marksKept { // may begin inside of a character's part that is left out
			marks = append(marks, [2]int{units, -ranges[0][1]})
			ranges = ranges[1:]
		}
		r, size := utf8.DecodeRune(text[i:])
		i += size
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			r = ' '
		}
		out = utf8.AppendRune(out, r)
		units++
		if r > 0xffff {
			units++
		}
		if n := len(marks); n > 0 && marks[n-1][1] < 0 && i >= -marks[n-1][1] {
			marks[n-1][1] = units
		}
	}
	if n := len(marks); n > 0 && marks[n-1][1] < 0 { // goes on behind the piece
		marks[n-1][1] = units
	}
	if to < len(text) {
		out = append(out, "…"...)
	}
	return string(out), marks
}

// back goes up to n characters back from at, and not into the middle of what is one character to people.
func back(text []byte, at, n int) int {
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRune(text[:at])
		at -= size
	}
	for at > 0 && joined(text, at) {
		_, size := utf8.DecodeLastRune(text[:at])
		at -= size
	}
	return at
}

// whole goes on to the end of what is one character to people.
func whole(text []byte, at int) int {
	for at < len(text) && joined(text, at) {
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return at
}

// joined says that a rune goes with the one before it: accents, variants, skin tones, what a joiner joins.
func joined(text []byte, at int) bool {
	r, _ := utf8.DecodeRune(text[at:])
	before, _ := utf8.DecodeLastRune(text[:at])
	const joiner = '\u200d'
	return unicode.Is(unicode.M, r) || r == joiner || before == joiner || 0x1f3fb <= r && r <= 0x1f3ff
}
