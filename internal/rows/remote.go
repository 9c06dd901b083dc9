package rows

import (
	"context"

	"github.com/troupe-im/troupe/plugins/remote"
)

// Tables of bots that run elsewhere.
const (
	tableRemote = 0x90 // plugin → remote.Bot as JSON
	tableHook   = 0x91 // hash of its token in hex → remote.Hook as JSON
)

// RemoteBots fills remote.Store.
func (s *Store) RemoteBots(ctx context.Context) ([]*remote.Bot, error) {
	return allRows[remote.Bot](ctx, s, tableRemote)
}

// KeepRemoteBot fills remote.Store.
func (s *Store) KeepRemoteBot(ctx context.Context, b *remote.Bot) error {
	return s.update(ctx, func(t *tx) error { return putRow(t, rowKey(tableRemote, b.ID), b) })
}

// RemoveRemoteBot fills remote.Store.
func (s *Store) RemoveRemoteBot(ctx context.Context, id string) error {
	return s.update(ctx, func(t *tx) error {
		t.delete(rowKey(tableRemote, id))
		return nil
	})
}

// Hooks fills remote.Store.
func (s *Store) Hooks(ctx context.Context) ([]*remote.Hook, error) {
	return allRows[remote.Hook](ctx, s, tableHook)
}

// KeepHook fills remote.Store.
func (s *Store) KeepHook(ctx context.Context, h *remote.Hook) error {
	return s.update(ctx, func(t *tx) error { return putRow(t, rowKey(tableHook, h.Token), h) })
}

// RemoveHook fills remote.Store.
func (s *Store) RemoveHook(ctx context.Context, token string) error {
	return s.update(ctx, func(t *tx) error {
		t.delete(rowKey(tableHook, token))
		return nil
	})
}

// allRows gives the rows of a table in order of their keys.
func allRows[R any](ctx context.Context, s *Store, table byte) (all []*R, err error) {
	err = s.scanPrefix(ctx, []byte{table}, func(_, value []byte) error {
		row := new(R)
		if err := parseRow(value, row); err != nil {
			return err
		}
		all = append(all, row)
		return nil
	})
	return all, err
}
