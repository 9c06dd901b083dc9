package redisstreams

import (
	"context"
	"syscall"
	"testing"

	"github.com/troupe-im/troupe/actors"
)

var _ actors.Hearing = (*Streams)(nil)

// A node that does not hear others must not say that it does, whatever is the matter with Redis.
func TestANodeKnowsThatItDoesNotHearTheOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, fault := range []struct {
		name         string
		begins, ends func(r *server)
	}{
		{"Redis is stopped", func(r *server) { r.signal(syscall.SIGSTOP) }, func(r *server) { r.signal(syscall.SIGCONT) }},
		{"Redis is killed", func(r *server) { r.kill() }, func(r *server) { r.start(); r.ready() }},
		{"Redis is full", func(r *server) { r.ConfigSet(ctx, "maxmemory", "1") }, func(r *server) { r.ConfigSet(ctx, "maxmemory", "0") }},
		{"Redis evicts what it has", func(r *server) {
			r.ConfigSet(ctx, "maxmemory-policy", "allkeys-random")
			r.ConfigSet(ctx, "maxmemory", "1")
		}, func(r *server) { r.ConfigSet(ctx, "maxmemory", "0") }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			r := redisServer(t)
			s := newScene(t, quick(r.config()), quick(r.config()))
			eventually(t, "the node is deaf from the start", func() bool { return !s.reader.Deaf() })
			fault.begins(r)
			eventually(t, "the node does not know that it is deaf", s.reader.Deaf)
			s.publish(10)
			fault.ends(r)
			eventually(t, "the node stays deaf", func() bool { return !s.reader.Deaf() })
			s.live()
			s.complete()
		})
	}
}

func TestANodeIsDeafUntilItHasToldWhatItLost(t *testing.T) {
	r := redisServer(t)
	s := newScene(t, quick(r.config()), quick(r.config()))
	node := &teller{streams: open(t, quick(r.config())), deaf: make(chan bool, 100)}
	node.streams.Start(node)
	s.follow(node.streams, "s:a")
	eventually(t, "the node is deaf from the start", func() bool { return !node.streams.Deaf() })
	if err := r.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	if deaf := <-node.deaf; !deaf {
		t.Error("the node heard before it had told what it lost")
	}
	eventually(t, "the node stays deaf", func() bool { return !node.streams.Deaf() })
}

// teller says of each loss whether its streams were deaf until it was told.
type teller struct {
	nobody
	streams *Streams
	deaf    chan bool
}

func (l *teller) Lost() { l.deaf <- l.streams.Deaf() }
