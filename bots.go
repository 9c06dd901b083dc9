package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/gateway"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/bots"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/plugins/sdk"
)

// builtInBots are the bots that this program is besides the server.
func builtInBots() map[string]plugins.BuiltIn {
	all := map[string]plugins.BuiltIn{}
	for id, b := range bots.Bundled() {
		all[id] = plugins.BuiltIn{Version: b.Version}
	}
	return all
}

// plugin is this program as one of the bots that come along. It does not come back.
func plugin(args []string) error {
	if len(args) == 1 {
		if b := bots.Bundled()[args[0]]; b != nil {
			sdk.Serve(b)
		}
	}
	return errUsage{errors.New("plugin is for the server, which starts its bots by it: troupe bot ps")}
}

// newBots makes the host of bots, and the way to models; nothing is started.
func (s *server) newBots() (err error) {
	s.desks = desk.New(desk.Config{MaxText: s.cfg.Actors.MaxText, Version: version(), Locale: s.cfg.BotsLocale}, desk.Needs{
		Actors: s.node, Users: botUsers{s.users}, Store: s.store, Files: botFiles{s.files}, Usage: botSpending{s},
		Web: remote.NewWeb(s.cfg.Egress, time.Now), Hooks: botHooks{s}, Owns: s.node.Owns, Nodes: s.node, Log: s.log,
	})
	if s.models, err = model.New(s.cfg.Model, model.Needs{Store: s.store, Log: s.log}); err != nil {
		return err
	}
	s.models.UseDesk(s.desks)
	s.node.UseRobots(s.desks)
	cfg := s.cfg.Plugins
	cfg.Data, cfg.Only, cfg.Settings = s.cfg.Data, s.cfg.whichBots(), s.cfg.BotSettings
	cfg.Private, cfg.Readable = secretsRead(), split(s.cfg.BotRead)
	if s.bots, err = plugins.New(cfg, plugins.Needs{Desk: s.desks, Models: s.models, BuiltIn: builtInBots(), Log: s.log}); err != nil {
		return fmt.Errorf("bots: %w", err)
	}
	s.remote, err = remote.New(context.Background(), remote.Config{Egress: s.cfg.Egress}, remote.Needs{
		Store: s.store, Desks: s.desks, Taken: s.bots.Has, Scopes: plugins.Scopes, Problem: gateway.WriteProblem, Log: s.log,
		Changed: func() { s.node.Changed(changedBots, "") }, Tell: func(word string) { s.node.Changed(changedSaid, word) },
	})
	return err
}

// stopBots has bots finish what they have in hand, as long as three quarters of ctx's time goes,
// and ends them. What they did not finish they are given again after the next start.
func (s *server) stopBots(ctx context.Context) {
	most, cancel := context.WithCancel(ctx)
	defer cancel()
	if end, ok := ctx.Deadline(); ok {
		most, cancel = context.WithDeadline(ctx, time.Now().Add(time.Until(end)*3/4))
		defer cancel()
	}
	s.endsWithin(most, "bots", func() {
		if s.bots != nil {
			s.bots.Stop(most)
		}
		s.stopReaching()
		s.elsewhere.Wait()
		if s.desks != nil {
			s.desks.Close()
		}
		s.models.Close()
	})
}

// botsForAdmin are all bots, wherever they run, by id.
func (s *server) botsForAdmin(ctx context.Context) ([]*adminBot, error) {
	all := map[string]*adminBot{}
	for _, b := range s.bots.Status(true) {
		all[b.ID] = &adminBot{Status: *b}
	}
	never := map[string]desk.Status{}
	for _, d := range s.desks.Status() {
		b := all[d.Plugin]
		if b == nil && d.Version == "" && d.State == "offline" && !d.Remote { // it was never here: something waits for it
			never[d.Plugin] = d
			continue
		}
		if b == nil {
			b = elsewhere(d)
			all[d.Plugin] = b
		}
		b.LagEvents, b.LagSeconds, b.Held, b.Drafts = d.LagEvents, d.LagSeconds, d.Held, d.Drafts
		b.Acked, b.Redelivered, b.DeadLetters, b.Duplicates, b.TooOld = d.Acked, d.Redelivered, d.DeadLetters, d.Duplicates, d.TooOld
		b.Judged, b.Unjudged = d.Judged, d.Unjudged
		if d.Acked > 0 {
			b.AckSeconds = d.Latency.Sum / float64(d.Acked)
		}
	}
	for _, r := range s.remote.List() {
		b := all[r.ID]
		if b == nil { // it was not here since the start
			b = elsewhere(desk.Status{Plugin: r.ID, Scopes: r.Scopes, Since: r.Created})
			b.Unjudged = never[r.ID].Unjudged
			all[r.ID] = b
		}
		if r.Way == remote.Socket {
			b.Nodes = s.addresses(s.desks.ReachedAt(r.ID))
		}
		switch b.Remote = true; {
		case r.Disabled:
			b.State, b.Up = plugins.Disabled, false
		case !b.Up && len(b.Nodes) > 0:
			b.State, b.Up = plugins.Ready, true
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	used, err := s.models.Usage(ctx, model.Query{From: today, To: today, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, u := range used {
		plugin, _, _ := strings.Cut(strings.TrimPrefix(u.Bot, "b_"), ".")
		if b := all[plugin]; b != nil { // of all its users together
			b.TokensToday += u.Prompt + u.Completion
			b.CostToday += u.Cost
		}
	}
	out := []*adminBot{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[id])
	}
	return out, nil
}

// addresses are where nodes reach each other, by their ids.
func (s *server) addresses(nodes []string) (all []string) {
	state, _ := s.node.ClusterState()
	for _, m := range state.Members {
		if slices.Contains(nodes, m.ID) {
			all = append(all, m.Address)
		}
	}
	slices.Sort(all)
	return all
}

// elsewhere is a bot that has no process here.
func elsewhere(d desk.Status) *adminBot {
	b := &adminBot{Remote: true, Status: plugins.Status{
		ID: d.Plugin, Name: d.Plugin, Version: d.Version, State: plugins.Stopped, Since: d.Since, SDK: d.SDK, InHand: d.InHand, Circuit: plugins.Closed,
		Personas: []plugins.BotPersona{}, Commands: []plugins.BotCommand{}, Scopes: append([]string{}, d.Scopes...), Asked: []string{}, Approve: []plugins.PendingVersion{}, Events: []plugins.BotChange{},
	}}
	if d.State == "online" {
		b.State, b.Up = plugins.Ready, true
	}
	if d.State == "draining" {
		b.State = plugins.Draining
	}
	for _, user := range d.Bots {
		b.Personas = append(b.Personas, plugins.BotPersona{User: user, Name: user})
	}
	return b
}
