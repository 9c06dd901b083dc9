package protocol

import "encoding/binary"

// Eight bytes are looked at in one step: "Determine if a word has a byte less than n", and "has a byte equal to
// n", of Sean Anderson's Bit Twiddling Hacks.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// cleanPrefix is how many of the first bytes of a string, in whole eights, are neither a control character nor a
// quote nor a backslash, and whether all of those are ASCII.
func cleanPrefix(b []byte) (n int, ascii bool) {
	wide := uint64(0)
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		if ((x-' '*ones)&^x|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
		wide |= x
	}
	return n, wide&highs == 0
}

// plainPrefix is cleanPrefix that ends before what is not ASCII.
func plainPrefix(s string) (n int) {
	for ; len(s) >= 8; n, s = n+8, s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := x^'"'*ones, x^'\\'*ones
		if (x|(x-' '*ones)|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
	}
	return n
}
