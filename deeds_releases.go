package main

import (
	"context"
	"encoding/json"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/userctr"
)

// What deeds on releases take and give.
type (
	newRelease struct {
		Path     string            `json:"path"` // of the file, absolute
		App      string            `json:"app,omitempty"`
		Platform string            `json:"platform"`
		Channel  string            `json:"channel,omitempty"`
		Version  string            `json:"version"`
		Build    int64             `json:"build,omitempty"`
		Minimum  string            `json:"minimum,omitempty"`
		Notes    map[string]string `json:"notes,omitempty"`
	}
	madeRelease struct {
		Release json.RawMessage `json:"release"`
		Again   bool            `json:"again,omitempty"` // it was there before
	}
	findReleases struct {
		App      string `json:"app,omitempty"`
		Platform string `json:"platform,omitempty"`
		Channel  string `json:"channel,omitempty"`
		All      bool   `json:"all,omitempty"` // withdrawn ones too
		After    string `json:"after,omitempty"`
	}
	aboutRelease struct {
		Release string `json:"release"`
	}
	releaseRow struct {
		ID        string `json:"id"`
		App       string `json:"app,omitempty"`
		Platform  string `json:"platform"`
		Channel   string `json:"channel"`
		Version   string `json:"version"`
		Build     int64  `json:"build,omitempty"`
		Minimum   string `json:"minimum,omitempty"`
		Size      int64  `json:"size"`
		Name      string `json:"name"`
		CreatedAt string `json:"createdAt"`
		Withdrawn string `json:"withdrawnAt,omitempty"`
	}
	releaseRows struct {
		Rows []json.RawMessage `json:"rows"`
	}
)

// deedsOfReleases are deeds on releases.
var deedsOfReleases = map[string]deed{
	"release-add": of(func(ctx context.Context, o *operator, in newRelease) (any, error) {
		r, made, err := o.files.ReleaseFrom(ctx, userctr.ByOperator, in.Path, filectr.NewRelease{
			App: in.App, Platform: in.Platform, Channel: in.Channel, Version: in.Version, Build: in.Build, Minimum: in.Minimum, Notes: in.Notes,
		})
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(o.files.ForAdmin(r))
		return madeRelease{text, !made}, err
	}),
	"release-list": of(func(_ context.Context, o *operator, in findReleases) (any, error) {
		out := releaseRows{Rows: []json.RawMessage{}}
		for _, r := range o.files.Releases(filectr.ReleasesOf{App: in.App, Platform: in.Platform, Channel: in.Channel, Withdrawn: in.All}, in.After, releasesPage) {
			text, err := json.Marshal(o.files.ForAdmin(r))
			if err != nil {
				return nil, err
			}
			out.Rows = append(out.Rows, text)
		}
		return out, nil
	}),
	"release-withdraw": of(func(ctx context.Context, o *operator, in aboutRelease) (any, error) {
		r, err := o.files.Withdraw(ctx, userctr.ByOperator, in.Release)
		if err != nil {
			return nil, err
		}
		return o.files.ForAdmin(r), nil
	}),
}

// releasesPage is how many are asked for at a time: with the longest notes, 50 are under
// the 1 MiB that an answer has at most.
const releasesPage = 50
