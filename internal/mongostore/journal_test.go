package mongostore

import (
	"flag"
	"os"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// FerretDB reads whole collections for what MongoDB has an index for, so that the model
	// is tried a few times only, unless it is asked for more often.
	for name, few := range map[string]string{"rapid.checks": "8", "rapid.steps": "12"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			_ = f.Value.Set(few)
		}
	}
	os.Exit(m.Run())
}

func TestStoreIsAJournal(t *testing.T) {
	storetest.Journal(t, func(t testing.TB) storetest.Store {
		uri := mongotest.URI(t)
		return storetest.Store{Journal: openAt(t, Options{URI: uri}), Reopen: func() actors.Journal {
			return openAt(t, Options{URI: uri})
		}}
	})
}

func TestStoreKeepsNotices(t *testing.T) {
	storetest.Notices(t, func(t *testing.T) actors.NoticeStore { return open(t) })
}
