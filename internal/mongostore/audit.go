package mongostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// auditDoc is a row of the audit log. It never changes. Of those who would append the next row, which carries on
// the hash of the one before it, one inserts it, and the others make theirs anew.
type auditDoc struct {
	Seq  int64  `bson:"_id"`
	Mark string `bson:"mark"`
	Text string `bson:"text"` // userctr.Record as JSON
}

// pruneDoc says that all rows up to a seq were removed. The newest one counts; rows that are there all
// the same, as a crash came first or somebody was very late, are nobody's to see.
type pruneDoc struct {
	UpTo   int64  `bson:"_id"`
	Mark   string `bson:"mark"`
	Anchor string `bson:"anchor"` // the hash of the row UpTo
}

var lastFirst = bson.D{eq("_id", -1)}

// AppendAudit fills userctr.AuditStore.
func (s *Store) AppendAudit(ctx context.Context, r *userctr.Record) error {
	s.auditing.Lock() // those of one process need not find out by the index
	defer s.auditing.Unlock()
	for {
		seq, hash, err := s.newestAudit(ctx)
		if err != nil {
			return err
		}
		r.Seq = seq + 1
		userctr.Seal(r, hash)
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		d := auditDoc{Seq: r.Seq, Mark: s.token(), Text: string(text)}
		err = s.put(ctx, inAudit, d.Seq, d.Mark, d)
		if errors.Is(err, errTaken) {
			continue
		}
		if err != nil {
			return err
		}
		// Between the read and the insert the log may have grown and been cut behind this row. Whoever
		// cuts says so first.
		before, err := s.pruned(ctx)
		if err != nil || r.Seq > before.UpTo {
			return err
		}
		if err := s.removeAll(ctx, inAudit, bson.D{eq("_id", d.Seq)}); err != nil {
			return err
		}
	}
}

// newestAudit gives the seq and the hash of the newest row, 0: there is none.
func (s *Store) newestAudit(ctx context.Context) (seq int64, hash string, err error) {
	docs, err := find[auditDoc](ctx, s, inAudit, bson.D{}, options.Find().SetSort(lastFirst).SetLimit(1))
	if err != nil || len(docs) == 0 {
		return 0, "", err
	}
	r, err := docs[0].record()
	if err != nil {
		return 0, "", err
	}
	return r.Seq, r.Hash, nil
}

func (d *auditDoc) record() (*userctr.Record, error) {
	r := &userctr.Record{}
	if err := json.Unmarshal([]byte(d.Text), r); err != nil {
		return nil, fmt.Errorf("mongostore: row %d of the audit log: %w", d.Seq, err)
	}
	return r, nil
}

// pruned gives up to where rows were removed, with UpTo 0 where none was.
func (s *Store) pruned(ctx context.Context) (*pruneDoc, error) {
	docs, err := find[pruneDoc](ctx, s, inAuditPrunes, bson.D{}, options.Find().SetSort(lastFirst).SetLimit(1))
	if err != nil || len(docs) == 0 {
		return &pruneDoc{}, err
	}
	return docs[0], nil
}

// AuditEnds fills userctr.AuditStore.
func (s *Store) AuditEnds(ctx context.Context) (ends userctr.AuditEnds, err error) {
	cut, err := s.pruned(ctx)
	if err != nil {
		return ends, err
	}
	ends.Before, ends.Anchor = cut.UpTo, cut.Anchor
	ends.Last, ends.Newest, err = s.newestAudit(ctx)
	return ends, err
}

// AuditRows fills userctr.AuditStore.
func (s *Store) AuditRows(ctx context.Context, from int64, each func(seq int64, text []byte) bool) error {
	cut, err := s.pruned(ctx)
	if err != nil {
		return err
	}
	for from = max(from, cut.UpTo+1); ; {
		docs, err := find[auditDoc](ctx, s, inAudit, bson.D{op("_id", "$gte", from)}, options.Find().SetSort(bson.D{eq("_id", 1)}).SetLimit(atOnce))
		if err != nil {
			return err
		}
		for _, d := range docs {
			if !each(d.Seq, []byte(d.Text)) {
				return nil
			}
			from = d.Seq + 1
		}
		if len(docs) < atOnce {
			return nil
		}
	}
}

// AuditBack fills userctr.AuditStore.
func (s *Store) AuditBack(ctx context.Context, before int64, limit int) (rows []*userctr.Record, err error) {
	cut, err := s.pruned(ctx)
	if err != nil {
		return nil, err
	}
	if before <= 0 {
		before = math.MaxInt64
	}
	which := bson.D{{Key: "_id", Value: bson.D{eq("$gt", cut.UpTo), eq("$lt", before)}}}
	docs, err := find[auditDoc](ctx, s, inAudit, which, options.Find().SetSort(lastFirst).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		r, err := d.record()
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// PruneAudit fills userctr.AuditStore: first the row that says so, then what makes it true, then the removal. After
// a crash in between there is a row too many that says so, or there are rows that nobody sees until
// the next sweep.
func (s *Store) PruneAudit(ctx context.Context, upTo int64, r *userctr.Record) error {
	gone := protocol.NotFound("audit row")
	cut, err := s.pruned(ctx)
	if err != nil || upTo <= cut.UpTo {
		return either(err, gone)
	}
	last, err := s.AuditBack(ctx, upTo+1, 1)
	if err != nil || len(last) == 0 || last[0].Seq != upTo {
		return either(err, gone)
	}
	if err := s.AppendAudit(ctx, r); err != nil {
		return err
	}
	err = s.again(ctx, "insert into "+inAuditPrunes, func(ctx context.Context) error { // another that is there says the same
		return ignoreTaken(insertOne(ctx, s.db.Collection(inAuditPrunes), pruneDoc{upTo, s.token(), last[0].Hash}))
	})
	if err != nil {
		return err
	}
	s.afterwards(ctx, "to remove old rows of the audit log", s.sweepAudit)
	return nil
}

// sweepAudit removes the rows that nobody sees.
func (s *Store) sweepAudit(ctx context.Context) error {
	cut, err := s.pruned(ctx)
	if err != nil || cut.UpTo == 0 {
		return err
	}
	return s.removeAll(ctx, inAudit, bson.D{op("_id", "$lte", cut.UpTo)})
}
