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
