package mongostore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/troupe-im/troupe/internal/migrate"
)

var _ migrate.Target = (*Import)(nil)

// Import is a database that an embedded installation is moved into. All that it inserts has an _id
// that is made from what it is of, and is never changed: whatever was broken off is inserted once
// more, and what is there already is left alone.
type Import struct {
	s    *Store
	made logDoc // by Claim
}

// movedDoc says of which state of which installation the database's first content is.
type movedDoc struct {
	Installation string `bson:"installation"`
	Change       int64  `bson:"change"`
	Epoch        string `bson:"epoch"` // of the logs, where they come from
	Begun        int64  `bson:"begun"` // Unix milliseconds
	Done         int64  `bson:"done"`  // 0: it is half done
}

// placeDoc is how far a kind has come.
type placeDoc struct {
	Kind  string `bson:"_id"`
	After []byte `bson:"after"`
	Moved int64  `bson:"moved"`
	Done  bool   `bson:"done"`
}

// inPlaces is there while a migration is half done.
const inPlaces = "migration"

var errHalf = errors.New("an installation was half moved into this database: end it by the same \"troupe migrate\", or empty the database")

// OpenImport connects to the database, and changes nothing there.
func OpenImport(ctx context.Context, o Options) (*Import, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	if err := s.checkServer(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Import{s: s}, nil
}

// Close ends the connections.
func (i *Import) Close() error { return i.s.Close() }

// Moved says which installation was moved here and when; zero: it began here.
func (s *Store) Moved() (installation string, at time.Time) {
	if s.moved == nil {
		return "", time.Time{}
	}
	return s.moved.Installation, time.UnixMilli(s.moved.Done)
}

// Place names the database that uri is of, without what is secret in it.
func Place(uri string) string {
	is, err := connstring.ParseAndValidate(uri)
	if err != nil {
		return "?"
	}
	return strings.Join(is.Hosts, ",") + "/" + cmp.Or(is.Database, DefaultDatabase)
}

// Claim fills migrate.Target. The document that says what the logs' epoch is says as well for whom the
// database is filled, so that of a server that starts on it and an Import one is refused.
func (i *Import) Claim(ctx context.Context, of migrate.Origin, epoch string, only bool) (at migrate.Standing, err error) {
	is, err := get[logDoc](ctx, i.s, "meta", "log")
	if err != nil {
		return at, err
	}
	if is == nil {
		if err := i.empty(ctx); err != nil || only {
			return at, err
		}
		is = &logDoc{ID: "log", Epoch: epoch, Moved: &movedDoc{Installation: of.Installation, Change: of.Change, Epoch: of.Epoch, Begun: time.Now().UnixMilli()}}
		err := i.s.again(ctx, "claim", func(ctx context.Context) error {
			return ignoreTaken(insertOne(ctx, i.s.db.Collection("meta"), is))
		})
		if err == nil {
			is, err = get[logDoc](ctx, i.s, "meta", "log") // which may be another's
		}
		if err != nil || is == nil {
			return at, either(err, errors.New("mongostore: the claim is not where it was written"))
		}
	}
	if err := is.is(of); err != nil {
		return at, fmt.Errorf("mongostore: %w", err)
	}
	i.made = *is
	at.Begun = time.UnixMilli(is.Moved.Begun)
	if is.Moved.Done != 0 {
		at.Done = time.UnixMilli(is.Moved.Done)
		return at, nil
	}
	if only {
		return at, nil
	}
	if err := i.s.makeIndexes(ctx); err != nil {
		return at, err
	}
	places, err := find[placeDoc](ctx, i.s, inPlaces, bson.D{})
	at.At = make(map[migrate.Kind]migrate.Place, len(places))
	for _, p := range places {
		at.At[migrate.Kind(p.Kind)] = migrate.Place{After: string(p.After), Moved: p.Moved, Done: p.Done}
	}
	return at, err
}

// is refuses a database that another installation, or another state of this one, is or was moved into.
func (d *logDoc) is(of migrate.Origin) error {
	m := d.Moved
	switch {
	case m == nil:
		return errors.New("the database is in use: a server was started on it; name an empty one")
	case m.Installation != of.Installation:
		return fmt.Errorf("the database is another installation's: %s was moved there, and this is %s; name an empty one", m.Installation, of.Installation)
	case (m.Change != of.Change || m.Epoch != of.Epoch) && m.Done != 0:
		return fmt.Errorf("the installation was moved there on %s, and its data directory has been used since (change %d then, %d now): what came after that is in the data directory only; name an empty database to move it anew",
			time.UnixMilli(m.Done).UTC().Format(time.DateTime), m.Change, of.Change)
	case m.Change != of.Change || m.Epoch != of.Epoch:
		return fmt.Errorf("the installation was half moved there, and its data directory has been used since (change %d then, %d now): empty the database (db.dropDatabase()) and begin anew", m.Change, of.Change)
	}
	return nil
}

// empty refuses a database that has any document but what a probe of checkServer's may have left.
func (i *Import) empty(ctx context.Context) error {
	var names []string
	err := i.s.again(ctx, "collections", func(ctx context.Context) (err error) {
		names, err = i.s.db.ListCollectionNames(ctx, bson.D{})
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "system.") {
			continue
		}
		found := errors.New("mongostore: the database is not empty: there is something in " + name + "; name an empty one")
		err := each(ctx, i.s, name, bson.D{}, func(d *struct {
			ID any `bson:"_id"`
		}) error {
			if id, ok := d.ID.(string); ok && name == "meta" && strings.HasPrefix(id, "probe-") {
				return nil
			}
			return found
		}, options.Find().SetProjection(bson.D{eq("_id", 1)}))
		if err != nil {
			return err
		}
	}
	return nil
}

// Note fills migrate.Target.
func (i *Import) Note(ctx context.Context, kind migrate.Kind, at migrate.Place) error {
	d := placeDoc{Kind: string(kind), After: []byte(at.After), Moved: at.Moved, Done: at.Done}
	return i.s.overwrite(ctx, inPlaces, map[string]any{d.Kind: d})
}

// Finish fills migrate.Target: changes of the ledger go on behind the source's, and then it is said that
// all is there.
func (i *Import) Finish(ctx context.Context) error {
	if err := i.s.overwrite(ctx, inMarked, map[string]any{"rows": watermark{"rows", i.made.Moved.Change}}); err != nil {
		return err
	}
	done := *i.made.Moved
	done.Done = time.Now().UnixMilli()
	if err := i.s.replace(ctx, "meta", "log", logDoc{ID: "log", Epoch: i.made.Epoch, Moved: &done}); err != nil {
		return err
	}
	return i.s.again(ctx, "end of the migration", func(ctx context.Context) error { return i.s.db.Collection(inPlaces).Drop(ctx) })
}

// madeMark is a mark, or an _id that nobody else ever has, which is the same each time it is made of the same words.
func madeMark(words ...string) string {
	sum := sha256.Sum256([]byte("moved/" + joined(words...)))
	return hex.EncodeToString(sum[:12])
}

// insertAll inserts documents, but for those that are there.
func (i *Import) insertAll(ctx context.Context, into string, docs []any) error {
	if len(docs) == 0 {
		return nil
	}
	return i.s.again(ctx, "insert into "+into, func(ctx context.Context) error {
		_, err := i.s.db.Collection(into).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		return allThere(err)
	})
}
