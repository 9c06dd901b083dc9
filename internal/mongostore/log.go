package mongostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Range fills actors.Journal. bytes are counted as stored, which is about what a
// binary frame takes. It is one query, on the index (s, b).
func (s *Store) Range(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	return s.entries(ctx, session, from, to, limit, bytes, false)
}

// Backward fills actors.Journal.
func (s *Store) Backward(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	return s.entries(ctx, session, from, to, limit, bytes, true)
}

func (s *Store) entries(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int, back bool) (entries []*protocol.Entry, err error) {
	if _, err := s.known(ctx, session); err != nil {
		return nil, err
	}
	err = s.stored(ctx, session, from, to, limit, back, func(d *entryDoc) error {
		if bytes -= len(d.Data); len(entries) == limit || bytes < 0 && len(entries) > 0 {
			return errEnough
		}
		e, err := d.entry(session)
		entries = append(entries, e)
		return err
	})
	return entries, err
}

// errEnough ends a walk early, without an error.
var errEnough = errors.New("enough")

// stored calls use with the entries from <= seq <= to of a session as they lie there, back:
// newest first, until it returns an error; errEnough is none. limit is how many it is
// about, at most.
func (s *Store) stored(ctx context.Context, session protocol.SessionID, from, to int64, limit int, back bool, use func(*entryDoc) error) error {
	from = max(from, 1)
	if from > to || limit <= 0 {
		return nil
	}
	direction := int32(1)
	if back {
		direction = -1
	}
	filter := bson.D{eq("s", session), op("b", "$gte", from)}
	if back { // the newest commit has to be found from above: what begins behind to is passed over
		filter = append(filter, op("a", "$lte", to))
	}
	o := options.Find().SetSort(bson.D{eq("b", direction)}).SetLimit(int64(min(limit, 1<<20))).SetBatchSize(int32(min(limit, 1000)))
	err := each(ctx, s, inCommits, filter, func(c *commitDoc) error {
		if !back && c.First > to {
			return errEnough
		}
		for i := range c.Entries {
			e := &c.Entries[i]
			if back {
				e = &c.Entries[len(c.Entries)-1-i]
			}
			if e.Seq < from || e.Seq > to {
				continue
			}
			if err := use(e); err != nil {
				return err
			}
		}
		return nil
	}, o)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Sent fills actors.Journal.
func (s *Store) Sent(ctx context.Context, session protocol.SessionID, sender protocol.UserID, id protocol.ClientMsgID) (sent actors.Sent, err error) {
	if _, err := s.known(ctx, session); err != nil || id == "" {
		return sent, err
	}
	key := protocol.SentKey(sender, id)
	there, err := find[commitDoc](ctx, s, inCommits, bson.D{eq("k", sentWord(session, key[:]))})
	for _, c := range there {
		for i := range c.Entries {
			if string(c.Entries[i].Sent) == string(key[:]) {
				return c.Entries[i].sent(), nil
			}
		}
	}
	return sent, err
}

// SentKeys fills actors.Journal.
func (s *Store) SentKeys(ctx context.Context, session protocol.SessionID, from, to int64, each func(key [16]byte, sent actors.Sent)) error {
	if _, err := s.known(ctx, session); err != nil {
		return err
	}
	return s.stored(ctx, session, from, to, 1<<30, false, func(e *entryDoc) error {
		if len(e.Sent) == 16 {
			each([16]byte(e.Sent), e.sent())
		}
		return nil
	})
}

// Deeds fills actors.Journal.
func (s *Store) Deeds(ctx context.Context, session protocol.SessionID, target int64, user protocol.UserID) (deeds []actors.Deed, err error) {
	if _, err := s.known(ctx, session); err != nil {
		return nil, err
	}
	there, err := find[commitDoc](ctx, s, inCommits, bson.D{eq("g", deedWord(session, target, user))}, options.Find().SetSort(bson.D{eq("b", int32(1))}))
	for _, c := range there {
		for i := range c.Entries {
			if d := &c.Entries[i]; d.Deed != target || d.Sender != user {
				continue
			}
			e, err := c.Entries[i].entry(session)
			if err != nil {
				return nil, err
			}
			deed := actors.Deed{Kind: e.Kind, Word: e.Reaction + e.Answer, Seq: e.Seq}
			deeds = slices.DeleteFunc(deeds, func(x actors.Deed) bool { return x.Kind == deed.Kind && x.Word == deed.Word })
			if !e.Removed {
				deeds = append(deeds, deed)
			}
		}
	}
	return deeds, err
}

// Original fills actors.Journal.
func (s *Store) Original(ctx context.Context, session protocol.SessionID, seq int64) (*actors.Original, error) {
	if _, err := s.known(ctx, session); err != nil {
		return nil, err
	}
	c, err := s.holding(ctx, session, seq)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Entries[seq-c.First].Original == nil {
		return nil, protocol.NotFound("the original of message %s", protocol.MessageID(session, seq))
	}
	e := &protocol.Entry{}
	if err := proto.Unmarshal(c.Entries[seq-c.First].Original, e); err != nil {
		return nil, fmt.Errorf("mongostore: original %s %d: %w", session, seq, err)
	}
	return &actors.Original{Seq: seq, Content: e.Content, Mentions: e.Mentions}, nil
}

// Dealt fills actors.Journal.
func (s *Store) Dealt(ctx context.Context, session protocol.SessionID, before int64, limit int) (entries []*protocol.Entry, err error) {
	if _, err := s.known(ctx, session); err != nil || limit <= 0 {
		return nil, err
	}
	filter := bson.D{eq("o", session)}
	if before > 0 {
		filter = append(filter, op("a", "$lt", before))
	}
	// One more than asked for: of the newest, all that was dealt with may be from before on.
	there, err := find[commitDoc](ctx, s, inCommits, filter, options.Find().SetSort(bson.D{eq("b", int32(-1))}).SetLimit(int64(limit)+1))
	for _, c := range there {
		for i := range slices.Backward(c.Entries) {
			d := &c.Entries[i]
			if d.Original == nil || before > 0 && d.Seq >= before || len(entries) == limit {
				continue
			}
			e, err := d.entry(session)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
	}
	return entries, err
}

// Due fills actors.Journal.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (due []actors.Due, err error) {
	if limit <= 0 {
		return nil, nil
	}
	there, err := find[commitDoc](ctx, s, inCommits, bson.D{{Key: "x", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: now.UnixMilli()}}}},
		options.Find().SetSort(bson.D{eq("x", int32(1))}).SetLimit(int64(min(limit, 1<<20))))
	for _, c := range there {
		for _, e := range c.Entries {
			if e.Due > 0 && e.Due <= now.UnixMilli() {
				due = append(due, actors.Due{Session: c.Session, Seq: e.Seq, At: time.UnixMilli(e.Due)})
			}
		}
	}
	slices.SortStableFunc(due, func(a, b actors.Due) int { return a.At.Compare(b.At) })
	return due[:min(len(due), limit)], err
}

// DueSessions fills actors.Journal.
func (s *Store) DueSessions(ctx context.Context, now time.Time, limit int) (due []protocol.SessionID, err error) {
	if limit <= 0 {
		return nil, nil
	}
	rows, err := find[sessionRow](ctx, s, inSessions, bson.D{{Key: "until", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: now.UnixMilli()}}}},
		options.Find().SetSort(bson.D{eq("until", int32(1))}).SetLimit(int64(min(limit, 1<<20))))
	slices.SortStableFunc(rows, func(a, b *sessionRow) int { return cmp.Or(cmp.Compare(a.Until, b.Until), cmp.Compare(a.ID, b.ID)) })
	for _, r := range rows {
		due = append(due, r.ID)
	}
	return due, err
}
