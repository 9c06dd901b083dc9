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
	ideo                // of scripts without spaces: grams of two, and of one that is not of every day
	symbol              // emoji and the like: a gram each
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return ascii[r]
	case 0x3040 <= r && r <= 0x30ff, 0x3400 <= r && r <= 0x9fff, 0xac00 <= r && r <= 0xd7a3, 0x20000 <= r && r <= 0x3ffff:
		return ideo
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return letter
	case unicode.Is(unicode.So, r):
		return symbol
	}
	return gap
}

// ascii are the classes of folded ASCII.
var ascii = func() (all [utf8.RuneSelf]class) {
	for c := range all {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			all[c] = letter
		}
	}
	return all
}()

// everyday are characters so frequent in Chinese that they are in most blocks: alone they are no gram. A
// search for one of them soon has its page. Changing them changes version.
const everyday = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运吧呢吗啊哦嗯哈这個們來為國說時會對發後裡種經麼學現當沒動還進點樣開從實無與長機關業將兩間問應戰頭體見產給話"

// isEveryday is a bit for each character from U+4E00 on.
var isEveryday = func() (set [(0xa000 - 0x4e00) / 64]uint64) {
	for _, r := range everyday {
		set[(r-0x4e00)/64] |= 1 << ((r - 0x4e00) % 64)
	}
	return set
}()

// telling says that a character of a script without spaces is a gram alone, too: kana are not.
func telling(r rune) bool {
	if 0x4e00 <= r && r < 0xa000 {
		return isEveryday[(r-0x4e00)/64]>>((r-0x4e00)%64)&1 == 0
	}
	return r > 0x30ff
}

// asciiGrams are grams of three letters or digits of ASCII, a bit each: see addASCII.
type asciiGrams [asciiCodes*asciiCodes*asciiCodes/64 + 1]uint64

const (
	asciiCodes = 1 + 26 + 10 // of gap and of each letter, small and capital alike
	notASCII   = 0xff
)

// asciiCode is 0 for a gap.
var asciiCode = func() (all [256]uint8) {
	for c := range all {
		switch {
		case c >= utf8.RuneSelf:
			all[c] = notASCII
		case 'a' <= c && c <= 'z':
			all[c] = uint8(1 + c - 'a')
			all[c-'a'+'A'] = all[c]
		case '0' <= c && c <= '9':
			all[c] = uint8(27 + c - '0')
		}
	}
	return all
}()

// addASCII notes the grams of a text that is nothing but ASCII: those of appendGrams after fold, for a
// tenth of the time where words come again. Of another text it notes some of its grams, and says false.
func (s *signer) addASCII(text []byte) bool {
	var a, b uint8 // the codes before
	for i, c := range text {
		code := asciiCode[c]
		if code == notASCII {
			return false
		}
		if code != 0 && b != 0 && a != 0 {
			at := (uint(a)*asciiCodes+uint(b))*asciiCodes + uint(code)
			if set := &s.plain[at/64]; *set>>(at%64)&1 == 0 {
				*set |= 1 << (at % 64)
				s.add(mix(lower(text[i-2])<<42 | lower(text[i-1])<<21 | lower(c)))
			}
		}
		a, b = b, code
	}
	return true
}

func lower(c byte) uint64 {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return uint64(c)
}

// appendGrams appends the hash of every gram of a folded text to to. One that comes twice
// in the text may be there twice.
func appendGrams(to []uint64, text []byte) []uint64 {
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
			to = append(to, mix(uint64(r)))
		case c == ideo:
			if n >= 1 {
				to = append(to, mix(uint64(b)<<21|uint64(r)))
			}
			if telling(r) {
				to = append(to, mix(uint64(r)))
			}
		case c == letter && n >= 2:
			to = append(to, mix(uint64(a)<<42|uint64(b)<<21|uint64(r)))
		}
		a, b = b, r
		n++
	}
	return to
}

// mix spreads a number over 64 bits (splitmix64's finish); 0 is none's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x ^ x>>31) | 1
}
