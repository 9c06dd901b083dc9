package mongostore

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

type linkRow struct {
	ID      string `bson:"_id"`
	N       int64  `bson:"n"` // the commit that wrote it
	Gone    bool   `bson:"gone,omitempty"`
	Session string `bson:"s"`
	Created int64  `bson:"at"` // Unix milliseconds, as in frames
	Hash    []byte `bson:"hash,omitempty"`
	By      string `bson:"by,omitempty"`
	Uses    int64  `bson:"uses,omitempty"`
	Used    int64  `bson:"used,omitempty"`
	Expires int64  `bson:"expires,omitempty"`
	Revoked bool   `bson:"revoked,omitempty"`
}

func (r *linkRow) link() (*actors.LinkRow, error) {
	l := &actors.LinkRow{ID: r.ID, Session: r.Session, By: r.By, Uses: r.Uses, Used: r.Used, CreatedAt: r.Created, ExpiresAt: r.Expires, Revoked: r.Revoked}
	if copy(l.Hash[:], r.Hash) != len(l.Hash) {
		return nil, fmt.Errorf("mongostore: link %s has a hash of %d bytes", r.ID, len(r.Hash))
	}
	return l, nil
}

// addLinks adds an Append's links.
func (d *draft) addLinks(a *actors.Append) {
	set := func(r *linkRow) {
		if d.links == nil {
			d.links = map[string]*linkRow{}
		}
		if d.links[r.ID] == nil {
			d.linked = append(d.linked, r.ID)
		}
		d.links[r.ID] = r
	}
	for _, l := range a.Links {
		set(&linkRow{ID: l.ID, N: d.doc.N, Session: l.Session, Created: l.CreatedAt, Hash: l.Hash[:], By: l.By, Uses: l.Uses, Used: l.Used,
			Expires: l.ExpiresAt, Revoked: l.Revoked})
	}
	for _, l := range a.Unlinked {
		set(&linkRow{ID: l.ID, N: d.doc.N, Session: l.Session, Created: l.CreatedAt, Gone: true})
	}
}

// Link fills actors.Links.
func (s *Store) Link(ctx context.Context, id string) (*actors.LinkRow, error) {
	row, err := get[linkRow](ctx, s, inLinks, id)
	if err != nil {
		return nil, err
	}
	if row == nil || row.Gone {
		return nil, protocol.NotFound("link %s", id)
	}
	return row.link()
}

// LinksOf fills actors.Links.
func (s *Store) LinksOf(ctx context.Context, session protocol.SessionID, after *actors.LinkRow, limit int) (links []*actors.LinkRow, err error) {
	if _, err := s.known(ctx, session); err != nil || limit <= 0 {
		return nil, err
	}
	filter := bson.D{eq("s", session), op("gone", "$ne", true)}
	if after != nil {
		filter = append(filter, bson.E{Key: "$or", Value: bson.A{
			bson.D{op("at", "$gt", after.CreatedAt)},
			bson.D{eq("at", after.CreatedAt), op("_id", "$gt", after.ID)},
		}})
	}
	rows, err := find[linkRow](ctx, s, inLinks, filter, options.Find().SetSort(bson.D{eq("at", int32(1)), eq("_id", int32(1))}).SetLimit(int64(limit)))
	for _, r := range rows {
		l, err := r.link()
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, err
}
