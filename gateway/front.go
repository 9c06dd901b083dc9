package gateway

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// A front stands before net/http and does the handshake of a WebSocket by itself, where that
// is the first and only thing a connection says. What net/http makes for a connection and
// its request (11 KB: buffers, contexts, a response) would be garbage at once, and was half of
// what a connect allocated. Everything else, and whatever is not plainly good, is net/http's,
// from its first byte: it says what is wrong.
type front struct {
	net.Listener
	ws     *WS
	open   *atomic.Int64 // connections besides WebSockets
	within time.Duration // for the first bytes

	others chan net.Conn // net/http's
	failed chan error    // of accepting
	done   chan struct{}
	end    sync.Once

	mu     sync.Mutex
	silent map[*net.TCPConn]struct{} // what has not said anything yet
}

func newFront(l net.Listener, ws *WS, open *atomic.Int64, within time.Duration) *front {
	f := &front{
		Listener: l, ws: ws, open: open, within: within,
		others: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}),
		silent: map[*net.TCPConn]struct{}{},
	}
	go f.run()
	return f
}

// Accept gives net/http its connections. It is net.Listener's.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.others:
		return c, nil
	case err := <-f.failed:
		return nil, err
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting, and the connections that have not said anything.
func (f *front) Close() error {
	err := f.Listener.Close()
	f.end.Do(func() { close(f.done) })
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.silent {
		c.Close()
	}
	return err
}

// run accepts. What fails is told to net/http, who knows when to wait and go on: then it
// asks again.
func (f *front) run() {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			select {
			case f.failed <- err:
				continue
			case <-f.done:
				return
			}
		}
		tcp, ok := c.(*net.TCPConn)
		switch {
		case !ok:
			f.pass(c)
		case f.ws.admits(f.open.Add(1)):
			go f.first(tcp)
		default:
			f.open.Add(-1)
			c.Close()
		}
	}
}

var firsts = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// first reads what a connection says first, once.
func (f *front) first(c *net.TCPConn) {
	counted := true // here; what net/http gets it counts itself
	ended := func() {
		if counted {
			counted = false
			f.open.Add(-1)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			f.ws.panicked("handshake", p)
			c.Close()
		}
		ended()
	}()
	if !f.waitFor(c) {
		c.Close()
		return
	}
	in := firsts.Get().(*bufio.Reader)
	in.Reset(c)
	defer func() {
		in.Reset(nil)
		firsts.Put(in)
	}()
	c.SetReadDeadline(time.Now().Add(f.within))
	_, err := in.Peek(1)
	f.heard(c)
	if err != nil {
		c.Close()
		return
	}
	said, _ := in.Peek(in.Buffered())
	if r := opening(said, in); r != nil {
		r.RemoteAddr = c.RemoteAddr().String()
		ended() // before its client hears that it is open: then it counts as a WebSocket alone
		if f.ws.take(c, r, in) {
			return
		}
	}
	ended()
	f.pass(&begun{c, bytes.Clone(said)})
}

// waitFor notes that c has not said anything. False: it need not any more.
func (f *front) waitFor(c *net.TCPConn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.done:
		return false
	default:
		f.silent[c] = struct{}{}
		return true
	}
}

func (f *front) heard(c *net.TCPConn) {
	f.mu.Lock()
	delete(f.silent, c)
	f.mu.Unlock()
}

// pass gives net/http a connection.
func (f *front) pass(c net.Conn) {
	select {
	case f.others <- c:
	case <-f.done:
		c.Close()
	}
}

// opening gives the request that said is the whole of, if it looks like the handshake of
// a WebSocket at /ws; it may be no good all the same. nil: it is something else, or has not all
// come yet, or net/http would refuse it. in has said and more, and is read up to the request's end.
func opening(said []byte, in *bufio.Reader) *http.Request {
	rest, ok := bytes.CutPrefix(said, []byte("GET /ws"))
	if !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '?' {
		return nil
	}
	if !bytes.Contains(said, []byte("\r\n\r\n")) {
		return nil
	}
	r, err := http.ReadRequest(in)
	if err != nil || !httpguts.ValidHostHeader(r.Host) || r.Host == "" {
		return nil
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return nil
			}
		}
	}
	return r
}

// begun is a connection of which something was read already. Besides that it is as net/http
// knows one, which sends files without reading them.
type begun struct {
	*net.TCPConn
	said []byte
}

func (c *begun) Read(b []byte) (int, error) {
	if len(c.said) == 0 {
		return c.TCPConn.Read(b)
	}
	n := copy(b, c.said)
	if c.said = c.said[n:]; len(c.said) == 0 {
		c.said = nil
	}
	return n, nil
}
