package pebblestore

import (
	"bytes"
	"errors"
	"slices"

	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (x *Export) session(key, value []byte) (migrate.Item, error) {
	k := sessionOf(key)
	h, err := parseHead(value)
	if err != nil {
		return nil, err
	}
	h = x.s.lateOr(k, h)
	info, found, err := x.s.get(k.info())
	if err == nil && (!found || len(info) == 0) {
		err = errors.New("its session has no info")
	}
	if err != nil {
		return nil, err
	}
	s := &migrate.Session{ID: k.String(), Epoch: x.s.epochOf(h), Head: h.last, Message: h.message, Members: h.members, Info: info}
	if h.message > 0 {
		row, found, err := x.s.get(k.entry(h.message))
		if err == nil && (!found || len(row) < entryHeader) {
			err = errors.New("its session lacks its last message")
		}
		if err != nil {
			return nil, err
		}
		s.Last = row[entryHeader:]
	}
	return s, nil
}

// blocks gives all logs, block by block; the key of one is that of its last entry.
func (x *Export) blocks(after string, tell func(key []byte, item migrate.Item) error) error {
	var b *migrate.Block
	var last []byte // the key of the block's last entry
	done := func() error {
		if b == nil {
			return nil
		}
		if err := x.originals(sessionOf(last), b); err != nil {
			return err
		}
		whole := b
		b = nil
		return tell(last, whole)
	}
	err := x.s.scan(behindOf(tableEntry, after), []byte{tableEntry + 2}, func(key, row []byte) error {
		if len(key) != 1+sessionBytes+8 || len(row) < entryHeader {
			return x.s.bad(key, errShort)
		}
		seq := seqOf(key)
		if b != nil && ((seq-1)%migrate.BlockEntries == 0 || !bytes.Equal(key[:1+sessionBytes], last[:1+sessionBytes])) {
			if err := done(); err != nil {
				return err
			}
		}
		session := sessionOf(key).String()
		if _, err := parseEntry(session, key, row); err != nil {
			return x.s.bad(key, err)
		}
		if b == nil {
			b = &migrate.Block{Session: session, First: seq}
		}
		last = append(last[:0:0], key...)
		b.Entries = append(b.Entries, migrate.Entry{Data: bytes.Clone(row[entryHeader:]), Hash: [8]byte(row[9:entryHeader])})
		return nil
	})
	if err != nil {
		return err
	}
	return done()
}

// originals adds what a block's messages said before a moderator changed them.
func (x *Export) originals(k sessionKey, b *migrate.Block) error {
	from, to := k.original(b.First), k.original(b.First+int64(len(b.Entries)))
	return x.s.scan(from, to, func(key, value []byte) error {
		if _, err := parseOriginal(seqOf(key), value); err != nil {
			return x.s.bad(key, err)
		}
		b.Entries[seqOf(key)-b.First].Original = append([]byte{}, value...)
		return nil
	})
}

// marks gives, session by session, how far users have read and their devices received. The key of one is
// its session's head's, and the user.
func (x *Export) marks(after string, tell func(key []byte, item migrate.Item) error) error {
	from, user := []byte{tableHead}, ""
	if len(after) > 1+sessionBytes {
		from, user = []byte(after[:1+sessionBytes]), after[1+sessionBytes:] // once more, from a user on
	}
	first := from
	return x.s.scan(from, []byte{tableHead + 2}, func(key, _ []byte) error {
		k := sessionOf(key)
		all, err := x.marksOf(k)
		if err != nil {
			return err
		}
		for _, m := range all {
			if after != "" && bytes.Equal(key, first) && m.User <= user {
				continue
			}
			if err := tell(append(bytes.Clone(key), m.User...), m); err != nil {
				return err
			}
		}
		return nil
	})
}

// marksOf gives those of a session in the order of users.
func (x *Export) marksOf(k sessionKey) ([]*migrate.Mark, error) {
	by := map[protocol.UserID]*migrate.Mark{}
	of := func(user protocol.UserID) *migrate.Mark {
		if by[user] == nil {
			by[user] = &migrate.Mark{Session: k.String(), User: user}
		}
		return by[user]
	}
	err := x.s.scanPrefix(k.in(tableRead, 0), func(key, value []byte) error {
		n, err := parseNumber(value)
		if err != nil {
			return x.s.bad(key, err)
		}
		of(string(key[1+sessionBytes:])).Read = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = x.s.scanPrefix(k.in(tableRecv, 0), func(key, value []byte) error {
		n, err := parseNumber(value)
		user, device, ok := cutWord(key[1+sessionBytes:])
		if err != nil || !ok {
			return x.s.bad(key, either(err, errShort))
		}
		m := of(user)
		if m.Recv == nil {
			m.Recv = map[string]int64{}
		}
		m.Recv[string(device)] = n
		return nil
	})
	all := make([]*migrate.Mark, 0, len(by))
	for _, m := range by {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *migrate.Mark) int { return bytes.Compare([]byte(a.User), []byte(b.User)) })
	return all, err
}
