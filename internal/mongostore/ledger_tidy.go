package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// tidyEvery is how often what is old goes out of the log.
const tidyEvery = 10 * time.Minute

// seen is up to where changes were in ledger_rows at a time of this process's own clock, so
// that no two clocks are ever compared.
type seen struct {
	applied int64
	at      time.Time
}

// tidy removes changes that have been in ledger_rows for keepLog, and what they left of rows that
// have ended. The newest change stays: it says which number is the next. Whoever else tidies at
// the same time removes the same.
func (l *ledger) tidy(ctx context.Context) {
	now := time.Now()
	if n := len(l.seen); n > 0 && now.Sub(l.seen[n-1].at) < tidyEvery {
		return
	}
	l.seen = append(l.seen, seen{l.applied, now})
	old := int64(0)
	for len(l.seen) > 0 && now.Sub(l.seen[0].at) >= keepLog {
		old = l.seen[0].applied
		l.seen = l.seen[1:]
	}
	if err := l.forget(ctx, min(old, l.applied-1)); err != nil {
		l.s.log.Warn("old changes are left in the ledger", "err", err)
	}
}

// forget removes the changes up to one.
func (l *ledger) forget(ctx context.Context, last int64) error {
	if last <= 0 {
		return nil
	}
	if err := l.mark(ctx, 1); err != nil {
		return err
	}
	log, rows := l.s.db.Collection(inLedger), l.s.db.Collection(inRows)
	return each(ctx, l.s, inLedger, bson.D{op("_id", "$lte", last)}, func(c *change) error {
		older, ends := bson.A{}, []string{}
		for _, w := range c.Writes {
			id := versionID(w.Key, c.ID)
			older = append(older, between(w.Key+"\x01", id))
			if w.Ended {
				ends = append(ends, id)
			}
		}
		// First those that the end of a row hides, then the end.
		return l.s.again(ctx, "old change", func(ctx context.Context) error {
			if _, err := rows.DeleteMany(ctx, bson.D{eq("$or", older)}); err != nil {
				return err
			}
			if len(ends) > 0 {
				if _, err := rows.DeleteMany(ctx, bson.D{in("_id", ends)}); err != nil {
					return err
				}
			}
			_, err := log.DeleteOne(ctx, byID(c.ID))
			return err
		})
	}, options.Find().SetSort(byID(int64(1))))
}
