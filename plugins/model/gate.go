package model

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// gate bounds how much one plugin asks at once, however often it was started.
type gate struct {
	places  chan struct{}
	waiting atomic.Int64
	most    int64
}

func (g *Gateway) gate(plugin string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gates[plugin] == nil {
		g.gates[plugin] = &gate{places: make(chan struct{}, g.cfg.Parallel), most: int64(g.cfg.Waiting)}
	}
	return g.gates[plugin]
}

// enter waits for a place.
func (g *gate) enter(ctx context.Context) (leave func(), f *failure) {
	leave = func() { <-g.places }
	select {
	case g.places <- struct{}{}:
		return leave, nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.most {
		f := fail(http.StatusTooManyRequests, codeTooMany, "%d answers are being written for this bot and %d wait", cap(g.places), g.most)
		f.after = time.Second
		return nil, f
	}
	select {
	case g.places <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, gone()
	}
}
