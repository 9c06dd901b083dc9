package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// again is how often a bot says that it still works on an event. The host gives an event
// again 30 s after it heard nothing of it.
const again = 10 * time.Second

// Conn is a way to a host: a stream of a plugin process, a WebSocket, or a test. Send is
// not called twice at a time.
type Conn interface {
	Send(*botv1.BotFrame) error
	Recv() (*botv1.HostFrame, error)
}

// Runner runs a bot over a Conn. Serve does, for a plugin's process.
type Runner struct {
	Bot   *Bot
	Log   *slog.Logger     // nil: to stderr
	Clock func() time.Time // what Ctx.Now says; nil: time.Now
}

// Run introduces the bot and does what the host says until the connection ends, which
// is no error when it ends well (io.EOF). It comes back when the last function has
// ended; their contexts end with the connection. A host that does not want the bot is
// an *Error.
func (r Runner) Run(ctx context.Context, conn Conn) error {
	d, err := r.Bot.describe()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	l := &link{
		bot: r.Bot, conn: conn, log: r.Log, clock: r.Clock, ctx: ctx,
		calls: map[uint64]chan *botv1.Result{}, events: map[string]context.CancelCauseFunc{},
		started: make(chan struct{}), failed: make(chan error, 1),
	}
	if l.log == nil {
		l.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	defer cancel(ErrGone)
	if err := l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: d}}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.read() }()
	select {
	case err = <-ended:
	case err = <-l.failed:
		return err // what still runs has nobody to tell
	}
	cancel(ErrGone)
	l.work.Wait()
	return err
}

// read takes the host's frames until there are no more.
func (l *link) read() error {
	for {
		f, err := l.conn.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.frame(f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// link is a bot's side of one connection.
type link struct {
	bot   *Bot
	conn  Conn
	log   *slog.Logger
	clock func() time.Time
	ctx   context.Context
	work  sync.WaitGroup // functions that run

	started chan struct{} // closed when OnStart is done: no other function runs before
	failed  chan error    // what OnStart said

	sending sync.Mutex

	mu      sync.Mutex
	running int  // functions that run
	drain   bool // when none does, the host is told
	welcome *botv1.Welcome
	next    uint64
	calls   map[uint64]chan *botv1.Result
	events  map[string]context.CancelCauseFunc

	model atomic.Pointer[model]
}

func (l *link) send(f *botv1.BotFrame) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	return l.conn.Send(f)
}

// frame takes one frame of the host's. It never waits for a function. What it does not
// know it ignores.
func (l *link) frame(f *botv1.HostFrame) error {
	switch b := f.GetBody().(type) {
	case *botv1.HostFrame_Welcome:
		return l.welcomed(b.Welcome)
	case *botv1.HostFrame_Refused:
		if b.Refused.Code == "DESCRIBED" { // somebody wanted to know what the bot is, and no more
			return io.EOF
		}
		return &Error{Code: cmp.Or(b.Refused.Code, "DENIED"), Detail: b.Refused.Reason}
	case *botv1.HostFrame_Event:
		l.event(b.Event)
	case *botv1.HostFrame_Cancel:
		l.mu.Lock()
		cancel := l.events[b.Cancel.Event]
		l.mu.Unlock()
		if cancel != nil {
			cancel(ErrStopped)
		}
	case *botv1.HostFrame_Result:
		l.mu.Lock()
		wait := l.calls[b.Result.Id]
		delete(l.calls, b.Result.Id)
		l.mu.Unlock()
		if wait != nil {
			wait <- b.Result // has room for the one that comes
		}
	case *botv1.HostFrame_Moderate:
		l.start(func() { l.moderate(b.Moderate) })
	case *botv1.HostFrame_Drain:
		l.mu.Lock()
		l.drain = true
		l.mu.Unlock()
		l.start(func() {})
	case *botv1.HostFrame_Ping:
		// Not from here: a Send that waits for the host to read must not keep us from reading.
		go func() {
			_ = l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Pong{Pong: &botv1.Pong{N: b.Ping.N}}})
		}()
	}
	return nil
}

func (l *link) welcomed(w *botv1.Welcome) error {
	l.mu.Lock()
	first := l.welcome == nil
	l.welcome = w
	l.mu.Unlock()
	if !first {
		return nil
	}
	if l.bot.Config != nil {
		if err := fill(l.bot.Config, w.Config); err != nil {
			return fmt.Errorf("the settings of %s: %w", l.bot.ID, err)
		}
	}
	// OnStart may call the host, whose answers are read by who calls us: it can't wait.
	l.start(func() {
		c := l.context(&botv1.Event{})
		if err := l.call(c, l.bot.OnStart); err != nil {
			l.failed <- fmt.Errorf("OnStart: %w", err)
			return
		}
		close(l.started)
	})
	return nil
}

// start runs f beside the reading of frames. The last to end tells a host that drains.
func (l *link) start(f func()) {
	l.mu.Lock()
	l.running++
	l.mu.Unlock()
	l.work.Go(func() {
		f()
		l.mu.Lock()
		l.running--
		idle := l.drain && l.running == 0
		l.mu.Unlock()
		if idle {
			_ = l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}})
		}
	})
}

// event runs the function for an event and says how it ended.
func (l *link) event(e *botv1.Event) {
	c := l.context(e)
	timeout := cmp.Or(l.bot.Deadline, 10*time.Minute)
	ctx, stop := context.WithTimeoutCause(l.ctx, timeout, fmt.Errorf("not done within %s", timeout))
	ctx, cancel := context.WithCancelCause(ctx)
	c.Context = ctx
	l.mu.Lock()
	if l.events[e.Id] != nil { // the host is impatient: the first one is still at it
		l.mu.Unlock()
		cancel(nil)
		stop()
		_ = l.send(working(e.Id))
		return
	}
	l.events[e.Id] = cancel
	l.mu.Unlock()
	l.start(func() {
		defer stop()
		select {
		case <-l.started:
		case <-l.ctx.Done():
			return
		}
		done := make(chan struct{})
		go l.working(e.Id, done)
		err := c.finish(l.call(c, l.bot.handler(c)))
		close(done)
		cancel(nil)
		l.mu.Lock()
		delete(l.events, e.Id)
		l.mu.Unlock()
		if l.ctx.Err() != nil {
			return // nobody is there to hear it; it comes again
		}
		if err != nil {
			c.Log.Warn("an event failed", "error", err, "attempt", c.Attempt)
		}
		_ = l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: ack(e.Id, err)}})
	})
}

// working says now and then that an event is still worked on.
func (l *link) working(event string, done chan struct{}) {
	t := time.NewTicker(again)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			if l.send(working(event)) != nil {
				return
			}
		}
	}
}

func working(event string) *botv1.BotFrame {
	return &botv1.BotFrame{Body: &botv1.BotFrame_Working{Working: &botv1.Working{Event: event}}}
}

// call runs a function of the bot's, if there is one. A panic is an error whose stack is in the log.
func (l *link) call(c *Ctx, f func(*Ctx) error) (err error) {
	if f == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			c.Log.Error("panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f(c)
}

func (l *link) context(e *botv1.Event) *Ctx {
	log := l.log
	if e.Id != "" {
		log = log.With("event", e.Id, "session", e.Session)
	}
	c := &Ctx{Context: l.ctx, Event: event(e), Log: log, link: l, said: &said{}}
	if c.Locale == "" {
		l.mu.Lock()
		c.Locale = l.welcome.GetLocale()
		l.mu.Unlock()
	}
	return c
}

// do makes a call and waits for its answer. ctx ends the waiting; patience does too, as
// no call takes a host that long.
func (l *link) do(ctx context.Context, call *botv1.Call) (*botv1.Result, error) {
	const patience = time.Minute
	if ctx.Err() != nil {
		return nil, over(ctx)
	}
	wait := make(chan *botv1.Result, 1)
	l.mu.Lock()
	l.next++
	call.Id = l.next
	l.calls[call.Id] = wait
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		delete(l.calls, call.Id)
		l.mu.Unlock()
	}
	if err := l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: call}}); err != nil {
		forget()
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case r := <-wait:
		return r, refusal(r)
	case <-ctx.Done():
		forget()
		return nil, over(ctx)
	case <-l.ctx.Done():
		forget()
		return nil, ErrGone
	case <-late.C:
		forget()
		return nil, &Error{Code: "BUSY", Detail: "the host did not answer within a minute"}
	}
}
