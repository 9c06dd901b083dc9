// Package client is a small client of Troupe in Go, for `troupe chat` and tests: it
// signs in over a WebSocket, keeps that connection up, and hands on the entries of
// every session in order, each once, with no hole that it does not speak of.
//
// It stands on coder/websocket, which checks what gws lets through and reads by
// context; gws is the gateway's alone.
package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Config says where and as whom to connect.
type Config struct {
	URL   string // ws://host:port/ws; http and https work too, without a path /ws is meant
	Token string // an access token

	// Refresh gives a new access token when the old one ends; nil: then the client stops.
	Refresh func(context.Context) (string, error)

	Device, Platform, Version string

	Binary  bool        // ask for protobuf frames instead of JSON
	Handler func(Event) // called in order, by one goroutine; it may wait and may call the Client. Nil: none

	// Backlog is how many entries before its newest a session begins with that this
	// client has not seen before; -1: all of them. Entries that this device has
	// said it got are never given again.
	Backlog int64
	// AckEvery is how long msg_recv may gather: default 250 ms; negative: none is sent.
	AckEvery time.Duration

	MinBackoff, MaxBackoff time.Duration // between attempts to connect: default 500 ms and 30 s, see backoff
	Log                    *slog.Logger  // default: nowhere
}

// Event is one of *Connected, *Disconnected, *Entry, *Gone, *Reset, *Frame.
type Event interface{ event() }

type (
	// Connected says that the client is signed in. Snapshot is nil when the connection
	// was resumed: then what was missed follows.
	Connected struct {
		User     protocol.UserID
		Snapshot *protocol.Snapshot
	}
	// Disconnected says that the connection ended, and when the next attempt is.
	Disconnected struct {
		Err   error
		Retry time.Duration
	}
	// Entry is the next entry of its session, one's own among them.
	Entry struct{ *protocol.Entry }
	// Gone says that the entries of a session up to and including UpTo can't be had.
	Gone struct {
		Session protocol.SessionID
		UpTo    int64
	}
	// Reset says that a session's log went back in time (a restored backup): what is
	// known of it is to be forgotten, and comes again.
	Reset struct{ Session protocol.SessionID }
	// Frame is anything else that the server says unasked.
	Frame struct{ *protocol.Frame }
)

func (*Connected) event()    {}
func (*Disconnected) event() {}
func (*Entry) event()        {}
func (*Gone) event()         {}
func (*Reset) event()        {}
func (*Frame) event()        {}

var (
	// ErrLost says that the connection ended before the answer came: nobody knows
	// whether the request was done.
	ErrLost = errors.New("the connection ended before the answer")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// Client is one signed-in device. Its methods may be called from anywhere.
type Client struct {
	cfg    Config
	cancel context.CancelFunc
	done   chan struct{} // closed when the client has stopped for good
	events *events

	mu      sync.Mutex
	err     error         // why it stopped
	link    *link         // nil while not connected
	up      chan struct{} // closed while connected
	token   string
	user    protocol.UserID
	epoch   string // of offset
	offset  int64
	nextID  uint64
	logs    map[protocol.SessionID]*log
	got     map[protocol.SessionID]int64         // to be said by msg_recv
	sending map[protocol.SessionID]chan struct{} // the last Send into a session, see turn
	goaway  time.Duration                        // how the server wants reconnects spread, 0: it did not say
}

// Open starts a client and waits until it is signed in, or can't ever be. It goes
// on until ctx ends or Close.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.AckEvery == 0 {
		cfg.AckEvery = 250 * time.Millisecond
	}
	if cfg.MinBackoff == 0 {
		cfg.MinBackoff = 500 * time.Millisecond
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 30 * time.Second
	}
	if cfg.Handler == nil {
		cfg.Handler = func(Event) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	address, err := webSocketURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	cfg.URL = address
	running, cancel := context.WithCancel(ctx)
	c := &Client{
		cfg: cfg, cancel: cancel, done: make(chan struct{}), events: newEvents(), up: make(chan struct{}),
		token: cfg.Token, logs: map[protocol.SessionID]*log{}, got: map[protocol.SessionID]int64{},
		sending: map[protocol.SessionID]chan struct{}{},
	}
	go c.events.run(cfg.Handler)
	go c.run(running)
	if _, err := c.ready(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection and the client, and waits until the handler has
// returned from what was told before; it is not called by the handler.
func (c *Client) Close() {
	c.cancel()
	<-c.done
	c.events.wait()
}

// Done is closed when the client has stopped for good; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the client stopped: a *CloseError of 4500 and above, a refused token,
// ErrClosed. Nil while it runs.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// User is who this client is.
func (c *Client) User() protocol.UserID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}

// Request sends one request, once, and gives its answer; it waits for a connection
// first. A *protocol.Error is the server's refusal; ErrLost leaves it open whether
// the request was done.
func (c *Client) Request(ctx context.Context, f *protocol.Frame) (*protocol.Frame, error) {
	l, err := c.ready(ctx)
	if err != nil {
		return nil, err
	}
	return l.request(ctx, f)
}

// Send puts a message into its session, however often the connection breaks
// meanwhile: the same client message id makes that safe, and is made here when m has
// none. Sends into one session arrive in the order of their calls.
func (c *Client) Send(ctx context.Context, m *protocol.MsgSend) (*protocol.MsgSendReply, error) {
	if m.ClientMsgId == "" {
		m.ClientMsgId = rand.Text()
	}
	end, err := c.turn(ctx, m.Session)
	if err != nil {
		return nil, err
	}
	defer end()
	for attempt := 0; ; attempt++ {
		f, err := c.Request(ctx, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: m}})
		if err == nil {
			return f.GetMsgSendReply(), nil
		}
		var e *protocol.Error
		switch {
		case errors.Is(err, ErrLost):
		case errors.As(err, &e) && (e.Code == protocol.Code_BUSY || e.Code == protocol.Code_RATE_LIMITED || e.Code == protocol.Code_GOAWAY): // not stored, says each
			wait := time.Duration(e.RetryAfterMs)*time.Millisecond + backoff(attempt, c.cfg.MinBackoff, c.cfg.MaxBackoff)
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(wait):
			}
		default:
			return nil, err
		}
	}
}

// turn waits until every Send before this one into the session has ended.
func (c *Client) turn(ctx context.Context, session protocol.SessionID) (end func(), err error) {
	mine := make(chan struct{})
	c.mu.Lock()
	before := c.sending[session]
	c.sending[session] = mine
	c.mu.Unlock()
	end = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.sending[session] == mine {
			delete(c.sending, session)
		}
		close(mine)
	}
	if before == nil {
		return end, nil
	}
	select {
	case <-before:
		return end, nil
	case <-ctx.Done():
		go func() { <-before; end() }() // whoever comes next still waits for those before
		return nil, ctx.Err()
	}
}

// ready waits for a connection.
func (c *Client) ready(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		l, up := c.link, c.up
		c.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-up:
		case <-c.done:
			return nil, c.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Client) newID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID++
	return strconv.FormatUint(c.nextID, 10)
}
