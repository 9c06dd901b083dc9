package mongostore

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var (
	_ actors.NoticeStore = (*Store)(nil)
	_ actors.Standings   = (*Store)(nil)
)

const (
	inNotices   = "notices"
	inStandings = "standings"
)

func noticeIndexes() []index {
	return []index{up(inNotices, "done", "at")}
}

type noticeRow struct {
	ID      string   `bson:"_id"`
	By      string   `bson:"by"`
	Content []byte   `bson:"content"` // protobuf
	Users   []string `bson:"users"`   // null: everybody
	Created int64    `bson:"at"`      // Unix milliseconds, as in frames
	After   string   `bson:"after"`
	Told    int64    `bson:"told"`
	Failed  int64    `bson:"failed"`
	Done    int64    `bson:"done"`
}

func (r *noticeRow) notice() (*actors.NoticeRow, error) {
	n := &actors.NoticeRow{ID: r.ID, By: r.By, Content: &protocol.Content{}, Users: r.Users, CreatedAt: r.Created,
		After: r.After, Told: r.Told, Failed: r.Failed, DoneAt: r.Done}
	if err := proto.Unmarshal(r.Content, n.Content); err != nil {
		return nil, fmt.Errorf("mongostore: notice %s: %w", r.ID, err)
	}
	return n, nil
}

// AddNotice fills actors.NoticeStore.
func (s *Store) AddNotice(ctx context.Context, n *actors.NoticeRow) (*actors.NoticeRow, error) {
	row := noticeRow{ID: n.ID, By: n.By, Users: n.Users, Created: n.CreatedAt}
	var err error
	if row.Content, err = proto.Marshal(n.Content); err != nil {
		return nil, fmt.Errorf("mongostore: notice %s: %w", n.ID, err)
	}
	err = s.again(ctx, "notice", func(ctx context.Context) error {
		return ignoreTaken(insertOne(ctx, s.db.Collection(inNotices), row))
	})
	if err != nil {
		return nil, err
	}
	return s.Notice(ctx, n.ID)
}

// Notice fills actors.NoticeStore.
func (s *Store) Notice(ctx context.Context, id string) (*actors.NoticeRow, error) {
	row, err := get[noticeRow](ctx, s, inNotices, id)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, protocol.NotFound("notice %s", id)
	}
	return row.notice()
}

// MoveNotice fills actors.NoticeStore.
func (s *Store) MoveNotice(ctx context.Context, n *actors.NoticeRow) error {
	was, err := s.Notice(ctx, n.ID)
	if err != nil {
		return err
	}
	set := bson.D{eq("after", n.After), eq("told", n.Told), eq("failed", n.Failed)}
	if n.DoneAt != 0 && was.DoneAt == 0 {
		set = append(set, eq("done", n.DoneAt))
	}
	return s.again(ctx, "notice", func(ctx context.Context) error {
		_, err := s.db.Collection(inNotices).UpdateOne(ctx, bson.D{eq("_id", n.ID)}, bson.D{{Key: "$set", Value: set}})
		return err
	})
}

// OpenNotices fills actors.NoticeStore.
func (s *Store) OpenNotices(ctx context.Context) (open []*actors.NoticeRow, err error) {
	rows, err := find[noticeRow](ctx, s, inNotices, bson.D{eq("done", int64(0))}, options.Find().SetSort(bson.D{eq("at", int32(1)), eq("_id", int32(1))}))
	for _, r := range rows {
		n, err := r.notice()
		if err != nil {
			return nil, err
		}
		open = append(open, n)
	}
	return open, err
}

// ForgetNotices fills actors.NoticeStore.
func (s *Store) ForgetNotices(ctx context.Context, before int64) error {
	return s.again(ctx, "notices", func(ctx context.Context) error {
		_, err := s.db.Collection(inNotices).DeleteMany(ctx, bson.D{{Key: "done", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lt", Value: before}}}})
		return err
	})
}

type standingRow struct {
	ID         string `bson:"_id"` // user
	Status     string `bson:"status"`
	LastActive int64  `bson:"active"`
}

// Standings fills actors.Standings.
func (s *Store) Standings(ctx context.Context, ids []protocol.UserID) (all []actors.Standing, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := find[standingRow](ctx, s, inStandings, bson.D{in("_id", ids)})
	for _, r := range rows {
		all = append(all, actors.Standing{User: r.ID, Status: r.Status, LastActive: r.LastActive})
	}
	return all, err
}

// KeepStandings fills actors.Standings.
func (s *Store) KeepStandings(ctx context.Context, users []actors.Standing) error {
	if len(users) == 0 {
		return nil
	}
	rows := make([]versioned, len(users))
	for i, u := range users {
		rows[i] = versioned{id: u.User, row: standingRow{u.User, u.Status, u.LastActive}}
	}
	there, err := s.insertMissing(ctx, inStandings, rows)
	if err != nil || len(there) == 0 {
		return err
	}
	var models []mongo.WriteModel
	for _, t := range there {
		r := t.row.(standingRow)
		change := bson.D{{Key: "$max", Value: bson.D{eq("active", r.LastActive)}}}
		if r.Status != "" {
			change = append(change, bson.E{Key: "$set", Value: bson.D{eq("status", r.Status)}})
		}
		models = append(models, mongo.NewUpdateOneModel().SetFilter(bson.D{eq("_id", r.ID)}).SetUpdate(change))
	}
	return s.bulk(ctx, inStandings, models)
}
