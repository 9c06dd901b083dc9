package rows

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Refer notes which files an entry names from now on, where it named others before; session is
// its session as keys have it. What is noted already stays as it is. Names that are no file's
// are passed over: whether a sender may name one is asked before.
func Refer(in Tx, session []byte, seq int64, was, is []string, now time.Time) error {
	t := &tx{in}
	for _, id := range is {
		if slices.Contains(was, id) || !protocol.IsFileID(id) {
			continue
		}
		bound, found, err := t.ties(id)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		key := refers(id, session, seq)
		if _, noted, err := t.get(key); err != nil || noted {
			if err != nil {
				return err
			}
			continue
		}
		if bound.entries == 0 {
			t.delete(looseKey(bound.since, id))
		}
		bound.entries, bound.sent = bound.entries+1, true
		t.put(key, nil)
		t.put(rowKey(tableTies, id), bound.row())
	}
	for _, id := range was {
		if slices.Contains(is, id) || !protocol.IsFileID(id) {
			continue
		}
		bound, found, err := t.ties(id)
		if err != nil {
			return err
		}
		key := refers(id, session, seq)
		_, noted, err := t.get(key)
		if err != nil {
			return err
		}
		if !found || !noted || bound.entries == 0 {
			continue
		}
		if bound.entries--; bound.entries == 0 {
			bound.since = now.UnixNano()
			t.put(looseKey(bound.since, id), nil)
		}
		t.delete(key)
		t.put(rowKey(tableTies, id), bound.row())
	}
	return nil
}

// Stands is filectr's Standing without Reader, which those who know the sessions find out.
func Stands(get func(key []byte) (value []byte, found bool, err error), id protocol.FileID, user protocol.UserID) (at filectr.Standing, err error) {
	from := getting(get)
	row, err := getRow[fileRow](from, rowKey(tableFile, id), "file", id)
	if err != nil {
		return at, err
	}
	at.Owner = row.Owner == user
	key := rowKey(tableTies, id)
	text, found, err := get(key)
	if err != nil {
		return at, err
	}
	if found {
		t, err := parseTies(text)
		if err != nil {
			return at, bad(key, err)
		}
		at.Sent, at.Live = t.sent, t.entries > 0
	}
	deal, err := getRow[dealRow](from, dealKey(id), "deal of", id)
	if protocol.Code_NOT_FOUND.Is(err) {
		err = nil
	}
	at.State = filectr.State(deal.State)
	return at, err
}

type getting func(key []byte) (value []byte, found bool, err error)

func (g getting) get(key []byte) ([]byte, bool, error) { return g(key) }

// Referring calls each with the session, as keys have it, and the seq of the entries that
// name a file, in that order.
func (s *Store) Referring(ctx context.Context, id protocol.FileID, each func(session []byte, seq int64) error) error {
	prefix := RefersTo(id)
	return s.scanPrefix(ctx, prefix, func(key, _ []byte) error {
		if len(key) != len(prefix)+sessionIn+8 {
			return bad(key, errShort)
		}
		seq, err := parseNumber(key[len(key)-8:])
		if err != nil {
			return err
		}
		return each(key[len(prefix):len(prefix)+sessionIn], seq)
	})
}

// Reads says whether a member of a session who reads from floor on, and may lead it, reads a
// file by an entry that names it.
func Reads(e *protocol.Entry, id protocol.FileID, floor int64, leads bool, now time.Time) bool {
	if e.Deal != nil && !slices.Contains(e.Content.FileNames(), id) { // its original has it
		return leads && e.Seq >= floor && alive(e, now)
	}
	return Shows(e, floor, now)
}

// Shows says whether a member who reads from floor on sees what e says.
func Shows(e *protocol.Entry, floor int64, now time.Time) bool {
	return e.Content != nil && alive(e, now) && (e.Target == 0 || e.Target >= floor)
}

// alive says that an entry was not recalled, and its time is not over.
func alive(e *protocol.Entry, now time.Time) bool {
	return !e.Recalled && !e.Expired && (e.Expire == 0 || now.UnixMilli() < e.CreatedAt+e.Expire*1000)
}
