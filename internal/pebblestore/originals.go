package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// tableOriginal has what messages said before a moderator changed them or held them back:
// table of session 1, session, seq 8 → protocol.Entry with its content and mentions only.
const tableOriginal = 0x88

func (k sessionKey) original(seq int64) []byte {
	b := append(make([]byte, 0, 1+1+sessionBytes+8), tableOriginal, k.bit)
	return binary.BigEndian.AppendUint64(append(b, k.id[:]...), uint64(seq))
}

// Original fills actors.Journal.
func (s *Store) Original(ctx context.Context, session protocol.SessionID, seq int64) (o *actors.Original, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	found, err := s.now().row(k.original(seq), func(b []byte) (err error) { o, err = parseOriginal(seq, b); return err })
	if err != nil || !found {
		return nil, either(err, protocol.NotFound("the original of message %s", protocol.MessageID(session, seq)))
	}
	return o, nil
}

// Dealt fills actors.Journal.
func (s *Store) Dealt(ctx context.Context, session protocol.SessionID, before int64, limit int) (entries []*protocol.Entry, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	to := k.original(before)
	if before <= 0 {
		to = k.original(math.MaxInt64)
	}
	seqs, err := s.newest(k.original(0), to, limit)
	for _, seq := range seqs {
		if err == nil {
			var found []*protocol.Entry
			found, err = s.Range(ctx, session, seq, seq, 1, 1)
			entries = append(entries, found...)
		}
	}
	return entries, err
}

// newest gives the seqs that up to limit keys from..to end with, the last key's first.
func (s *Store) newest(from, to []byte, limit int) (seqs []int64, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s: %w", s.dir, err)
	}
	for ok := it.Last(); ok && len(seqs) < limit; ok = it.Prev() {
		seqs = append(seqs, seqOf(it.Key()))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("pebblestore: %s: %w", s.dir, err)
	}
	return seqs, nil
}

func parseOriginal(seq int64, row []byte) (*actors.Original, error) {
	var e protocol.Entry
	if err := proto.Unmarshal(row, &e); err != nil {
		return nil, err
	}
	return &actors.Original{Seq: seq, Content: e.Content, Mentions: e.Mentions}, nil
}

// kept is the original of an Append: its row, nil where it ends, and the files that it and
// the one before it name.
type kept struct {
	seq     int64 // 0: there is none
	row     []byte
	was, is []string
}

// checkOriginal encodes what an Append keeps, and reads what that takes the place of.
func (c *committer) checkOriginal(k sessionKey, o *actors.Original) (r kept, err error) {
	if o == nil {
		return r, nil
	}
	if o.Content != nil {
		if r.row, err = proto.Marshal(&protocol.Entry{Content: o.Content, Mentions: o.Mentions}); err != nil {
			return r, refusal{err}
		}
	}
	r.seq, r.is = o.Seq, o.Content.FileNames()
	r.was, err = c.originalNames(k, o.Seq)
	return r, err
}

// originalNames are the files that the stored original of an entry names.
func (c *committer) originalNames(k sessionKey, seq int64) ([]string, error) {
	row, found, err := c.get(k.original(seq))
	if err != nil || !found {
		return nil, err
	}
	o, err := parseOriginal(seq, row)
	if err != nil {
		return nil, c.s.bad(k.original(seq), err)
	}
	return o.Content.FileNames(), nil
}

func (c *committer) writeOriginal(k sessionKey, r kept) {
	switch {
	case r.seq == 0:
	case r.row == nil:
		c.delete(k.original(r.seq))
	default:
		c.put(k.original(r.seq), r.row)
	}
}

// referNew is refer for a new entry. A file that its original names is one of the entry's
// too: it stays for those who decide, and reads lets nobody else have it so.
func (c *committer) referNew(k sessionKey, e *protocol.Entry, r kept) error {
	names := e.Content.FileNames()
	if r.seq == e.Seq {
		names = union(names, r.is)
	}
	return c.refer(k, e.Seq, nil, names)
}

// referRewritten is refer for an entry that is rewritten.
func (c *committer) referRewritten(k sessionKey, old, e *protocol.Entry, r kept) error {
	was, is := r.was, r.is
	if r.seq != e.Seq {
		was, is = nil, nil
		if old.Deal != nil {
			stays, err := c.originalNames(k, e.Seq)
			if err != nil {
				return err
			}
			was, is = stays, stays
		}
	}
	if len(was)+len(is) == 0 && !old.Content.HasFiles() && !e.Content.HasFiles() {
		return nil
	}
	return c.refer(k, e.Seq, union(old.Content.FileNames(), was), union(e.Content.FileNames(), is))
}

func union(names, more []string) []string {
	for _, id := range more {
		if !slices.Contains(names, id) {
			names = append(names, id)
		}
	}
	return names
}

// quotedInOriginals calls each with the entries in whose originals somebody forwarded a
// message of user: WrittenBy's other part.
func (s *Store) quotedInOriginals(ctx context.Context, user protocol.UserID, each func(session protocol.SessionID, e *protocol.Entry) error) error {
	id := []byte(user)
	return s.scanPrefix([]byte{tableOriginal}, func(key, value []byte) error {
		if !bytes.Contains(value, id) || len(key) != 1+1+sessionBytes+8 {
			return nil
		}
		o, err := parseOriginal(seqOf(key), value)
		if err != nil {
			return s.bad(key, err)
		}
		if !slices.ContainsFunc(o.Content.GetForwarded(), func(f *protocol.Forwarded) bool { return f.Sender == user }) {
			return ctx.Err()
		}
		k := sessionKey{bit: key[1]}
		copy(k.id[:], key[2:])
		row, found, err := s.get(k.entry(o.Seq))
		if err != nil || !found {
			return err
		}
		e, err := parseEntry(k.String(), k.entry(o.Seq), row)
		if err != nil {
			return s.bad(k.entry(o.Seq), err)
		}
		if e.Sender == user { // told of already
			return nil
		}
		return each(k.String(), e)
	})
}
