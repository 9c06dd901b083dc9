package search

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folder folds texts, so that what people take for the same is the same: case, full and half
// width and other compatibility forms (NFKC's), accents, final and special letters of Latin and
// Greek; format characters, variation selectors and skin tones are left out, and any white space is
// one space. Traditional and simplified characters stay two. Changing it changes version.
type folder struct {
	text []byte // folded
	at   []int  // with exact: where in the text each byte of the folded text is from
	end  []int  // and where what it is from ends
}

// version is the first byte of a signature: of folding, grams and the signature's layout.
const version = 2

// fold replaces f.text. exact keeps where everything is from, in bytes.
func (f *folder) fold(text []byte, exact bool) {
	f.text, f.at, f.end = f.text[:0], f.at[:0], f.end[:0]
	for i := 0; i < len(text); {
		before, from := len(f.text), i
		if c := text[i]; c < utf8.RuneSelf {
			i++
			switch {
			case 'A' <= c && c <= 'Z':
				f.text = append(f.text, c+'a'-'A')
			case c > ' ' && c < 0x7f:
				f.text = append(f.text, c)
			default:
				f.space()
			}
		} else {
			r, n := utf8.DecodeRune(text[i:])
			i += n
			if 0x4e00 <= r && r <= 0x9fff { // folded already, and most of a Chinese text
				f.text = append(f.text, text[from:i]...)
			} else if d := norm.NFKD.Properties(text[from:i]).Decomposition(); d != nil {
				for len(d) > 0 {
					r, n := utf8.DecodeRune(d)
					d = d[n:]
					f.rune(r)
				}
			} else {
				f.rune(r)
			}
		}
		if exact {
			for range len(f.text) - before {
				f.at, f.end = append(f.at, from), append(f.end, i)
			}
		}
	}
	if n := len(f.text); n > 0 && f.text[n-1] == ' ' {
		f.text = f.text[:n-1]
	}
}

// space adds a space, unless the text begins here or has one.
func (f *folder) space() {
	if n := len(f.text); n > 0 && f.text[n-1] != ' ' {
		f.text = append(f.text, ' ')
	}
}

// special are letters whose folding no decomposition says.
var special = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ħ': "h", 'ı': "i", 'ŧ': "t", 'ς': "σ",
}

func (f *folder) rune(r rune) {
	switch {
	case r < utf8.RuneSelf && r > ' ':
		f.text = append(f.text, byte(unicode.ToLower(r)))
		return
	case unicode.IsSpace(r), unicode.IsControl(r):
		f.space()
		return
	case 0x300 <= r && r <= 0x36f, 0x1ab0 <= r && r <= 0x1aff, 0x1dc0 <= r && r <= 0x1dff, 0x20d0 <= r && r <= 0x20ff, // accents
		0xfe00 <= r && r <= 0xfe0f, 0x1f3fb <= r && r <= 0x1f3ff, 0xe0100 <= r && r <= 0xe01ef, // variants, skin tones
		unicode.Is(unicode.Cf, r):
		return
	}
	r = unicode.ToLower(r)
	if s, ok := special[r]; ok {
		f.text = append(f.text, s...)
		return
	}
	f.text = utf8.AppendRune(f.text, r)
}
