package pebblestore

import (
	"bytes"
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// sameWords says that a change of a message left what it says as it was: reactions, mostly.
func sameWords(was, is *protocol.Content) bool { return proto.Equal(was, is) }

// Unsigned fills search.Store. Sessions come in the order of their heads' keys. It reads a head
// and a signature of each, some 5 µs together.
func (s *Store) Unsigned(ctx context.Context, behind protocol.SessionID, limit int) (sessions []protocol.SessionID, to protocol.SessionID, err error) {
	from := []byte{tableHead}
	if k, ok := parseSession(behind); ok {
		from = after(k.head())
	}
	looked := 0
	err = s.at(func(v view) (err error) {
		r := &searchReader{homeReader{view: v}}
		defer func() { err = errors.Join(err, r.close()) }()
		return scan(v.r, s.dir, from, []byte{tableHead + 2}, func(key, row []byte) error {
			k := sessionOf(key)
			h, err := parseHead(row)
			if err != nil {
				return s.bad(key, err)
			}
			h, _ = s.hidden.head(k, h)
			signed, err := r.signedTo(k)
			if err != nil {
				return err
			}
			left := signed < h.last
			if !left {
				err = r.each(k.unsigned(0), after(k.in(tableUnsigned, 0)), func(_, _ []byte) error { left = true; return nil })
			}
			if err = either(err, ctx.Err()); err != nil {
				return err
			}
			if left {
				sessions = append(sessions, k.String())
			}
			if looked++; looked == limit {
				to = k.String()
				return errEnough
			}
			return nil
		})
	})
	return sessions, to, err
}

// signedTo is the seq behind which nothing is signed.
func (r *searchReader) signedTo(k sessionKey) (seq int64, err error) {
	return seq, r.signatures(k, 0, 1<<50, func(block, n int64, _ []byte) bool { seq = block*search.BlockSize + n; return false })
}

// block is one that gets its signature.
type block struct {
	k       sessionKey
	n       int64
	changed []byte // its row of tableUnsigned as it was before it was read, nil: there was none
	row     []byte // of tableSignature, nil: it is not to be signed now
}

// blocksAtOnce is how many blocks are signed in one commit: some 100 KB.
const blocksAtOnce = 64

// Sign fills search.Store.
func (s *Store) Sign(ctx context.Context, sessions []protocol.SessionID, tails bool, sign func(messages []search.Message) []byte) (rest []protocol.SessionID, err error) {
	var blocks []block
	// What is noted as changed is read first, the messages behind it, and the notes once more
	// with the right to write: so no change comes between unseen.
	for i, id := range sessions {
		k, ok := parseSession(id)
		if !ok {
			continue
		}
		if blocks, err = s.unsignedOf(k, tails, blocks); err != nil {
			return nil, err
		}
		if len(blocks) >= blocksAtOnce {
			blocks, rest = blocks[:blocksAtOnce], sessions[i:]
			break
		}
	}
	var room signing
	err = s.Look(ctx, func(r search.Reader) error {
		for i := range blocks {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := signBlock(r.(*searchReader), &blocks[i], &room, sign); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(blocks) == 0 {
		return nil, err
	}
	return rest, s.update(func(t *tx) error {
		for _, b := range blocks {
			changed, found, err := t.get(b.k.unsigned(b.n))
			if err != nil {
				return err
			}
			if b.row == nil || found != (b.changed != nil) || !bytes.Equal(changed, b.changed) {
				continue // it changed once more, and is signed again
			}
			t.write(b.k.signature(b.n), b.row)
			if found {
				t.delete(b.k.unsigned(b.n))
			}
		}
		return nil
	})
}

// unsignedOf adds the blocks of a session that have to be signed; of the one that is not full only if
// tails, or if it has changed.
func (s *Store) unsignedOf(k sessionKey, tails bool, blocks []block) ([]block, error) {
	h, found, err := s.now().head(k)
	if err != nil || !found {
		return blocks, err
	}
	changed := map[int64][]byte{}
	err = s.scanPrefix(k.in(tableUnsigned, 0), func(key, row []byte) error {
		changed[seqOf(key)] = bytes.Clone(row)
		return nil
	})
	if err != nil {
		return blocks, err
	}
	r := &searchReader{homeReader{view: s.now(), one: true}}
	signed, err := r.signedTo(k)
	if err := errors.Join(err, r.close()); err != nil {
		return blocks, err
	}
	next, end := signed/search.BlockSize, h.last/search.BlockSize
	if tails && end*search.BlockSize < h.last && signed < h.last {
		end++
	}
	for n, row := range changed {
		if n < next || n >= end && n*search.BlockSize < h.last {
			blocks = append(blocks, block{k: k, n: n, changed: row})
		}
	}
	for n := next; n < end && len(blocks) < blocksAtOnce; n++ {
		blocks = append(blocks, block{k: k, n: n, changed: changed[n]})
	}
	return blocks, nil
}

// signing is room for a block's messages, used again for the next one.
type signing struct {
	messages []search.Message
	said     []byte // by all of them
}

// signBlock reads a block's messages and has them signed.
func signBlock(r *searchReader, b *block, room *signing, sign func(messages []search.Message) []byte) error {
	h, old, err := r.head(b.k)
	if err != nil {
		return err
	}
	from := b.n*search.BlockSize + 1
	to := min(from+search.BlockSize-1, h.last)
	for seq := range old.rows {
		if from <= seq && seq <= to {
			return nil // about to change: it is told of after that
		}
	}
	if room.messages == nil {
		*room = signing{make([]search.Message, 0, search.BlockSize), make([]byte, 0, 16<<10)}
	}
	messages, all := room.messages[:0], room.said[:0] // what was handed out stays where it is when all grows
	err = r.Messages(b.k.String(), from, to, func(m *search.Message) bool {
		at := len(all)
		all = append(append(all, m.Sender...), m.Content...)
		said := all[at:len(all):len(all)]
		messages = append(messages, search.Message{Seq: m.Seq, CreatedAt: m.CreatedAt, Expire: m.Expire, Sender: said[:len(m.Sender)], Content: said[len(m.Sender):]})
		return true
	})
	room.messages, room.said = messages, all
	if err == nil && to >= from {
		b.row = append([]byte{byte(to - from + 1)}, sign(messages)...)
	}
	return err
}
