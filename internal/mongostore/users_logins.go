package mongostore

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// loginDoc is a login. It changes but once, when its user is erased. That it has ended is in a
// document of its own, which nobody can write over.
type loginDoc struct {
	ID       string `bson:"_id"`
	Mark     string `bson:"mark"`
	User     string `bson:"user"`
	Device   string `bson:"device,omitempty"`
	Platform string `bson:"platform,omitempty"`
	Version  string `bson:"version,omitempty"`
	Created  int64  `bson:"created"`
	Expires  int64  `bson:"expires"`
}

// endDoc says that a login or a key has ended. It never changes: the first time stays.
type endDoc struct {
	ID   string `bson:"_id"` // what has ended
	Mark string `bson:"mark"`
	At   int64  `bson:"at"`
}

// refreshDoc is a refresh token. It says which one it follows, and of those that would follow the same
// one, one is inserted.
type refreshDoc struct {
	ID     string `bson:"_id"` // joined login and hash
	Mark   string `bson:"mark"`
	Of     string `bson:"of"` // joined login and the hash of the one before, "" for the first; unique
	Login  string `bson:"login"`
	Hash   string `bson:"hash"`   // in hex
	Parent string `bson:"parent"` // in hex, "": the first
	Nonce  []byte `bson:"nonce,omitempty"`
	Issued int64  `bson:"issued"`
	Rooted bool   `bson:"rooted"` // the one before it was swept, or never was: no sweep looks at it again
}

func refreshID(login, hash string) string { return joined(login, hash) }

func (d *loginDoc) login(end *endDoc) *userctr.Login {
	l := &userctr.Login{
		ID: d.ID, User: d.User, Device: d.Device, Platform: d.Platform, Version: d.Version, Created: fromNanos(d.Created), Expires: fromNanos(d.Expires),
	}
	if end != nil {
		l.Revoked = fromNanos(end.At)
	}
	return l
}

func docOfRefresh(r *userctr.Refresh, mark string) *refreshDoc {
	d := &refreshDoc{Mark: mark, Login: r.Login, Hash: hexOf(r.Hash), Nonce: r.Nonce, Issued: nanos(r.Issued)}
	if r.Parent != (userctr.Hash{}) {
		d.Parent = hexOf(r.Parent)
	}
	d.ID, d.Of = refreshID(d.Login, d.Hash), refreshID(d.Login, d.Parent)
	return d
}

func (d *refreshDoc) refresh() (r *userctr.Refresh, err error) {
	r = &userctr.Refresh{Login: d.Login, Nonce: d.Nonce, Issued: fromNanos(d.Issued)}
	if r.Hash, err = hashOf(d.Hash); err == nil && d.Parent != "" {
		r.Parent, err = hashOf(d.Parent)
	}
	return r, err
}

// AddLogin fills userctr.Store: first the device, which may be there without a login, then the
// token, which is good for nothing without one, then the login.
func (s *Store) AddLogin(ctx context.Context, l *userctr.Login, first *userctr.Refresh, d *userctr.DeviceRow) error {
	exists := protocol.Conflict("login %s exists", l.ID)
	if is, err := get[loginDoc](ctx, s, inLogins, l.ID); err != nil || is != nil {
		return either(err, exists)
	}
	if err := s.putDevice(ctx, d, bson.D{eq("$set", bson.D{
		eq("name", d.Name), eq("platform", d.Platform), eq("version", d.Version), eq("lastSeen", nanos(d.LastSeen)),
	})}); err != nil {
		return err
	}
	mark := s.token()
	token := docOfRefresh(first, mark)
	err := s.put(ctx, inRefresh, token.ID, mark, token)
	if err == nil {
		err = s.put(ctx, inLogins, l.ID, mark, loginDoc{
			ID: l.ID, Mark: mark, User: l.User, Device: l.Device, Platform: l.Platform, Version: l.Version,
			Created: nanos(l.Created), Expires: nanos(l.Expires),
		})
	}
	if errors.Is(err, errTaken) {
		return exists
	}
	if err != nil || l.Revoked.IsZero() {
		return err
	}
	return s.RevokeLogin(ctx, l.ID, l.Revoked)
}

// Login fills userctr.Store.
func (s *Store) Login(ctx context.Context, id string) (*userctr.Login, error) {
	d, err := get[loginDoc](ctx, s, inLogins, id)
	if err != nil || d == nil {
		return nil, either(err, protocol.NotFound("login %s", id))
	}
	end, err := get[endDoc](ctx, s, inLoginEnds, id)
	if err != nil {
		return nil, err
	}
	return d.login(end), nil
}

// Logins fills userctr.Store.
func (s *Store) Logins(ctx context.Context, user protocol.UserID) (logins []*userctr.Login, err error) {
	docs, err := find[loginDoc](ctx, s, inLogins, bson.D{eq("user", user)})
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	ended, err := s.ends(ctx, inLoginEnds, ids)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		if ended[d.ID] == nil {
			logins = append(logins, d.login(nil))
		}
	}
	slices.SortStableFunc(logins, func(a, b *userctr.Login) int { return a.Created.Compare(b.Created) })
	return logins, nil
}

// ends gives what of ids has ended.
func (s *Store) ends(ctx context.Context, from string, ids []string) (map[string]*endDoc, error) {
	ended := map[string]*endDoc{}
	for part := range slices.Chunk(ids, atOnce) {
		docs, err := find[endDoc](ctx, s, from, bson.D{in("_id", part)})
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			ended[d.ID] = d
		}
	}
	return ended, nil
}

// end says that something has ended, unless it has before.
func (s *Store) end(ctx context.Context, in, id string, at time.Time) error {
	d := endDoc{ID: id, Mark: s.token(), At: nanos(at)}
	if err := s.put(ctx, in, id, d.Mark, d); !errors.Is(err, errTaken) {
		return err
	}
	return nil
}

// RevokeLogin fills userctr.Store.
func (s *Store) RevokeLogin(ctx context.Context, id string, at time.Time) error {
	if d, err := get[loginDoc](ctx, s, inLogins, id); err != nil || d == nil {
		return err
	}
	return s.end(ctx, inLoginEnds, id, at)
}

// RevokedSince fills userctr.Store.
func (s *Store) RevokedSince(ctx context.Context, since time.Time) (map[string]time.Time, error) {
	ended := map[string]time.Time{}
	docs, err := find[endDoc](ctx, s, inLoginEnds, bson.D{op("at", "$gte", nanos(since))})
	for _, d := range docs {
		ended[d.ID] = fromNanos(d.At)
	}
	return ended, err
}

func noToken(login string) error { return protocol.NotFound("a refresh token of login %s", login) }

// Refresh fills userctr.Store.
func (s *Store) Refresh(ctx context.Context, login string, hash userctr.Hash) (token, child *userctr.Refresh, err error) {
	d, err := get[refreshDoc](ctx, s, inRefresh, refreshID(login, hexOf(hash)))
	if err != nil || d == nil {
		return nil, nil, either(err, noToken(login))
	}
	if token, err = d.refresh(); err == nil {
		child, err = s.childOf(ctx, login, hash)
	}
	if err != nil {
		return nil, nil, err
	}
	return token, child, nil
}

// childOf gives the token that followed, nil: none did.
func (s *Store) childOf(ctx context.Context, login string, parent userctr.Hash) (*userctr.Refresh, error) {
	docs, err := find[refreshDoc](ctx, s, inRefresh, bson.D{eq("of", refreshID(login, hexOf(parent)))})
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	return docs[0].refresh()
}

// AddRefresh fills userctr.Store. The parent is looked for once more behind the insert: a sweep removes
// it before the child that it has, so that a child that was inserted where a swept one stood is found out.
func (s *Store) AddRefresh(ctx context.Context, child *userctr.Refresh) (*userctr.Refresh, error) {
	if err := s.hasRefresh(ctx, child.Login, child.Parent); err != nil {
		return nil, err
	}
	d := docOfRefresh(child, s.token())
	err := s.put(ctx, inRefresh, d.ID, d.Mark, d)
	if errors.Is(err, errTaken) {
		stands, err := s.childOf(ctx, child.Login, child.Parent)
		if err != nil || stands == nil {
			return nil, either(err, noToken(child.Login)) // it was swept
		}
		return stands, nil
	}
	if err == nil {
		err = s.hasRefresh(ctx, child.Login, child.Parent)
	}
	if protocol.Code_NOT_FOUND.Is(err) {
		err = either(s.remove(ctx, inRefresh, d.ID), err)
	}
	if err != nil {
		return nil, err
	}
	return child, nil
}

// hasRefresh is NOT_FOUND where a login has no such token.
func (s *Store) hasRefresh(ctx context.Context, login string, hash userctr.Hash) error {
	d, err := get[refreshDoc](ctx, s, inRefresh, refreshID(login, hexOf(hash)))
	if err == nil && d == nil {
		err = noToken(login)
	}
	return err
}
