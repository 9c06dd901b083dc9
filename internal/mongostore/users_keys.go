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

// keyDoc is a server key. But for LastUsed it never changes: that it has ended is in a document of
// its own, which nobody writes over who notes at the same moment that it was used.
type keyDoc struct {
	ID       string   `bson:"_id"`
	Mark     string   `bson:"mark"`
	Hash     []byte   `bson:"hash"`
	User     string   `bson:"user"`
	Name     string   `bson:"name"`
	Scopes   []string `bson:"scopes,omitempty"`
	By       string   `bson:"by"`
	Created  int64    `bson:"created"`
	Expires  int64    `bson:"expires"`
	LastUsed int64    `bson:"lastUsed"`
}

func (d *keyDoc) key(end *endDoc) *userctr.Key {
	k := &userctr.Key{
		ID: d.ID, User: d.User, Name: d.Name, Scopes: d.Scopes, By: d.By,
		Created: fromNanos(d.Created), Expires: fromNanos(d.Expires), LastUsed: fromNanos(d.LastUsed),
	}
	copy(k.Hash[:], d.Hash)
	if end != nil {
		k.Revoked = fromNanos(end.At)
	}
	return k
}

// AddKey fills userctr.KeyStore: first the key, then its user. After a crash in between there is a key in the list
// that nobody was told.
func (s *Store) AddKey(ctx context.Context, k *userctr.Key, u *userctr.User) error {
	exists := protocol.Conflict("key %s or its user exists", k.ID)
	version, err := s.firstVersion(ctx, u.ID)
	if err != nil || version == 0 {
		return either(err, exists)
	}
	d := keyDoc{
		ID: k.ID, Mark: s.token(), Hash: k.Hash[:], User: k.User, Name: k.Name, Scopes: k.Scopes, By: k.By,
		Created: nanos(k.Created), Expires: nanos(k.Expires), LastUsed: nanos(k.LastUsed),
	}
	err = s.put(ctx, inKeys, d.ID, d.Mark, d)
	if errors.Is(err, errTaken) {
		return exists
	}
	if err == nil {
		if err = s.addRow(ctx, d.Mark, version, u, false); protocol.Code_CONFLICT.Is(err) {
			return either(s.remove(ctx, inKeys, d.ID), exists)
		}
	}
	if err != nil || k.Revoked.IsZero() {
		return err
	}
	return s.RevokeKey(ctx, k.ID, k.Revoked)
}

// Key fills userctr.KeyStore.
func (s *Store) Key(ctx context.Context, id string) (*userctr.Key, error) {
	d, err := get[keyDoc](ctx, s, inKeys, id)
	if err != nil || d == nil {
		return nil, either(err, protocol.NotFound("key %s", id))
	}
	end, err := get[endDoc](ctx, s, inKeyEnds, id)
	if err != nil {
		return nil, err
	}
	return d.key(end), nil
}

// Keys fills userctr.KeyStore.
func (s *Store) Keys(ctx context.Context, after string, limit int) (keys []*userctr.Key, err error) {
	docs, err := find[keyDoc](ctx, s, inKeys, bson.D{op("_id", "$gt", after)}, options.Find().SetSort(bson.D{eq("_id", 1)}).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	ended, err := s.ends(ctx, inKeyEnds, ids)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		keys = append(keys, d.key(ended[d.ID]))
	}
	return keys, nil
}

// RevokeKey fills userctr.KeyStore.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	if d, err := get[keyDoc](ctx, s, inKeys, id); err != nil || d == nil {
		return either(err, protocol.NotFound("key %s", id))
	}
	return s.end(ctx, inKeyEnds, id, at)
}

// UsedKey fills userctr.KeyStore.
func (s *Store) UsedKey(ctx context.Context, id string, at time.Time) error {
	_, err := s.change(ctx, inKeys, id, bson.D{eq("$max", bson.D{eq("lastUsed", nanos(at))})})
	return err
}
