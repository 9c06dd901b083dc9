package moderator

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// run is a letter of a text, as often as it follows itself: of "spaaam" the third is a,
// three times. Case and width are folded: Ｓ, s and S are one letter.
type run struct {
	letter rune
	count  int
	from   int // of the text's runes
	to     int // behind the last
	after  gap // what stands between it and the next run
}

// gap is what stands between two letters.
type gap byte

const (
	nothing gap = iota
	trick       // what is put between the letters of a word to hide it: s.p.a.m
	space
	wall // the end of a clause: no word goes on behind it
)

// tricks are put between letters; all else that is no letter ends a clause.
const tricks = "*-_.·•|/\\~+^#`'’\u30fb"

// fold reads a text's letters.
func fold(text []rune) []run {
	runs := make([]run, 0, len(text))
	for i, r := range text {
		switch {
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r): // invisible, or a mark on the last letter
			continue
		case r < unicode.MaxASCII:
			runs = letter(runs, unicode.ToLower(r), i)
			continue
		}
		for _, f := range norm.NFKC.String(string(r)) {
			runs = letter(runs, unicode.ToLower(f), i)
		}
	}
	return runs
}

func letter(runs []run, r rune, i int) []run {
	last := len(runs) - 1
	if !unicode.IsLetter(r) && !unicode.IsDigit(r) && leet[r] == 0 {
		if last < 0 {
			return runs
		}
		g := wall
		switch {
		case unicode.IsSpace(r):
			g = space
		default:
			for _, t := range tricks {
				if r == t {
					g = trick
				}
			}
		}
		runs[last].after = max(runs[last].after, g)
		return runs
	}
	if last >= 0 && runs[last].letter == r && runs[last].after == nothing {
		runs[last].count++
		runs[last].to = i + 1
		return runs
	}
	return append(runs, run{letter: r, count: 1, from: i, to: i + 1})
}

// leet are signs that are written for letters.
var leet = map[rune]rune{
	'0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', '$': 's', '!': 'i',
}

// latin says whether words of this letter have spaces around them.
func latin(r rune) bool { return r < 0x2e80 }
