package rows

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

const tableRelease = 0x7c // release → releaseRow

type releaseRow struct {
	App      string            `json:"app,omitempty"`
	Platform string            `json:"platform"`
	Channel  string            `json:"channel"`
	Version  string            `json:"version"`
	Build    int64             `json:"build,omitempty"`
	Minimum  string            `json:"minimum,omitempty"`
	Notes    map[string]string `json:"notes,omitempty"`
	By       string            `json:"by"`
	Created  int64             `json:"created"`

	File string `json:"file"`
	Name string `json:"name"`
	Mime string `json:"mime"`
	Size int64  `json:"size"`
	Sum  string `json:"sum"`

	Withdrawn   int64  `json:"withdrawn,omitempty"`
	WithdrawnBy string `json:"withdrawnBy,omitempty"`
}

func rowOfRelease(r *filectr.Release) releaseRow {
	return releaseRow{
		App: r.App, Platform: r.Platform, Channel: r.Channel, Version: r.Version, Build: r.Build, Minimum: r.Minimum, Notes: r.Notes, By: r.By, Created: nanos(r.Created),
		File: r.File, Name: r.Name, Mime: r.Mime, Size: r.Size, Sum: r.Sum.String(), Withdrawn: nanos(r.Withdrawn), WithdrawnBy: r.WithdrawnBy,
	}
}

func (r releaseRow) release(id string) (*filectr.Release, error) {
	sum, ok := filectr.ParseSum(r.Sum)
	if !ok {
		return nil, fmt.Errorf("rows: release %s has a content without a name", id)
	}
	return &filectr.Release{
		ID: id, App: r.App, Platform: r.Platform, Channel: r.Channel, Version: r.Version, Build: r.Build, Minimum: r.Minimum, Notes: r.Notes, By: r.By, Created: fromNanos(r.Created),
		File: r.File, Name: r.Name, Mime: r.Mime, Size: r.Size, Sum: sum, Withdrawn: fromNanos(r.Withdrawn), WithdrawnBy: r.WithdrawnBy,
	}, nil
}

// Releases fills filectr.ReleaseStore.
func (s *Store) Releases(ctx context.Context) (all []*filectr.Release, err error) {
	err = s.scanPrefix(ctx, []byte{tableRelease}, func(key, value []byte) error {
		var row releaseRow
		if err := parseRow(value, &row); err != nil {
			return bad(key, err)
		}
		r, err := row.release(string(key[1:]))
		all = append(all, r)
		return err
	})
	return all, err
}

// AddRelease fills filectr.ReleaseStore. The file's ties count the release as one entry.
func (s *Store) AddRelease(ctx context.Context, r *filectr.Release) error {
	return s.update(ctx, func(t *tx) error {
		key := rowKey(tableRelease, r.ID)
		if _, found, err := t.get(key); err != nil || found {
			return either(err, protocol.Conflict("release %s exists", r.ID))
		}
		row, err := getRow[fileRow](t, rowKey(tableFile, r.File), "file", r.File)
		if err != nil {
			return err
		}
		f, err := row.file(r.File)
		if err != nil {
			return err
		}
		if f.Owner != "" {
			if err := t.room(payerOf(f), -f.Bytes(), filectr.Quota{}); err != nil {
				return err
			}
			t.delete(rowKey(tableFiles, f.Owner, f.ID))
			f.Owner, f.App, f.Guest = "", "", false
			if err := t.room(payerOf(f), f.Bytes(), filectr.Quota{All: math.MaxInt64}); err != nil {
				return err
			}
			t.put(rowKey(tableFiles, "", f.ID), nil)
			if err := putRow(t, rowKey(tableFile, f.ID), rowOfFile(f)); err != nil {
				return err
			}
		}
		bound, _, err := t.ties(f.ID)
		if err != nil {
			return err
		}
		if bound.entries == 0 {
			t.delete(looseKey(bound.since, f.ID))
		}
		bound.entries, bound.sent = bound.entries+1, true
		t.put(rowKey(tableTies, f.ID), bound.row())
		return putRow(t, key, rowOfRelease(r))
	})
}

// WithdrawRelease fills filectr.ReleaseStore.
func (s *Store) WithdrawRelease(ctx context.Context, id, by string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		key := rowKey(tableRelease, id)
		row, err := getRow[releaseRow](t, key, "release", id)
		if err != nil || row.Withdrawn != 0 {
			return err
		}
		row.Withdrawn, row.WithdrawnBy = nanos(at), by
		bound, found, err := t.ties(row.File)
		if err != nil {
			return err
		}
		if found && bound.entries > 0 {
			if bound.entries--; bound.entries == 0 {
				bound.since = nanos(at)
				t.put(looseKey(bound.since, row.File), nil)
			}
			t.put(rowKey(tableTies, row.File), bound.row())
		}
		return putRow(t, key, row)
	})
}
