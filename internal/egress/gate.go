package egress

import (
	"context"
	"sync"
)

// gate bounds how many questions go on at once, in all and to one host.
type gate struct {
	all  chan struct{}
	each int // to one host
	most int // that wait

	mu      sync.Mutex
	hosts   map[string]*host
	waiting int
}

// host is one that is asked, or about to be.
type host struct {
	places chan struct{}
	users  int // who ask it or wait for it; with none left it is forgotten
}

// enter waits for a place, and gives what gives it back. ErrBusy; ctx's error.
func (g *gate) enter(ctx context.Context, name string) (leave func(), err error) {
	g.mu.Lock()
	if g.waiting >= g.most {
		g.mu.Unlock()
		return nil, ErrBusy
	}
	g.waiting++
	h := g.hosts[name]
	if h == nil {
		h = &host{places: make(chan struct{}, g.each)}
		g.hosts[name] = h
	}
	h.users++
	g.mu.Unlock()

	err = take(ctx, h.places) // first, so that who waits for a slow host keeps nobody else from asking
	if err == nil {
		if err = take(ctx, g.all); err != nil {
			<-h.places
		}
	}
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
	if err != nil {
		g.forget(name, h)
		return nil, err
	}
	return func() {
		<-g.all
		<-h.places
		g.forget(name, h)
	}, nil
}

func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) forget(name string, h *host) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(g.hosts, name)
	}
}
