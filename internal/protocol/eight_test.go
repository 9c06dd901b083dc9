package protocol

import (
	"bytes"
	"testing"
)

func TestAPrefixEndsInTheEightWithTheFirstByteThatCounts(t *testing.T) {
	for _, around := range []byte{'a', ' ', '!', 0x7f} { // of them the neighbours of what counts
		for c := range 256 {
			for at := range 24 {
				b := bytes.Repeat([]byte{around}, 27)
				b[at] = byte(c)
				clean, plain := 24, 24
				if c < ' ' || c == '"' || c == '\\' {
					clean, plain = at/8*8, at/8*8
				} else if c >= 0x80 {
					plain = at / 8 * 8
				}
				if n, ascii := cleanPrefix(b); n != clean || ascii != (c < 0x80 || at >= n) {
					t.Errorf("%q: %d clean bytes, ASCII: %v; want %d", b, n, ascii, clean)
				}
				if n := plainPrefix(string(b)); n != plain {
					t.Errorf("%q: %d plain bytes, want %d", b, n, plain)
				}
			}
		}
	}
}
