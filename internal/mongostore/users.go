package mongostore

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// userDoc is one version of a user's row. A change inserts the next version: of those who begin with
// the same one, one inserts it. Nothing changes a version but that another took its place: then
// nothing is left of it but that there was one, which is kept, so that nobody inserts it again
// who began long ago. The newest that is Live is the row; where there is none, there is no user.
type userDoc struct {
	ID      string   `bson:"_id"` // joined user and version
	Mark    string   `bson:"mark"`
	User    string   `bson:"user"`
	Version int64    `bson:"version"`
	Live    bool     `bson:"live"`
	Guest   bool     `bson:"guest"`           // AddGuest made it
	Under   string   `bson:"under,omitempty"` // of its documents in the index of names
	Row     *userRow `bson:"row,omitempty"`   // nil: it is not live
}

// userRow is what there is of a user. Times are Unix nanoseconds, 0: none.
type userRow struct {
	Name     string `bson:"name,omitempty"`
	Folded   string `bson:"folded,omitempty"`
	Nickname string `bson:"nickname,omitempty"`
	Avatar   string `bson:"avatar,omitempty"`
	Kind     string `bson:"kind"`
	Admin    bool   `bson:"admin,omitempty"`
	Disabled bool   `bson:"disabled,omitempty"`
	Gone     bool   `bson:"gone,omitempty"`
	Created  int64  `bson:"created"`
	Password string `bson:"password,omitempty"`
	Outside  string `bson:"outside,omitempty"`
	Fields   []pair `bson:"fields,omitempty"`
	Findable string `bson:"findable,omitempty"`
	App      string `bson:"app,omitempty"`
}

func rowOfUser(u *userctr.User) *userRow {
	return &userRow{
		Name: u.Name, Folded: u.Folded, Nickname: u.Nickname, Avatar: u.Avatar, Kind: string(u.Kind), Admin: u.Admin,
		Disabled: u.Disabled, Gone: u.Gone, Created: nanos(u.Created), Password: u.Password, Outside: u.Outside,
		Fields: pairsOf(u.Fields), Findable: string(u.Findable), App: u.App,
	}
}

func (d *userDoc) user() *userctr.User {
	r := d.Row
	return &userctr.User{
		ID: d.User, Version: d.Version, Name: r.Name, Folded: r.Folded, Nickname: r.Nickname, Avatar: r.Avatar, Kind: userctr.Kind(r.Kind),
		Admin: r.Admin, Disabled: r.Disabled, Gone: r.Gone, Created: fromNanos(r.Created), Password: r.Password, Outside: r.Outside,
		Fields: mapOf(r.Fields), Findable: userctr.Findable(r.Findable), App: r.App,
	}
}

func userID(user protocol.UserID, version int64) string { return joined(user, decimal(version)) }

// past is what is left of a version when another took its place.
func (d *userDoc) past() userDoc {
	return userDoc{ID: d.ID, Mark: d.Mark, User: d.User, Version: d.Version}
}

func live(user protocol.UserID) bson.D { return bson.D{eq("live", true), eq("user", user)} }

var newest = bson.D{{Key: "version", Value: -1}}

// versions gives the live rows of a user, the newest first. There is one, or one more while
// somebody changes it or after a crash in the middle of that.
func (s *Store) versions(ctx context.Context, user protocol.UserID) ([]*userDoc, error) {
	return find[userDoc](ctx, s, inUsers, live(user), options.Find().SetSort(newest))
}

func noUser(id protocol.UserID) error { return protocol.NotFound("user %s", id) }

// User fills userctr.Store.
func (s *Store) User(ctx context.Context, id protocol.UserID) (*userctr.User, error) {
	docs, err := find[userDoc](ctx, s, inUsers, live(id), options.Find().SetSort(newest).SetLimit(1))
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, noUser(id)
	}
	return docs[0].user(), nil
}

// UserByName fills userctr.Store.
func (s *Store) UserByName(ctx context.Context, folded string) (*userctr.User, error) {
	none := protocol.NotFound("no user has this name")
	has, err := find[nameDoc](ctx, s, inNames, bson.D{eq("name", folded)})
	if err != nil || len(has) == 0 {
		return nil, either(err, none)
	}
	u, err := s.User(ctx, has[0].Claim.User)
	if protocol.Code_NOT_FOUND.Is(err) || err == nil && u.Folded != folded { // is not made yet, or was erased
		err = none
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// either is err, or no when there is none.
func either(err, no error) error {
	if err != nil {
		return err
	}
	return no
}

// Users fills userctr.ProfileStore.
func (s *Store) Users(ctx context.Context, ids []protocol.UserID) ([]*userctr.User, error) {
	users := make([]*userctr.User, 0, len(ids))
	for part := range slices.Chunk(ids, atOnce) {
		docs, err := find[userDoc](ctx, s, inUsers, bson.D{eq("live", true), in("user", part)})
		if err != nil {
			return nil, err
		}
		newest := make(map[protocol.UserID]*userDoc, len(docs))
		for _, d := range docs {
			if has := newest[d.User]; has == nil || has.Version < d.Version {
				newest[d.User] = d
			}
		}
		for _, d := range newest {
			users = append(users, d.user())
		}
	}
	return users, nil
}

// Missing fills userctr.Store.
func (s *Store) Missing(ctx context.Context, ids []protocol.UserID) (missing []protocol.UserID, err error) {
	there := make(map[protocol.UserID]bool, len(ids))
	for part := range slices.Chunk(ids, atOnce) {
		docs, err := find[userDoc](ctx, s, inUsers, bson.D{eq("live", true), in("user", part)}, options.Find().SetProjection(bson.D{eq("user", 1)}))
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			there[d.User] = true
		}
	}
	for _, id := range ids {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// EachUser fills userctr.AdminStore.
func (s *Store) EachUser(ctx context.Context, after protocol.UserID, each func(u *userctr.User) bool) error {
	inOrder := options.Find().SetSort(bson.D{eq("user", 1), eq("version", 1)}).SetLimit(atOnce)
	for {
		docs, err := find[userDoc](ctx, s, inUsers, bson.D{eq("live", true), op("user", "$gt", after)}, inOrder)
		if err != nil || len(docs) == 0 {
			return err
		}
		full := len(docs) == atOnce
		if last := docs[len(docs)-1].User; full && docs[0].User != last { // more of the last one may be on the next page
			docs = slices.DeleteFunc(docs, func(d *userDoc) bool { return d.User == last })
		}
		for i, d := range docs {
			after = d.User
			if i+1 < len(docs) && docs[i+1].User == d.User {
				continue // an older version
			}
			if !each(d.user()) {
				return nil
			}
		}
		if !full {
			return nil
		}
	}
}

// UpdateUser fills userctr.Store.
func (s *Store) UpdateUser(ctx context.Context, u *userctr.User) error {
	had, err := s.versions(ctx, u.ID)
	if err != nil {
		return err
	}
	if len(had) == 0 {
		return noUser(u.ID)
	}
	is := had[0]
	if is.Version != u.Version {
		return userctr.ErrChanged
	}
	row := rowOfUser(u)
	row.Name, row.Folded, row.Created = is.Row.Name, is.Row.Folded, is.Row.Created
	if err := s.nextVersion(ctx, had, row); err != nil {
		return err
	}
	u.Version++
	return nil
}

// nextVersion puts row in the place of the newest of a user's live versions. ErrChanged: another did. What
// the row is found by is inserted before it, and what the versions before it were found by is removed
// behind it: a crash in between leaves terms that the row has not, by which nobody is found.
func (s *Store) nextVersion(ctx context.Context, had []*userDoc, row *userRow) error {
	is := had[0]
	next := &userDoc{
		ID: userID(is.User, is.Version+1), Mark: s.token(), User: is.User, Version: is.Version + 1,
		Live: true, Guest: is.Guest, Under: is.Under, Row: row,
	}
	if err := s.avatarLeft(ctx, is.Row.Avatar, row.Avatar); err != nil {
		return err
	}
	terms := userctr.SearchTerms(next.user())
	if !slices.Equal(terms, userctr.SearchTerms(is.user())) {
		next.Under = next.Mark
		if err := s.addTerms(ctx, next, terms); err != nil {
			return err
		}
	}
	err := s.put(ctx, inUsers, next.ID, next.Mark, next)
	if errors.Is(err, errTaken) {
		if next.Under == next.Mark {
			if err := s.removeTerms(ctx, next.Under); err != nil {
				return err
			}
		}
		return userctr.ErrChanged
	}
	if err != nil {
		return err
	}
	s.afterwards(ctx, "to remove an older version of a user", func(ctx context.Context) error { return s.retire(ctx, had, next) })
	return nil
}

// retire leaves nothing of versions but that there were any, as next took their place.
func (s *Store) retire(ctx context.Context, had []*userDoc, next *userDoc) error {
	for _, d := range had {
		if d.Under != next.Under {
			if err := s.removeTerms(ctx, d.Under); err != nil {
				return err
			}
		}
		if err := s.replace(ctx, inUsers, d.ID, d.past()); err != nil {
			return err
		}
	}
	return nil
}
