package desk

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Bounds of one channel.
const (
	maxOut   = 4096 // frames that wait to be written
	maxCalls = 256  // calls under way; then the bot is not read any more

	callRate, callBurst = 5000, 10_000 // calls a second; beyond that it is read later
)

// link is one channel to a bot while it lives. Nobody waits for it: what is to be said
// is queued for one goroutine, which gives each frame Config.Write.
type link struct {
	p      *plug
	ch     Channel
	remote bool
	ctx    context.Context // of the calls
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu    sync.Mutex
	out   []*botv1.HostFrame
	wake  chan struct{}
	ended bool
	why   string

	pongs    atomic.Uint64
	blocked  atomic.Bool   // the reader waits for room: a pong cannot come
	quiet    atomic.Bool   // its end says nothing about what is in hand
	room     chan struct{} // of calls
	pace     *rate.Limiter // of calls
	replaced chan struct{} // closed: a newer channel of the plugin took over
	drained  chan struct{}
	once     sync.Once

	asking  sync.Mutex
	lastAsk uint64
	asks    map[uint64]chan *botv1.Verdict

	queues sync.Mutex
	queue  map[string][]func() // what is done one after the other, by event or session
}

func newLink(p *plug, ch Channel, remote bool) *link {
	l := &link{
		p: p, ch: ch, remote: remote, wake: make(chan struct{}, 1), room: make(chan struct{}, maxCalls), pace: rate.NewLimiter(callRate, callBurst),
		replaced: make(chan struct{}), drained: make(chan struct{}),
		asks: map[uint64]chan *botv1.Verdict{}, queue: map[string][]func(){},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// push queues a frame. A bot that lets thousands wait is let go.
func (l *link) push(f *botv1.HostFrame) {
	l.mu.Lock()
	over := len(l.out) >= maxOut
	if !l.ended && !over {
		l.out = append(l.out, f)
	}
	l.mu.Unlock()
	if over {
		l.end("TOO_SLOW: frames wait for it to read")
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) write() {
	for {
		l.mu.Lock()
		out := l.out
		l.out = nil
		l.mu.Unlock()
		for _, f := range out {
			ctx, cancel := context.WithTimeout(l.ctx, l.p.d.cfg.Write)
			err := l.ch.Send(ctx, f)
			cancel()
			if err != nil {
				l.end("writing to it: " + err.Error())
				return
			}
		}
		if len(out) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-l.ctx.Done():
			return
		}
	}
}

// pinging ends the channel when the bot does not say that it is there.
func (l *link) pinging() {
	cfg := &l.p.d.cfg
	for n := uint64(1); ; n++ {
		if !l.sleep(cfg.Ping) {
			return
		}
		l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Ping{Ping: &botv1.Ping{N: n}}})
		if !l.sleep(cfg.Pong) {
			return
		}
		if l.pongs.Load() < n && !l.blocked.Load() {
			l.end(fmt.Sprintf("NO_PONG: it did not answer within %v", cfg.Pong))
			return
		}
	}
}

func (l *link) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// end closes the channel, once; why is said in Serve's error.
func (l *link) end(why string) {
	l.mu.Lock()
	first := !l.ended
	l.ended = true
	if first {
		l.why = why
	}
	l.mu.Unlock()
	if first {
		l.cancel()
		l.ch.Close(why)
	}
}

// gone is Serve's error when reading failed with err.
func (l *link) gone(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != "" {
		return fmt.Errorf("%w: %s", ErrGone, l.why)
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}

// read takes what the bot says until it says nothing any more.
func (l *link) read() error {
	for {
		f, err := l.ch.Recv()
		if err != nil {
			return err
		}
		switch m := f.Body.(type) {
		case *botv1.BotFrame_Ack:
			l.p.ack(l, m.Ack)
		case *botv1.BotFrame_Working:
			l.p.working(l, m.Working.Event)
		case *botv1.BotFrame_Call:
			if !l.pace.Allow() {
				l.blocked.Store(true)
				err := l.pace.Wait(l.ctx)
				l.blocked.Store(false)
				if err != nil {
					return err
				}
			}
			l.call(m.Call)
		case *botv1.BotFrame_Verdict:
			l.verdict(m.Verdict)
		case *botv1.BotFrame_Pong:
			l.pongs.Store(m.Pong.N)
		case *botv1.BotFrame_Drained:
			l.once.Do(func() { close(l.drained) })
		}
	}
}

// ordered does f behind what was given before under the same name.
func (l *link) ordered(name string, f func()) {
	l.queues.Lock()
	defer l.queues.Unlock()
	waiting, busy := l.queue[name]
	l.queue[name] = append(waiting, f)
	if busy {
		return
	}
	l.tasks.Go(func() {
		for {
			l.queues.Lock()
			next := l.queue[name]
			if len(next) == 0 {
				delete(l.queue, name)
				l.queues.Unlock()
				return
			}
			f := next[0]
			l.queue[name] = next[1:]
			l.queues.Unlock()
			f()
		}
	})
}

// enter takes room for a call, and waits where there is none.
func (l *link) enter() bool {
	select {
	case l.room <- struct{}{}:
		return true
	default:
	}
	l.blocked.Store(true)
	defer l.blocked.Store(false)
	select {
	case l.room <- struct{}{}:
		return true
	case <-l.ctx.Done():
		return false
	}
}

func (l *link) leave() { <-l.room }

// answer gives a call's result, where it asked for one.
func (l *link) answer(c *botv1.Call, r *botv1.Result) {
	if c.Id == 0 {
		return
	}
	r.Id = c.Id
	l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: r}})
}
