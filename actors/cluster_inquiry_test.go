package actors_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestANodeAnswersWhatAnotherOneAsksItself(t *testing.T) {
	tr := newTroupe(t)
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two)
	asks := func(kind, body string) (string, error) {
		got, err := one.node.Inquire(t.Context(), two.node.NodeID(), kind, "somebody", []byte(body))
		return string(got), err
	}
	if _, err := asks("time", ""); !protocol.Code_UNSUPPORTED.Is(err) {
		t.Errorf("one that answers nothing says %v", err)
	}
	two.node.OnInquiry(func(ctx context.Context, kind, about string, body []byte) ([]byte, error) {
		at, ok := ctx.Deadline()
		switch {
		case kind == "panic":
			panic("a bug")
		case kind != "time":
			return nil, protocol.NotFound("%s of %s", kind, about)
		case !ok || time.Until(at) > 30*time.Second:
			t.Error("it may take any time")
		case string(body) == "large":
			return make([]byte, 1<<20+1), nil
		}
		return append([]byte(about+": "), body...), nil
	})
	if got, err := asks("time", "is it late?"); got != "somebody: is it late?" || err != nil {
		t.Errorf("it answers %q, %v", got, err)
	}
	if got, err := asks("time", ""); got != "somebody: " || err != nil {
		t.Errorf("to nothing it answers %q, %v", got, err)
	}
	for what, want := range map[[2]string]protocol.Code{
		{"place"}:                             protocol.Code_NOT_FOUND,
		{"panic"}:                             protocol.Code_INTERNAL,
		{"time", "large"}:                     protocol.Code_TOO_LARGE,
		{"time", string(make([]byte, 1<<21))}: protocol.Code_TOO_LARGE,
	} {
		if got, err := asks(what[0], what[1]); !want.Is(err) {
			t.Errorf("%s of %d bytes: %q, %v", what[0], len(what[1]), got, err)
		}
	}
	if _, err := one.node.Inquire(t.Context(), "nobody", "time", "", nil); !protocol.Code_BUSY.Is(err) {
		t.Errorf("a node that is not there: %v", err)
	}
	alone := newStage(t, actors.Config{})
	if _, err := alone.node.Inquire(t.Context(), two.node.NodeID(), "time", "", nil); !protocol.Code_BUSY.Is(err) {
		t.Errorf("a node that is alone: %v", err)
	}
}

func TestWhoAsksANodeWaitsAsLongAsItSays(t *testing.T) {
	tr := newTroupe(t)
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two)
	var waiting sync.WaitGroup
	waiting.Add(1000)
	enough := make(chan struct{})
	two.node.OnInquiry(func(ctx context.Context, kind, _ string, _ []byte) ([]byte, error) {
		if kind == "quick" {
			return nil, nil
		}
		waiting.Done()
		select {
		case <-enough:
		case <-ctx.Done():
		}
		return nil, nil
	})
	ctx, stop := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	for range 1000 {
		asked.Go(func() {
			if _, err := one.node.Inquire(ctx, two.node.NodeID(), "slow", "", nil); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up is told %v", err)
			}
		})
	}
	waiting.Wait()
	if _, err := one.node.Inquire(t.Context(), two.node.NodeID(), "quick", "", nil); !protocol.Code_BUSY.Is(err) {
		t.Errorf("the one after a thousand that wait: %v", err)
	}
	stop()
	asked.Wait()
	close(enough) // else they are worked on for as long as was said
	eventually(t, "there is room again", func() bool {
		_, err := one.node.Inquire(t.Context(), two.node.NodeID(), "quick", "", nil)
		return err == nil
	})
	two.cut.Store(true)
	ctx, stop = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := one.node.Inquire(ctx, two.node.NodeID(), "quick", "", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that is cut off: %v", err)
	}
}
