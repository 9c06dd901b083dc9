package redisstreams

import (
	"context"
	"testing"

	"go.uber.org/goleak"
)

func TestCloseLeavesNothingRunningAndNothingUnsent(t *testing.T) {
	r := redisServer(t)
	before := goleak.IgnoreCurrent()
	got := &counter{wake: make(chan struct{}, 1)}
	ctx := context.Background()
	reader, err := Open(ctx, r.config(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := Open(ctx, r.config(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	reader.Start(got)
	publisher.Start(nobody{})
	if err := reader.Follow(ctx, "s:a"); err != nil {
		t.Fatal(err)
	}
	publisher.Publish("s:a", message(1), nil)
	eventually(t, "nothing arrives", func() bool { return got.got.Load() == 1 })
	for i := range 1000 {
		publisher.Publish("s:a", message(i), nil)
	}
	if err := publisher.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "what was published before the end does not arrive", func() bool { return got.got.Load() == 1001 })
	stream := reader.place.Load().stream
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if err := reader.Follow(ctx, "s:b"); err == nil {
		t.Error("closed streams follow")
	}
	if n := r.Exists(ctx, stream).Val(); n != 0 {
		t.Error("a node that has gone leaves its stream")
	}
	if left := r.HLen(ctx, "troupe:nodes").Val(); left != 0 {
		t.Errorf("%d nodes are left, want none", left)
	}
	goleak.VerifyNone(t, before)
}

func TestStreamsThatWereNotStartedAreClosed(t *testing.T) {
	r := redisServer(t)
	before := goleak.IgnoreCurrent()
	s, err := Open(context.Background(), r.config(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Follow(context.Background(), "s:a"); err == nil {
		t.Error("Follow before Start succeeded")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
