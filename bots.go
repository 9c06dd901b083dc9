package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/model"
)

// builtInBots are the bots that this program is besides the server.
func builtInBots() map[string]plugins.BuiltIn { return map[string]plugins.BuiltIn{} }

// newBots makes the host of bots, and the way to models; nothing is started.
func (s *server) newBots() (err error) {
	if s.models, err = model.New(s.cfg.Model, model.Needs{Store: s.store, Log: s.log}); err != nil {
		return err
	}
	cfg := s.cfg.Plugins
	cfg.Data, cfg.Only, cfg.Settings = s.cfg.Data, s.cfg.whichBots(), s.cfg.BotSettings
	if s.bots, err = plugins.New(cfg, plugins.Needs{Models: s.models, BuiltIn: builtInBots(), Log: s.log}); err != nil {
		return fmt.Errorf("bots: %w", err)
	}
	return nil
}

// botsForAdmin are all bots, wherever they run, by id.
func (s *server) botsForAdmin(ctx context.Context) ([]*adminBot, error) {
	all := map[string]*adminBot{}
	for _, b := range s.bots.Status(true) {
		all[b.ID] = &adminBot{Status: *b}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	used, err := s.models.Usage(ctx, model.Query{From: today, To: today, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, u := range used {
		if b := all[u.Bot]; b != nil {
			b.TokensToday, b.CostToday = u.Prompt+u.Completion, u.Cost
		}
	}
	out := []*adminBot{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[id])
	}
	return out, nil
}
