package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Old commits keep their numbers for good, as a writer that was too late must find them
// taken. What of them is in its places is removed from them.
const (
	stripEvery = time.Minute
	stripAfter = time.Minute // an activation that wrote at the same time may still look at it
)

// strip removes from commits what has been in its places for a while, of whichever node's.
func (s *Store) strip() {
	for s.closing.Err() == nil {
		s.pause(s.closing, stripEvery)
		if s.closing.Err() != nil || s.away.Load() {
			continue
		}
		if err := s.stripNow(s.closing, time.Now().Add(-stripAfter)); err != nil && s.closing.Err() == nil {
			s.log.Warn("what commits keep twice stays for now", "err", err)
		}
	}
}

// stripNow strips what was in its places by a time.
func (s *Store) stripNow(ctx context.Context, by time.Time) error {
	return s.again(ctx, "strip", func(ctx context.Context) error {
		_, err := s.db.Collection(inCommits).UpdateMany(ctx,
			bson.D{{Key: "w", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lt", Value: by.UnixMilli()}}}},
			bson.D{{Key: "$unset", Value: bson.D{{Key: "c", Value: ""}, {Key: "w", Value: ""}}}})
		return err
	})
}
