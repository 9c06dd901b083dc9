package rows

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/model"
)

// Tables of what models used. A day is its ten letters.
const (
	tableUsage     = 0x82 // day 0, bot 0, user 0, session → usageRow
	tableUsageDays = 0x83 // day 0, bot → usageRow: the sum of those
)

var _ model.Store = (*Store)(nil)

type usageRow struct {
	Prompt     int64 `json:"p,omitempty"`
	Completion int64 `json:"c,omitempty"`
	Requests   int64 `json:"n,omitempty"`
	Failed     int64 `json:"f,omitempty"`
	Cost       int64 `json:"m,omitempty"`
}

func (r usageRow) row(words []string) model.Row {
	u := model.Row{Day: words[0], Bot: words[1], Prompt: r.Prompt, Completion: r.Completion, Requests: r.Requests, Failed: r.Failed, Cost: r.Cost}
	if len(words) == 4 {
		u.User, u.Session = words[2], words[3]
	}
	return u
}

// AddUsage fills model.Store.
func (s *Store) AddUsage(ctx context.Context, u model.Row) error {
	err := s.update(ctx, func(t *tx) error {
		for _, key := range [][]byte{rowKey(tableUsage, u.Day, u.Bot, u.User, u.Session), rowKey(tableUsageDays, u.Day, u.Bot)} {
			r, err := getRow[usageRow](t, key, "usage", "")
			if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
				return err
			}
			r.Prompt += u.Prompt
			r.Completion += u.Completion
			r.Requests += u.Requests
			r.Failed += u.Failed
			r.Cost += u.Cost
			if err := putRow(t, key, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep what a model used: %w", err)
	}
	return nil
}

// UsageOf fills model.Store.
func (s *Store) UsageOf(ctx context.Context, day string, each func(model.Row) bool) error {
	return s.scanPrefix(ctx, rowKey(tableUsage, day, ""), s.usage(4, each))
}

// UsageTotals fills model.Store.
func (s *Store) UsageTotals(ctx context.Context, from, to string) (all []model.Row, err error) {
	err = s.scan(ctx, rowKey(tableUsageDays, from), after(rowKey(tableUsageDays, to, "")), s.usage(2, func(r model.Row) bool {
		all = append(all, r)
		return true
	}))
	return all, err
}

// usage reads rows whose keys have so many words.
func (s *Store) usage(words int, each func(model.Row) bool) func(key, value []byte) error {
	return func(key, value []byte) error {
		said := strings.Split(string(key[1:]), "\x00")
		if len(said) != words {
			return bad(key, errShort)
		}
		var r usageRow
		if err := parseRow(value, &r); err != nil {
			return err
		}
		if !each(r.row(said)) {
			return errEnough
		}
		return nil
	}
}

// dropAtOnce is how many rows one change removes.
const dropAtOnce = 1000

// DropUsage fills model.Store, the days one after the other.
func (s *Store) DropUsage(ctx context.Context, before string) error {
	for _, table := range []byte{tableUsage, tableUsageDays} {
		for n := dropAtOnce; n == dropAtOnce; {
			err := s.update(ctx, func(t *tx) error {
				n = 0
				return enough(t.Scan([]byte{table}, rowKey(table, before), func(key, _ []byte) error {
					if n == dropAtOnce {
						return errEnough
					}
					n++
					t.delete(key)
					return nil
				}))
			})
			if err != nil {
				return fmt.Errorf("forget what models used: %w", err)
			}
		}
	}
	return nil
}
