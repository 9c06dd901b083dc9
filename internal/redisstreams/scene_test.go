package redisstreams

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// scene is a node that publishes and one that reads, and what must hold between them
// whatever happens to Redis: what does not arrive is told by a loss that comes after it.
type scene struct {
	t                 *testing.T
	publisher, reader *Streams

	mu        sync.Mutex
	published int
	got       map[int]bool
	toldUpTo  int // how much was published when the last loss was told
	losses    int
	longest   time.Duration // a Publish
	hold      chan struct{} // while it is not nil the receiver waits
}

func newScene(t *testing.T, publisher, reader Config) *scene {
	t.Helper()
	s := &scene{t: t, got: map[int]bool{}}
	s.publisher, s.reader = open(t, publisher), open(t, reader)
	s.publisher.Start(nobody{})
	s.reader.Start(s)
	s.follow(s.reader, "s:a")
	s.live()
	return s
}

func (s *scene) follow(n *Streams, subjects ...string) {
	s.t.Helper()
	if err := n.Follow(context.Background(), subjects...); err != nil {
		s.t.Fatal(err)
	}
}

type nobody struct{}

func (nobody) Receive(string, []*actors.Event, *actors.Burst) {}
func (nobody) Lost()                                          {}

func (s *scene) Receive(_ string, events []*actors.Event, _ *actors.Burst) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.got[int(e.Shared.Frame.GetMsgPush().Seq)] = true
	}
}

func (s *scene) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.toldUpTo = s.published
	s.losses++
}

func message(n int) []*actors.Event {
	return []*actors.Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: &protocol.Entry{
		Session: "s_a", Seq: int64(n), Sender: "u_ann", Content: &protocol.Content{Text: "a message of an ordinary length"},
	}}})}}
}

// publish publishes count events.
func (s *scene) publish(count int) (last int) {
	for range count {
		s.mu.Lock()
		s.published++
		last = s.published
		s.mu.Unlock()
		began := time.Now()
		s.publisher.Publish("s:a", message(last), nil)
		s.mu.Lock()
		s.longest = max(s.longest, time.Since(began))
		s.mu.Unlock()
	}
	return last
}

// live publishes until something of that arrives, and gives how long that took.
func (s *scene) live() time.Duration {
	s.t.Helper()
	began := time.Now()
	from := 0
	eventually(s.t, "nothing arrives", func() bool {
		n := s.publish(1)
		if from == 0 {
			from = n
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := from; i <= n; i++ {
			if s.got[i] {
				return true
			}
		}
		return false
	})
	return time.Since(began)
}

func (s *scene) lossesSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.losses
}

// lost publishes until a loss is told.
func (s *scene) lost(since int) {
	s.t.Helper()
	eventually(s.t, "no loss is told", func() bool { s.publish(1); return s.lossesSoFar() > since })
}

// complete waits until all that was published has arrived, or a loss was told after it.
func (s *scene) complete() {
	s.t.Helper()
	eventually(s.t, "an event is missing, and no loss was told after it", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := s.published; i > s.toldUpTo; i-- {
			if !s.got[i] {
				return false
			}
		}
		return true
	})
}

// prompt is what every scene ends with: Publish never waited for Redis.
func (s *scene) prompt() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Whoever waited for Redis would have waited for its timeout, which is 2 s.
	if s.longest > 1500*time.Millisecond {
		s.t.Errorf("a Publish took %v", s.longest)
	}
}

// troubled waits until a node has noticed that Redis does not answer.
func (s *scene) troubled(n *Streams) {
	s.t.Helper()
	eventually(s.t, "nobody notices that Redis does not answer", func() bool { s.publish(1); return n.down.Load() })
}

// proxy is a way to Redis that can be cut.
type proxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.sever() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *proxy) carry(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer d.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.conns[c], p.conns[d] = true, true
	p.mu.Unlock()
	go func() { io.Copy(d, c); d.Close() }()
	io.Copy(c, d)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	delete(p.conns, d)
}

// sever ends all connections; new ones end at once until mend.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

func (p *proxy) config() Config { return Config{Addrs: []string{p.Addr().String()}} }
