package search

import (
	"unicode"
	"unicode/utf8"
)

// class is what a folded rune is for grams.
type class uint8

const (
	gap    class = iota // punctuation and space: no gram goes over it
	letter              // of scripts with words: grams of three
	ideo                // of scripts without spaces: grams of two
	symbol              // emoji and the like: a gram each
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return letter
		}
		return gap
	case 0x3040 <= r && r <= 0x30ff, 0x3400 <= r && r <= 0x9fff, 0xac00 <= r && r <= 0xd7a3, 0x20000 <= r && r <= 0x3ffff:
		return ideo
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return letter
	case unicode.Is(unicode.So, r):
		return symbol
	}
	return gap
}

// grams calls add with the hash of every gram of a folded text.
func grams(text []byte, add func(uint64)) {
	var a, b rune // the two runes of the same class before
	var before class
	n := 0 // how many of them there are
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		i += size
		c := classOf(r)
		if c != before {
			before, n = c, 0
		}
		switch {
		case c == symbol:
			add(mix(uint64(r)))
		case c == ideo && n >= 1:
			add(mix(uint64(b)<<21 | uint64(r)))
		case c == letter && n >= 2:
			add(mix(uint64(a)<<42 | uint64(b)<<21 | uint64(r)))
		}
		a, b = b, r
		n++
	}
}

// mix spreads a number over 64 bits (splitmix64's finish); 0 is none's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x ^ x>>31) | 1
}
