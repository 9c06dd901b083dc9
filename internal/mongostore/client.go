// Package mongostore keeps everything in MongoDB, so that many nodes share it.
//
// Its one atomic step is the insert of a document whose _id may be taken already:
// whatever two writers might disagree on is decided by who inserted first. Updates
// are conditional as well, which MongoDB does atomically and FerretDB does not; they
// only bring up to date what can be made again from what was inserted (docs/mongodb.md).
//
// Every query is made of typed values, so that nothing a request says can become an
// operator.
package mongostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// DefaultDatabase is used where the URI names none.
const DefaultDatabase = "troupe"

// Options of a Store. A zero field means its written default.
type Options struct {
	// URI is where the database is: mongodb:// or mongodb+srv://, with the database's
	// name as its path. It is a secret, and is never logged.
	URI string
	// Timeout bounds one attempt at one command: 5 s.
	Timeout time.Duration
	// Patience is how long a command that failed in a way that passes (a new primary, a
	// lost connection) is tried again before the caller is told: 10 s, which is about
	// what a replica set takes to elect a primary.
	Patience time.Duration
	Log      *slog.Logger // slog.Default()
}

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Patience = cmp.Or(o.Patience, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Store fills the store interfaces of all centers by one database.
type Store struct {
	*rows.Store // what centres keep that asks neither sessions nor users
	ledger      *ledger

	client   *mongo.Client
	db       *mongo.Database
	log      *slog.Logger
	opts     Options
	logEpoch string    // of every log that is in this database
	moved    *movedDoc // the installation that was moved here, nil: it began here

	closing context.Context // ends with Close
	stop    context.CancelFunc
	workers sync.WaitGroup

	auditing sync.Mutex // held by AppendAudit

	away  atomic.Bool // the database has answered nothing for longer than Patience
	sight sight
	plain bool // FerretDB: an update is not atomic there

	commit sync.Mutex // held by Commit: one writer of logs a process
	states states     // of sessions written lately
	full   atomic.Pointer[func(protocol.SessionID)]
}

// Open connects to the database, looks whether the server can do what is needed, and
// makes the indexes. It fails when that cannot be done within ctx.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.checkServer, s.readEpoch, s.makeIndexes} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.workers.Go(s.strip)
	s.workers.Go(s.watch)
	return s, nil
}

// connect makes a Store that has asked the server nothing yet.
func connect(o Options) (*Store, error) {
	o = o.withDefaults()
	uri, err := connstring.ParseAndValidate(o.URI)
	if err != nil {
		return nil, errors.New("mongostore: the URI is none of MongoDB's") // the error has the URI in it
	}
	journaled := true
	client, err := mongo.Connect(options.Client().ApplyURI(o.URI).
		SetAppName("troupe").
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(readconcern.Majority()). // what a new primary could take back is not seen
		SetReadPreference(readpref.Primary()).
		SetRetryWrites(false). // again does it, by ids
		SetServerSelectionTimeout(o.Timeout).
		SetConnectTimeout(o.Timeout))
	if err != nil {
		return nil, errors.New("mongostore: the URI's options are none of MongoDB's")
	}
	s := &Store{client: client, db: client.Database(cmp.Or(uri.Database, DefaultDatabase)), log: o.Log, opts: o}
	s.closing, s.stop = context.WithCancel(context.Background())
	s.sight.patient()
	s.sight.saw()
	s.ledger = newLedger(s)
	s.Store = rows.New(s.ledger, s.names)
	return s, nil
}

// Close ends all that is under way and the connections.
func (s *Store) Close() error {
	s.stop()
	s.workers.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return fmt.Errorf("mongostore: disconnect: %w", err)
	}
	return nil
}

// GiveUp fills actors.GivesUp: what is under way ends now, whatever became of it, and nothing
// begins any more.
func (s *Store) GiveUp() { s.stop() }

// oldestWire is the wire version of MongoDB 5.0, the oldest that is tried to work.
const oldestWire = 13

// checkServer asks what the server is, and tries what all depends on: that of two
// documents with one _id the second is refused.
func (s *Store) checkServer(ctx context.Context) error {
	var hello struct {
		Wire     int32  `bson:"maxWireVersion"`
		Set      string `bson:"setName"`
		Message  string `bson:"msg"`
		ReadOnly bool   `bson:"readOnly"`
	}
	err := s.again(ctx, "hello", func(ctx context.Context) error {
		return s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	})
	if err != nil {
		return err
	}
	if hello.Wire < oldestWire {
		return fmt.Errorf("mongostore: the server is too old: it speaks wire version %d, %d (MongoDB 5.0) is needed", hello.Wire, oldestWire)
	}
	var build struct {
		Ferret string `bson:"ferretdbVersion"`
		Nested struct {
			Version string `bson:"version"`
		} `bson:"ferretdb"`
	}
	if err := s.again(ctx, "buildInfo", func(ctx context.Context) error {
		return s.db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build)
	}); err != nil {
		return err
	}
	if version := cmp.Or(build.Ferret, build.Nested.Version); version != "" {
		s.plain = true
		s.log.Warn("the database is FerretDB, which is good for tests only", "version", version)
	} else if hello.Set == "" && hello.Message != "isdbgrid" {
		s.log.Warn("the database is a single server: what it acknowledged lives on its disk alone")
	}
	id := "probe-" + s.token()
	probe := s.db.Collection("meta")
	doc := bson.D{{Key: "_id", Value: id}}
	if err := s.again(ctx, "probe", func(ctx context.Context) error { return ignoreTaken(insertOne(ctx, probe, doc)) }); err != nil {
		return err
	}
	err = s.again(ctx, "probe", func(ctx context.Context) error { return insertOne(ctx, probe, doc) })
	if !taken(err) {
		return fmt.Errorf("mongostore: the server takes two documents with one _id (%v)", err)
	}
	return s.again(ctx, "probe", func(ctx context.Context) error {
		_, err := probe.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
		return err
	})
}

// index is one that Open makes.
type index struct {
	collection string
	keys       bson.D
	sparse     bool // documents without the field are not in it
	unique     bool // of documents with the same the second is refused
}

func up(collection string, fields ...string) index {
	keys := make(bson.D, len(fields))
	for i, f := range fields {
		keys[i] = bson.E{Key: f, Value: int32(1)}
	}
	return index{collection: collection, keys: keys}
}

// unique is of a field that every document of the collection has.
func unique(collection, field string) index {
	i := up(collection, field)
	i.unique = true
	return i
}

func sparse(collection, field string) index {
	i := up(collection, field)
	i.sparse = true
	return i
}

// makeIndexes makes those that are not there: each part of the package has a function
// that names its own. What is kept is right because of those that are unique, and of _id;
// the others make queries fast.
func (s *Store) makeIndexes(ctx context.Context) error {
	all := slices.Concat(peopleIndexes(), journalIndexes(), botIndexes(), searchIndexes())
	if s.plain { // it makes no use of the others
		all = slices.DeleteFunc(all, func(i index) bool { return !i.unique })
	}
	slices.SortStableFunc(all, func(a, b index) int { return cmp.Compare(a.collection, b.collection) })
	for len(all) > 0 {
		n := len(all)
		if i := slices.IndexFunc(all, func(i index) bool { return i.collection != all[0].collection }); i > 0 {
			n = i
		}
		if err := s.makeIndexesOf(ctx, all[0].collection, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// makeIndexesOf makes those indexes of a collection that are not there. FerretDB v1.24.2 falls
// when it is asked for none but what is there.
func (s *Store) makeIndexesOf(ctx context.Context, collection string, all []index) error {
	return s.again(ctx, "indexes of "+collection, func(ctx context.Context) error {
		there := map[string]bool{}
		view := s.db.Collection(collection).Indexes()
		specs, err := view.ListSpecifications(ctx)
		var server mongo.ServerError
		if err != nil && !(errors.As(err, &server) && server.HasErrorCode(noSuchCollection)) {
			return err
		}
		for _, spec := range specs {
			there[spec.Name] = true
		}
		var models []mongo.IndexModel
		for _, i := range all {
			if name := i.name(); !there[name] {
				o := options.Index().SetName(name)
				if i.sparse {
					o.SetSparse(true)
				}
				if i.unique {
					o.SetUnique(true)
				}
				models = append(models, mongo.IndexModel{Keys: i.keys, Options: o})
			}
		}
		if len(models) == 0 {
			return nil
		}
		_, err = view.CreateMany(ctx, models)
		return err
	})
}

// noSuchCollection is the server's code NamespaceNotFound.
const noSuchCollection = 26

// name is what the server calls the index by itself.
func (i index) name() string {
	var words []string
	for _, k := range i.keys {
		words = append(words, k.Key, "1")
	}
	return strings.Join(words, "_")
}

// logDoc names the incarnation of the logs. Whoever inserts it has the database: a server that
// starts on an empty one, or an Import.
type logDoc struct {
	ID    string    `bson:"_id"` // "log"
	Epoch string    `bson:"epoch"`
	Moved *movedDoc `bson:"moved,omitempty"`
}

// readEpoch reads the name of this incarnation of the logs, and makes one where there
// is none. Whoever puts back a backup removes it (docs/mongodb.md).
func (s *Store) readEpoch(ctx context.Context) error {
	err := s.again(ctx, "log epoch", func(ctx context.Context) error {
		return ignoreTaken(insertOne(ctx, s.db.Collection("meta"), logDoc{ID: "log", Epoch: newEpoch()}))
	})
	if err != nil {
		return err
	}
	found, err := get[logDoc](ctx, s, "meta", "log")
	switch {
	case err != nil:
		return err
	case found == nil:
		return errors.New("mongostore: the log epoch is not where it was written")
	case found.Moved != nil && found.Moved.Done == 0:
		return fmt.Errorf("mongostore: %w", errHalf)
	}
	s.logEpoch, s.moved = found.Epoch, found.Moved
	return nil
}
