package mongostore

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/userctr"
)

// termDoc is an entry of the index of names. Versions of a row with the same terms share theirs, and
// others have others', so that nobody removes what another inserts meanwhile.
type termDoc struct {
	ID    string `bson:"_id"` // joined under and term
	Under string `bson:"under"`
	Term  string `bson:"term"`
	User  string `bson:"user"`
}

// addTerms inserts what a version is found by, before the version.
func (s *Store) addTerms(ctx context.Context, of *userDoc, terms []string) error {
	if len(terms) == 0 {
		return nil
	}
	docs := make([]termDoc, len(terms))
	for i, term := range terms {
		docs[i] = termDoc{ID: joined(of.Under, term), Under: of.Under, Term: term, User: of.User}
	}
	return s.again(ctx, "insert into "+inTerms, func(ctx context.Context) error {
		_, err := s.db.Collection(inTerms).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		return ignoreTaken(err) // those that an earlier attempt inserted
	})
}

func (s *Store) removeTerms(ctx context.Context, under string) error {
	if under == "" {
		return nil
	}
	return s.removeAll(ctx, inTerms, bson.D{eq("under", under)})
}

// FindTerms fills userctr.ProfileStore. While a user changes, or after a crash in the middle of
// that, there may be an entry of a term that its row has no more or not yet.
func (s *Store) FindTerms(ctx context.Context, prefix string, behind userctr.TermPlace, limit int) (places []userctr.TermPlace, err error) {
	inOrder := options.Find().SetSort(bson.D{eq("term", 1), eq("user", 1)}).SetLimit(int64(limit))
	beginning := bson.E{Key: "term", Value: bson.D{eq("$gte", max(prefix, behind.Term)), eq("$lt", prefix+"\U0010ffff")}}
	for {
		filter := bson.D{beginning}
		if behind != (userctr.TermPlace{}) {
			filter = append(filter, bson.E{Key: "$or", Value: []bson.D{
				{op("term", "$gt", behind.Term)}, {eq("term", behind.Term), op("user", "$gt", behind.User)},
			}})
		}
		docs, err := find[termDoc](ctx, s, inTerms, filter, inOrder)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			behind = userctr.TermPlace{Term: d.Term, User: d.User}
			if len(places) < limit && !slices.Contains(places[max(0, len(places)-1):], behind) {
				places = append(places, behind)
			}
		}
		if len(places) == limit || len(docs) < limit {
			return places, nil
		}
	}
}
