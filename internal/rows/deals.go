package rows

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// tableDeal has what was decided of files, or that they wait for it.
const tableDeal = 0x81

// The second byte of keys in tableDeal.
const (
	dealFile = 0 // file → dealRow
	dealDue  = 1 // due 8, file → nothing: it waits
)

type dealRow struct {
	State   string   `json:"state"`
	Reason  string   `json:"reason,omitempty"`
	By      string   `json:"by,omitempty"`
	At      int64    `json:"at"`
	Tries   int      `json:"tries,omitempty"`
	Due     int64    `json:"due,omitempty"`
	Picture *fileRow `json:"picture,omitempty"` // of nobody: it is the file's
}

func dealKey(id protocol.FileID) []byte { return append([]byte{tableDeal, dealFile}, id...) }

func dueKey(due int64, id protocol.FileID) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tableDeal, dealDue}, uint64(due)), id...)
}

// dealOf reads what was decided of a file, nil: nothing.
func dealOf(from reader, id protocol.FileID) (*filectr.Deal, error) {
	text, found, err := from.get(dealKey(id))
	if err != nil || !found {
		return nil, err
	}
	var r dealRow
	if err := parseRow(text, &r); err != nil {
		return nil, err
	}
	d := &filectr.Deal{State: filectr.State(r.State), Reason: r.Reason, By: r.By, At: fromNanos(r.At), Tries: r.Tries, Due: fromNanos(r.Due)}
	if r.Picture != nil {
		d.Picture, err = r.Picture.file("")
	}
	return d, err
}

func (t *tx) putDeal(id protocol.FileID, d *filectr.Deal) error {
	r := dealRow{State: string(d.State), Reason: d.Reason, By: d.By, At: nanos(d.At), Tries: d.Tries}
	if d.State == filectr.Pending {
		r.Due = nanos(d.Due)
		t.put(dueKey(r.Due, id), nil)
	}
	if d.Picture != nil {
		row := rowOfFile(d.Picture)
		row.Owner, row.App, row.Guest = "", "", false
		r.Picture = &row
	}
	return putRow(t, dealKey(id), r)
}

func (t *tx) deleteDeal(id protocol.FileID, d *filectr.Deal) {
	if d == nil {
		return
	}
	t.delete(dealKey(id))
	if d.State == filectr.Pending {
		t.delete(dueKey(nanos(d.Due), id))
	}
}

// PutDeal fills filectr.Store.
func (s *Store) PutDeal(ctx context.Context, id protocol.FileID, d *filectr.Deal, was filectr.State) error {
	return s.update(ctx, func(t *tx) error {
		f, err := fileOf(t, id)
		if err != nil {
			return err
		}
		state := filectr.Unreviewed
		if f.Deal != nil {
			state = f.Deal.State
		}
		if state != was {
			return protocol.Conflict("file %s is %s by now", id, state)
		}
		before, had := f.Bytes(), f.Sums()
		t.deleteDeal(id, f.Deal)
		f.Deal = d
		has := f.Sums()
		for _, sum := range had {
			if !slices.Contains(has, sum) {
				t.delete(blobKey(sum, id))
				if err := t.doubt(sum, d.At); err != nil {
					return err
				}
			}
		}
		for _, sum := range has {
			if slices.Contains(had, sum) {
				t.delete(claimKey(sum, id))
			} else if err := t.hold(sum, id, id); err != nil {
				return err
			}
		}
		if n := f.Bytes() - before; n != 0 {
			if err := t.room(payerOf(f), n, filectr.Quota{User: math.MaxInt64, All: math.MaxInt64}); err != nil {
				return err
			}
		}
		return t.putDeal(id, d)
	})
}

// Reviews fills filectr.Store.
func (s *Store) Reviews(ctx context.Context, now time.Time, limit int) (ids []protocol.FileID, next time.Time, err error) {
	err = s.scanPrefix(ctx, []byte{tableDeal, dealDue}, func(key, _ []byte) error {
		if len(key) < 2+8 {
			return bad(key, errShort)
		}
		due := int64(binary.BigEndian.Uint64(key[2:]))
		if due > nanos(now) {
			next = fromNanos(due)
			return errEnough
		}
		if len(ids) == limit {
			return errEnough
		}
		ids = append(ids, string(key[2+8:]))
		return nil
	})
	return ids, next, err
}
