package filectr

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// version is what releases and clients call themselves: up to six numbers with dots
// between, perhaps - and words for what comes before that version, perhaps + and more.
// A number behind + is the build. So 1.4.2, 10402, 2.0-beta.1 and 1.4.2+10402 are some.
type version struct {
	numbers []int64
	before  []string // 1.0-beta.2 comes before 1.0
	build   int64    // 0: not said
}

// maxVersion is in bytes, maxNumber in digits of one of its numbers.
const (
	maxVersion = 64
	maxNumbers = 6
	maxNumber  = 15
)

// parseVersion reads a version; a v in front of it is passed over.
func parseVersion(text string) (v version, ok bool) {
	if len(text) > maxVersion {
		return v, false
	}
	if text != "" && (text[0] == 'v' || text[0] == 'V') {
		text = text[1:]
	}
	text, more, said := strings.Cut(text, "+")
	if said {
		if !isWords(more) {
			return v, false
		}
		if n, ok := number(more); ok {
			v.build = n
		}
	}
	text, before, said := strings.Cut(text, "-")
	if said {
		if !isWords(before) {
			return v, false
		}
		v.before = strings.Split(before, ".")
	}
	for word := range strings.SplitSeq(text, ".") {
		n, ok := number(word)
		if !ok || len(v.numbers) == maxNumbers {
			return v, false
		}
		v.numbers = append(v.numbers, n)
	}
	return v, true
}

func number(word string) (int64, bool) {
	if word == "" || len(word) > maxNumber || strings.Trim(word, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(word, 10, 64)
	return n, err == nil
}

// isWords says whether text is words of letters, digits and - with dots between.
func isWords(text string) bool {
	for word := range strings.SplitSeq(text, ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return true
}

// compare orders versions: by their numbers from the left, missing ones being 0; of the
// same numbers what comes before is older, word by word as SemVer 2.0.0 (section 11) has
// it; then by their builds.
func (v version) compare(w version) int {
	return cmp.Or(v.compareName(w), cmp.Compare(v.build, w.build))
}

// older is compare where one of the two may not have said its build.
func (v version) older(w version) bool {
	if v.build == 0 || w.build == 0 {
		return v.compareName(w) < 0
	}
	return v.compare(w) < 0
}

// alike says whether clients cannot tell two versions apart, as one may not have said its
// build.
func (v version) alike(w version) bool { return !v.older(w) && !w.older(v) }

func (v version) compareName(w version) int {
	at := func(of []int64, i int) int64 {
		if i < len(of) {
			return of[i]
		}
		return 0
	}
	for i := range max(len(v.numbers), len(w.numbers)) {
		if c := cmp.Compare(at(v.numbers, i), at(w.numbers, i)); c != 0 {
			return c
		}
	}
	switch {
	case len(v.before) == 0 && len(w.before) == 0:
		return 0
	case len(v.before) == 0:
		return 1
	case len(w.before) == 0:
		return -1
	}
	return slices.CompareFunc(v.before, w.before, func(a, b string) int {
		m, isM := number(a)
		n, isN := number(b)
		switch {
		case isM && isN:
			return cmp.Compare(m, n)
		case isM:
			return -1
		case isN:
			return 1
		}
		return strings.Compare(a, b)
	})
}
