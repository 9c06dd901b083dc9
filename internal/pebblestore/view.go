package pebblestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// view reads rows: as they are now, or as they were at one moment.
type view struct {
	s *Store
	r pebble.Reader
}

func (s *Store) now() view { return view{s, s.db} }

// at calls f with the rows as they are at one moment, in the middle of no commit.
func (s *Store) at(f func(v view) error) error {
	snapshot, err := s.snapshot()
	if err != nil {
		return err
	}
	return errors.Join(f(view{s, snapshot}), snapshot.Close())
}

// row calls use with a row's value, which is good only during the call.
func (v view) row(key []byte, use func(value []byte) error) (found bool, err error) {
	value, closer, err := v.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pebblestore: %s: %w", v.s.dir, err)
	}
	if err := use(value); err != nil {
		return true, errors.Join(v.s.bad(key, err), closer.Close())
	}
	return true, closer.Close()
}

func (v view) scan(prefix []byte, each func(key, value []byte) error) error {
	return scan(v.r, v.s.dir, prefix, after(prefix), each)
}

// bad wraps an error about what a row holds.
func (s *Store) bad(key []byte, err error) error {
	return fmt.Errorf("pebblestore: %s: row %x: %w", s.dir, key, err)
}

func (v view) head(k sessionKey) (h head, found bool, err error) {
	h, _, found, err = v.synced(k)
	return h, found, err
}

// synced gives a session's head, and what of the session is hidden from readers.
func (v view) synced(k sessionKey) (h head, x hiddenHead, found bool, err error) {
	found, err = v.row(k.head(), func(b []byte) (err error) { h, err = parseHead(b); return err })
	if v.r == v.s.db {
		h = v.s.lateOr(k, h)
	}
	h, x = v.s.hidden.head(k, h)
	return h, x, found, err
}

// info gives a session's info as a reader wants it; without its members.
func (v view) info(k sessionKey, h head) (*protocol.SessionInfo, error) {
	info := &protocol.SessionInfo{}
	found, err := v.row(k.info(), func(b []byte) error { return proto.Unmarshal(b, info) })
	if err == nil && !found {
		err = v.s.bad(k.info(), errors.New("is missing"))
	}
	info.HeadSeq, info.Epoch, info.MemberCount = h.last, v.s.logEpoch, h.members
	return info, err
}

func (v view) number(key []byte) (n int64, err error) {
	_, err = v.row(key, func(b []byte) (err error) { n, err = parseNumber(b); return err })
	return n, err
}

// Load fills actors.Journal.
func (s *Store) Load(ctx context.Context, session protocol.SessionID) (stored *actors.Stored, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	return stored, s.at(func(v view) error {
		h, _, err := v.head(k)
		if err != nil {
			return err
		}
		info, err := v.info(k, h)
		if err != nil {
			return err
		}
		members, err := v.members(k)
		if err != nil {
			return err
		}
		newest, err := s.Backward(ctx, session, h.last, h.last, 1, 1)
		stored = &actors.Stored{Info: info, LogEpoch: s.logEpoch, Epoch: s.epochOf(h), Head: h.last, Members: members}
		if len(newest) > 0 {
			stored.Newest = newest[0]
		}
		return err
	})
}

// known parses the id of a session that must exist.
func (s *Store) known(ctx context.Context, session protocol.SessionID) (sessionKey, error) {
	if err := ctx.Err(); err != nil {
		return sessionKey{}, err
	}
	k, ok := parseSession(session)
	if !ok {
		return k, protocol.NotFound("session %s", session)
	}
	if _, ok := s.heads.get(k); ok {
		return k, nil
	}
	_, found, err := s.now().head(k)
	if err == nil && !found {
		err = protocol.NotFound("session %s", session)
	}
	return k, err
}
