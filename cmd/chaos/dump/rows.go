package main

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/cmd/chaos/entry"
	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// The tables that are read: the first byte of a key, whose lowest bit says
// whether the session's id begins with s_ or with p_. Ten bytes of session follow.
const (
	head   = 0x10 // epoch 8, head 8, newest message 8, members 8
	line   = 0x14 // seq 8 → header 17, the entry as protobuf
	sent   = 0x16 // key 16 → seq 8, created at 8, hash 8
	member = 0x18 // user → flags 1, varints role, order, joined at, floor, then what a dump does not need
	mark   = 0x1a // user → seq 8

	original = 0x88 // bit of the session 1, session, seq 8 → what a message said before moderation
)

const (
	sessionBytes = 10
	entryHeader  = 17
)

var words = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func sessionID(key []byte) string {
	return []string{"s_", "p_"}[key[0]&1] + words.EncodeToString(key[1:1+sessionBytes])
}

// read gives every session of the store, ordered by its id.
func read(db *pebble.DB) (*history.Dump, error) {
	sessions := map[string]*history.Stored{}
	marks := map[string]map[string]int64{}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{head}, UpperBound: []byte{mark + 2}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if len(key) < 1+sessionBytes {
			return nil, errors.Join(fmt.Errorf("key %x is too short", key), it.Close())
		}
		id, rest := sessionID(key), key[1+sessionBytes:]
		s := sessions[id]
		if s == nil {
			s = &history.Stored{Session: id}
			sessions[id], marks[id] = s, map[string]int64{}
		}
		if err := row(s, marks[id], key[0]&^1, rest, value); err != nil {
			return nil, errors.Join(fmt.Errorf("key %x: %w", key, err), it.Close())
		}
	}
	if err := errors.Join(it.Close(), originals(db, sessions)); err != nil {
		return nil, err
	}
	all := &history.Dump{}
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		s := sessions[id]
		for i, m := range s.Members {
			s.Members[i].Read = marks[id][m.User]
		}
		all.Sessions = append(all.Sessions, s)
	}
	return all, nil
}

// originals adds the seqs of the rows of originals to their sessions.
func originals(db *pebble.DB, sessions map[string]*history.Stored) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{original}, UpperBound: []byte{original + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+1+sessionBytes+8 {
			return errors.Join(fmt.Errorf("key %x: is none of an original", key), it.Close())
		}
		id := sessionID(key[1:])
		s := sessions[id]
		if s == nil {
			return errors.Join(fmt.Errorf("key %x: there is no session %s", key, id), it.Close())
		}
		s.Originals = append(s.Originals, number(key[2+sessionBytes:]))
	}
	return it.Close()
}

var errShort = errors.New("the row is too short")

func row(s *history.Stored, marks map[string]int64, table byte, rest, value []byte) error {
	switch table {
	case head:
		if len(value) < 16 {
			return errShort
		}
		s.Head = number(value[8:])
	case line:
		if len(rest) != 8 || len(value) < entryHeader {
			return errShort
		}
		e, err := entry.Parse(value[entryHeader:])
		if err != nil {
			return err
		}
		e.Session, e.Seq = s.Session, number(rest)
		e.ID = s.Session + "." + strconv.FormatInt(e.Seq, 10)
		s.Head = max(s.Head, e.Seq) // a head's row may be behind after a kill, never ahead
		s.Entries = append(s.Entries, e)
	case sent:
		if len(rest) != 16 || len(value) < 8 {
			return errShort
		}
		s.Sent = append(s.Sent, history.Sent{Key: hex.EncodeToString(rest), Seq: number(value)})
	case member:
		if len(value) == 0 {
			return errShort
		}
		m, b := history.Member{User: string(rest)}, value[1:]
		for range 4 { // role, order, joined at, floor
			v, n := binary.Varint(b)
			if n <= 0 {
				return errShort
			}
			m.Floor, b = v, b[n:]
		}
		s.Members = append(s.Members, m)
	case mark:
		if len(value) != 8 {
			return errShort
		}
		marks[string(rest)] = number(value)
	}
	return nil
}

func number(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
