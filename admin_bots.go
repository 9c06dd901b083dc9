package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/userctr"
)

// registerBots adds to api what administrators see of bots and do to them.
func (s *server) registerBots(api huma.API) {
	op := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary + " (administrators)", Tags: []string{"bots"}, DefaultStatus: http.StatusOK,
			Errors:   append(errors, http.StatusUnauthorized, http.StatusForbidden),
			Security: []map[string][]string{{"bearer": {}}}, MaxBodyBytes: 16 << 10,
		}
	}
	get, post, none := http.MethodGet, http.MethodPost, http.StatusNotFound
	huma.Register(api, op("admin-list-bots", get, "/admin/bots", "List the bots, with how they are"), s.adminBots)
	huma.Register(api, op("admin-get-bot", get, "/admin/bots/{id}", "Read one bot", none), s.adminBot)
	huma.Register(api, op("admin-bot-logs", get, "/admin/bots/{id}/logs", "Read the last lines that a bot's process wrote", none), s.adminBotLogs)
	huma.Register(api, op("admin-restart-bot", post, "/admin/bots/{id}/restart", "End a bot's process, which may finish what it has in hand, and start it anew; also one that crashed too often", none), s.changeBot("restart-bot", func(id string) error { return s.bots.Restart(id) }))
	huma.Register(api, op("admin-enable-bot", post, "/admin/bots/{id}/enable", "Switch a bot on", none), s.changeBot("enable-bot", func(id string) error { return s.bots.Enable(id, true) }))
	huma.Register(api, op("admin-disable-bot", post, "/admin/bots/{id}/disable", "Switch a bot off, until it is switched on", none), s.changeBot("disable-bot", func(id string) error { return s.bots.Enable(id, false) }))
	huma.Register(api, op("admin-approve-bot", post, "/admin/bots/{id}/approve", "Let the newest version of a bot run, as it lies there now", none), s.adminApproveBot)
	huma.Register(api, op("admin-models-usage", get, "/admin/models/usage", "Read what bots used of models"), s.adminModelsUsage)
}

// InBot is embedded by every input that names a bot.
type InBot struct {
	ID string `path:"id" maxLength:"40" doc:"The plugin's id, or its user's (b_ID)"`
}

// adminBot is a bot as administrators see it: its process, and how it stands to sessions.
type adminBot struct {
	plugins.Status
	Remote bool     `json:"remote,omitempty" doc:"It runs elsewhere; what is said of its process is nothing then"`
	Nodes  []string `json:"nodes,omitempty" doc:"Of several nodes, the addresses of those that a bot with a WebSocket is connected to; the others reach it by them"`

	LagEvents   int64   `json:"lagEvents" doc:"Entries of sessions that it was not given yet"`
	LagSeconds  float64 `json:"lagSeconds" doc:"The age of the oldest event that is not done"`
	Held        int     `json:"held" doc:"Events that wait for it in memory"`
	Drafts      int     `json:"drafts" doc:"Answers that it is writing"`
	Acked       int64   `json:"acked" doc:"Events that it did, since the server started; so are the following"`
	Redelivered int64   `json:"redelivered"`
	DeadLetters int64   `json:"deadLetters" doc:"Events that were given up"`
	Duplicates  int64   `json:"duplicates" doc:"Answers that it gave again, and that are shown once"`
	TooOld      int64   `json:"tooOld" doc:"Events that nobody waited for any more"`
	Judged      int64   `json:"judged" doc:"Messages that it moderated, of all sessions, where it is connected to this node"`
	Unjudged    int64   `json:"unjudged" doc:"Messages of sessions of this node that it did not moderate in time"`
	AckSeconds  float64 `json:"ackSeconds" doc:"Mean time of an event"`

	TokensToday int64 `json:"tokensToday" doc:"Of models, since midnight UTC"`
	CostToday   int64 `json:"costToday" doc:"In millionths of what prices are in"`
}

type botsAnswer struct {
	Body struct {
		Items     []*adminBot `json:"items" doc:"By id"`
		Isolation string      `json:"isolation" doc:"How bots are kept apart: namespaces, or less"`
		Why       string      `json:"isolationWhy,omitempty" doc:"Why it is less"`
		Models    bool        `json:"models" doc:"There is a model that bots may ask"`
	}
}

func (s *server) adminBots(ctx context.Context, _ *struct{}) (*botsAnswer, error) {
	if _, err := s.users.Administer(ctx, access.AdminBots); err != nil {
		return nil, err
	}
	out := &botsAnswer{}
	var why error
	var err error
	if out.Body.Items, err = s.botsForAdmin(ctx); err != nil {
		return nil, err
	}
	if out.Body.Isolation, why = s.bots.IsolationLevel(); why != nil {
		out.Body.Why = why.Error()
	}
	out.Body.Models = s.models.Ready()
	return out, nil
}

func (s *server) adminBot(ctx context.Context, in *InBot) (*struct{ Body *adminBot }, error) {
	if _, err := s.users.Administer(ctx, access.AdminBots); err != nil {
		return nil, err
	}
	b, err := s.botForAdmin(ctx, in.ID)
	return &struct{ Body *adminBot }{b}, err
}

func (s *server) botForAdmin(ctx context.Context, id string) (*adminBot, error) {
	all, err := s.botsForAdmin(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.ID == strings.TrimPrefix(id, "b_") {
			return b, nil
		}
	}
	return nil, protocol.NotFound("bot %.64q", id)
}

type botLogsAnswer struct {
	Body struct {
		Items []plugins.Line `json:"items" doc:"The oldest first, 200 at most"`
		Last  int64          `json:"last" doc:"Asked for as after: what came since"`
	}
}

func (s *server) adminBotLogs(ctx context.Context, in *struct {
	InBot
	After int64 `query:"after" minimum:"0" doc:"Lines with a higher n alone"`
}) (*botLogsAnswer, error) {
	if _, err := s.users.Administer(ctx, access.AdminBots); err != nil {
		return nil, err
	}
	lines, _, err := s.bots.Logs(in.ID, in.After)
	if err != nil {
		return nil, err
	}
	out := &botLogsAnswer{}
	out.Body.Items, out.Body.Last = lines, in.After
	if len(lines) > 0 {
		out.Body.Last = lines[len(lines)-1].N
	}
	return out, nil
}

// changeBot makes an operation that does something to a bot, and remembers who did it.
func (s *server) changeBot(action string, do func(id string) error) func(context.Context, *InBot) (*struct{ Body *adminBot }, error) {
	return func(ctx context.Context, in *InBot) (*struct{ Body *adminBot }, error) {
		by, err := s.users.Administer(ctx, access.AdminBots)
		if err != nil {
			return nil, err
		}
		if err := s.toBot(ctx, by, action, in.ID, "", do); err != nil {
			return nil, err
		}
		b, err := s.botForAdmin(ctx, in.ID)
		return &struct{ Body *adminBot }{b}, err
	}
}

// toBot does something to a bot once it is remembered who does it.
func (s *server) toBot(ctx context.Context, by, action, id, note string, do func(id string) error) error {
	if _, err := s.bots.StatusOf(id); err != nil {
		return err
	}
	if err := s.users.Record(ctx, userctr.Record{By: by, Action: action, About: strings.TrimPrefix(id, "b_"), Note: note}); err != nil {
		return err
	}
	return do(id)
}

func (s *server) adminApproveBot(ctx context.Context, in *struct {
	InBot
	Body *struct {
		Scopes []string `json:"scopes,omitempty" maxItems:"32" doc:"Those that are granted; by default all that it asks for"`
	}
}) (*struct{ Body *adminBot }, error) {
	by, err := s.users.Administer(ctx, access.AdminBots)
	if err != nil {
		return nil, err
	}
	var scopes []string
	if in.Body != nil {
		scopes = in.Body.Scopes
	}
	err = s.toBot(ctx, by, "approve-bot", in.ID, strings.Join(scopes, " "), func(id string) error {
		_, err := s.bots.Approve(id, by, scopes)
		return err
	})
	if err != nil {
		return nil, err
	}
	b, err := s.botForAdmin(ctx, in.ID)
	return &struct{ Body *adminBot }{b}, err
}

type usageAnswer struct {
	Body struct {
		Items []model.Row `json:"items" doc:"Those with the most tokens first; of days the oldest first"`
	}
}

func (s *server) adminModelsUsage(ctx context.Context, in *struct {
	From    string `query:"from" maxLength:"10" doc:"A day, like 2026-01-01; by default 29 days before to"`
	To      string `query:"to" maxLength:"10" doc:"A day; by default today (UTC)"`
	Bot     string `query:"bot" maxLength:"128" doc:"Of this one alone"`
	User    string `query:"user" maxLength:"128"`
	Session string `query:"session" maxLength:"64"`
	By      string `query:"by" enum:"day,user,session" doc:"What is told apart besides bots"`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*usageAnswer, error) {
	if _, err := s.users.Administer(ctx, access.AdminBots); err != nil {
		return nil, err
	}
	rows, err := s.models.Usage(ctx, model.Query{From: in.From, To: in.To, Bot: in.Bot, User: in.User, Session: in.Session, By: in.By, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &usageAnswer{}
	out.Body.Items = append([]model.Row{}, rows...)
	return out, nil
}
