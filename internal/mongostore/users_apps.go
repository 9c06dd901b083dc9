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

// appDoc is one version of an application, as userDoc is of a user. That an application is removed is
// a version, too, and the last.
type appDoc struct {
	ID      string  `bson:"_id"` // joined application and version
	Mark    string  `bson:"mark"`
	App     string  `bson:"app"`
	Version int64   `bson:"version"`
	State   string  `bson:"state"`         // appLive, appRemoved or appPast
	Row     *appRow `bson:"row,omitempty"` // nil: it is not live
}

const (
	appLive    = "live"
	appRemoved = "removed"
	appPast    = "past" // another version took its place
)

type appRow struct {
	Name      string         `bson:"name"`
	Origins   []string       `bson:"origins,omitempty"`
	Colours   []pair         `bson:"colours,omitempty"`
	Texts     []pair         `bson:"texts,omitempty"`
	Features  []string       `bson:"features,omitempty"`
	Members   []string       `bson:"members,omitempty"`
	Guests    bool           `bson:"guests,omitempty"`
	PublicKey string         `bson:"publicKey,omitempty"`
	Files     fileLimitsRow  `bson:"files"`
	Secrets   []appSecretRow `bson:"secrets,omitempty"`
	By        string         `bson:"by"`
	Created   int64          `bson:"created"`
}

type fileLimitsRow struct {
	Kinds       []string    `bson:"kinds,omitempty"`
	Types       []string    `bson:"types,omitempty"`
	Max         []maxOfKind `bson:"max,omitempty"`
	Quota       int64       `bson:"quota,omitempty"`
	QuotaGuests int64       `bson:"quotaGuests,omitempty"`
}

type maxOfKind struct {
	Kind  string `bson:"k"`
	Bytes int64  `bson:"v"`
}

type appSecretRow struct {
	ID      string `bson:"id"`
	Sealed  []byte `bson:"sealed"`
	Created int64  `bson:"created"`
}

func rowOfApp(a *userctr.App) *appRow {
	r := &appRow{
		Name: a.Name, Origins: a.Origins, Colours: pairsOf(a.Colours), Texts: pairsOf(a.Texts), Features: a.Features, Members: a.Members,
		Guests: a.Guests, PublicKey: a.PublicKey, By: a.By, Created: nanos(a.Created),
		Files: fileLimitsRow{Kinds: a.Files.Kinds, Types: a.Files.Types, Quota: a.Files.Quota, QuotaGuests: a.Files.QuotaGuests},
	}
	for kind, n := range a.Files.Max {
		r.Files.Max = append(r.Files.Max, maxOfKind{kind, n})
	}
	for _, s := range a.Secrets {
		r.Secrets = append(r.Secrets, appSecretRow{s.ID, s.Sealed, nanos(s.Created)})
	}
	return r
}

func (d *appDoc) app() *userctr.App {
	r := d.Row
	a := &userctr.App{
		ID: d.App, Version: d.Version, Name: r.Name, Origins: r.Origins, Colours: mapOf(r.Colours), Texts: mapOf(r.Texts),
		Features: r.Features, Members: r.Members, Guests: r.Guests, PublicKey: r.PublicKey, By: r.By, Created: fromNanos(r.Created),
		Files: userctr.FileLimits{Kinds: r.Files.Kinds, Types: r.Files.Types, Quota: r.Files.Quota, QuotaGuests: r.Files.QuotaGuests},
	}
	for _, m := range r.Files.Max {
		if a.Files.Max == nil {
			a.Files.Max = map[string]int64{}
		}
		a.Files.Max[m.Kind] = m.Bytes
	}
	for _, s := range r.Secrets {
		a.Secrets = append(a.Secrets, userctr.AppSecret{ID: s.ID, Sealed: s.Sealed, Created: fromNanos(s.Created)})
	}
	return a
}

// appVersions gives the versions of applications that none took the place of, the newest of each first.
func (s *Store) appVersions(ctx context.Context, which ...bson.E) ([]*appDoc, error) {
	filter := append(bson.D{in("state", []string{appLive, appRemoved})}, which...)
	return find[appDoc](ctx, s, inApps, filter, options.Find().SetSort(bson.D{eq("app", 1), eq("version", -1)}))
}

// Apps fills userctr.AppStore.
func (s *Store) Apps(ctx context.Context) (all []*userctr.App, err error) {
	docs, err := s.appVersions(ctx)
	for i, d := range docs {
		if (i == 0 || docs[i-1].App != d.App) && d.State == appLive {
			all = append(all, d.app())
		}
	}
	return all, err
}

// PutApp fills userctr.AppStore.
func (s *Store) PutApp(ctx context.Context, a *userctr.App) error {
	had, err := s.appVersions(ctx, eq("app", a.ID))
	if err != nil {
		return err
	}
	is := int64(0)
	if len(had) > 0 {
		is = had[0].Version
	}
	if is != a.Version || is != 0 && had[0].State != appLive {
		return userctr.ErrChanged
	}
	err = s.nextApp(ctx, had, &appDoc{App: a.ID, Version: is + 1, State: appLive, Row: rowOfApp(a)})
	if errors.Is(err, errTaken) {
		return userctr.ErrChanged
	}
	if err == nil {
		a.Version++
	}
	return err
}

// nextApp inserts a version, and leaves nothing of those before it but that there were any.
func (s *Store) nextApp(ctx context.Context, had []*appDoc, next *appDoc) error {
	next.ID, next.Mark = joined(next.App, decimal(next.Version)), s.token()
	if err := s.put(ctx, inApps, next.ID, next.Mark, next); err != nil {
		return err
	}
	s.afterwards(ctx, "to remove an older version of an application", func(ctx context.Context) error {
		for _, d := range had {
			if err := s.replace(ctx, inApps, d.ID, appDoc{ID: d.ID, Mark: d.Mark, App: d.App, Version: d.Version, State: appPast}); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// RemoveApp fills userctr.AppStore.
func (s *Store) RemoveApp(ctx context.Context, id string) error {
	for {
		had, err := s.appVersions(ctx, eq("app", id))
		if err != nil || len(had) == 0 || had[0].State == appRemoved {
			return err
		}
		err = s.nextApp(ctx, had, &appDoc{App: id, Version: had[0].Version + 1, State: appRemoved})
		if !errors.Is(err, errTaken) {
			return err
		}
	}
}

// spentDoc says that something that is good once was used.
type spentDoc struct {
	ID    string `bson:"_id"` // its mark, as nobody else ever has it
	Mark  string `bson:"mark"`
	What  string `bson:"what"` // joined realm and hash; unique
	Until int64  `bson:"until"`
}

// Spend fills userctr.AppStore.
func (s *Store) Spend(ctx context.Context, realm string, hash userctr.Hash, until time.Time) error {
	d := spentDoc{Mark: s.token(), What: joined(realm, hexOf(hash)), Until: nanos(until)}
	d.ID = d.Mark
	err := s.put(ctx, inSpent, d.ID, d.Mark, d)
	if errors.Is(err, errTaken) {
		return protocol.Conflict("it was used before")
	}
	return err
}

// SweepSpent fills userctr.AppStore.
func (s *Store) SweepSpent(ctx context.Context, before time.Time) error {
	return s.removeAll(ctx, inSpent, bson.D{op("until", "$lt", nanos(before))})
}
