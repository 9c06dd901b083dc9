package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// erasureDoc is a user being erased.
type erasureDoc struct {
	User     string `bson:"_id"`
	By       string `bson:"by"`
	Messages string `bson:"messages"`
	Began    int64  `bson:"began"` // Unix milliseconds
}

// Erasures fills userctr.EraseStore.
func (s *Store) Erasures(ctx context.Context) (all []*userctr.Erasure, err error) {
	docs, err := find[erasureDoc](ctx, s, inErasures, bson.D{}, options.Find().SetSort(bson.D{eq("_id", 1)}))
	for _, d := range docs {
		all = append(all, &userctr.Erasure{User: d.User, By: d.By, Messages: d.Messages, Began: d.Began})
	}
	return all, err
}

// BeginErasure fills userctr.EraseStore. Of two that begin at once the later one's stands.
func (s *Store) BeginErasure(ctx context.Context, e *userctr.Erasure) error {
	d := erasureDoc{User: e.User, By: e.By, Messages: e.Messages, Began: e.Began}
	return s.again(ctx, "insert into "+inErasures, func(ctx context.Context) error {
		c := s.db.Collection(inErasures)
		r, err := c.ReplaceOne(ctx, bson.D{eq("_id", d.User)}, d)
		if err == nil && r.MatchedCount == 0 {
			if err = insertOne(ctx, c, d); taken(err) {
				_, err = c.ReplaceOne(ctx, bson.D{eq("_id", d.User)}, d)
			}
		}
		return err
	})
}

// EndErasure fills userctr.EraseStore.
func (s *Store) EndErasure(ctx context.Context, user protocol.UserID) error {
	return s.remove(ctx, inErasures, user)
}

// EraseUser fills userctr.EraseStore. Each step may be done again, and an erasure is done again until it came to its end:
// so a crash in between leaves nothing that stays. The row is first: nobody adds to what is of
// somebody who is gone.
func (s *Store) EraseUser(ctx context.Context, id protocol.UserID, now time.Time) error {
	if err := s.eraseRow(ctx, id); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return s.removeAll(ctx, inTerms, bson.D{eq("user", id)}) },
		func() error { return s.eraseName(ctx, id) },
		func() error { return s.eraseDevices(ctx, id) },
		func() error { return s.RemoveSubjects(ctx, id) },
		func() error { return s.eraseLogins(ctx, id, now) },
		func() error { return s.eraseContacts(ctx, id) },
		func() error { return s.remove(ctx, inStandings, id) },
		func() error { return s.eraseAvatars(ctx, id) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eraseRow(ctx context.Context, id protocol.UserID) error {
	for {
		had, err := s.versions(ctx, id)
		if err != nil {
			return err
		}
		if len(had) == 0 {
			return noUser(id)
		}
		is := had[0]
		if is.Row.Gone {
			return s.retire(ctx, had[1:], is) // what a crash left
		}
		err = s.nextVersion(ctx, had, &userRow{Kind: is.Row.Kind, Created: is.Row.Created, Disabled: true, Gone: true})
		if err != nil && !errors.Is(err, userctr.ErrChanged) {
			return err
		}
	}
}

func (s *Store) eraseName(ctx context.Context, id protocol.UserID) error {
	docs, err := find[nameDoc](ctx, s, inNames, bson.D{eq("user", id)})
	for _, d := range docs {
		err = either(err, s.remove(ctx, inNames, d.Claim.ID))
	}
	return err
}

func (s *Store) eraseDevices(ctx context.Context, id protocol.UserID) error {
	docs, err := s.devicesOf(ctx, []protocol.UserID{id})
	for _, d := range docs {
		err = either(err, s.RemoveDevice(ctx, id, d.Device))
	}
	return either(err, s.removePushes(ctx, bson.D{eq("user", id)}))
}

// eraseLogins ends a user's logins. Their documents stay, without the device, until they are swept: that they have ended
// must be known after a restart.
func (s *Store) eraseLogins(ctx context.Context, id protocol.UserID, now time.Time) error {
	docs, err := find[loginDoc](ctx, s, inLogins, bson.D{eq("user", id)})
	if err != nil {
		return err
	}
	for _, d := range docs {
		if err := s.end(ctx, inLoginEnds, d.ID, now); err != nil {
			return err
		}
		if err := s.removeAll(ctx, inRefresh, bson.D{eq("login", d.ID)}); err != nil {
			return err
		}
		if err := s.replace(ctx, inLogins, d.ID, loginDoc{ID: d.ID, Mark: d.Mark, User: d.User, Created: d.Created, Expires: d.Expires}); err != nil {
			return err
		}
	}
	return nil
}

// Purge fills userctr.EraseStore. What was replaced or removed is in no collection any more, and that is all
// that can be seen to from here: the server's own files, its oplog and backups of it keep
// it for a while (docs/mongodb.md).
func (s *Store) Purge(context.Context) error { return nil }
