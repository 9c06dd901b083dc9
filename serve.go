package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/troupe-im/troupe/userctr"
)

const serveUsage = `usage: troupe serve [flags]

Starts the server and runs until SIGINT or SIGTERM, which it answers by asking its
clients to come back, committing what it accepted, and ending.`

func (p *program) serve(ctx context.Context, args []string) error {
	l, err := p.settings(args, serveUsage, nil)
	if err != nil {
		return err
	}
	if len(l.args) > 0 {
		return errUsage{fmt.Errorf("serve takes no %q", l.args[0])}
	}
	if err := l.check(l.from); err != nil {
		return errUsage{err}
	}
	cfg := &l.Config
	log := newLog(p.err, cfg)
	memory := limitMemory(cfg.Memory)
	s, err := start(cfg, log, func(err error) {
		log.Error("it ends, so that nobody is told what is not so", "why", err)
		os.Exit(exitFailed)
	})
	if err != nil {
		return err
	}
	if err := s.greet(ctx, p.out); err != nil {
		return errors.Join(err, s.stop(context.Background()))
	}
	log.Info("serving", "address", s.address(), "profile", cfg.Profile, "version", version(), "data", cfg.Data, "memory", memory)

	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-s.failed:
		log.Error("the listener ended", "err", err)
	}
	drain, cancel := context.WithTimeout(context.Background(), cfg.Drain)
	defer cancel()
	err = errors.Join(err, s.stop(drain))
	log.Info("stopped")
	return err
}

// greet prints where to go, and how the first user is made. The first admin's code
// is printed once in the life of a data directory.
func (s *server) greet(ctx context.Context, w io.Writer) error {
	code, err := s.users.SetupCode(ctx)
	if err != nil {
		return err
	}
	data, err := filepath.Abs(s.cfg.Data)
	if err != nil {
		data = s.cfg.Data
	}
	fmt.Fprintf(w, "Troupe %s\n  address  %s\n  profile  %s\n  data     %s\n", version(), s.address(), s.cfg.Profile, data)
	how := "an administrator's invitation is needed to register"
	switch s.cfg.Users.Policy {
	case userctr.Open:
		how = "anybody may register on the page at that address"
	case userctr.Closed:
		how = "nobody may register"
	}
	fmt.Fprintf(w, "  users    %s; or: troupe user add NAME --data %s\n", how, data)
	if code != "" {
		fmt.Fprintf(w, "  admin    the first one registers with this code, which is shown only now: %s\n", code)
	}
	return nil
}

// newLog writes what happens to w. What people wrote, tokens and passwords are in no log.
func newLog(w io.Writer, cfg *Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log)); err != nil {
		level = slog.LevelInfo // the setting's own list let it through
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
