package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const healthUsage = `usage: troupe health [flags]

Asks the server that runs on the data directory whether it is ready, as /readyz
does, and fails where it is not or says nothing within five seconds. An image with
nothing else in it is looked after by this.`

// healthWithin is longer than the two seconds that /readyz takes at most.
const healthWithin = 5 * time.Second

func (p *program) health(ctx context.Context, args []string) error {
	l, err := p.settings(args, healthUsage, nil)
	if err != nil {
		return err
	}
	if len(l.args) > 0 {
		return errUsage{fmt.Errorf("health takes no %q", l.args[0])}
	}
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	var said string
	if err := askAdmin(ctx, l.Data, "GET", "/readyz", nil, &said); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return errors.New("the server says nothing")
		}
		return err
	}
	fmt.Fprintln(p.out, said)
	return nil
}

// ready is what /readyz says.
func (s *server) ready(ctx context.Context) (string, error) {
	if err := s.gateway.Ready(ctx); err != nil {
		return "", err
	}
	return "ready", nil
}
