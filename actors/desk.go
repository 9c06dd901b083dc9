package actors

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

// desk serves those who have no connection: REST and workers. A request gets a
// number for its id, and its answer goes to the channel that waits under that
// number. There is one desk actor; no future is made.
type desk struct {
	node *Node
	address

	mu      sync.Mutex
	last    int64
	waiting map[string]chan *protocol.Frame
	idle    *sync.Cond
}

func (d *desk) start(n *Node) {
	d.node, d.waiting = n, map[string]chan *protocol.Frame{}
	d.idle = sync.NewCond(&d.mu)
	d.address = n.spawn(actor.ReceiveFunc(d.receive))
}

func (d *desk) receive(c actor.Context) {
	m, ok := c.Message().(*answers)
	if !ok {
		return
	}
	for _, f := range m.frames {
		d.mu.Lock()
		ch := d.waiting[f.Id]
		d.mu.Unlock()
		if ch != nil {
			select {
			case ch <- f: // has room for one
			default: // answered already
			}
		}
	}
}

// Ask does one frame for who, as if it came on a connection, and gives its answer.
// A failing answer is an *protocol.Error. The frame's id is replaced.
func (n *Node) Ask(ctx context.Context, who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
	return n.await(ctx, f, func(r *request) error {
		r.who = &who
		return n.route(r)
	})
}

// await tells a request with the frame f, and gives its answer.
func (n *Node) await(ctx context.Context, f *protocol.Frame, tell func(*request) error) (*protocol.Frame, error) {
	if n.stopping.Load() {
		return nil, protocol.Errorf(protocol.Code_GOAWAY, "the server restarts, come again")
	}
	d := &n.desk
	ch := make(chan *protocol.Frame, 1)
	d.mu.Lock()
	d.last++
	f.Id = strconv.FormatInt(d.last, 36)
	d.waiting[f.Id] = ch
	d.mu.Unlock()
	defer func(id string) {
		d.mu.Lock()
		delete(d.waiting, id)
		if len(d.waiting) == 0 {
			d.idle.Broadcast()
		}
		d.mu.Unlock()
	}(f.Id)
	if err := tell(&request{from: d.address, frame: f}); err != nil {
		return nil, err
	}
	select {
	case answer := <-ch:
		if answer.Errcode != 0 {
			return nil, &protocol.Error{Code: protocol.Code(answer.Errcode), Detail: answer.Error, RetryAfterMs: answer.RetryAfterMs}
		}
		return answer, nil
	case <-ctx.Done():
		return nil, protocol.Errorf(protocol.Code_BUSY, "no answer in time; what was asked for may still happen")
	}
}

// wait returns when nobody waits at the desk any more, or when ctx ends.
func (d *desk) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { d.idle.Broadcast() })
	defer stop()
	timer := time.AfterFunc(5*time.Second, func() { d.idle.Broadcast() })
	defer timer.Stop()
	until := time.Now().Add(5 * time.Second)
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.waiting) > 0 && ctx.Err() == nil && time.Now().Before(until) {
		d.idle.Wait()
	}
}
