package mongostore

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/rows"
)

// ledger is rows.DB on two collections. In ledger_log the changes lie one behind the other, each
// one document whose _id is the next number: that such a document can be inserted once is
// all that makes a change atomic and puts all changes, whichever node they come from, in one
// order. ledger_rows has the rows, as versions: the same key written by change 7 and by
// change 9 are two documents, and who reads takes the one with the highest number.
//
// Why that is right where nothing but the insert of a unique _id is atomic:
//   - Whoever makes change n has read rows after all changes before n were in ledger_rows
//     (catchUp puts those there that somebody committed and did not live to put there). Had
//     another change come meanwhile, it would have the number n, and the insert fails:
//     everything is read and decided anew. Where all that was wished for is refused, so
//     that nothing is written that could fail, it is looked whether n is there (alone).
//   - A version is inserted and never changed, so putting it there twice, or late, does
//     nothing. What is removed is a version that a later one stands in front of.
//   - A change is answered when its versions are there, so whoever asks afterwards, on any
//     node, reads them.
//   - An insert whose answer was lost is found again by its author's mark (By).
//
// Documents of the log go when they have been in ledger_rows for keepLog: nobody who still
// believes in a number that old may commit (see fresh).
type ledger struct {
	s *Store

	queued  sync.Mutex
	waiting []*wish

	committing sync.Mutex
	applied    int64             // all changes up to this one are in ledger_rows
	checked    time.Time         // when applied was known to be the newest
	cache      map[string]*value // rows as they are after applied
	marked     int64             // what marks has of applied
	seen       []seen            // see tidy
	old        int64             // changes up to this one may go
	forgot     int64             // and up to this one are gone
	tidied     time.Time
}

// wish is a change that somebody waits for.
type wish struct {
	f    func(t rows.Tx) error
	err  error
	done chan struct{}
}

// value is a row; b nil: there is none.
type value struct{ b []byte }

// change is a document of ledger_log.
type change struct {
	ID     int64     `bson:"_id"`
	By     string    `bson:"by"` // of whoever made it, this once
	Writes []written `bson:"w"`
}

type written struct {
	Key   string `bson:"k"` // as word makes it
	Value []byte `bson:"v"`
	Ended bool   `bson:"x"`
}

// version is a document of ledger_rows.
type version struct {
	ID    string `bson:"_id"` // key, \x01, and the change's number in 16 hex digits
	Value []byte `bson:"v"`
	Ended bool   `bson:"x"`
}

// watermark is the document of ledger_marks that says up to where changes are in ledger_rows.
type watermark struct {
	ID      string `bson:"_id"`
	Applied int64  `bson:"applied"`
}

const (
	// mostWishes and mostBytes bound what is committed in one document, which has 16 MiB at most.
	mostWishes = 64
	mostBytes  = 4 << 20
	// fresh is how long a node believes that it knows the newest change without looking, and
	// keepLog how long changes stay in the log: far longer than fresh and a commit take together.
	fresh   = time.Minute
	keepLog = time.Hour
	// commitWithin bounds one attempt to insert.
	commitWithin = 30 * time.Second
	// mostCached is how many rows are kept in memory, some 500 bytes each.
	mostCached = 8192
)

// Collections of the ledger.
const (
	inLedger = "ledger_log"
	inRows   = "ledger_rows"
	inMarked = "ledger_marks"
)

func newLedger(s *Store) *ledger { return &ledger{s: s, cache: map[string]*value{}} }

// Update fills rows.DB. Those who come while another change is being written share the next one.
func (l *ledger) Update(ctx context.Context, f func(t rows.Tx) error) error {
	w := &wish{f: f, done: make(chan struct{})}
	l.queued.Lock()
	l.waiting = append(l.waiting, w)
	l.queued.Unlock()
	l.committing.Lock()
	defer l.committing.Unlock()
	for {
		select {
		case <-w.done:
			return w.err
		default:
		}
		l.queued.Lock()
		group := l.waiting[:min(len(l.waiting), mostWishes)]
		l.waiting = l.waiting[len(group):]
		l.queued.Unlock()
		l.commit(context.WithoutCancel(ctx), group)
		l.tidy(context.WithoutCancel(ctx))
	}
}

// commit makes the wishes true in one change, but for those that fail, and tells all of them.
func (l *ledger) commit(ctx context.Context, group []*wish) {
	told := false
	defer func() {
		if !told { // a wish panicked: nobody may wait for ever
			for _, w := range group {
				w.err = errors.New("mongostore: the change was given up")
				close(w.done)
			}
		}
	}()
	left, err := l.tryAll(ctx, group)
	told = true
	for _, w := range group[:len(group)-left] {
		if err != nil {
			w.err = err
		}
		close(w.done)
	}
	if left > 0 {
		l.queued.Lock()
		l.waiting = slices.Concat(group[len(group)-left:], l.waiting)
		l.queued.Unlock()
	}
}

// tryAll is commit but for the telling; left are those of the group that did not fit in.
func (l *ledger) tryAll(ctx context.Context, group []*wish) (left int, err error) {
	for {
		if l.stale() {
			if err := l.catchUp(ctx); err != nil {
				return 0, err
			}
		}
		n := l.applied + 1
		all, size := rows.Overlay{}, 0
		left = len(group)
		for i, w := range group {
			t := &ledgerTx{l: l, ctx: ctx, before: all, own: rows.Overlay{}, number: n<<6 + int64(i)}
			w.err = w.f(t)
			if t.err != nil {
				return 0, t.err
			}
			left--
			if w.err != nil {
				continue
			}
			t.own.Rows(func(key string, v []byte) {
				all[key] = v
				size += len(key) + len(v)
			})
			if size > mostBytes {
				break
			}
		}
		if len(all) == 0 {
			if alone, err := l.alone(ctx, n); err != nil || alone {
				return left, err
			}
			continue
		}
		c := &change{ID: n, By: rand.Text()}
		all.Rows(func(key string, v []byte) { c.Writes = append(c.Writes, written{word([]byte(key)), v, v == nil}) })
		if other, err := l.insert(ctx, c); err != nil {
			return left, err
		} else if other {
			if err := l.catchUp(ctx); err != nil {
				return left, err
			}
			continue
		}
		if err := l.apply(ctx, c, true); err != nil {
			return left, err
		}
		l.applied, l.checked = n, time.Now()
		l.learn(c)
		if err := l.mark(ctx, 256); err != nil {
			l.s.log.Warn("the ledger's mark is old", "applied", l.applied, "err", err)
		}
		return left, nil
	}
}

// stale says that applied may be that of long ago, by either clock: one of them stands still
// while a machine sleeps.
func (l *ledger) stale() bool {
	now := time.Now()
	return now.Sub(l.checked) > fresh || now.Round(0).Sub(l.checked.Round(0)) > fresh
}

// alone says that there is no change n yet. What it finds, the next round reads.
func (l *ledger) alone(ctx context.Context, n int64) (bool, error) {
	now := time.Now()
	found, err := find[change](ctx, l.s, inLedger, byID(n))
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		l.checked = now
		return true, nil
	}
	return false, l.catchUp(ctx)
}

func byID[T int64 | string](id T) bson.D { return bson.D{{Key: "_id", Value: id}} }

// insert commits a change, or says that its number is taken by another. Where the answer was
// lost it is tried again under the same number, and finds itself.
func (l *ledger) insert(ctx context.Context, c *change) (other bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitWithin)
	defer cancel()
	log := l.s.db.Collection(inLedger)
	return other, l.s.again(ctx, "change", func(ctx context.Context) error {
		other = false
		err := insertOne(ctx, log, c)
		if !taken(err) || unconfirmed(err) {
			return err
		}
		var is change
		if err := log.FindOne(ctx, byID(c.ID)).Decode(&is); err != nil {
			return err
		}
		other = is.By != c.By
		return nil
	})
}

// catchUp puts changes behind applied into ledger_rows, which mostly are there, and learns them.
func (l *ledger) catchUp(ctx context.Context) error {
	now := time.Now()
	if l.checked.IsZero() {
		w, err := get[watermark](ctx, l.s, inMarked, "rows")
		if err != nil {
			return err
		}
		if w != nil {
			l.applied, l.marked = w.Applied, w.Applied
		}
	}
	behind := bson.D{op("_id", "$gt", l.applied)}
	err := each(ctx, l.s, inLedger, behind, func(c *change) error {
		if err := l.apply(ctx, c, false); err != nil {
			return err
		}
		if c.ID != l.applied+1 {
			clear(l.cache) // those between are so old that they went
		}
		l.applied = c.ID
		l.learn(c)
		return nil
	}, options.Find().SetSort(byID(int64(1))))
	if err != nil {
		return err
	}
	l.checked = now
	return nil
}

// apply puts a change's versions into ledger_rows, and removes those before them when it is
// ours: who made another change does that.
func (l *ledger) apply(ctx context.Context, c *change, ours bool) error {
	versions := make([]any, len(c.Writes))
	older := make(bson.A, len(c.Writes))
	for i, w := range c.Writes {
		id := versionID(w.Key, c.ID)
		versions[i] = version{id, w.Value, w.Ended}
		older[i] = between(w.Key+"\x01", id)
	}
	in := l.s.db.Collection(inRows)
	err := l.s.again(ctx, "rows of a change", func(ctx context.Context) error {
		_, err := in.InsertMany(ctx, versions, options.InsertMany().SetOrdered(false))
		return allThere(err)
	})
	if err != nil || !ours {
		return err
	}
	return l.s.again(ctx, "older rows", func(ctx context.Context) error {
		_, err := in.DeleteMany(ctx, bson.D{eq("$or", older)})
		return err
	})
}

// allThere is err, unless it only says that documents were there already.
func allThere(err error) error {
	var many mongo.BulkWriteException
	if !errors.As(err, &many) || many.WriteConcernError != nil {
		return err
	}
	for _, e := range many.WriteErrors {
		if e.Code != 11000 {
			return err
		}
	}
	return nil
}

// learn brings the cache up to a change.
func (l *ledger) learn(c *change) {
	if len(l.cache) > mostCached {
		clear(l.cache)
	}
	for _, w := range c.Writes {
		v := &value{}
		if !w.Ended {
			v.b = append([]byte{}, w.Value...)
		}
		l.cache[w.Key] = v
	}
}

// mark writes down up to where changes are in ledger_rows, when it is at least so many more
// than the last time. Any number that ever was right is right, so it may be overwritten at will.
func (l *ledger) mark(ctx context.Context, every int64) error {
	if l.applied-l.marked < every {
		return nil
	}
	err := l.s.again(ctx, "mark of the ledger", func(ctx context.Context) error {
		_, err := l.s.db.Collection(inMarked).ReplaceOne(ctx, byID("rows"), watermark{"rows", l.applied}, options.Replace().SetUpsert(true))
		return ignoreTaken(err)
	})
	if err == nil {
		l.marked = l.applied
	}
	return err
}
