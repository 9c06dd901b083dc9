package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// answerTimeout bounds what is asked one by one, before and after the measuring.
const answerTimeout = 30 * time.Second

// conn is one member's connection.
type conn struct {
	nc     *net.TCPConn
	wire   wire
	user   int
	device int
	token  string
	asked  int    // ids of what was asked one by one
	in     []byte // read and not yet taken; what receive returns points into it

	// While measuring:
	run   *run
	flow  *flow // what this connection sends, or nil
	inbox *inbox
}

// connect opens n connections and signs them in, from users first..first+n-1.
func connect(ctx context.Context, t *target, w wire, first, n int) ([]*conn, error) {
	conns := make([]*conn, n)
	err := each(ctx, n, 32, func(i int) error {
		c := &conn{wire: w, user: first + i}
		conns[i] = c
		if err := c.signIn(ctx, t.at(i), i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		return nil
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

// portsPerAddress is how many connections leave from one loopback address: Linux
// has 28,000 ports for each, and earlier runs may still hold some.
const portsPerAddress = 8_000

// signIn connects and says who c is, and does so again while the server is BUSY, as clients do.
func (c *conn) signIn(ctx context.Context, addr string, i int) error {
	for end := time.Now().Add(answerTimeout); ; {
		if err := c.dial(ctx, addr, i); err != nil {
			return err
		}
		err := c.wire.hello(c)
		var r *refusal
		if err == nil || !errors.As(err, &r) || r.Code != "BUSY" || time.Now().After(end) {
			return err
		}
		c.nc.Close()
		select {
		case <-time.After(max(time.Duration(r.RetryAfterMs)*time.Millisecond, busyWait)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// busyWait is how long is waited at least before a server that was BUSY is asked again.
const busyWait = 100 * time.Millisecond

func (c *conn) dial(ctx context.Context, addr string, i int) (err error) {
	var local net.Addr
	if host, _, _ := net.SplitHostPort(addr); host == "127.0.0.1" && i >= portsPerAddress {
		local = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i/portsPerAddress))}
	}
	c.nc, c.in, err = dial(ctx, addr, c.wire.path(), local)
	return err
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		if c != nil && c.nc != nil {
			c.nc.Close()
		}
	}
}

func (c *conn) write(op byte, payload []byte) error {
	_, err := c.nc.Write(append(appendHead(nil, op, len(payload)), payload...))
	return err
}

// receive waits for the next message; it is valid until the next call.
func (c *conn) receive() ([]byte, error) {
	for {
		op, payload, rest, need, err := nextFrame(c.in)
		if err != nil {
			return nil, err
		}
		if need > 0 {
			if cap(c.in) < need {
				c.in = append(make([]byte, 0, need+1024), c.in...)
			}
			n, err := c.nc.Read(c.in[len(c.in):cap(c.in)])
			if err != nil {
				return nil, err
			}
			c.in = c.in[:len(c.in)+n]
			continue
		}
		c.in = rest
		switch op {
		case opText, opBinary:
			return payload, nil
		case opClose:
			return nil, parseClose(payload)
		case opPing:
			if err := c.write(opPong, payload); err != nil {
				return nil, err
			}
		}
	}
}

// scratch is what a connection borrows while it has something to read.
type scratch struct {
	buf        []byte
	event      event
	acks       []int64 // microseconds
	deliveries []int64
}

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 64<<10)} }}

// loop reads until the connection ends. Everything happens inside one RawConn.Read:
// the goroutine is parked without a buffer, and as the poller is edge-triggered, a
// read that did not fill the buffer needs no second one to find the socket empty.
func (c *conn) loop() error {
	if c.flow != nil {
		if err := c.flow.fill(); err != nil {
			return err
		}
	}
	raw, err := c.nc.SyscallConn()
	if err != nil {
		return err
	}
	var end error
	first := true
	err = raw.Read(func(fd uintptr) bool {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		for {
			n := copy(s.buf, c.in)
			if n == len(s.buf) {
				end = fmt.Errorf("a frame over %d bytes", n)
				return true
			}
			m, err := syscall.Read(int(fd), s.buf[n:])
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				if !first {
					return false
				}
				m = 0
			case err != nil:
				end = err
				return true
			case m == 0:
				end = io.EOF
				return true
			}
			first = false // what came along with the last answer is taken once without a read
			rest, err := c.take(s, s.buf[:n+m])
			if err != nil {
				end = err
				return true
			}
			c.in = append(c.in[:0], rest...)
			if n+m < len(s.buf) {
				return false
			}
		}
	})
	if end != nil {
		return end
	}
	return err
}

// take handles the whole frames in b, gives what is left, and sends what the
// answers in it made room for, in one write.
func (c *conn) take(s *scratch, b []byte) (rest []byte, err error) {
	now := since()
	s.acks, s.deliveries = s.acks[:0], s.deliveries[:0]
	for {
		op, payload, rest, need, err := nextFrame(b)
		if err != nil {
			return nil, err
		}
		if need > 0 {
			break
		}
		b = rest
		switch op {
		case opText, opBinary:
			s.event = event{}
			if err := c.wire.read(payload, &s.event); err != nil {
				return nil, err
			}
			if err := c.handle(s, now); err != nil {
				return nil, err
			}
		case opClose:
			return nil, parseClose(payload)
		case opPing:
			if err := c.write(opPong, payload); err != nil {
				return nil, err
			}
		}
	}
	c.run.times.record(c.user, c.run.phase.Load() == measuring, s.acks, s.deliveries)
	if c.flow != nil && len(s.acks) > 0 {
		if err := c.flow.fill(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (c *conn) handle(s *scratch, now int64) error {
	e := &s.event
	switch e.kind {
	case ackEvent, refusedEvent:
		if c.flow == nil {
			return errors.New("an answer to nothing")
		}
		sent, err := c.flow.answered(e)
		if err != nil {
			return err
		}
		if e.kind == ackEvent {
			s.acks = append(s.acks, (now-sent)/1000)
		}
	case pushEvent:
		if c.inbox == nil {
			return nil
		}
		if e.text == nil {
			c.inbox.note(e.seq)
			return nil
		}
		sender, n, sent, err := parseText(e.text)
		if err != nil {
			return err
		}
		if c.inbox.got(sender, n, e.seq) {
			s.deliveries = append(s.deliveries, (now-sent)/1000)
		}
	}
	return nil
}
