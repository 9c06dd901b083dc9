package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// site is what is put under load: one server, or an installation of several.
type site interface {
	// start has all of it serve.
	start(ctx context.Context) error
	// places are where clients may connect, in an order that stays.
	places() []place
	// trouble does all that may go wrong, and heals it.
	trouble(ctx context.Context) error
	// dump kills what serves, reads the store by another program, and starts all again.
	dump(ctx context.Context) error
	stop()
	// explain ends what serves, and has it write into its log what all of it was at.
	explain()
	fmt.Stringer
}

// place is where one node is reached.
type place struct{ node, address string }

// alone is one server on a directory.
type alone struct {
	*server
	r *run
}

func newAlone(r *run) (*alone, error) {
	s, err := newServer(r, "", r.Binary, filepath.Join(r.Dir, "data"), "TROUPE_PLANTED="+r.Planted)
	return &alone{s, r}, err
}

func (a *alone) String() string  { return fmt.Sprint(a.r.Kills, " kills") }
func (a *alone) places() []place { return []place{{"", a.listen}} }

func (a *alone) start(ctx context.Context) error {
	return errors.Join(a.server.start(), a.ready(ctx))
}

// trouble sends SIGKILL at random moments: one in five while the server starts, half
// of the others in a rush, when most clients have as much in flight as they may.
func (a *alone) trouble(ctx context.Context) error {
	r := a.r
	for i := range r.Kills {
		if i > 0 && r.rng.IntN(5) == 0 {
			r.pause(ctx, 50*time.Millisecond)
		} else {
			if err := a.ready(ctx); err != nil {
				return err
			}
			r.pause(ctx, r.Every)
			if r.rng.IntN(2) == 0 {
				r.rush.Store(true)
				r.pause(ctx, 60*time.Millisecond)
			}
		}
		err := a.kill()
		r.rush.Store(false)
		if err != nil {
			return err
		}
		if err := a.server.start(); err != nil {
			return err
		}
	}
	return a.ready(ctx)
}

func (a *alone) dump(ctx context.Context) error {
	if err := a.kill(); err != nil { // what is dumped is a killed server's store
		return err
	}
	copied := filepath.Join(a.r.Dir, "copy")
	if err := a.copyTo(copied); err != nil {
		return err
	}
	if err := a.r.dump(ctx, a.r.Dump, copied); err != nil {
		return err
	}
	return a.start(ctx)
}
