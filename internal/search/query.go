package search

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// terms are the folded words and phrases that a message has to have, all of them.
type terms struct {
	words [][]byte
	grams []uint64 // of all of them; none: no signature helps
	plain bool     // it is one word, of characters alone that no folding makes of others in a plain text
	field folder
}

// parse reads what somebody typed: words, and phrases in quotation marks. BAD_REQUEST.
func parse(text string) (*terms, error) {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxQuery {
		return nil, protocol.BadRequest("q: 1 to %d characters are needed", maxQuery)
	}
	t := &terms{}
	add := func(word string) {
		t.field.fold([]byte(word), false)
		if len(t.field.text) > 0 && !slices.ContainsFunc(t.words, func(w []byte) bool { return bytes.Equal(w, t.field.text) }) {
			t.words = append(t.words, bytes.Clone(t.field.text))
		}
	}
	const quotes = "\"“”„«»「」"
	for i, part := range strings.Split(quoted(text, quotes), string(quote)) {
		if phrase := i%2 == 1; phrase {
			add(part)
			continue
		}
		for _, word := range strings.FieldsFunc(part, unicode.IsSpace) {
			add(word)
		}
	}
	if len(t.words) == 0 {
		return nil, protocol.BadRequest("q: 1 to %d characters are needed", maxQuery)
	}
	if len(t.words) > maxWords {
		return nil, protocol.BadRequest("q: %d words at most", maxWords)
	}
	for _, w := range t.words {
		t.grams = appendGrams(t.grams, w)
	}
	slices.Sort(t.grams)
	t.grams = slices.Compact(t.grams)
	t.plain = len(t.words) == 1 && !bytes.ContainsFunc(t.words[0], func(r rune) bool { return r < 0x4e00 || r > 0x9fff })
	// The rarest first would be best; the longest mostly is.
	slices.SortStableFunc(t.words, func(a, b []byte) int { return len(b) - len(a) })
	return t, nil
}

// quote stands for every quotation mark.
const quote = '\x00'

// quoted replaces the marks.
func quoted(text, marks string) string {
	return strings.Map(func(r rune) rune {
		if r == quote {
			return ' '
		}
		if strings.ContainsRune(marks, r) {
			return quote
		}
		return r
	}, text)
}

// plain says that a text is of ASCII, Chinese characters and their punctuation alone: folding it makes no
// such character, and brings no two together that are not.
func plain(text []byte) bool {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c < utf8.RuneSelf:
			i++
		case 0xe4 <= c && c <= 0xe9, // U+4000 to U+9FFF
			c == 0xef && i+1 < len(text) && text[i+1] == 0xbc,                        // full width ASCII
			c == 0xe3 && i+2 < len(text) && text[i+1] == 0x80 && text[i+2] < 0x80+16: // 、。「」 and the like
			i += 3
		default:
			return false
		}
	}
	return true
}

// in says whether a content has all words, each in any of its texts.
func (t *terms) in(content []byte) bool {
	if len(t.words) == 1 {
		found := false
		said(content, func(_ field, text []byte) bool {
			if t.plain && plain(text) {
				found = bytes.Contains(text, t.words[0])
				return !found
			}
			t.field.fold(text, false)
			found = bytes.Contains(t.field.text, t.words[0])
			return !found
		})
		return found
	}
	var found uint32
	said(content, func(_ field, text []byte) bool {
		t.field.fold(text, false)
		for i, w := range t.words {
			if found&(1<<i) == 0 && bytes.Contains(t.field.text, w) {
				found |= 1 << i
			}
		}
		return found != 1<<len(t.words)-1
	})
	return found == 1<<len(t.words)-1
}
