package client

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/internal/protocol"
)

// fake is a server as scripted: it keeps one user's logs, and each connection's
// frames go through answer, which a test may replace.
type fake struct {
	t   *testing.T
	url string

	mu     sync.Mutex
	conns  []*fakeConn
	logs   map[string][]*protocol.Entry
	auths  []*protocol.Auth
	syncs  int
	acked  map[string]int64
	offset int64
	resume bool // honour resume
	answer func(c *fakeConn, f *protocol.Frame) (handled bool)
}

type fakeConn struct {
	f      *fake
	ws     *websocket.Conn
	binary bool
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, logs: map[string][]*protocol.Entry{}, acked: map[string]int64{}}
	s := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subBinary}})
	if err != nil {
		return
	}
	c := &fakeConn{f: f, ws: ws, binary: ws.Subprotocol() == subBinary}
	f.mu.Lock()
	f.conns = append(f.conns, c)
	f.mu.Unlock()
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		decode := protocol.DecodeJSON
		if c.binary {
			decode = protocol.DecodeBinary
		}
		in, err := decode(b)
		if err != nil {
			f.t.Errorf("the client sent %s: %v", b, err)
			continue
		}
		c.handle(in)
	}
}

func (c *fakeConn) say(f *protocol.Frame) {
	b := protocol.AppendJSON(nil, f)
	kind := websocket.MessageText
	if c.binary {
		b, kind = protocol.AppendBinary(nil, f), websocket.MessageBinary
	}
	c.ws.Write(context.Background(), kind, b)
}

func (c *fakeConn) handle(in *protocol.Frame) {
	f := c.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil && f.answer(c, in) {
		return
	}
	out := &protocol.Frame{Id: in.Id}
	switch b := in.Body.(type) {
	case *protocol.Frame_Auth:
		f.auths = append(f.auths, b.Auth)
		hello := &protocol.AuthReply{UserId: "ann", Connection: "c", HeartbeatMs: 30_000, Epoch: "e1", ServerTime: 1}
		if f.resume && b.Auth.Resume != nil {
			hello.Resumed = true
		} else {
			hello.Snapshot = f.snapshot()
		}
		out.Offset = f.offset
		out.Body = &protocol.Frame_AuthReply{AuthReply: hello}
	case *protocol.Frame_Heartbeat:
		heads := map[string]int64{}
		for id, l := range f.logs {
			heads[id] = int64(len(l))
		}
		out.Body = &protocol.Frame_HeartbeatReply{HeartbeatReply: &protocol.HeartbeatReply{ServerTime: 1, Heads: heads}}
	case *protocol.Frame_Sync:
		f.syncs++
		l := f.logs[b.Sync.Session]
		from := int(b.Sync.GetAfterSeq())
		to := min(from+3, len(l)) // small pages
		out.Body = &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{
			Session: b.Sync.Session, Messages: l[from:to], HeadSeq: int64(len(l)), HasMore: to < len(l), Epoch: "log1",
		}}
	case *protocol.Frame_MsgSend:
		e := f.add(b.MsgSend.Session, "ann", b.MsgSend.Content.Text)
		out.Body = &protocol.Frame_MsgSendReply{MsgSendReply: &protocol.MsgSendReply{Session: e.Session, ClientMsgId: b.MsgSend.ClientMsgId, Seq: e.Seq}}
	case *protocol.Frame_MsgRecv:
		f.acked[b.MsgRecv.Session] = b.MsgRecv.Seq
		return
	default:
		out = protocol.Fail(in, protocol.BadRequest("not here"))
	}
	c.say(out)
}

func (f *fake) snapshot() *protocol.Snapshot {
	s := &protocol.Snapshot{}
	for id, l := range f.logs {
		s.Sessions = append(s.Sessions, &protocol.SessionHead{Session: id, HeadSeq: int64(len(l)), Epoch: "log1", RecvSeq: f.acked[id]})
	}
	return s
}

// add puts an entry into a log, told to nobody.
func (f *fake) add(session, sender, text string) *protocol.Entry {
	seq := int64(len(f.logs[session]) + 1)
	e := &protocol.Entry{
		Session: session, Seq: seq, MessagerecvId: fmt.Sprint(session, ".", seq), Sender: sender, CreatedAt: 1,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text},
	}
	f.logs[session] = append(f.logs[session], e)
	return e
}

// write adds n entries and pushes those for which told is true on the newest connection.
func (f *fake) write(session string, n int, told func(seq int64) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		e := f.add(session, "bob", "hi")
		f.offset++
		if told != nil && told(e.Seq) {
			f.conns[len(f.conns)-1].say(&protocol.Frame{Offset: f.offset, Body: &protocol.Frame_MsgPush{MsgPush: e}})
		}
	}
}

func (f *fake) last() *fakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns[len(f.conns)-1]
}

func all(int64) bool { return true }

// heard is a handler that keeps what it is told, for a test to wait for.
type heard struct {
	mu     sync.Mutex
	events []Event
	change chan struct{}
}

func newHeard() *heard { return &heard{change: make(chan struct{}, 1)} }

func (h *heard) handle(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	select {
	case h.change <- struct{}{}:
	default:
	}
}

// until waits for done to be true of what was heard.
func (h *heard) until(t *testing.T, what string, done func([]Event) bool) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		h.mu.Lock()
		ok := done(h.events)
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-h.change:
		case <-late:
			t.Fatalf("never heard: %s; but %d events", what, len(h.events))
		}
	}
}

// seqs is what was heard of a session: seqs in order, a gone range as its negative end.
func seqs(events []Event, session string) (out []int64) {
	for _, e := range events {
		switch e := e.(type) {
		case *Entry:
			if e.Session == session {
				out = append(out, e.Seq)
			}
		case *Gone:
			if e.Session == session {
				out = append(out, -e.UpTo)
			}
		}
	}
	return out
}

func count[T Event](events []Event) (n int) {
	for _, e := range events {
		if _, ok := e.(T); ok {
			n++
		}
	}
	return n
}

func open(t *testing.T, f *fake, change func(*Config)) (*Client, *heard) {
	t.Helper()
	h := newHeard()
	cfg := Config{URL: f.url, Token: "t", Device: "d", Handler: h.handle, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, AckEvery: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, h
}
