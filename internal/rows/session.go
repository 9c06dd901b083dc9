package rows

import (
	"encoding/base32"

	"github.com/troupe-im/troupe/internal/protocol"
)

// sessionIn is how many bytes a session has in a key: whether its id begins with "p_", and
// the 10 bytes of its id.
const sessionIn = 1 + 10

var sessionWords = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// SessionKey is a session as keys have it; not ok is an id that no session can have.
func SessionKey(id protocol.SessionID) (key []byte, ok bool) {
	if len(id) != 2+16 || id[1] != '_' || id[0] != 's' && id[0] != 'p' {
		return nil, false
	}
	key = make([]byte, sessionIn)
	if id[0] == 'p' {
		key[0] = 1
	}
	n, err := sessionWords.Decode(key[1:], []byte(id[2:])) // skips line ends, hence n
	return key, err == nil && n == sessionIn-1
}

// SessionOf is the id of a SessionKey.
func SessionOf(key []byte) protocol.SessionID {
	id := [2 + 16]byte{'s', '_'}
	if key[0] == 1 {
		id[0] = 'p'
	}
	sessionWords.Encode(id[2:], key[1:sessionIn])
	return string(id[:])
}
