package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// backoff is full jitter: anything from nothing to low·2ⁿ, at most high. Clients
// that lost their server together come back spread out.
func backoff(attempt int, low, high time.Duration) time.Duration {
	top := high
	if attempt < 20 {
		top = min(high, low<<attempt)
	}
	return rand.N(top + 1)
}

// steady is how long a connection lives before the next attempt counts as a first one.
const steady = 5 * time.Second

// run keeps a connection up until ctx ends or the server says not to come back.
func (c *Client) run(ctx context.Context) {
	err := c.keepUp(ctx)
	if ctx.Err() != nil {
		err = ErrClosed
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.cancel()
	close(c.done)
	c.events.close()
}

func (c *Client) keepUp(ctx context.Context) error {
	for attempt, renewed := 0, false; ; attempt++ {
		begin := time.Now()
		err := c.connected(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(begin) > steady {
			attempt, renewed = 0, false
		}
		var f *fatal
		if errors.As(err, &f) {
			return f.error
		}
		var ce *CloseError
		if errors.As(err, &ce) && ce.Code >= 4500 && ce.Code < 5000 {
			return ce
		}
		if errors.As(err, &ce) && ce.Code == protocol.Code_FORGET_POSITIONS.CloseCode() {
			c.mu.Lock()
			c.epoch, c.offset = "", 0
			c.mu.Unlock()
		}
		if expired(err) {
			// A second refused token in a row is no matter of time.
			if c.cfg.Refresh == nil || renewed {
				return err
			}
			if renew := c.renew(ctx); renew == nil {
				renewed = true
				continue
			} else if protocol.Code_UNAUTHORIZED.Is(renew) {
				return renew
			}
		}
		wait := backoff(attempt, c.cfg.MinBackoff, c.cfg.MaxBackoff)
		c.mu.Lock()
		if c.goaway > 0 {
			wait = rand.N(c.goaway + 1)
			c.goaway = 0
		}
		c.mu.Unlock()
		c.events.put(&Disconnected{Err: err, Retry: wait})
		c.cfg.Log.Info("not connected", "error", err, "retry", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func expired(err error) bool {
	var ce *CloseError
	return protocol.Code_UNAUTHORIZED.Is(err) || protocol.Code_TOKEN_EXPIRED.Is(err) ||
		errors.As(err, &ce) && ce.Code == protocol.Code_TOKEN_EXPIRED.CloseCode()
}

func (c *Client) renew(ctx context.Context) error {
	token, err := c.cfg.Refresh(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.token = token
	c.mu.Unlock()
	return nil
}

// connected is the life of one connection; it gives why it ended.
func (c *Client) connected(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := c.dial(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.read(ctx) }()

	hello, err := l.auth(ctx, true)
	if err != nil {
		l.ws.CloseNow()
		if end := <-ended; errors.Is(err, ErrLost) {
			err = end
		}
		return err
	}
	c.signedIn(l, hello)
	defer c.signedOut()
	go l.beat(ctx, hello)
	if c.cfg.AckEvery > 0 {
		go l.acknowledge(ctx, c.cfg.AckEvery)
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		l.ws.CloseNow()
		err = <-ended
	}
	return err
}

// auth signs in, or (resume false) renews the token of a live connection.
func (l *link) auth(ctx context.Context, resume bool) (*protocol.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c := l.c
	c.mu.Lock()
	a := &protocol.Auth{Token: c.token, Device: c.cfg.Device, Platform: c.cfg.Platform, Version: c.cfg.Version}
	if resume && c.epoch != "" {
		a.Resume = &protocol.Resume{Epoch: c.epoch, Offset: c.offset}
	}
	c.mu.Unlock()
	return l.request(ctx, &protocol.Frame{Body: &protocol.Frame_Auth{Auth: a}})
}

// signedIn takes over where the server says this user stands.
func (c *Client) signedIn(l *link, f *protocol.Frame) {
	hello := f.GetAuthReply()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = hello.GetUserId()
	c.events.put(&Connected{User: c.user, Snapshot: hello.GetSnapshot()})
	c.link = l
	close(c.up)
	if !hello.GetResumed() {
		c.epoch, c.offset = hello.GetEpoch(), f.Offset
		for _, h := range hello.GetSnapshot().GetSessions() {
			c.noteRow(h, c.cfg.Backlog)
		}
		if next := hello.GetSnapshot().GetNext(); next != "" {
			go c.noteRest(l, next)
		}
	}
	// What was missing when the last connection ended is still missing.
	for id, g := range c.logs {
		c.repairIfBehind(id, g)
	}
}

func (c *Client) signedOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = nil
	c.up = make(chan struct{})
}

// noteRest reads the part of the home list that no snapshot holds, so that no
// session's missing tail is overlooked.
func (c *Client) noteRest(l *link, next string) {
	for next != "" {
		f, err := l.request(context.Background(), &protocol.Frame{Body: &protocol.Frame_SessionList{
			SessionList: &protocol.SessionList{Cursor: next},
		}})
		if err != nil {
			return // the connection ended, or the next heartbeat tells
		}
		c.mu.Lock()
		for _, h := range f.GetSessionListReply().GetSessions() {
			c.noteRow(h, c.cfg.Backlog)
		}
		c.mu.Unlock()
		next = f.GetSessionListReply().GetNext()
	}
}

// beat sends heartbeats, renews the token before it ends, and ends a connection
// that has gone silent.
func (l *link) beat(ctx context.Context, f *protocol.Frame) {
	hello := f.GetAuthReply()
	every := time.Duration(hello.GetHeartbeatMs()) * time.Millisecond
	if every <= 0 {
		every = 30 * time.Second
	}
	renewal := l.renewal(hello)
	defer renewal.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.over:
			return
		case <-renewal.C:
			if err := l.c.renew(ctx); err != nil {
				l.c.cfg.Log.Warn("no new token", "error", err)
				renewal.Reset(every)
			} else if f, err := l.auth(ctx, false); err == nil {
				renewal = l.renewal(f.GetAuthReply())
			}
			continue
		case <-time.After(every - rand.N(every/4)):
		}
		ask, cancel := context.WithTimeout(ctx, every)
		f, err := l.request(ask, &protocol.Frame{Body: &protocol.Frame_Heartbeat{Heartbeat: &protocol.Heartbeat{}}})
		cancel()
		if err == nil {
			l.c.noteHeads(f.GetHeartbeatReply().GetHeads())
		}
		if silent := time.Since(time.Unix(0, l.seen.Load())); silent > 2*every {
			l.c.cfg.Log.Info("the connection is silent", "for", silent)
			l.ws.CloseNow()
			return
		}
	}
}

// renewal rings when four fifths of the token's life are over; never, where nobody
// gives a new token.
func (l *link) renewal(hello *protocol.AuthReply) *time.Timer {
	left := time.Duration(hello.GetExpiresAt()-hello.GetServerTime()) * time.Millisecond
	t := time.NewTimer(max(left*4/5, time.Second))
	if l.c.cfg.Refresh == nil || hello.GetExpiresAt() == 0 {
		t.Stop()
	}
	return t
}

// acknowledge says from time to time what this device has got.
func (l *link) acknowledge(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.over:
			return
		case <-t.C:
		}
		c := l.c
		c.mu.Lock()
		got := c.got
		c.got = map[protocol.SessionID]int64{}
		c.mu.Unlock()
		for session, seq := range got {
			f := &protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: session, Seq: seq}}}
			if l.write(ctx, f) != nil {
				return
			}
		}
	}
}
