package gateway

import (
	"crypto/tls"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func notice(s string) actors.Outgoing {
	return actors.Outgoing{Frame: &protocol.Frame{Body: &protocol.Frame_Notice{Notice: &protocol.Notice{Text: s}}}}
}

// counting counts the writes that go past it.
type counting struct {
	syscall.RawConn
	writes atomic.Int64
}

func (c *counting) Control(f func(uintptr)) error {
	c.writes.Add(1)
	return c.RawConn.Control(f)
}

func (r *rig) socket() *socket {
	r.t.Helper()
	soon(r.t, "a socket", func() bool { return len(r.ws.all()) > 0 })
	return r.ws.all()[0]
}

func TestWaitingFramesLeaveInOneWrite(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	s := r.socket()
	soon(t, "silence", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.draining })
	c := &counting{RawConn: s.raw}
	s.raw = c
	var burst actors.Burst
	for i := range 10 {
		s.Deliver([]actors.Outgoing{notice(strconv.Itoa(i)), notice("and")}, &burst)
	}
	shared := protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Notice{Notice: &protocol.Notice{Text: "for all"}}})
	s.Deliver([]actors.Outgoing{{Shared: shared, To: "ann", Offset: 7}}, &burst)
	if n := c.writes.Load(); n != 0 {
		t.Errorf("%d writes before the burst's end", n)
	}
	burst.End()
	for i := range 10 {
		if f := w.frame(); f["text"] != strconv.Itoa(i) {
			t.Errorf("frame %d = %v", i, f)
		}
		w.frame()
	}
	if f := w.frame(); f["text"] != "for all" || f["offset"] != 7.0 {
		t.Errorf("shared frame = %v", f)
	}
	if n := c.writes.Load(); n != 1 {
		t.Errorf("%d writes for 21 frames, want 1", n)
	}
	s.Deliver([]actors.Outgoing{notice("late")}, &burst) // a burst that has ended
	if f := w.frame(); f["text"] != "late" {
		t.Errorf("frame = %v", f)
	}
}

func TestReaderThatNeverReadsIsClosedAsTooSlow(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	c, s := r.stage.conn(t), r.socket()
	before := heap()
	text, n := strings.Repeat("x", 4<<10), 0
	for ; !s.leaving() && n < 100_000; n++ {
		c.link.Deliver([]actors.Outgoing{notice(text)}, nil)
	}
	if n == 100_000 {
		t.Fatal("never closed")
	}
	soon(t, "Gone", func() bool { return c.ended() == 1 })
	for range 10_000 {
		c.link.Deliver([]actors.Outgoing{notice(text)}, nil)
	}
	s.mu.Lock()
	bytes := s.bytes
	s.mu.Unlock()
	if bytes > 64<<10 || heap()-before > 4<<20 {
		t.Errorf("%d bytes wait, heap grew by %d", bytes, heap()-before)
	}
	if code, reason := w.closedWith(); code != 4003 { // whole frames up to the close frame
		t.Errorf("close = %d %q, want 4003", code, reason)
	}
}

func TestSlowReaderGetsEverythingInOrder(t *testing.T) {
	r := newRig(t, Config{Queue: 64 << 20})
	w := r.signedIn()
	c := r.stage.conn(t)
	const n = 4000
	pad := strings.Repeat("x", 4<<10)
	for i := range n {
		c.link.Deliver([]actors.Outgoing{notice(strconv.Itoa(i) + pad)}, nil)
	}
	for i := range n {
		if f := w.frame(); f["text"] != strconv.Itoa(i)+pad {
			t.Fatalf("frame %d = %.10v", i, f["text"])
		}
	}
	c.link.Deliver([]actors.Outgoing{notice("after")}, nil)
	if f := w.frame(); f["text"] != "after" {
		t.Errorf("frame = %v", f)
	}
	s := r.socket()
	soon(t, "empty queue", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.bytes == 0 && s.queue == nil && !s.draining })
}

func TestSocketThatTakesNothingIsCutOff(t *testing.T) {
	r := newRig(t, Config{WriteWithin: 50 * time.Millisecond, Queue: 64 << 20})
	r.signedIn()
	c := r.stage.conn(t)
	pad := strings.Repeat("x", 60<<10)
	for range 200 {
		c.link.Deliver([]actors.Outgoing{notice(pad)}, nil)
	}
	soon(t, "Gone", func() bool { return c.ended() == 1 })
	soon(t, "empty register", func() bool { return len(r.ws.all()) == 0 })
}

// idle waits until all that was to be written so far is written, the answer to auth
// above all: it is read before its writer has let go of the queue.
func (r *rig) idle() {
	r.t.Helper()
	out := r.socket()
	soon(r.t, "an empty queue", func() bool {
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.bytes == 0 && out.queue == nil && !out.draining
	})
}

func TestOneLargeFrameIsLetIntoAnEmptyQueue(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	c := r.stage.conn(t)
	r.idle()
	big := strings.Repeat("x", 400<<10)
	c.link.Deliver([]actors.Outgoing{notice(big), notice("small")}, nil)
	if f := w.frame(); f["text"] != big {
		t.Error("the large frame came otherwise")
	}
	if f := w.frame(); f["text"] != "small" {
		t.Errorf("frame = %v", f)
	}
}

func TestManyFramesAtOnceAreNotSlowness(t *testing.T) {
	r := newRig(t, Config{Queue: 32 << 10})
	w := r.signedIn()
	c := r.stage.conn(t)
	r.idle()
	var burst actors.Burst
	out := make([]actors.Outgoing, 100) // 50 KB: more than the queue, less than the kernel takes at once
	for i := range out {
		out[i] = notice(strings.Repeat("x", 500))
	}
	c.link.Deliver(out, &burst)
	burst.End()
	for range out {
		w.frame()
	}
}

func TestTLSConnectionsAreWrittenByAGoroutine(t *testing.T) {
	st, door := &stage{}, &doorman{}
	ws, err := newWS(Config{}, st, door, newMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(ws)
	defer srv.Close()
	ctx := t.Context()
	defer ws.Drain(ctx)
	c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "a socket", func() bool { return len(ws.all()) > 0 })
	if _, ok := ws.all()[0].guard.Conn.(*tls.Conn); !ok {
		t.Fatal("no TLS")
	}
	c.Write(ctx, websocket.MessageText, []byte(`{"type":"auth","token":"user:ann"}`))
	c.Read(ctx)
	for i := range 100 {
		st.conn(t).link.Deliver([]actors.Outgoing{notice(strconv.Itoa(i))}, nil)
	}
	for i := range 100 {
		if _, b, err := c.Read(ctx); err != nil || !strings.Contains(string(b), `"`+strconv.Itoa(i)+`"`) {
			t.Fatalf("frame %d = %q, %v", i, b, err)
		}
	}
	st.conn(t).link.Close(4000, "bye")
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4000 {
		t.Errorf("close = %v", err)
	}
}

func TestHeadsOfAllLengths(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 0xffff, 0x10000, 0x10001} {
		b := append([]byte("before"), 0)
		at := len(b)
		b = append(beginFrame(b), strings.Repeat("y", n)...)
		b = endFrame(b, at, final|opText)
		got, want := b[at:], serverFrame(final|opText, strings.Repeat("y", n))
		if string(got) != string(want) {
			t.Errorf("%d bytes: head % x, want % x", n, got[:min(len(got), 10)], want[:min(len(want), 10)])
		}
	}
}

func serverFrame(first byte, body string) []byte {
	b := frameBytes(first, nil)[:1]
	n := len(body)
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = append(b, 126, byte(n>>8), byte(n))
	default:
		b = append(b, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, body...)
}
