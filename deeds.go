package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// deed is what an administrator's command asks for: of a running server by its admin
// socket, of a stopped one's data by itself.
type deed func(ctx context.Context, o *operator, in json.RawMessage) (any, error)

// of makes a deed of a function that takes a T.
func of[T any](do func(ctx context.Context, o *operator, in T) (any, error)) deed {
	return func(ctx context.Context, o *operator, text json.RawMessage) (any, error) {
		var in T
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, protocol.BadRequest("what is asked for cannot be read: %v", err)
		}
		return do(ctx, o, in)
	}
}

// What deeds take.
type (
	aboutUser struct {
		User     string `json:"user"` // an id or a name
		Flag     bool   `json:"flag,omitempty"`
		File     string `json:"file,omitempty"`
		Messages string `json:"messages,omitempty"`
	}
	findIn struct {
		Query string `json:"query"`
		After string `json:"after,omitempty"`
		From  int    `json:"from,omitempty"`
		Limit int    `json:"limit"`
	}
	aboutSession struct {
		Session string `json:"session"`
		Message string `json:"message,omitempty"`
		Cursor  string `json:"cursor,omitempty"`
	}
	rowsFrom struct {
		From  int64 `json:"from"`
		Limit int   `json:"limit"`
	}
)

// What deeds give.
type (
	foundUsers struct {
		Items []userctr.AdminUser `json:"items"`
		Next  string              `json:"next,omitempty"`
	}
	foundSessions struct {
		Items []*adminSession `json:"items"`
		More  bool            `json:"more,omitempty"`
	}
	newPassword struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	auditRows struct {
		Rows []json.RawMessage `json:"rows"`
	}
)

// deeds are all of them, by the command's words.
var deeds = map[string]deed{
	"user-find": of(func(ctx context.Context, o *operator, in findIn) (any, error) {
		found, err := o.users.FindUsers(ctx, in.Query, in.After, in.Limit+1)
		if err != nil {
			return nil, err
		}
		out := foundUsers{Items: []userctr.AdminUser{}}
		for _, u := range found[:min(len(found), in.Limit)] {
			out.Items = append(out.Items, userctr.ForAdmin(u))
		}
		if len(found) > in.Limit {
			out.Next = found[in.Limit-1].ID
		}
		return out, nil
	}),
	"user-show": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, _ aboutUser) (any, error) {
		return o.users.View(ctx, u)
	})),
	"user-disable": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, in aboutUser) (any, error) {
		return userctr.ForAdmin(u), o.users.SetDisabled(ctx, userctr.ByOperator, u.ID, in.Flag)
	})),
	"user-reset": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, _ aboutUser) (any, error) {
		password, err := o.users.ResetPassword(ctx, userctr.ByOperator, u.ID)
		return newPassword{u.ID, password}, err
	})),
	"user-admin": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, in aboutUser) (any, error) {
		u, err := o.users.SetAdmin(ctx, userctr.ByOperator, u.ID, in.Flag)
		if err != nil {
			return nil, err
		}
		return userctr.ForAdmin(u), nil
	})),
	"user-export": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, in aboutUser) (any, error) {
		return userctr.ForAdmin(u), o.exportTo(ctx, userctr.ByOperator, u.ID, in.File)
	})),
	"user-erase": of(withUser(func(ctx context.Context, o *operator, u *userctr.User, in aboutUser) (any, error) {
		return userctr.ForAdmin(u), o.eraseUser(ctx, userctr.ByOperator, u.ID, in.Messages)
	})),
	"session-find": of(func(ctx context.Context, o *operator, in findIn) (any, error) {
		if v, err := o.session(ctx, in.Query, "", 0); err == nil {
			v.Next = ""
			return foundSessions{Items: []*adminSession{v}}, nil
		}
		u, err := o.users.Identify(ctx, in.Query)
		if err != nil {
			return nil, protocol.NotFound("no session and no user is %.64q", in.Query)
		}
		list, more, err := o.sessionsOf(ctx, u.ID, in.From, in.Limit)
		return foundSessions{list, more}, err
	}),
	"session-show": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return o.session(ctx, in.Session, in.Cursor, 1000)
	}),
	"session-dissolve": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return struct{}{}, o.dissolve(ctx, userctr.ByOperator, in.Session)
	}),
	"session-recall": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return struct{}{}, o.recall(ctx, userctr.ByOperator, in.Message)
	}),
	"session-held": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return o.held(ctx, in.Session)
	}),
	"session-release": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return struct{}{}, o.decide(ctx, in.Message, actors.VerdictAllow)
	}),
	"session-reject": of(func(ctx context.Context, o *operator, in aboutSession) (any, error) {
		return struct{}{}, o.decide(ctx, in.Message, actors.VerdictReject)
	}),
	"audit-verify": of(func(ctx context.Context, o *operator, _ struct{}) (any, error) { return o.users.CheckAudit(ctx) }),
	"audit-back": of(func(ctx context.Context, o *operator, in rowsFrom) (any, error) {
		rows, err := o.users.AuditPage(ctx, in.From, in.Limit)
		if err != nil {
			return nil, err
		}
		out := auditRows{Rows: []json.RawMessage{}}
		for _, r := range rows {
			text, err := json.Marshal(r)
			if err != nil {
				return nil, err
			}
			out.Rows = append(out.Rows, text)
		}
		return out, nil
	}),
	"audit-rows": of(func(ctx context.Context, o *operator, in rowsFrom) (any, error) {
		out := auditRows{Rows: []json.RawMessage{}}
		err := o.store.AuditRows(ctx, in.From, func(_ int64, text []byte) bool {
			out.Rows = append(out.Rows, append(json.RawMessage{}, text...))
			return len(out.Rows) < in.Limit
		})
		return out, err
	}),
}

// deedOf gives a deed by its name; nil: there is none.
func deedOf(name string) deed {
	if d := deeds[name]; d != nil {
		return d
	}
	if d := deedsOfFiles[name]; d != nil {
		return d
	}
	if d := deedsOfApps[name]; d != nil {
		return d
	}
	if d := deedsOfBots[name]; d != nil {
		return d
	}
	return deedsOfReleases[name]
}

// withUser finds the user that a deed is about.
func withUser(do func(ctx context.Context, o *operator, u *userctr.User, in aboutUser) (any, error)) func(context.Context, *operator, aboutUser) (any, error) {
	return func(ctx context.Context, o *operator, in aboutUser) (any, error) {
		u, err := o.users.Identify(ctx, in.User)
		if err != nil {
			return nil, err
		}
		return do(ctx, o, u, in)
	}
}

// do has a deed done by the server that runs on the data directory or, where none
// does, on the data itself.
func (p *program) do(ctx context.Context, c *Config, name string, in, out any) error {
	err := askAdmin(ctx, c.Data, "POST", "/do/"+name, in, out)
	if !errors.Is(err, errNotRunning) {
		return err
	}
	return p.withOperator(c, func(o *operator) error {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		got, err := deedOf(name)(ctx, o, text)
		if err != nil {
			return err
		}
		if text, err = json.Marshal(got); err != nil {
			return err
		}
		return json.Unmarshal(text, out)
	})
}
