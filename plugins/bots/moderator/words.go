package moderator

import (
	"unicode"
)

// level is what becomes of a message with a word; the highest wins.
type level byte

const (
	none level = iota
	hide       // the word is starred
	hold
	reject
)

var levels = map[string]level{"hide": hide, "hold": hold, "reject": reject}

// list is words to look for.
type list struct {
	byFirst map[rune][]word
}

type word struct {
	text  string
	runs  []run
	level level
}

func newList() *list { return &list{byFirst: map[rune][]word{}} }

// add puts a word into the list. One without letters is not one.
func (l *list) add(text string, lv level) bool {
	w := word{text: text, runs: fold([]rune(text)), level: lv}
	if len(w.runs) == 0 {
		return false
	}
	first := w.runs[0].letter
	l.byFirst[first] = append(l.byFirst[first], w)
	return true
}

// span is where a word stands among a text's runes.
type span struct {
	from, to int
	level    level
}

// find gives all words of the list that are in a text.
func (l *list) find(text []run) []span {
	var found []span
	for i := range text {
		for _, first := range []rune{text[i].letter, leet[text[i].letter]} {
			if first == 0 {
				continue
			}
			for _, w := range l.byFirst[first] {
				if end := w.at(text, i); end > 0 {
					found = append(found, span{text[i].from, text[end-1].to, w.level})
				}
			}
		}
	}
	return found
}

// at says where a word ends that begins at text[i]: the run behind it, 0 if it does not.
// A latin word stands alone, and has its letters beside each other, or tricks between
// them, or spaces between all of them (s p a m). "an us" is two words.
func (w *word) at(text []run, i int) int {
	alone := latin(w.runs[0].letter)
	if alone && i > 0 && text[i-1].after == nothing && latin(text[i-1].letter) && unicode.IsLetter(text[i-1].letter) {
		return 0
	}
	end := i
	real, spaces, together := false, 0, 0
	for k, want := range w.runs {
		// s s are two runs, and ss in a word is one.
		for count := 0; count < want.count; end++ {
			if end == len(text) {
				return 0
			}
			got := text[end]
			if end > i {
				switch gap := text[end-1].after; {
				case gap == wall:
					return 0
				case gap == space && (count > 0 || w.runs[k-1].after != space):
					spaces++
				case gap == nothing:
					together++
				}
			}
			switch {
			case got.letter == want.letter:
				real = true
			case leet[got.letter] != want.letter:
				return 0
			}
			if count += got.count; count > want.count && alone && got.count < 3 {
				return 0
			}
		}
	}
	last := text[end-1]
	switch {
	case !real:
		return 0 // a number
	case alone && spaces > 0 && together > 0:
		return 0
	case alone && end < len(text) && last.after == nothing && latin(text[end].letter) && unicode.IsLetter(text[end].letter):
		return 0
	}
	return end
}
