package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Range fills actors.Journal. bytes are counted as stored, which is about what a
// binary frame takes.
func (s *Store) Range(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	return s.entries(ctx, session, from, to, limit, bytes, (*pebble.Iterator).First, (*pebble.Iterator).Next)
}

// Backward fills actors.Journal.
func (s *Store) Backward(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	return s.entries(ctx, session, from, to, limit, bytes, (*pebble.Iterator).Last, (*pebble.Iterator).Prev)
}

func (s *Store) entries(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int,
	first, next func(*pebble.Iterator) bool) (entries []*protocol.Entry, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	from = max(from, 1)
	if from > to || limit <= 0 {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: k.entry(from), UpperBound: after(k.entry(to))})
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s: %w", s.dir, err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			entries, err = nil, fmt.Errorf("pebblestore: %s: %w", s.dir, e)
		}
	}()
	to, old := s.hidden.synced(k, to)
	for ok := first(it); ok && len(entries) < limit; ok = next(it) {
		if seqOf(it.Key()) > to {
			continue
		}
		row, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("pebblestore: %s: %w", s.dir, err)
		}
		row = old.row(seqOf(it.Key()), row)
		if bytes -= len(row); bytes < 0 && len(entries) > 0 {
			break
		}
		e, err := parseEntry(session, it.Key(), row)
		if err != nil {
			return nil, s.bad(it.Key(), err)
		}
		entries = append(entries, e)
		if len(entries)%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return entries, nil
}

// Sent fills actors.Journal.
func (s *Store) Sent(ctx context.Context, session protocol.SessionID, sender protocol.UserID, id protocol.ClientMsgID) (sent actors.Sent, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return sent, err
	}
	_, err = s.now().row(k.sent(protocol.SentKey(sender, id)), func(b []byte) (err error) { sent, err = parseSent(b); return err })
	return sent, err
}

// SentKeys fills actors.Journal.
func (s *Store) SentKeys(ctx context.Context, session protocol.SessionID, from, to int64, each func(key [16]byte, sent actors.Sent)) error {
	k, err := s.known(ctx, session)
	if err != nil {
		return err
	}
	from = max(from, 1)
	if from > to {
		return nil
	}
	return s.scan(k.entry(from), after(k.entry(to)), func(key, row []byte) error {
		if len(row) < entryHeader {
			return s.bad(key, errShort)
		}
		if row[0]&flagSent == 0 {
			return nil
		}
		sentKey, createdAt, hash, err := sentOf(row)
		if err != nil {
			return s.bad(key, err)
		}
		each(sentKey, actors.Sent{Seq: seqOf(key), CreatedAt: createdAt, Hash: hash})
		return nil
	})
}

// Unread fills actors.Journal.
func (s *Store) Unread(ctx context.Context, session protocol.SessionID, user protocol.UserID, after, to int64) (n int64, mentioned bool, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return 0, false, err
	}
	err = s.at(func(v view) (err error) {
		to, old := s.hidden.synced(k, to)
		n, mentioned, err = v.unread(k, old, user, after, to)
		return err
	})
	return n, mentioned, err
}

// unread scans the heads of rows, some 0.2 µs each; only a row that mentions
// somebody is decoded, and only until user was found.
func (v view) unread(k sessionKey, old hiddenHead, user protocol.UserID, read, to int64) (n int64, mentioned bool, err error) {
	read = max(read, 0)
	if read >= to {
		return 0, false, nil
	}
	counter := unreadCounter{user: user, own: userHash(user)}
	err = scan(v.r, v.s.dir, k.entry(read+1), after(k.entry(to)), func(key, row []byte) error {
		if err := counter.count(key, old.row(seqOf(key), row)); err != nil {
			return v.s.bad(key, err)
		}
		return nil
	})
	return counter.n, counter.mentioned, err
}

// Deeds fills actors.Journal.
func (s *Store) Deeds(ctx context.Context, session protocol.SessionID, target int64, user protocol.UserID) (deeds []actors.Deed, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	from := k.deeds(target, user, 0)
	err = s.scanPrefix(from, func(key, value []byte) error {
		seq, err := parseNumber(value)
		if err != nil || len(key) == len(from) {
			return s.bad(key, either(err, errors.New("says nothing")))
		}
		deeds = append(deeds, actors.Deed{Kind: protocol.Kind(key[len(from)]), Word: string(key[len(from)+1:]), Seq: seq})
		return nil
	})
	return deeds, err
}

// Due fills actors.Journal.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (due []actors.Due, err error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	end := binary.BigEndian.AppendUint64([]byte{tableDue}, uint64(max(now.UnixMilli(), 0))+1)
	err = s.scan([]byte{tableDue}, end, func(key, _ []byte) error {
		if len(due) == limit {
			return errEnough
		}
		due = append(due, actors.Due{
			Session: sessionOf(key[9:]).String(),
			Seq:     seqOf(key),
			At:      time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:]))),
		})
		return nil
	})
	return due, err
}
