package pebblestore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/userctr"
)

// Tables of the audit log.
const (
	tableAudit     = 0x58 // seq 8 → userctr.Record as JSON
	tableAuditEnds = 0x59 // nothing → userctr.AuditEnds as JSON
)

func auditKey(seq int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableAudit}, uint64(max(seq, 0)))
}

var auditEndsKey = rowKey(tableAuditEnds)

// AppendAudit fills userctr.AuditStore.
func (s *Store) AppendAudit(_ context.Context, r *userctr.Record) error {
	return s.update(func(t *tx) error {
		ends, err := auditEnds(t)
		if err != nil {
			return err
		}
		return appendAudit(t, ends, r)
	})
}

func auditEnds(from reader) (ends userctr.AuditEnds, err error) {
	text, found, err := from.get(auditEndsKey)
	if err == nil && found {
		err = parseRow(text, &ends)
	}
	return ends, err
}

func appendAudit(t *tx, ends userctr.AuditEnds, r *userctr.Record) error {
	r.Seq = ends.Last + 1
	userctr.Seal(r, ends.Newest)
	ends.Last, ends.Newest = r.Seq, r.Hash
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t.put(auditKey(r.Seq), text)
	return putRow(t, auditEndsKey, ends)
}

// AuditEnds fills userctr.AuditStore.
func (s *Store) AuditEnds(context.Context) (userctr.AuditEnds, error) { return auditEnds(s) }

// AuditRows fills userctr.AuditStore.
func (s *Store) AuditRows(ctx context.Context, from int64, each func(seq int64, text []byte) bool) error {
	return s.scan(auditKey(from), after([]byte{tableAudit}), func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !each(int64(binary.BigEndian.Uint64(key[1:])), value) {
			return errEnough
		}
		return nil
	})
}

// AuditBack fills userctr.AuditStore.
func (s *Store) AuditBack(_ context.Context, before int64, limit int) (rows []*userctr.Record, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableAudit}, UpperBound: auditKey(before)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.Last(); ok && len(rows) < limit; ok = it.Prev() {
		r := &userctr.Record{}
		if err := parseRow(it.Value(), r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, it.Error()
}

// PruneAudit fills userctr.AuditStore.
func (s *Store) PruneAudit(_ context.Context, upTo int64, r *userctr.Record) error {
	return s.update(func(t *tx) error {
		ends, err := auditEnds(t)
		if err != nil {
			return err
		}
		last, err := getRow[userctr.Record](t, auditKey(upTo), "audit row", "")
		if err != nil {
			return err
		}
		for seq := ends.Before + 1; seq <= upTo; seq++ {
			t.delete(auditKey(seq))
		}
		ends.Before, ends.Anchor = upTo, last.Hash
		return appendAudit(t, ends, r)
	})
}
