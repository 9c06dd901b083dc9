package rows

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Reserve fills filectr.Store.
func (s *Store) Reserve(ctx context.Context, r *filectr.Reservation, q filectr.Quota) error {
	key := rowKey(tableReserved, r.ID)
	return s.update(ctx, func(t *tx) error {
		if _, found, err := t.get(key); err != nil || found {
			return either(err, protocol.Conflict("upload %s exists", r.ID))
		}
		if err := t.room(payer{r.User, r.App, r.Guest}, r.Bytes, q); err != nil {
			return err
		}
		return putRow(t, key, reservedRow{User: r.User, App: r.App, Guest: r.Guest, Bytes: r.Bytes, Resumable: r.Resumable, Node: r.Node, Created: nanos(r.Created)})
	})
}

// payer is whose room a file or reservation takes.
type payer struct {
	user  protocol.UserID // "": that of all alone
	app   string
	guest bool
}

// payerOf is whose room a file takes.
func payerOf(f *filectr.File) payer { return payer{f.Owner, f.App, f.Guest} }

// room takes bytes for p, which may be negative, or fails with filectr.ErrQuota.
func (t *tx) room(p payer, bytes int64, q filectr.Quota) error {
	for _, of := range []struct {
		counts bool
		key    []byte
		limit  int64
		no     filectr.ErrQuota
	}{
		{p.user != "", rowKey(tableRoom, p.user), q.User, filectr.ErrQuota{User: true}},
		{p.app != "" && p.guest, appRoomKey(p.app, true), cmp.Or(q.Guests, math.MaxInt64), filectr.ErrQuota{Guests: true}},
		{p.app != "", appRoomKey(p.app, false), cmp.Or(q.App, math.MaxInt64), filectr.ErrQuota{App: true}},
		{true, rowKey(tableRoom, ""), q.All, filectr.ErrQuota{}},
	} {
		if !of.counts {
			continue
		}
		used, err := getNumber(t, of.key)
		if err != nil {
			return err
		}
		if used += bytes; bytes > 0 && used > of.limit {
			return of.no
		}
		t.put(of.key, number(used))
	}
	return nil
}

// Release fills filectr.Store.
func (s *Store) Release(ctx context.Context, id string) error {
	return s.update(ctx, func(t *tx) error {
		r, err := getRow[reservedRow](t, rowKey(tableReserved, id), "upload", id)
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil
		}
		if err != nil {
			return err
		}
		t.delete(rowKey(tableReserved, id))
		return t.room(payer{r.User, r.App, r.Guest}, -r.Bytes, filectr.Quota{})
	})
}

// Reservations fills filectr.Store.
func (s *Store) Reservations(ctx context.Context) (all []*filectr.Reservation, err error) {
	err = s.scanPrefix(ctx, []byte{tableReserved}, func(key, value []byte) error {
		var r reservedRow
		if err := parseRow(value, &r); err != nil {
			return err
		}
		all = append(all, &filectr.Reservation{ID: string(key[1:]), User: r.User, App: r.App, Guest: r.Guest, Bytes: r.Bytes, Resumable: r.Resumable, Node: r.Node, Created: fromNanos(r.Created)})
		return nil
	})
	return all, err
}

// Used fills filectr.Store.
func (s *Store) Used(ctx context.Context, user protocol.UserID) (int64, error) {
	return getNumber(s.with(ctx), rowKey(tableRoom, user))
}

// UsedIn fills filectr.Store.
func (s *Store) UsedIn(ctx context.Context, app string, guests bool) (int64, error) {
	return getNumber(s.with(ctx), appRoomKey(app, guests))
}

// Contents calls each with every content that a file has, once.
func (s *Store) Contents(ctx context.Context, each func(filectr.Sum) error) error {
	return contents(func(each func(key, value []byte) error) error {
		return s.db.Scan(ctx, []byte{tableBlob}, []byte{tableBlob + 1}, each)
	}, each)
}

// ContentsIn is Contents for rows that are read otherwise.
func ContentsIn(scan func(from, to []byte, each func(key, value []byte) error) error, each func(filectr.Sum) error) error {
	return contents(func(each func(key, value []byte) error) error {
		return scan([]byte{tableBlob}, []byte{tableBlob + 1}, each)
	}, each)
}

func contents(scan func(each func(key, value []byte) error) error, each func(filectr.Sum) error) error {
	var last filectr.Sum
	none := true
	return scan(func(key, _ []byte) error {
		if len(key) < 1+len(last) {
			return bad(key, errShort)
		}
		sum := filectr.Sum(key[1 : 1+len(last)])
		if !none && sum == last {
			return nil
		}
		last, none = sum, false
		return each(sum)
	})
}

// AddFile fills filectr.Store.
func (s *Store) AddFile(ctx context.Context, f *filectr.File, q filectr.Quota) error {
	return s.update(ctx, func(t *tx) error {
		r, err := getRow[reservedRow](t, rowKey(tableReserved, f.ID), "upload", f.ID)
		if err != nil {
			return err
		}
		if _, found, err := t.get(rowKey(tableFile, f.ID)); err != nil || found {
			return either(err, protocol.Conflict("file %s exists", f.ID))
		}
		if err := t.room(payerOf(f), f.Bytes()-r.Bytes, q); err != nil {
			return err
		}
		t.delete(rowKey(tableReserved, f.ID))
		for _, sum := range f.Sums() {
			if err := t.hold(sum, f.ID, f.ID); err != nil {
				return err
			}
		}
		since := nanos(f.Created)
		t.put(rowKey(tableFiles, f.Owner, f.ID), nil)
		t.put(rowKey(tableTies, f.ID), ties{since: since}.row())
		t.put(looseKey(since, f.ID), nil)
		if f.Deal != nil {
			if err := t.putDeal(f.ID, f.Deal); err != nil {
				return err
			}
		}
		return putRow(t, rowKey(tableFile, f.ID), rowOfFile(f))
	})
}

// File fills filectr.Store.
func (s *Store) File(ctx context.Context, id protocol.FileID) (*filectr.File, error) {
	return fileOf(s.with(ctx), id)
}

// fileOf reads a file, and what was decided of it.
func fileOf(from reader, id protocol.FileID) (*filectr.File, error) {
	row, err := getRow[fileRow](from, rowKey(tableFile, id), "file", id)
	if err != nil {
		return nil, err
	}
	f, err := row.file(id)
	if err != nil {
		return nil, err
	}
	f.Deal, err = dealOf(from, id)
	return f, err
}

// Files fills filectr.Store.
func (s *Store) Files(ctx context.Context, user protocol.UserID, from protocol.FileID, limit int) (files []*filectr.File, err error) {
	prefix := rowKey(tableFiles, user, "")
	var ids []protocol.FileID
	err = s.scan(ctx, append(slices.Clone(prefix), from...), after(prefix), func(key, _ []byte) error {
		if id := string(key[len(prefix):]); id != from {
			ids = append(ids, id)
		}
		if len(ids) == limit {
			return errEnough
		}
		return nil
	})
	for _, id := range ids {
		f, e := s.File(ctx, id)
		if protocol.Code_NOT_FOUND.Is(e) {
			continue // removed between the two reads
		}
		if e != nil {
			return nil, e
		}
		files = append(files, f)
	}
	return files, err
}

// Loose fills filectr.Store.
func (s *Store) Loose(ctx context.Context, unsent, dropped time.Time, limit int) (ids []protocol.FileID, err error) {
	last := max(nanos(unsent), nanos(dropped))
	err = s.scan(ctx, []byte{tableLoose, looseFile}, looseKey(last, ""), func(key, _ []byte) error {
		if len(ids) == limit {
			return errEnough
		}
		id := string(key[2+8:])
		row, found, err := s.get(ctx, rowKey(tableTies, id))
		if err != nil || !found {
			return err // removed between the two reads
		}
		t, err := parseTies(row)
		if err != nil {
			return bad(rowKey(tableTies, id), err)
		}
		if t.sent && t.since < nanos(dropped) || !t.sent && t.since < nanos(unsent) {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// RemoveFile fills filectr.Store.
func (s *Store) RemoveFile(ctx context.Context, id protocol.FileID, now time.Time) error {
	return s.update(ctx, func(t *tx) error {
		f, err := fileOf(t, id)
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil
		}
		if err != nil {
			return err
		}
		bound, found, err := t.ties(id)
		if err != nil {
			return err
		}
		if found && bound.entries > 0 {
			return filectr.ErrInUse
		}
		for _, key := range [][]byte{rowKey(tableFile, id), rowKey(tableFiles, f.Owner, id), rowKey(tableTies, id), looseKey(bound.since, id)} {
			t.delete(key)
		}
		t.deleteDeal(id, f.Deal)
		for _, sum := range f.Sums() {
			t.delete(blobKey(sum, id))
		}
		for _, sum := range f.Sums() {
			if err := t.doubt(sum, now); err != nil {
				return err
			}
		}
		return t.room(payerOf(f), -f.Bytes(), filectr.Quota{})
	})
}

func (t *tx) ties(id protocol.FileID) (ties, bool, error) {
	row, found, err := t.get(rowKey(tableTies, id))
	if err != nil || !found {
		return ties{}, false, err
	}
	bound, err := parseTies(row)
	if err != nil {
		err = bad(rowKey(tableTies, id), err)
	}
	return bound, true, err
}
