package pebblestore

import (
	"encoding/base32"
	"encoding/binary"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Every row of the store lies in a table, which is the first byte of its key.
// This is the whole list; a number is never given to another table.
//
// A session in a key is the 10 bytes of its id; whether the id begins with "s_"
// or "p_" is the lowest bit of the table byte (0: s_), so that key and id
// say the same thing. Numbers are big-endian, so that keys lie in their order.
// A user or device in a key that something follows ends with a zero byte, which no id contains.
const (
	tableMeta   = 0x01 // name → what it says: see meta.go
	tableHead   = 0x10 // session → head
	tableInfo   = 0x12 // session → protocol.SessionInfo
	tableEntry  = 0x14 // session, seq 8 → entry header, protocol.Entry
	tableSent   = 0x16 // session, SentKey 16 → seq 8, created at 8, hash 8
	tableMember = 0x18 // session, user → member
	tableRead   = 0x1a // session, user → read seq 8
	tableRecv   = 0x1c // session, user 0, device → received seq 8
	tableDeed   = 0x1e // session, target's seq 8, user 0, kind 1, word → seq 8
	tableDue    = 0x20 // time 8, table of session 1, session, seq 8 → nothing
	tableHome   = 0x22 // user 0, table of session 1, session → nothing

	tableSignature = 0x84 // session, block 8 → search's signature of 64 entries: see search.go
	tableUnsigned  = 0x86 // session, block 8 → the number of the change that made a signed block's words others

	// 0x40 to 0x5f belong to users.go, 0x60 to 0x67 to contacts_rows.go, 0x68 to 0x6f to
	// links.go and notices.go. No session bit there.
	tableUsersFirst = 0x40
	tableUsersLast  = 0x5f

	// 0x88 belongs to originals.go; 0x89 and 0x8a to bots.go; the others of 0x70 to 0x83 and 0x8b to
	// 0x91 to internal/rows. No session bit there.
)

const sessionBytes = 10

// sessionKey is a session as keys hold it: the bit for the table byte, and the id's bytes.
type sessionKey struct {
	bit byte
	id  [sessionBytes]byte
}

var sessionWords = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// parseSession gives the key of a session id; not ok is an id that no session can have.
func parseSession(id protocol.SessionID) (k sessionKey, ok bool) {
	if len(id) != 2+16 || id[1] != '_' {
		return k, false
	}
	switch id[0] {
	case 's':
	case 'p':
		k.bit = 1
	default:
		return k, false
	}
	var word [16]byte
	copy(word[:], id[2:])
	n, err := sessionWords.Decode(k.id[:], word[:]) // skips line ends, hence n
	return k, err == nil && n == sessionBytes
}

// String is the session's id.
func (k sessionKey) String() string {
	id := [2 + 16]byte{'s', '_'}
	if k.bit == 1 {
		id[0] = 'p'
	}
	sessionWords.Encode(id[2:], k.id[:])
	return string(id[:])
}

// in begins a key of table for the session.
func (k sessionKey) in(table byte, room int) []byte {
	b := make([]byte, 0, 1+sessionBytes+room)
	b = append(b, table|k.bit)
	return append(b, k.id[:]...)
}

// sessionOf reads the session that a key of a session's table begins with.
func sessionOf(key []byte) (k sessionKey) {
	k.bit = key[0] & 1
	copy(k.id[:], key[1:])
	return k
}

func (k sessionKey) head() []byte { return k.in(tableHead, 0) }
func (k sessionKey) info() []byte { return k.in(tableInfo, 0) }
func (k sessionKey) entry(seq int64) []byte {
	return binary.BigEndian.AppendUint64(k.in(tableEntry, 8), uint64(seq))
}
func (k sessionKey) sent(key [16]byte) []byte {
	return append(k.in(tableSent, 16), key[:]...)
}
func (k sessionKey) member(user protocol.UserID) []byte {
	return append(k.in(tableMember, len(user)), user...)
}
func (k sessionKey) read(user protocol.UserID) []byte {
	return append(k.in(tableRead, len(user)), user...)
}
func (k sessionKey) recv(user protocol.UserID, device string) []byte {
	b := append(k.in(tableRecv, len(user)+1+len(device)), user...)
	return append(append(b, 0), device...)
}

func (k sessionKey) signature(block int64) []byte {
	return binary.BigEndian.AppendUint64(k.in(tableSignature, 8), uint64(block))
}
func (k sessionKey) unsigned(block int64) []byte {
	return binary.BigEndian.AppendUint64(k.in(tableUnsigned, 8), uint64(block))
}

// deeds begins the keys of what user did to an entry.
func (k sessionKey) deeds(target int64, user protocol.UserID, room int) []byte {
	b := binary.BigEndian.AppendUint64(k.in(tableDeed, 8+len(user)+1+room), uint64(target))
	return append(append(b, user...), 0)
}

func (k sessionKey) deed(e *protocol.Entry, word string) []byte {
	return append(append(k.deeds(e.Target, e.Sender, 1+len(word)), byte(e.Kind)), word...)
}

func (k sessionKey) due(at, seq int64) []byte {
	b := make([]byte, 0, 1+8+1+sessionBytes+8)
	b = append(b, tableDue)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = append(b, k.bit)
	b = append(b, k.id[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

func homeOf(user protocol.UserID) []byte {
	return append(append(append(make([]byte, 0, len(user)+2+1+sessionBytes), tableHome), user...), 0)
}

func (k sessionKey) home(user protocol.UserID) []byte {
	return append(append(homeOf(user), k.bit), k.id[:]...)
}

// rowKey makes a key of a table from words, each but the last ending with a zero byte.
func rowKey(table byte, words ...string) []byte {
	b := []byte{table}
	for i, w := range words {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, w...)
	}
	return b
}

// after is the first key behind all those that begin with prefix; nil is the end of all.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}
