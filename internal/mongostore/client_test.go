package mongostore

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
)

var background = context.Background()

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// openAt opens a store at a URI for a test.
func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	o.Log = quiet()
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open gives a store with a database of its own.
func open(t testing.TB) *Store {
	t.Helper()
	return openAt(t, Options{URI: mongotest.URI(t)})
}

func TestTheStoreOpensTwiceWithOneLogEpoch(t *testing.T) {
	uri := mongotest.URI(t)
	a, b := openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})
	if a.logEpoch == "" || a.logEpoch != b.logEpoch {
		t.Errorf("log epochs %q and %q of one database", a.logEpoch, b.logEpoch)
	}
	if other := open(t); other.logEpoch == a.logEpoch {
		t.Error("two databases have one log epoch")
	}
}

func TestOpenNeverSaysTheURI(t *testing.T) {
	for _, uri := range []string{"mongodb://ann:secret@", "http://ann:secret@x/", "mongodb://ann:secret@127.0.0.1:1/?w=nonsense&x=%zz", "mongodb://ann:secret@127.0.0.1:1/d"} {
		ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
		_, err := Open(ctx, Options{URI: uri, Log: quiet(), Timeout: 50 * time.Millisecond, Patience: 50 * time.Millisecond})
		cancel()
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open = %v", err)
		}
	}
}

func TestAnInsertUnderATakenIDIsRefused(t *testing.T) {
	s := open(t)
	c := s.db.Collection("things")
	doc := bson.D{{Key: "_id", Value: "a"}}
	if err := insertOne(background, c, doc); err != nil {
		t.Fatal(err)
	}
	if err := insertOne(background, c, doc); !taken(err) || passes(err) {
		t.Errorf("the second insert = %v, taken %v, passes %v", err, taken(err), passes(err))
	}
}
