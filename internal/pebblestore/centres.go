package pebblestore

import (
	"context"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
)

var (
	_ filectr.Store = (*Store)(nil)
	_ preview.Store = (*Store)(nil)
	_ desk.Store    = (*Store)(nil)
	_ model.Store   = (*Store)(nil)
	_ remote.Store  = (*Store)(nil)
)

// database is a Store as rows.DB.
type database struct{ s *Store }

func (d database) Get(_ context.Context, key []byte) ([]byte, bool, error) { return d.s.get(key) }

func (d database) Scan(_ context.Context, from, to []byte, each func(key, value []byte) error) error {
	return d.s.scan(from, to, each)
}

func (d database) Update(_ context.Context, f func(t rows.Tx) error) error {
	return d.s.update(func(t *tx) error { return f(change{t}) })
}

// change is a tx as rows.Tx.
type change struct{ t *tx }

func (c change) Get(key []byte) ([]byte, bool, error) { return c.t.get(key) }
func (c change) Put(key, value []byte)                { c.t.put(key, value) }
func (c change) Delete(key []byte)                    { c.t.delete(key) }
func (c change) Number() int64                        { return c.t.s.counter + 1 }

func (c change) Scan(from, to []byte, each func(key, value []byte) error) error {
	return rows.Overlay(c.t.own).Scan(from, to, func(each func(key, value []byte) error) error {
		return c.t.s.scan(from, to, each)
	}, each)
}
