package main

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// What deeds on keys and applications take and give.
type (
	aboutKey struct {
		Key     string        `json:"key,omitempty"`
		Name    string        `json:"name,omitempty"`
		Scopes  []string      `json:"scopes,omitempty"`
		Life    time.Duration `json:"life,omitempty"`
		App     string        `json:"app,omitempty"`
		Origins []string      `json:"origins,omitempty"`
		Members []string      `json:"members,omitempty"`
		Guests  bool          `json:"guests,omitempty"`
		After   string        `json:"after,omitempty"`
	}
	madeKey struct {
		ID   string `json:"id"`
		Text string `json:"text"` // the key or secret
	}
	keyRow struct {
		ID      string   `json:"id"`
		Name    string   `json:"name"`
		Scopes  []string `json:"scopes,omitempty"`
		Origins []string `json:"origins,omitempty"`
		Ends    string   `json:"ends,omitempty"`
		State   string   `json:"state,omitempty"`
	}
	keyRows struct {
		Rows []keyRow `json:"rows"`
	}
)

// aboutLimits names an application, and which of its files' limits are to be others.
type aboutLimits struct {
	App         string            `json:"app"`
	Lift        bool              `json:"lift,omitempty"` // all of them, first
	Kinds       *[]string         `json:"kinds,omitempty"`
	Types       *[]string         `json:"types,omitempty"`
	Max         *map[string]int64 `json:"max,omitempty"`
	Quota       *int64            `json:"quota,omitempty"`
	QuotaGuests *int64            `json:"quotaGuests,omitempty"`
}

func (in aboutLimits) into(l *userctr.FileLimits) {
	if in.Lift {
		*l = userctr.FileLimits{}
	}
	if in.Kinds != nil {
		l.Kinds = *in.Kinds
	}
	if in.Types != nil {
		l.Types = *in.Types
	}
	if in.Max != nil {
		l.Max = *in.Max
	}
	if in.Quota != nil {
		l.Quota = *in.Quota
	}
	if in.QuotaGuests != nil {
		l.QuotaGuests = *in.QuotaGuests
	}
}

// says whether anything is to be changed.
func (in aboutLimits) says() bool {
	return in.Lift || in.Kinds != nil || in.Types != nil || in.Max != nil || in.Quota != nil || in.QuotaGuests != nil
}

// appFiles is what bounds the files of those who came by an application, and what they take.
type appFiles struct {
	userctr.FileLimits
	Used         int64 `json:"used"`
	UsedByGuests int64 `json:"usedByGuests"`
}

// The operator is nobody's identity: userctr.AsOperator says who asks.
var nobody protocol.Identity

// deedsOfApps are deeds on server keys and applications.
var deedsOfApps = map[string]deed{
	"key-make": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		text, k, err := o.users.MakeKey(userctr.AsOperator(ctx), nobody, in.Name, in.Scopes, in.Life)
		if err != nil {
			return nil, err
		}
		return madeKey{k.ID, text}, nil
	}),
	"key-list": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		keys, err := o.users.Keys(userctr.AsOperator(ctx), nobody, in.After, managePage)
		out := keyRows{}
		for _, k := range keys {
			row := keyRow{ID: k.ID, Name: k.Name, Scopes: k.Scopes}
			if !k.Expires.IsZero() {
				row.Ends = k.Expires.UTC().Format(time.RFC3339)
			}
			if !k.Revoked.IsZero() {
				row.State = "revoked"
			}
			out.Rows = append(out.Rows, row)
		}
		return out, err
	}),
	"key-revoke": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		return struct{}{}, o.users.RevokeKey(userctr.AsOperator(ctx), nobody, in.Key)
	}),
	"app-make": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		a, secret, err := o.users.MakeApp(userctr.AsOperator(ctx), nobody, userctr.App{Name: in.Name, Origins: in.Origins, Members: in.Members, Guests: in.Guests})
		if err != nil {
			return nil, err
		}
		return madeKey{a.ID, secret}, nil
	}),
	"app-list": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		apps, err := o.users.AppPage(userctr.AsOperator(ctx), nobody, in.After, managePage)
		out := keyRows{}
		for _, a := range apps {
			row := keyRow{ID: a.ID, Name: a.Name, Origins: a.Origins}
			if a.Guests {
				row.State = "guests"
			}
			out.Rows = append(out.Rows, row)
		}
		return out, err
	}),
	"app-limits": of(func(ctx context.Context, o *operator, in aboutLimits) (any, error) {
		a, err := o.users.App(in.App)
		if err == nil && in.says() {
			a, err = o.users.ChangeApp(userctr.AsOperator(ctx), nobody, in.App, func(a *userctr.App) error { in.into(&a.Files); return nil })
		}
		if err != nil {
			return nil, err
		}
		out := appFiles{FileLimits: a.Files}
		out.Used, out.UsedByGuests, err = o.files.UsedIn(ctx, in.App)
		return out, err
	}),
	"app-secret": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		text, row, err := o.users.AddAppSecret(userctr.AsOperator(ctx), nobody, in.App)
		return madeKey{row.ID, text}, err
	}),
	"app-revoke": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		return struct{}{}, o.users.RemoveAppSecret(userctr.AsOperator(ctx), nobody, in.App, in.Key)
	}),
	"app-remove": of(func(ctx context.Context, o *operator, in aboutKey) (any, error) {
		return struct{}{}, o.users.RemoveApp(userctr.AsOperator(ctx), nobody, in.App)
	}),
}
