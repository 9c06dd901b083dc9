// Package migrate moves an embedded installation into a database that several nodes share: what
// is moved, in which order, how it goes on after it was broken off, and how it is found
// at the end that both have the same. A Source is read as it stands, a Target is filled; the
// stores fill both. Nothing here knows rows or documents.
package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Origin names the installation that is moved, and the state it is in.
type Origin struct {
	Installation string // its id, as its secrets have it
	Change       int64  // the number of its newest change
	Epoch        string // of all its logs
}

// Source is an installation that nobody writes to while it is read.
type Source interface {
	// Origin is without the installation's id. again: the source is a backup that no server was
	// started on yet, so that its logs may have gone back behind what clients have seen.
	Origin() (of Origin, again bool)
	// Each calls use with all items of a kind behind the one that has the key after ("": from the
	// first on), always in the same order. A row that cannot be read is an error that names it.
	Each(ctx context.Context, kind Kind, after string, use func(key string, item Item) error) error
	// Part makes the source what it is from now on, a backup of this moment: if a server is
	// started on it again, its logs get a new epoch. Nothing else of it changes. It may be done again.
	Part() error
}

// Target is the database that is filled. Whatever a method writes is durable when it returns, and
// may be written again.
type Target interface {
	// Claim takes the database for origin, whose logs have an epoch there, and says how things stand. It fails where
	// the database has anything of another origin in it, or another state of this one. only: it takes nothing.
	Claim(ctx context.Context, origin Origin, epoch string, only bool) (Standing, error)
	// Put writes items of a kind. Those that are there already stay as they are.
	Put(ctx context.Context, kind Kind, items []Item) error
	// Note writes down how far a kind has come.
	Note(ctx context.Context, kind Kind, at Place) error
	// Each calls use with all items of a kind, in no order, as a store reads them.
	Each(ctx context.Context, kind Kind, use func(item Item) error) error
	// Finish makes the database one that servers may be started on.
	Finish(ctx context.Context) error
}

// Standing says how far a migration has come.
type Standing struct {
	Begun time.Time // zero: not yet
	Done  time.Time // zero: not yet
	At    map[Kind]Place
}

// Place is how far a kind has come.
type Place struct {
	After string // the key of the last item that was put
	Moved int64  // how many were
	Done  bool   // all are
}

// Report is what was moved.
type Report struct {
	Already time.Time // when it had been moved before, zero: by this call
	Kinds   []Moved
}

// Moved is how many items of a kind there are, and a hash of all of them.
type Moved struct {
	Kind Kind
	Digest
}

// Config of Run.
type Config struct {
	Origin Origin // with the installation's id
	Epoch  string // of the logs in the target: Origin's, unless they may have gone back
	Say    func(line string)
	Every  time.Duration // between lines while one kind is read or written: 5 s
	Log    *slog.Logger
}

// Run moves everything. It reads the whole source first, so that a damaged one is refused before anything
// is written, and the whole target at last. When ctx ends, or the process, or the target goes away, the
// next call goes on from there.
func Run(ctx context.Context, cfg Config, from Source, to Target) (*Report, error) {
	m := &mover{Config: cfg, from: from, to: to, digests: map[Kind]Digest{}}
	m.Every = cmp.Or(m.Every, 5*time.Second)
	at, err := to.Claim(ctx, cfg.Origin, cfg.Epoch, true)
	if err != nil {
		return nil, err
	}
	if !at.Done.IsZero() {
		return &Report{Already: at.Done}, nil
	}
	m.Say("reading all that is kept")
	for _, kind := range Kinds {
		d, err := m.digest(ctx, kind)
		if err != nil {
			return nil, err
		}
		m.digests[kind] = d
	}
	if at, err = to.Claim(ctx, cfg.Origin, cfg.Epoch, false); err != nil {
		return nil, err
	}
	for _, kind := range Kinds {
		if err := m.move(ctx, kind, at.At[kind]); err != nil {
			return nil, fmt.Errorf("moving %s: %w", kind, err)
		}
	}
	m.Say("checking all that was moved")
	report := &Report{}
	for _, kind := range Kinds {
		if err := m.check(ctx, kind); err != nil {
			return nil, err
		}
		report.Kinds = append(report.Kinds, Moved{kind, m.digests[kind]})
	}
	// First the source: were the target ready first and this process ended here, both would be the
	// installation, with logs of one epoch that are not the same for long.
	if err := from.Part(); err != nil {
		return nil, err
	}
	return report, to.Finish(ctx)
}

type mover struct {
	Config
	from    Source
	to      Target
	digests map[Kind]Digest
}

func (m *mover) digest(ctx context.Context, kind Kind) (d Digest, err error) {
	tick := m.ticker()
	return d, m.from.Each(ctx, kind, "", func(_ string, item Item) error {
		tick(func() { m.Say(fmt.Sprintf("%s: %d are read", kind, d.Count)) })
		return errors.Join(ctx.Err(), d.Add(item))
	})
}

// ticker calls what it is given when it is time for a line.
func (m *mover) ticker() func(say func()) {
	last, n := time.Now(), 0
	return func(say func()) {
		if n++; n%64 != 0 || time.Since(last) < m.Every {
			return
		}
		last = time.Now()
		say()
	}
}

// What is put at once at most, which a server takes in a fraction of a second.
const (
	putItems = 500
	putBytes = 1 << 20
)

func (m *mover) move(ctx context.Context, kind Kind, at Place) error {
	all := m.digests[kind].Count
	if at.Done {
		return nil
	}
	if at.After != "" {
		m.Say(fmt.Sprintf("%s: %d of %d were moved before", kind, at.Moved, all))
	}
	var batch []Item
	var bytes int
	flush := func() error {
		if err := m.to.Put(ctx, kind, batch); err != nil {
			return err
		}
		batch, bytes = nil, 0
		return m.to.Note(ctx, kind, at)
	}
	last := time.Now()
	err := m.from.Each(ctx, kind, at.After, func(key string, item Item) error {
		batch, bytes = append(batch, item), bytes+size(item)
		at.After, at.Moved = key, at.Moved+count(item)
		if len(batch) < putItems && bytes < putBytes {
			return nil
		}
		if err := errors.Join(ctx.Err(), flush()); err != nil {
			return err
		}
		if time.Since(last) >= m.Every {
			last = time.Now()
			m.Say(fmt.Sprintf("%s: %d of %d are moved", kind, at.Moved, all))
		}
		return nil
	})
	if err != nil {
		return err
	}
	at.Done = true
	if err := flush(); err != nil {
		return err
	}
	if all > 0 {
		m.Say(fmt.Sprintf("%s: %d", kind, at.Moved))
	}
	return nil
}

// check reads a kind in the target and compares.
func (m *mover) check(ctx context.Context, kind Kind) error {
	var is Digest
	want, tick := m.digests[kind], m.ticker()
	err := m.to.Each(ctx, kind, func(item Item) error {
		tick(func() { m.Say(fmt.Sprintf("%s: %d of %d are checked", kind, is.Count, want.Count)) })
		return errors.Join(ctx.Err(), is.Add(item))
	})
	if err != nil {
		return fmt.Errorf("checking %s: %w", kind, err)
	}
	if is != want {
		return fmt.Errorf("%s: %d with hash %s were to be moved, and %d with hash %s are there: empty the database and begin anew", kind, want.Count, want, is.Count, is)
	}
	return nil
}
