package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
)

// registerRemote adds to api what administrators do to bots that run elsewhere.
func (s *server) registerRemote(api huma.API) {
	op := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary + " (administrators)", Tags: []string{"bots"}, DefaultStatus: http.StatusOK,
			Errors:   append(errors, http.StatusUnauthorized, http.StatusForbidden),
			Security: []map[string][]string{{"bearer": {}}}, MaxBodyBytes: 80 << 10,
		}
	}
	none := http.StatusNotFound
	huma.Register(api, op("admin-list-remote-bots", http.MethodGet, "/admin/remote-bots", "List the bots that run elsewhere"), s.adminRemoteBots)
	huma.Register(api, op("admin-add-remote-bot", http.MethodPost, "/admin/remote-bots", "Register a bot that runs elsewhere", http.StatusBadRequest, http.StatusConflict), s.adminAddRemoteBot)
	huma.Register(api, op("admin-remove-remote-bot", http.MethodDelete, "/admin/remote-bots/{id}", "Let a bot go that runs elsewhere", none), s.adminRemoveRemoteBot)
	huma.Register(api, op("admin-rotate-remote-bot", http.MethodPost, "/admin/remote-bots/{id}/rotate", "Give it a new token and secret, and end the old ones", none), s.adminRotateRemoteBot)
	huma.Register(api, op("admin-enable-remote-bot", http.MethodPost, "/admin/remote-bots/{id}/enable", "Let it in", none), s.adminSetRemoteBot("enable-bot", false))
	huma.Register(api, op("admin-disable-remote-bot", http.MethodPost, "/admin/remote-bots/{id}/disable", "Keep it out, until it is enabled", none), s.adminSetRemoteBot("disable-bot", true))
}

// remoteBot is a bot that runs elsewhere, as administrators see it.
type remoteBot struct {
	ID        string    `json:"id"`
	Way       string    `json:"way" enum:"websocket,webhook"`
	URL       string    `json:"url,omitempty"`
	Scopes    []string  `json:"scopes"`
	By        string    `json:"by" doc:"Who registered it"`
	CreatedAt time.Time `json:"createdAt"`
	Disabled  bool      `json:"disabled"`
	Up        bool      `json:"up" doc:"It is reached now"`
	Since     time.Time `json:"since,omitzero"`
}

func viewRemote(l remote.Listed) *remoteBot {
	return &remoteBot{ID: l.ID, Way: l.Way, URL: l.URL, Scopes: append([]string{}, l.Scopes...), By: l.By, CreatedAt: l.Created, Disabled: l.Disabled, Up: l.There, Since: l.Since}
}

// remoteSecrets is what a remote bot proves who it is by.
type remoteSecrets struct {
	Token  string `json:"token" doc:"Its bearer token, shown this once"`
	Secret string `json:"secret,omitempty" doc:"Of a webhook: signs what it is sent; shown this once"`
}

func (s *server) adminRemoteBots(ctx context.Context, _ *struct{}) (*struct {
	Body struct {
		Items []*remoteBot `json:"items"`
	}
}, error) {
	if _, err := s.users.Administer(ctx, access.AdminBots); err != nil {
		return nil, err
	}
	out := &struct {
		Body struct {
			Items []*remoteBot `json:"items"`
		}
	}{}
	out.Body.Items = []*remoteBot{}
	for _, l := range s.remote.List() {
		out.Body.Items = append(out.Body.Items, viewRemote(l))
	}
	return out, nil
}

func (s *server) adminAddRemoteBot(ctx context.Context, in *struct {
	Body struct {
		ID     string   `json:"id" maxLength:"32" doc:"1 to 32 of a-z, 0-9 and -, beginning with a letter"`
		Way    string   `json:"way" enum:"websocket,webhook"`
		URL    string   `json:"url,omitempty" maxLength:"2048" doc:"Of a webhook"`
		Scopes []string `json:"scopes,omitempty" maxItems:"32"`
		Config string   `json:"config,omitempty" maxLength:"65536" doc:"JSON that it is given in its welcome"`
	}
}) (*struct{ Body remoteSecrets }, error) {
	by, err := s.users.Administer(ctx, access.AdminBots)
	if err != nil {
		return nil, err
	}
	b := in.Body
	token, secret, err := s.addRemote(ctx, remote.Wish{ID: b.ID, Way: b.Way, URL: b.URL, Scopes: b.Scopes, Config: b.Config, By: by})
	return &struct{ Body remoteSecrets }{remoteSecrets{token, secret}}, err
}

func (s *server) addRemote(ctx context.Context, w remote.Wish) (token, secret string, err error) {
	if _, token, secret, err = s.remote.Add(ctx, w); err != nil {
		return "", "", err
	}
	return token, secret, s.users.Record(ctx, userctr.Record{By: w.By, Action: "add-bot", About: w.ID, Note: strings.TrimSpace(w.Way + " " + strings.Join(w.Scopes, " "))})
}

func (s *server) adminRemoveRemoteBot(ctx context.Context, in *InBot) (*struct{}, error) {
	by, err := s.users.Administer(ctx, access.AdminBots)
	if err != nil {
		return nil, err
	}
	return nil, s.removeRemote(ctx, by, in.ID)
}

func (s *server) removeRemote(ctx context.Context, by, id string) error {
	if err := s.remote.Remove(ctx, id); err != nil {
		return err
	}
	return s.users.Record(ctx, userctr.Record{By: by, Action: "remove-bot", About: id})
}

func (s *server) adminRotateRemoteBot(ctx context.Context, in *InBot) (*struct{ Body remoteSecrets }, error) {
	by, err := s.users.Administer(ctx, access.AdminBots)
	if err != nil {
		return nil, err
	}
	token, secret, err := s.rotateRemote(ctx, by, in.ID)
	return &struct{ Body remoteSecrets }{remoteSecrets{token, secret}}, err
}

func (s *server) rotateRemote(ctx context.Context, by, id string) (token, secret string, err error) {
	if token, secret, err = s.remote.Rotate(ctx, id); err != nil {
		return "", "", err
	}
	return token, secret, s.users.Record(ctx, userctr.Record{By: by, Action: "rotate-bot", About: id})
}

func (s *server) adminSetRemoteBot(action string, disabled bool) func(context.Context, *InBot) (*struct{}, error) {
	return func(ctx context.Context, in *InBot) (*struct{}, error) {
		by, err := s.users.Administer(ctx, access.AdminBots)
		if err != nil {
			return nil, err
		}
		if err := s.remote.Set(ctx, in.ID, disabled); err != nil {
			return nil, err
		}
		return nil, s.users.Record(ctx, userctr.Record{By: by, Action: action, About: in.ID})
	}
}
