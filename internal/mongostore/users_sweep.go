package mongostore

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Sweep fills userctr.Store. Any number of nodes may sweep at once. A crash leaves what the next
// sweep removes.
func (s *Store) Sweep(ctx context.Context, ended, spent time.Time) error {
	for _, step := range []func() error{
		func() error { return s.sweepLogins(ctx, inLogins, bson.D{op("expires", "$lt", nanos(ended))}) },
		func() error { return s.sweepLogins(ctx, inLoginEnds, bson.D{op("at", "$lt", nanos(ended))}) },
		func() error { return s.sweepRefresh(ctx, spent) },
		func() error { return s.sweepInvites(ctx, ended) },
		func() error { return s.sweepAudit(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// sweepLogins removes the logins that are found in a collection: their tokens first, and that they have ended
// last, so that none comes to life again.
func (s *Store) sweepLogins(ctx context.Context, of string, which bson.D) error {
	for {
		docs, err := find[endDoc](ctx, s, of, which, options.Find().SetLimit(atOnce))
		if err != nil || len(docs) == 0 {
			return err
		}
		ids := make([]string, len(docs))
		for i, d := range docs {
			ids[i] = d.ID
		}
		for _, from := range []struct{ collection, field string }{{inRefresh, "login"}, {inLogins, "_id"}, {inLoginEnds, "_id"}} {
			if err := s.removeAll(ctx, from.collection, bson.D{in(from.field, ids)}); err != nil {
				return err
			}
		}
	}
}

// sweepRefresh removes the tokens whose child is older than spent, in the order in which they followed each other:
// while a spent token is there, so is the child that shows that it is spent.
func (s *Store) sweepRefresh(ctx context.Context, spent time.Time) error {
	oldestFirst := options.Find().SetSort(bson.D{eq("rooted", 1), eq("issued", 1)}).SetLimit(atOnce)
	for {
		docs, err := find[refreshDoc](ctx, s, inRefresh, bson.D{eq("rooted", false), op("issued", "$lt", nanos(spent))}, oldestFirst)
		if err != nil || len(docs) == 0 {
			return err
		}
		for _, d := range docs {
			if err := s.root(ctx, d); err != nil {
				return err
			}
		}
	}
}

// root removes what came before a token.
func (s *Store) root(ctx context.Context, d *refreshDoc) error {
	var before []*refreshDoc // of d, the nearest first
	first := d
	for first.Parent != "" && !first.Rooted {
		parent, err := get[refreshDoc](ctx, s, inRefresh, refreshID(d.Login, first.Parent))
		if err != nil {
			return err
		}
		if parent == nil {
			break
		}
		before, first = append(before, parent), parent
	}
	for _, b := range slices.Backward(before) {
		if err := s.remove(ctx, inRefresh, b.ID); err != nil {
			return err
		}
	}
	login, err := get[loginDoc](ctx, s, inLogins, d.Login)
	if err != nil {
		return err
	}
	if login == nil { // AddLogin did not come to its end, or the login was swept meanwhile
		return s.remove(ctx, inRefresh, d.ID)
	}
	_, err = s.change(ctx, inRefresh, d.ID, bson.D{eq("$set", bson.D{eq("rooted", true)})})
	return err
}

func (s *Store) sweepInvites(ctx context.Context, ended time.Time) error {
	docs, err := find[inviteDoc](ctx, s, inInvites, bson.D{{Key: "expires", Value: bson.D{eq("$gt", int64(0)), eq("$lt", nanos(ended))}}})
	if err != nil {
		return err
	}
	for _, d := range docs {
		if err := s.removeAll(ctx, inInviteUses, bson.D{eq("invite", d.ID)}); err != nil {
			return err
		}
		if err := s.remove(ctx, inInvites, d.ID); err != nil {
			return err
		}
	}
	return nil
}
