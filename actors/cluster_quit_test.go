package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/pushctr"
)

// hasty is who is there where the others give a node up at the moment at which it quits.
type hasty struct {
	dictated
	out func(error)
}

func (h *hasty) Join(self actors.Member, seen func(actors.View), out func(error)) error {
	h.out = out
	return h.dictated.Join(self, seen, nil)
}

func (h *hasty) Quit(context.Context) error {
	h.out(errors.New("the others do not see it any more"))
	return nil
}

func TestANodeThatQuitsIsNotGivenUp(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	n := actors.New(actors.Config{Rate: -1}, newStage(t, actors.Config{}).store, pushctr.NewLocal(), anybody{}, slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var why error
	err := n.JoinCluster(t.Context(), actors.Cluster{Members: &hasty{}, Out: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		why = err
	}, Listen: func(func(*peers.Envelope)) (peers.Transport, string, error) { return w, "a", nil }})
	if err != nil {
		t.Fatal(err)
	}
	n.Drain(t.Context(), 0)
	mu.Lock()
	defer mu.Unlock()
	if why != nil {
		t.Errorf("a node that has quit is ended with %q: why it stops, an error of its start for one, is not seen", why)
	}
}
