package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// stage is a fake of what stands behind the gateway: a connection answers msg_send
// with its reply, and everything that happens is written down.
type stage struct {
	mu    sync.Mutex
	conns []*fakeConn
	onAsk func(protocol.Identity, *protocol.Frame) (*protocol.Frame, error)
}

type fakeConn struct {
	mu     sync.Mutex
	link   actors.Link
	who    protocol.Identity
	told   []*protocol.Frame
	gone   []string
	onTell func(*protocol.Frame)
}

func (s *stage) Connect(link actors.Link, _ actors.Remote) Conn {
	c := &fakeConn{link: link}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	return c
}

func (s *stage) Ask(_ context.Context, who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
	return s.onAsk(who, f)
}

func (s *stage) conn(t *testing.T) *fakeConn {
	t.Helper()
	var c *fakeConn
	soon(t, "a connection", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.conns) == 0 {
			return false
		}
		c = s.conns[len(s.conns)-1]
		return true
	})
	return c
}

func (c *fakeConn) Authenticated(who *protocol.Identity, f *protocol.Frame) {
	c.mu.Lock()
	c.who = *who
	c.told = append(c.told, f)
	c.mu.Unlock()
	c.link.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Id: f.Id, Body: &protocol.Frame_AuthReply{AuthReply: &protocol.AuthReply{UserId: who.User}}}}}, nil)
}

func (c *fakeConn) LoggingOut(*protocol.Frame) {}

func (c *fakeConn) Tell(f *protocol.Frame) {
	c.mu.Lock()
	c.told = append(c.told, f)
	hook := c.onTell
	c.mu.Unlock()
	if hook != nil {
		hook(f)
		return
	}
	switch body := f.Body.(type) {
	case *protocol.Frame_MsgSend:
		c.link.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Id: f.Id, Body: &protocol.Frame_MsgSendReply{
			MsgSendReply: &protocol.MsgSendReply{Session: body.MsgSend.Session, ClientMsgId: body.MsgSend.ClientMsgId, Seq: 1}}}}}, nil)
	case *protocol.Frame_Heartbeat:
		c.link.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Id: f.Id, Body: &protocol.Frame_HeartbeatReply{HeartbeatReply: &protocol.HeartbeatReply{}}}}}, nil)
	case *protocol.Frame_Logout:
		c.link.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Id: f.Id, Body: &protocol.Frame_LogoutReply{LogoutReply: &protocol.LogoutReply{}}}}}, nil)
		c.link.Close(0, "logged out")
	}
}

func (c *fakeConn) Gone(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = append(c.gone, reason)
}

func (c *fakeConn) ended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.gone)
}

func (c *fakeConn) heard() []*protocol.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*protocol.Frame(nil), c.told...)
}

// doorman knows tokens of the form user:NAME, and ending:NAME, whose login has ended
// by the time that one asks again.
type doorman struct {
	mu    sync.Mutex
	out   []string
	hold  chan struct{} // when not nil, a check waits for it
	far   chan struct{} // when not nil, a check of far:NAME waits for it
	admin bool          // they are all administrators
}

func (d *doorman) Authenticate(ctx context.Context, token string) (protocol.Identity, error) {
	if d.hold != nil {
		<-d.hold
	}
	if d.far != nil && d.Elsewhere(token) {
		<-d.far
	}
	if name, ok := strings.CutPrefix(token, "ending:"); ok {
		return protocol.Identity{User: name, Device: "d", Login: "ended"}, nil
	}
	switch name, ok := strings.CutPrefix(token, "user:"); {
	case ok:
		return protocol.Identity{User: name, Device: "d", Login: "l", Admin: d.admin}, nil
	case token == "old":
		return protocol.Identity{}, protocol.Errorf(protocol.Code_TOKEN_EXPIRED, "the token has expired")
	case token == "where":
		return protocol.Identity{}, protocol.Unauthorized("it came from %s", protocol.AddressFrom(ctx))
	case token == "broken":
		return protocol.Identity{}, io.ErrUnexpectedEOF
	case token == "slow":
		return protocol.Identity{}, fmt.Errorf("a store: %w", context.DeadlineExceeded)
	}
	return protocol.Identity{}, protocol.Unauthorized("no good token")
}

func (d *doorman) ActFor(_ context.Context, who protocol.Identity, user protocol.UserID) (protocol.Identity, error) {
	if who.Kind != "key" {
		return who, protocol.Denied("no key")
	}
	who.User = user
	return who, nil
}

func (d *doorman) Elsewhere(token string) bool { return strings.HasPrefix(token, "far:") }

func (d *doorman) Arrived(*protocol.Identity) {}

func (d *doorman) Alive(who *protocol.Identity) error {
	if who.Login == "ended" {
		return protocol.Unauthorized("this sign-in has ended")
	}
	return nil
}

func (d *doorman) Logout(_ context.Context, who protocol.Identity) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = append(d.out, who.User)
	return nil
}

// A rig is a gateway on a real socket with the stage behind it.
type rig struct {
	t     *testing.T
	ws    *WS
	stage *stage
	door  *doorman
	http  *httptest.Server
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, stage: &stage{}, door: &doorman{}}
	ws, err := newWS(cfg, r.stage, r.door, newMetrics(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.ws = ws
	r.http = httptest.NewUnstartedServer(ws)
	r.http.Listener = newFront(r.http.Listener, ws, new(atomic.Int64), 5*time.Second)
	r.http.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		ws.Drain(ctx)
		r.http.Close()
	})
	return r
}

// soon waits until what is said is so.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("still no %s", what)
}

// A wire is a raw socket that speaks WebSocket as badly as a test wants.
type wire struct {
	t *testing.T
	net.Conn
	r    *bufio.Reader
	head http.Header
}

// dial shakes hands with the extra header lines.
func (r *rig) dial(lines ...string) *wire {
	r.t.Helper()
	w, status := r.try(nil, lines...)
	if status != 101 {
		r.t.Fatalf("handshake = %d, want 101", status)
	}
	return w
}

// try sends a handshake, with early bytes right behind it.
func (r *rig) try(early []byte, lines ...string) (*wire, int) {
	r.t.Helper()
	host := r.http.Listener.Addr().String()
	c, err := net.Dial("tcp", host)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	ask := "GET /ws HTTP/1.1\r\nHost: " + host + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
		base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")) + "\r\n"
	for _, l := range lines {
		ask += l + "\r\n"
	}
	if _, err := c.Write(append([]byte(ask+"\r\n"), early...)); err != nil {
		r.t.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &wire{t: r.t, Conn: c, r: br, head: resp.Header}, resp.StatusCode
}

// signedIn is dial and a good auth.
func (r *rig) signedIn(lines ...string) *wire {
	r.t.Helper()
	w := r.dial(lines...)
	w.say(`{"type":"auth","token":"user:ann"}`)
	if f := w.frame(); f["type"] != "auth_reply" || f["userId"] != "ann" {
		r.t.Fatalf("answer to auth = %v", f)
	}
	return w
}

var key = [4]byte{0x11, 0x22, 0x33, 0x44}

// frameBytes builds a masked client frame.
func frameBytes(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func text(s string) []byte { return frameBytes(final|opText, []byte(s)) }

func (w *wire) send(b ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, p := range b {
		all = append(all, p...)
	}
	if _, err := w.Write(all); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) say(s string) { w.t.Helper(); w.send(text(s)) }

// next reads one frame of the server's, checking that its head is well made.
func (w *wire) next() (first byte, payload []byte, err error) {
	var h [10]byte
	if _, err = io.ReadFull(w.r, h[:2]); err != nil {
		return
	}
	n := uint64(h[1])
	switch {
	case n >= 0x80:
		return 0, nil, fmt.Errorf("a server's frame is masked")
	case n == 126:
		if _, err = io.ReadFull(w.r, h[2:4]); err != nil {
			return
		}
		if n = uint64(binary.BigEndian.Uint16(h[2:])); n < 126 {
			return 0, nil, fmt.Errorf("length %d in a long form", n)
		}
	case n == 127:
		if _, err = io.ReadFull(w.r, h[2:10]); err != nil {
			return
		}
		if n = binary.BigEndian.Uint64(h[2:]); n <= 0xffff {
			return 0, nil, fmt.Errorf("length %d in a long form", n)
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.r, payload)
	return h[0], payload, err
}

func (w *wire) frame() map[string]any {
	w.t.Helper()
	first, b, err := w.next()
	if err != nil {
		w.t.Fatalf("no frame: %v", err)
	}
	if first != final|opText {
		w.t.Fatalf("frame = %#x %q, want a text frame", first, b)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		w.t.Fatalf("frame %q: %v", b, err)
	}
	return m
}

// closedWith reads on until the close frame, and then to the end of the connection.
func (w *wire) closedWith() (code int, reason string) {
	w.t.Helper()
	for {
		first, b, err := w.next()
		if err != nil {
			w.t.Fatalf("no close frame: %v", err)
		}
		if first&0x0f != opClose {
			continue
		}
		if len(b) >= 2 {
			code, reason = int(binary.BigEndian.Uint16(b)), string(b[2:])
		}
		w.Write(frameBytes(final|opClose, b))
		if n, err := w.r.Read(make([]byte, 1)); n != 0 || err == nil {
			w.t.Fatalf("bytes after the close frame")
		}
		return code, reason
	}
}
