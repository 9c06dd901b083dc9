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
// the same time removes the same. What there is too much of for once goes with the next changes.
func (l *ledger) tidy(ctx context.Context) {
	now := time.Now()
	if n := len(l.seen); n == 0 || now.Sub(l.seen[n-1].at) >= tidyEvery {
		l.seen = append(l.seen, seen{l.applied, now})
	}
	for len(l.seen) > 0 && now.Sub(l.seen[0].at) >= keepLog {
		l.old, l.seen = l.seen[0].applied, l.seen[1:]
	}
	if l.forgot >= l.old || now.Sub(l.tidied) < time.Second {
		return
	}
	l.tidied = now
	if err := l.forget(ctx, min(l.old, l.applied-1)); err != nil {
		l.s.log.Warn("old changes are left in the ledger", "err", err)
	}
}

const (
	forgetAtOnce = 50 // changes whose rows are looked after by one query
	forgetMost   = 20 // of them in a row, as nobody else commits meanwhile: some 0.3 s
)

// forget removes changes up to one, the oldest first.
func (l *ledger) forget(ctx context.Context, last int64) error {
	if last <= 0 {
		return nil
	}
	if err := l.mark(ctx, 1); err != nil {
		return err
	}
	for range forgetMost {
		old, err := find[change](ctx, l.s, inLedger, bson.D{op("_id", "$lte", last)}, options.Find().SetSort(byID(int64(1))).SetLimit(forgetAtOnce))
		if err != nil {
			return err
		}
		if len(old) == 0 {
			l.forgot = max(l.forgot, last)
			return nil
		}
		if err := l.forgetThese(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

// forgetThese removes changes that lie one behind the other: first the versions that theirs
// stand in front of, then those that are ends of rows, then themselves.
func (l *ledger) forgetThese(ctx context.Context, old []*change) error {
	older, ends, ids := bson.A{}, []string{}, []int64{}
	for _, c := range old {
		ids = append(ids, c.ID)
		for _, w := range c.Writes {
			id := versionID(w.Key, c.ID)
			older = append(older, between(w.Key+"\x01", id))
			if w.Ended {
				ends = append(ends, id)
			}
		}
	}
	log, rows := l.s.db.Collection(inLedger), l.s.db.Collection(inRows)
	return l.s.again(ctx, "old changes", func(ctx context.Context) error {
		if _, err := rows.DeleteMany(ctx, bson.D{eq("$or", older)}); err != nil {
			return err
		}
		if len(ends) > 0 {
			if _, err := rows.DeleteMany(ctx, bson.D{in("_id", ends)}); err != nil {
				return err
			}
		}
		_, err := log.DeleteMany(ctx, bson.D{in("_id", ids)})
		return err
	})
}
