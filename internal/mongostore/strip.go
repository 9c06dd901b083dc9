package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
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

// refer tells the file centre's rows which entries name which files from now on.
func (s *Store) refer(ctx context.Context, changes map[string][]referDoc) error {
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		for session, all := range changes {
			for _, r := range all {
				if err := rows.Refer(t, sessionBytes(session), r.Seq, r.Was, r.Is, time.Now()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Collections of the search, which signs blocks of a log.
const (
	inSignatures = "signatures" // session/block
	inUnsigned   = "unsigned"   // session/block, of those whose words changed
)

type unsignedRow struct {
	ID      string `bson:"_id"` // blockID
	N       int64  `bson:"n"`   // rises with every change
	Session string `bson:"s"`
	Block   int64  `bson:"b"`
}

// unsign removes the signatures of blocks whose words changed, so that not even their
// hashes remain, and notes that they are to be signed again.
func (s *Store) unsign(ctx context.Context, blocks map[protocol.SessionID][]int64) error {
	var notes []versioned
	var ids []string
	for session, all := range blocks {
		for _, block := range all {
			id := blockID(session, block)
			ids = append(ids, id)
			notes = append(notes, versioned{id, time.Now().UnixNano(), unsignedRow{id, time.Now().UnixNano(), session, block}})
		}
	}
	if err := s.keep(ctx, inUnsigned, notes, true); err != nil {
		return err
	}
	return s.again(ctx, "unsign", func(ctx context.Context) error {
		_, err := s.db.Collection(inSignatures).DeleteMany(ctx, bson.D{in("_id", ids)})
		return err
	})
}
