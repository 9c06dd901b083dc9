package mongostore

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// AddGuest fills userctr.GuestStore.
func (s *Store) AddGuest(ctx context.Context, u *userctr.User) error {
	return s.addUser(ctx, u, "", true)
}

// Guests fills userctr.GuestStore.
func (s *Store) Guests(ctx context.Context, after protocol.UserID, limit int) (ids []protocol.UserID, err error) {
	for len(ids) < limit {
		docs, err := find[userDoc](ctx, s, inUsers, bson.D{eq("live", true), eq("guest", true), op("user", "$gt", after)},
			options.Find().SetSort(bson.D{eq("user", 1)}).SetLimit(int64(limit)).SetProjection(bson.D{eq("user", 1)}))
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			after = d.User
			if len(ids) < limit && !slices.Contains(ids[max(0, len(ids)-1):], d.User) { // of a change there are two versions for a moment
				ids = append(ids, d.User)
			}
		}
		if len(docs) < limit {
			break
		}
	}
	return ids, nil
}

// RemoveGuest fills userctr.GuestStore: first what hangs on the guest, and its row last, so that a crash leaves a guest
// that the next sweep finds. A change that was on its way may put the row back; the next
// sweep finds that, too.
func (s *Store) RemoveGuest(ctx context.Context, id protocol.UserID) error {
	had, err := s.versions(ctx, id)
	if err != nil || len(had) == 0 || !had[0].Guest {
		return either(err, protocol.NotFound("guest %s", id))
	}
	devices, err := s.Devices(ctx, id)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := s.RemoveDevice(ctx, id, d.Device); err != nil {
			return err
		}
	}
	for _, d := range had {
		if err := s.removeTerms(ctx, d.Under); err != nil {
			return err
		}
	}
	if err := s.avatarLeft(ctx, had[0].Row.Avatar, ""); err != nil {
		return err
	}
	for _, d := range slices.Backward(had) { // else an older version would be the newest for a moment
		if err := s.remove(ctx, inUsers, d.ID); err != nil {
			return err
		}
	}
	return s.removeAll(ctx, inUsers, bson.D{eq("live", false), eq("user", id)})
}

// mergeDoc is who took a guest's place. It never changes but that Done is set.
type mergeDoc struct {
	Guest string `bson:"_id"`
	Mark  string `bson:"mark"`
	User  string `bson:"user"`
	Begun int64  `bson:"begun"`
	Done  int64  `bson:"done"`
}

func (d *mergeDoc) merge() *userctr.Merge {
	return &userctr.Merge{Guest: d.Guest, User: d.User, Begun: fromNanos(d.Begun), Done: fromNanos(d.Done)}
}

// AddMerge fills userctr.MergeStore.
func (s *Store) AddMerge(ctx context.Context, m *userctr.Merge) (*userctr.Merge, error) {
	d := mergeDoc{Guest: m.Guest, Mark: s.token(), User: m.User, Begun: nanos(m.Begun), Done: nanos(m.Done)}
	err := s.put(ctx, inMerges, d.Guest, d.Mark, d)
	if errors.Is(err, errTaken) {
		return s.MergeOf(ctx, m.Guest)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// MergeOf fills userctr.MergeStore.
func (s *Store) MergeOf(ctx context.Context, guest protocol.UserID) (*userctr.Merge, error) {
	d, err := get[mergeDoc](ctx, s, inMerges, guest)
	if err != nil || d == nil {
		return nil, either(err, protocol.NotFound("merge %s", guest))
	}
	return d.merge(), nil
}

// MergedInto fills userctr.MergeStore.
func (s *Store) MergedInto(ctx context.Context, user protocol.UserID) (guests []protocol.UserID, err error) {
	docs, err := find[mergeDoc](ctx, s, inMerges, bson.D{eq("user", user)}, options.Find().SetSort(bson.D{eq("_id", 1)}))
	for _, d := range docs {
		guests = append(guests, d.Guest)
	}
	return guests, err
}

// DoneMerge fills userctr.MergeStore. Of two who say so at once either one's time stays.
func (s *Store) DoneMerge(ctx context.Context, guest protocol.UserID, at time.Time) error {
	m, err := s.MergeOf(ctx, guest)
	if err != nil || !m.Done.IsZero() {
		return err
	}
	_, err = s.change(ctx, inMerges, guest, bson.D{eq("$set", bson.D{eq("done", nanos(at))})})
	return err
}

// OpenMerges fills userctr.MergeStore.
func (s *Store) OpenMerges(ctx context.Context, limit int) (open []*userctr.Merge, err error) {
	docs, err := find[mergeDoc](ctx, s, inMerges, bson.D{eq("done", int64(0))}, options.Find().SetSort(bson.D{eq("_id", 1)}).SetLimit(int64(limit)))
	for _, d := range docs {
		open = append(open, d.merge())
	}
	return open, err
}
