package mongostore

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/storetest"
)

func releasedDocuments(release string) string { return "testdata/releases/" + release + ".jsonl" }

// releasedDocument is one document, as canonical extended JSON.
type releasedDocument struct {
	In  string          `json:"in"` // its collection
	Doc json.RawMessage `json:"doc"`
}

// What a release has written is read as that release read it. TROUPE_WRITE_RELEASE=0.2 writes
// the fixture of a further one.
func TestWhatReleasesWroteIsRead(t *testing.T) {
	for _, release := range storetest.Releases {
		t.Run(release, func(t *testing.T) {
			uri := mongotest.URI(t)
			into := openAt(t, Options{URI: uri})
			for name := range documents(t, into) { // of a store that was just made
				if err := into.db.Collection(name).Drop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			f, err := os.Open(releasedDocuments(release))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				var d releasedDocument
				var doc bson.D
				if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
					t.Fatal(err)
				}
				if err := bson.UnmarshalExtJSON(d.Doc, true, &doc); err != nil {
					t.Fatal(err)
				}
				if _, err := into.db.Collection(d.In).InsertOne(t.Context(), doc); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // and once more, after this version has had it open
				storetest.Written(t, release, openAt(t, Options{URI: uri}))
			}
		})
	}
}

func TestWriteRelease(t *testing.T) {
	release := storetest.WriteRelease()
	if release == "" {
		t.Skip("TROUPE_WRITE_RELEASE names no release")
	}
	s := open(t)
	storetest.Write(t, release, s)
	path := releasedDocuments(release)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := documents(t, s)
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	lines := json.NewEncoder(f)
	for _, name := range names {
		for _, doc := range found[name] {
			if err := lines.Encode(releasedDocument{name, doc}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// documents gives all that is in a database, by collection.
func documents(t *testing.T, s *Store) map[string][]json.RawMessage {
	t.Helper()
	names, err := s.db.ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]json.RawMessage{}
	for _, name := range names {
		found, err := s.db.Collection(name).Find(t.Context(), bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		var docs []bson.D
		if err := found.All(t.Context(), &docs); err != nil {
			t.Fatal(err)
		}
		all[name] = nil
		for _, doc := range docs {
			text, err := bson.MarshalExtJSON(doc, true, false)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], text)
		}
	}
	return all
}
