package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

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

func originalRow(o *actors.Original) ([]byte, error) {
	return proto.Marshal(&protocol.Entry{Content: o.Content, Mentions: o.Mentions})
}

func parseOriginal(seq int64, row []byte) (*actors.Original, error) {
	var e protocol.Entry
	if err := proto.Unmarshal(row, &e); err != nil {
		return nil, err
	}
	return &actors.Original{Seq: seq, Content: e.Content, Mentions: e.Mentions}, nil
}

// kept are the originals of an Append: their rows, nil where one ends, and the files that
// they and those before them name.
type kept struct {
	rows    [][]byte
	was, is map[int64][]string
}

// checkOriginals encodes what an Append keeps, and reads what that takes the place of.
func (c *committer) checkOriginals(k sessionKey, a *actors.Append) (r kept, err error) {
	if len(a.Originals) == 0 {
		return r, nil
	}
	r.was, r.is = map[int64][]string{}, map[int64][]string{}
	for _, o := range a.Originals {
		var row []byte
		if o.Content != nil {
			if row, err = originalRow(o); err != nil {
				return r, refusal{err}
			}
		}
		r.rows = append(r.rows, row)
		r.is[o.Seq] = o.Content.FileNames()
		if r.was[o.Seq], err = c.originalNames(k, o.Seq); err != nil {
			return r, err
		}
	}
	return r, nil
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

func (c *committer) writeOriginals(k sessionKey, a *actors.Append, r kept) {
	for i, o := range a.Originals {
		if r.rows[i] == nil {
			c.delete(k.original(o.Seq))
		} else {
			c.put(k.original(o.Seq), r.rows[i])
		}
	}
}

// referRewritten is refer for an entry that is rewritten. A file that its original names is
// one of the entry's too: it stays for those who decide, and shows lets nobody else read it.
func (c *committer) referRewritten(k sessionKey, old, e *protocol.Entry, r kept) error {
	was, is := r.was[e.Seq], r.is[e.Seq]
	_, replaced := r.is[e.Seq]
	if !replaced && old.Deal != nil {
		stays, err := c.originalNames(k, e.Seq)
		if err != nil {
			return err
		}
		was, is = stays, stays
	}
	if !replaced && len(is) == 0 && !old.Content.HasFiles() && !e.Content.HasFiles() {
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
		return each(k.String(), e)
	})
}
