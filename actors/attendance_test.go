package actors_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/pushctr"
)

// dying is the word of a node that may die: from then on it says nothing.
type dying struct {
	actors.Attendance
	dead chan struct{}
}

func (d dying) isDead() bool {
	select {
	case <-d.dead:
		return true
	default:
		return false
	}
}

func (d dying) Renew(ctx context.Context, node string, ttl time.Duration) (bool, error) {
	if d.isDead() {
		return false, nil
	}
	return d.Attendance.Renew(ctx, node, ttl)
}

func (d dying) Lapsed(ctx context.Context) ([]actors.Standing, error) {
	if d.isDead() {
		return nil, nil
	}
	return d.Attendance.Lapsed(ctx)
}

func TestNobodyStaysOnlineOnANodeThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register, streams := actors.NewRegister(), pushctr.NewLocal()
		one := newStage(t, actors.Config{}) // its store is that of both nodes
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		dead := make(chan struct{})
		node := func(a actors.Attendance, s actors.Streams) *stage {
			n := actors.New(actors.Config{Rate: -1, Attendance: a}, one.store, s, anybody{}, log)
			return &stage{t: t, node: n}
		}
		left, right := node(dying{register, dead}, streams), node(register, streams.Another())
		ann, bob := left.dial("ann", "phone"), right.dial("bob", "1")
		left.friends(ann, left.dial("bob", "2"))
		time.Sleep(5 * time.Second)
		bob.presences("ann")
		if got := bob.watch("ann"); got["ann"] != "online" {
			t.Errorf("on the other node ann is %v", got)
		}
		// A second device elsewhere keeps her there when the first one goes.
		desk := right.dial("ann", "desk")
		time.Sleep(2 * time.Second)
		ann.hangUp()
		time.Sleep(10 * time.Second)
		if got := bob.presences("ann"); len(got) != 0 {
			t.Errorf("who came and went on two nodes was seen as %v", got)
		}
		desk.hangUp()
		time.Sleep(10 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"offline"}) {
			t.Errorf("who went everywhere is seen as %v", got)
		}
		ann = left.dial("ann", "phone")
		time.Sleep(2 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"online"}) {
			t.Errorf("who came again is seen as %v", got)
		}
		ann.must(be("busy"))
		time.Sleep(2 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"busy"}) {
			t.Errorf("who is busy is seen as %v", got)
		}
		close(dead)
		time.Sleep(20 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"offline"}) {
			t.Errorf("when her node died ann is seen as %v", got)
		}
		if got := bob.watch("ann"); got["ann"] != "offline" {
			t.Errorf("when her node died ann is %v", got)
		}
		left.node.Drain(context.Background(), 0)
		right.node.Drain(context.Background(), 0)
		one.stop()
	})
}

func TestANodeWhoseLeaseEndedSaysAgainWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, g := t.Context(), actors.NewRegister()
		if forgotten, _ := g.Renew(ctx, "a", time.Second); !forgotten {
			t.Error("a node that was never there is known")
		}
		g.Put(ctx, "a", []actors.Standing{{User: "ann", Status: "online"}})
		if forgotten, _ := g.Renew(ctx, "a", time.Second); forgotten {
			t.Error("a node that holds its lease is forgotten")
		}
		time.Sleep(2 * time.Second)
		if seen, _ := g.Find(ctx, []string{"ann"}); len(seen) != 0 {
			t.Errorf("without a lease ann is %v", seen)
		}
		if lapsed, _ := g.Lapsed(ctx); len(lapsed) != 1 || lapsed[0].Status != "offline" {
			t.Errorf("lapsed = %v", lapsed)
		}
		if lapsed, _ := g.Lapsed(ctx); len(lapsed) != 0 {
			t.Errorf("told twice: %v", lapsed)
		}
		if forgotten, _ := g.Renew(ctx, "a", time.Second); !forgotten {
			t.Error("a node whose users were given up does not learn of it")
		}
	})
}
