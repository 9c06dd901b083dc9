package pushctr

import (
	"context"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/streamstest"
)

func TestLocalIsStreams(t *testing.T) {
	streamstest.Run(t, func(t *testing.T) streamstest.Cluster {
		p := new(process)
		return streamstest.Cluster{
			Node: func(t *testing.T) actors.Streams { return p.node() },
			// No Lose: in one process nothing is lost.
		}
	})
}

func TestLocalReceiverMayFollowAndUnfollowWhileItReceives(t *testing.T) {
	l := NewLocal()
	r := receiverFunc(func(subject string, events []*actors.Event, burst *actors.Burst) {
		l.Unfollow("s:a")
		if err := l.Follow(context.Background(), "s:b"); err != nil {
			t.Error(err)
		}
		if subject == "s:a" {
			l.Publish("s:b", events, burst)
		}
	})
	l.Start(r)
	if err := l.Follow(context.Background(), "s:a"); err != nil {
		t.Fatal(err)
	}
	l.Publish("s:a", []*actors.Event{{}}, nil)
	if l.follows("s:a") || !l.follows("s:b") {
		t.Error("what the receiver followed and unfollowed did not hold")
	}
}

func TestLocalPublishesBeforeItReturns(t *testing.T) {
	l := NewLocal()
	got := 0 // no lock: the receiver runs in this goroutine, as -race would tell
	l.Start(receiverFunc(func(string, []*actors.Event, *actors.Burst) { got++ }))
	if err := l.Follow(context.Background(), "s:a"); err != nil {
		t.Fatal(err)
	}
	l.Publish("s:a", []*actors.Event{{}}, nil)
	if got != 1 {
		t.Errorf("received %d times at Publish's return, want 1", got)
	}
}

func TestLocalHandsTheBurstToItsOwnNodeOnly(t *testing.T) {
	p := new(process)
	near, far := p.node(), p.node()
	var own, other *actors.Burst
	near.Start(receiverFunc(func(_ string, _ []*actors.Event, b *actors.Burst) { own = b }))
	far.Start(receiverFunc(func(_ string, _ []*actors.Event, b *actors.Burst) { other = b }))
	for _, l := range []*Local{near, far} {
		if err := l.Follow(context.Background(), "s:a"); err != nil {
			t.Fatal(err)
		}
	}
	burst := new(actors.Burst)
	near.Publish("s:a", []*actors.Event{{}}, burst)
	if own != burst || other != nil {
		t.Errorf("bursts = %p and %p, want %p and nil", own, other, burst)
	}
}

func TestLocalRefusesToFollowBeforeItsStart(t *testing.T) {
	if err := NewLocal().Follow(context.Background(), "s:a"); err == nil {
		t.Error("Follow before Start succeeded")
	}
}

func TestLocalForgetsWhatNobodyFollows(t *testing.T) {
	l := NewLocal()
	l.Start(receiverFunc(func(string, []*actors.Event, *actors.Burst) {}))
	for range 3 {
		if err := l.Follow(context.Background(), "s:a"); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		l.Unfollow("s:a")
	}
	if n := len(l.shard("s:a").count); n != 0 {
		t.Errorf("%d subjects are still counted, want 0", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	l := NewLocal()
	l.Start(receiverFunc(func(string, []*actors.Event, *actors.Burst) {}))
	if err := l.Follow(context.Background(), "s:a"); err != nil {
		b.Fatal(err)
	}
	events := []*actors.Event{{}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Publish("s:a", events, nil)
		}
	})
}

type receiverFunc func(subject string, events []*actors.Event, burst *actors.Burst)

func (f receiverFunc) Receive(subject string, events []*actors.Event, burst *actors.Burst) {
	f(subject, events, burst)
}
func (f receiverFunc) Lost() {}
