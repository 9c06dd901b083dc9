package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// refer notes which files an entry names from now on, where it named others before.
func (c *committer) refer(k sessionKey, seq int64, was, is []string) error {
	return rows.Refer(change{c.tx}, append([]byte{k.bit}, k.id[:]...), seq, was, is, time.Now())
}

// Standing fills filectr.Store. The sessions that a user is in and those that a file
// is in lie in the same order, so it costs about as much as the fewer of them.
func (s *Store) Standing(_ context.Context, id protocol.FileID, user protocol.UserID, now time.Time) (at filectr.Standing, err error) {
	err = s.at(func(v view) error {
		at, err = rows.Stands(v.get, id, user)
		if err == nil && at.Live {
			at.Reader, err = v.reads(id, user, now)
		}
		return err
	})
	return at, err
}

// reads says whether user may read an entry that names a file.
func (v view) reads(id protocol.FileID, user protocol.UserID, now time.Time) (yes bool, err error) {
	refs, homes := rows.RefersTo(id), homeOf(user)
	ri, err := v.r.NewIter(&pebble.IterOptions{LowerBound: refs, UpperBound: after(refs)})
	if err != nil {
		return false, fmt.Errorf("pebblestore: %s: %w", v.s.dir, err)
	}
	defer func() { err = errors.Join(err, ri.Close()) }()
	hi, err := v.r.NewIter(&pebble.IterOptions{LowerBound: homes, UpperBound: after(homes)})
	if err != nil {
		return false, fmt.Errorf("pebblestore: %s: %w", v.s.dir, err)
	}
	defer func() { err = errors.Join(err, hi.Close()) }()
	in := 1 + sessionBytes // bytes of a session in both
	r, h := ri.First(), hi.First()
	for r && h {
		ref := ri.Key()[len(refs):]
		order := bytes.Compare(ref[:in], hi.Key()[len(homes):])
		if order < 0 {
			r = ri.SeekGE(append(refs[:len(refs):len(refs)], hi.Key()[len(homes):]...))
			continue
		}
		if order > 0 {
			h = hi.SeekGE(append(homes[:len(homes):len(homes)], ref[:in]...))
			continue
		}
		k := sessionKey{bit: ref[0]}
		copy(k.id[:], ref[1:])
		yes, err := v.readsIn(k, id, ri, len(refs)+in, user, now)
		if yes || err != nil {
			return yes, err
		}
		r, h = ri.Valid(), hi.Next()
	}
	return false, nil
}

// readsIn is reads for the references of one session, at whose first one it stands.
// It leaves it behind their last one. The seq of one begins at byte at of its key.
func (v view) readsIn(k sessionKey, id protocol.FileID, it *pebble.Iterator, at int, user protocol.UserID, now time.Time) (bool, error) {
	session := slices.Clone(it.Key()[:at])
	var floor int64
	var leads bool
	member, err := v.row(k.member(user), func(b []byte) error {
		m, err := parseMember(user, b)
		if err == nil {
			floor, leads = m.Floor, m.Role != protocol.Role_MEMBER
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if !member {
		it.SeekGE(after(session))
		return false, nil
	}
	from := binary.BigEndian.AppendUint64(slices.Clone(session), uint64(max(floor, 0)))
	for ok := it.SeekGE(from); ok && bytes.HasPrefix(it.Key(), session); ok = it.Next() {
		yes := false
		key := k.entry(seqOf(it.Key()))
		_, err := v.row(key, func(b []byte) error {
			e, err := parseEntry(k.String(), key, b)
			if err == nil {
				yes = rows.Reads(e, id, floor, leads, now)
			}
			return err
		})
		if yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}
