package actors_test

import (
	"sync/atomic"
	"testing"
)

// gate is what a store's answers wait at while it is held.
type gate struct {
	shut    atomic.Pointer[chan struct{}]
	waiting atomic.Int32
}

func (g *gate) hold(t *testing.T) (let func()) {
	shut := make(chan struct{})
	g.shut.Store(&shut)
	let = func() {
		if g.shut.CompareAndSwap(&shut, nil) {
			close(shut)
		}
	}
	t.Cleanup(let)
	return let
}

func (g *gate) wait() {
	if shut := g.shut.Load(); shut != nil {
		g.waiting.Add(1)
		defer g.waiting.Add(-1)
		<-*shut
	}
}
