package plugins

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

const (
	sendWithin = 10 * time.Second // a frame has to be taken within this time when the sender sets none
	ownPing    = 1 << 63          // pings with this bit are ours, others are the desk's
)

var (
	errClosed = errors.New("the bot's stream is closed")
	errSilent = errors.New("the bot answers no ping")
)

// channel is the stream to a bot's process: it fills desk.Channel. It sees what passes,
// for the supervisor.
type channel struct {
	stream grpc.BidiStreamingClient[botv1.HostFrame, botv1.BotFrame]
	cancel context.CancelFunc
	out    chan sending
	done   chan struct{}
	once   sync.Once
	sight  *sight

	mu    sync.Mutex
	why   error
	first *botv1.BotFrame // read already, for who comes to know the bot first
	pings map[uint64]chan struct{}
	n     uint64
}

type sending struct {
	frame *botv1.HostFrame
	sent  chan error
}

func newChannel(stream grpc.BidiStreamingClient[botv1.HostFrame, botv1.BotFrame], cancel context.CancelFunc, sight *sight) *channel {
	c := &channel{stream: stream, cancel: cancel, out: make(chan sending), done: make(chan struct{}), sight: sight, pings: map[uint64]chan struct{}{}}
	go c.write()
	return c
}

// write is the only one that waits for the bot to read.
func (c *channel) write() {
	for {
		select {
		case s := <-c.out:
			s.sent <- c.stream.Send(s.frame)
		case <-c.done:
			return
		}
	}
}

func (c *channel) Send(ctx context.Context, f *botv1.HostFrame) error {
	if _, ok := ctx.Deadline(); !ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, sendWithin)
		defer stop()
	}
	s := sending{f, make(chan error, 1)}
	c.sight.event(f)
	select {
	case c.out <- s:
	case <-ctx.Done():
		return c.stuck(ctx)
	case <-c.done:
		return errClosed
	}
	select {
	case err := <-s.sent:
		if err == nil {
			c.sight.toBot(f)
		}
		return err
	case <-ctx.Done():
		return c.stuck(ctx)
	case <-c.done:
		return errClosed
	}
}

func (c *channel) stuck(ctx context.Context) error {
	err := fmt.Errorf("the bot does not read: %w", ctx.Err())
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.sight.stuck(err)
	}
	return err
}

func (c *channel) Recv() (*botv1.BotFrame, error) {
	for {
		f, err := c.next()
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.why != nil {
				err = c.why
			}
			return nil, err
		}
		if p := f.GetPong(); p != nil && p.N&ownPing != 0 {
			c.mu.Lock()
			if waits, ok := c.pings[p.N]; ok {
				close(waits)
				delete(c.pings, p.N)
			}
			c.mu.Unlock()
			continue
		}
		c.sight.fromBot(f)
		return f, nil
	}
}

func (c *channel) next() (*botv1.BotFrame, error) {
	c.mu.Lock()
	f := c.first
	c.first = nil
	c.mu.Unlock()
	if f != nil {
		return f, nil
	}
	return c.stream.Recv()
}

// describe waits for the bot's first frame, and leaves it there for Recv.
func (c *channel) describe() (*botv1.Describe, error) {
	f, err := c.stream.Recv()
	if err != nil {
		return nil, err
	}
	d := f.GetDescribe()
	if d == nil {
		return nil, errors.New("its first frame is not describe")
	}
	c.mu.Lock()
	c.first = f
	c.mu.Unlock()
	return d, nil
}

// ping asks for a sign of life. Somebody has to be in Recv.
func (c *channel) ping(ctx context.Context) error {
	answered := make(chan struct{})
	c.mu.Lock()
	c.n++
	n := c.n | ownPing
	c.pings[n] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.pings, n)
		c.mu.Unlock()
	}()
	if err := c.Send(ctx, &botv1.HostFrame{Body: &botv1.HostFrame_Ping{Ping: &botv1.Ping{N: n}}}); err != nil {
		return err
	}
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return errSilent
	case <-c.done:
		return errClosed
	}
}

// Close ends the stream, which tells the bot's process to end.
func (c *channel) Close(why string) {
	c.once.Do(func() {
		c.mu.Lock()
		if c.why == nil && why != "" {
			c.why = errors.New(why)
		}
		c.mu.Unlock()
		close(c.done)
		c.cancel()
	})
}
