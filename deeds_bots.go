package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
)

// What deeds on bots take and give.
type (
	aboutBot struct {
		Bot    string   `json:"bot"`
		Scopes []string `json:"scopes,omitempty"`
		After  int64    `json:"after,omitempty"`
		Follow bool     `json:"follow,omitempty"` // wait for a line, some seconds at most
		By     string   `json:"by,omitempty"`
	}
	aboutEvent struct {
		Plugin string `json:"plugin,omitempty"`
		Event  string `json:"event"`
	}
	newRemoteBot struct {
		Bot    string   `json:"bot"`
		Way    string   `json:"way"`
		URL    string   `json:"url,omitempty"`
		Scopes []string `json:"scopes,omitempty"`
	}
	botList struct {
		Items     []*adminBot `json:"items"`
		Isolation string      `json:"isolation,omitempty"`
		Why       string      `json:"why,omitempty"`
		Running   bool        `json:"running"`
		Dir       string      `json:"dir"` // of plugins
	}
	botLines struct {
		Lines []plugins.Line `json:"lines"`
	}
	botLetters struct {
		Rows []json.RawMessage `json:"rows"`
	}
	botSecrets struct {
		Bot    string `json:"bot"`
		Token  string `json:"token"`
		Secret string `json:"secret,omitempty"`
	}
)

// followFor is how long a deed waits for a line.
const followFor = 10 * time.Second

// lettersPage is how many dead letters are given at a time.
const lettersPage = 200

// deedsOfBots are deeds on bots. Those that need their processes, or what waits for them,
// are for a running server.
var deedsOfBots = map[string]deed{
	"bot-ps": of(func(ctx context.Context, o *operator, _ struct{}) (any, error) {
		out := botList{Items: []*adminBot{}}
		if o.live == nil {
			h, err := o.host()
			if err != nil {
				return nil, err
			}
			for _, b := range h.Status(false) {
				out.Items = append(out.Items, &adminBot{Status: *b})
			}
			out.Dir = h.Dir()
			return out, nil
		}
		items, err := o.live.botsForAdmin(ctx)
		if err != nil {
			return nil, err
		}
		out.Items, out.Running, out.Dir = items, true, o.live.bots.Dir()
		level, why := o.live.bots.IsolationLevel()
		if out.Isolation = level; why != nil {
			out.Why = why.Error()
		}
		return out, nil
	}),
	"bot-logs": of(running(func(ctx context.Context, s *server, in aboutBot) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, followFor)
		defer cancel()
		for {
			lines, more, err := s.bots.Logs(in.Bot, in.After)
			if err != nil || len(lines) > 0 || !in.Follow {
				return botLines{lines}, err
			}
			select {
			case <-more:
			case <-ctx.Done():
				return botLines{lines}, nil
			}
		}
	})),
	"bot-approve": of(func(ctx context.Context, o *operator, in aboutBot) (any, error) {
		h, err := o.host()
		if err != nil {
			return nil, err
		}
		a, err := h.Approve(in.Bot, userctr.ByOperator, in.Scopes)
		if err != nil {
			return nil, err
		}
		return a, o.users.Record(ctx, userctr.Record{By: userctr.ByOperator, Action: "approve-bot", About: a.ID, Note: a.Version + ": " + strings.Join(a.Scopes, " ")})
	}),
	"bot-enable": of(func(ctx context.Context, o *operator, in aboutBot) (any, error) {
		return o.switchBot(ctx, in.Bot, true)
	}),
	"bot-disable": of(func(ctx context.Context, o *operator, in aboutBot) (any, error) {
		return o.switchBot(ctx, in.Bot, false)
	}),
	"bot-restart": of(running(func(ctx context.Context, s *server, in aboutBot) (any, error) {
		return struct{}{}, s.toBot(ctx, userctr.ByOperator, "restart-bot", in.Bot, "", s.bots.Restart)
	})),
	"bot-reload": of(running(func(_ context.Context, s *server, _ struct{}) (any, error) {
		s.bots.Reload()
		return struct{}{}, nil
	})),
	"bot-dead": of(running(func(ctx context.Context, s *server, in aboutBot) (any, error) {
		letters, err := s.desks.DeadLetters(ctx, strings.TrimPrefix(in.Bot, "b_"), nil, lettersPage)
		out := botLetters{Rows: []json.RawMessage{}}
		for _, l := range letters {
			l.Body = nil // what people wrote
			text, err := json.Marshal(l)
			if err != nil {
				return nil, err
			}
			out.Rows = append(out.Rows, text)
		}
		return out, err
	})),
	"bot-replay": of(running(func(ctx context.Context, s *server, in aboutEvent) (any, error) {
		if in.Plugin == "" {
			l, err := s.letter(ctx, in.Event)
			if err != nil {
				return nil, err
			}
			in.Plugin = l.Plugin
		}
		return in, s.desks.Replay(ctx, in.Plugin, in.Event)
	})),
	"bot-add": of(running(func(ctx context.Context, s *server, in newRemoteBot) (any, error) {
		token, secret, err := s.addRemote(ctx, remote.Wish{ID: in.Bot, Way: in.Way, URL: in.URL, Scopes: in.Scopes, By: userctr.ByOperator})
		return botSecrets{in.Bot, token, secret}, err
	})),
	"bot-rotate": of(running(func(ctx context.Context, s *server, in aboutBot) (any, error) {
		token, secret, err := s.rotateRemote(ctx, userctr.ByOperator, in.Bot)
		return botSecrets{in.Bot, token, secret}, err
	})),
	"bot-remove": of(running(func(ctx context.Context, s *server, in aboutBot) (any, error) {
		return struct{}{}, s.removeRemote(ctx, userctr.ByOperator, in.Bot)
	})),
}

// running makes a deed of what a running server alone can do.
func running[T any](do func(ctx context.Context, s *server, in T) (any, error)) func(context.Context, *operator, T) (any, error) {
	return func(ctx context.Context, o *operator, in T) (any, error) {
		if o.live == nil {
			return nil, errNotRunning
		}
		return do(ctx, o.live, in)
	}
}

// host is the running server's host of bots, or one that starts nothing.
func (o *operator) host() (*plugins.Host, error) {
	if o.live != nil {
		return o.live.bots, nil
	}
	cfg := o.cfg.Plugins
	cfg.Data, cfg.Only = o.cfg.Data, o.cfg.whichBots()
	return plugins.New(cfg, plugins.Needs{BuiltIn: builtInBots(), Log: o.log})
}

func (o *operator) switchBot(ctx context.Context, id string, on bool) (any, error) {
	h, err := o.host()
	if err != nil {
		return nil, err
	}
	if o.live != nil && o.live.remote.Has(strings.TrimPrefix(id, "b_")) {
		err = o.live.remote.Set(ctx, strings.TrimPrefix(id, "b_"), !on)
	} else {
		err = h.Enable(id, on)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, o.users.Record(ctx, userctr.Record{By: userctr.ByOperator, Action: map[bool]string{true: "enable-bot", false: "disable-bot"}[on], About: strings.TrimPrefix(id, "b_")})
}

// letter finds a dead letter by its event: NOT_FOUND.
func (s *server) letter(ctx context.Context, event string) (*desk.DeadLetter, error) {
	var after *desk.DeadLetter
	for {
		page, err := s.desks.DeadLetters(ctx, "", after, lettersPage)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			if l.Event == event {
				return l, nil
			}
		}
		if len(page) < lettersPage {
			return nil, protocol.NotFound("no event that was given up is called %.128q: troupe bot dead", event)
		}
		after = page[len(page)-1]
	}
}
