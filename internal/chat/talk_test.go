package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/internal/protocol"
)

// server is as much of one as a chat of two people needs. Users are called by
// their ids in capitals; all that is said goes into one session, s.
type server struct {
	mu    sync.Mutex
	conns map[string]*websocket.Conn
	log   []*protocol.Entry
}

func newServer(t *testing.T) string {
	s := &server{conns: map[string]*websocket.Conn{}}
	mux := http.NewServeMux()
	grant := func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Name, Password string }
		json.NewDecoder(r.Body).Decode(&in)
		if in.Password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errcode":3,"code":"UNAUTHORIZED","detail":"wrong name or password"}`)
			return
		}
		fmt.Fprintf(w, `{"userId":%q,"token":%q,"refreshToken":"r"}`, strings.ToLower(in.Name), strings.ToLower(in.Name))
	}
	mux.HandleFunc("POST /api/v2/users", grant)
	mux.HandleFunc("POST /api/v2/users/login", grant)
	mux.HandleFunc("GET /api/v2/users", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		if name != "ANN" && name != "BOB" {
			fmt.Fprint(w, `{"items":[]}`)
			return
		}
		fmt.Fprintf(w, `{"items":[{"userId":%q,"name":%q}]}`, strings.ToLower(name), name)
	})
	mux.HandleFunc("GET /api/v2/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if id := r.PathValue("id"); id == "ann" || id == "bob" {
			fmt.Fprintf(w, `{"userId":%q,"name":%q}`, id, strings.ToUpper(id))
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errcode":6,"code":"NOT_FOUND","detail":"no such user"}`)
	})
	mux.HandleFunc("GET /ws", s.serve)
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h.URL
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	me := ""
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		if f, err := protocol.DecodeJSON(b); err == nil {
			s.mu.Lock()
			me = s.handle(ws, me, f)
			s.mu.Unlock()
		}
	}
}

func say(ws *websocket.Conn, f *protocol.Frame) {
	ws.Write(context.Background(), websocket.MessageText, protocol.AppendJSON(nil, f))
}

func (s *server) handle(ws *websocket.Conn, me string, f *protocol.Frame) string {
	out := &protocol.Frame{Id: f.Id}
	switch b := f.Body.(type) {
	case *protocol.Frame_Auth:
		me = b.Auth.Token
		s.conns[me] = ws
		snap := &protocol.Snapshot{}
		if len(s.log) > 0 {
			snap.Sessions = append(snap.Sessions, &protocol.SessionHead{
				Session: "s", SessionType: protocol.SessionType_P2P, HeadSeq: int64(len(s.log)), Unread: 1, Members: []string{"ann", "bob"},
				Last: s.log[len(s.log)-1], UpdatedAt: time.Now().UnixMilli(),
			})
		}
		out.Body = &protocol.Frame_AuthReply{AuthReply: &protocol.AuthReply{UserId: me, Connection: "c", HeartbeatMs: 30000, ServerTime: 1, Epoch: "e", Snapshot: snap}}
	case *protocol.Frame_SessionCreate:
		out.Body = &protocol.Frame_SessionCreateReply{SessionCreateReply: &protocol.SessionCreateReply{Model: "session", Result: []string{"s"}}}
	case *protocol.Frame_Sync:
		out.Body = &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{Session: "s", Messages: s.log, HeadSeq: int64(len(s.log))}}
	case *protocol.Frame_MsgRead:
		out.Body = &protocol.Frame_MsgReadReply{MsgReadReply: &protocol.MsgReadReply{Session: "s", ReadSeq: b.MsgRead.Seq}}
		s.others(me, &protocol.Frame{Body: &protocol.Frame_Receipt{Receipt: &protocol.Receipt{Session: "s", UserId: me, ReadSeq: b.MsgRead.Seq}}})
	case *protocol.Frame_MsgSend:
		e := s.add(&protocol.Entry{Sender: me, Content: b.MsgSend.Content, ReplyTo: b.MsgSend.ReplyTo})
		out.Body = &protocol.Frame_MsgSendReply{MsgSendReply: &protocol.MsgSendReply{Session: "s", ClientMsgId: b.MsgSend.ClientMsgId, MessagerecvId: e.MessagerecvId, Seq: e.Seq, CreatedAt: e.CreatedAt}}
		s.others(me, &protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: e}})
	case *protocol.Frame_MsgCancel:
		e := s.add(&protocol.Entry{Sender: me, Kind: protocol.Kind_RECALL, Target: 1})
		out.Body = &protocol.Frame_MsgCancelReply{MsgCancelReply: &protocol.MsgCancelReply{Session: "s", Seq: e.Seq}}
		s.others("", &protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: e}})
	default:
		if !protocol.IsRequest(f) || f.Id == "" {
			return me
		}
		out = protocol.Fail(f, protocol.BadRequest("not in this test"))
	}
	say(ws, out)
	return me
}

func (s *server) add(e *protocol.Entry) *protocol.Entry {
	e.Session, e.Seq, e.CreatedAt = "s", int64(len(s.log)+1), time.Now().UnixMilli()
	e.MessagerecvId = fmt.Sprint("s.", e.Seq)
	s.log = append(s.log, e)
	return e
}

func (s *server) others(me string, f *protocol.Frame) {
	for user, ws := range s.conns {
		if user != me {
			say(ws, f)
		}
	}
}

// window is one person's chat, driven line by line.
type window struct {
	in   *io.PipeWriter
	mu   sync.Mutex
	out  bytes.Buffer
	ends chan error
}

func (w *window) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func openWindow(t *testing.T, args ...string) *window {
	in, typed := io.Pipe()
	w := &window{in: typed, ends: make(chan error, 1)}
	go func() { w.ends <- Main(t.Context(), args, in, w) }()
	return w
}

func (w *window) types(lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(w.in, l)
	}
}

func (w *window) sees(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		all := w.out.String()
		w.mu.Unlock()
		if strings.Contains(all, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in\n%s", want, all)
		}
	}
}

func TestTwoPeopleChat(t *testing.T) {
	url := newServer(t)
	ann := openWindow(t, "--url", url, "--user", "ANN", "--register", "--password-stdin")
	ann.types("secret", "/open BOB", "hello bob")
	ann.sees(t, "Signed in as ANN")
	ann.sees(t, "--- BOB ---")
	ann.sees(t, "#1 ANN: hello bob")

	bob := openWindow(t, "--url", url, "--user", "BOB")
	bob.types("secret")
	bob.sees(t, "1   1 new  ANN")
	bob.types("/open 1")
	bob.sees(t, "#1 ANN: hello bob")
	ann.sees(t, "✓✓ BOB has read #1")
	bob.types("/reply #1 hello ann")
	ann.sees(t, "#2 BOB: hello ann (to #1)")
	ann.types("/recall #1")
	bob.sees(t, "#3 ANN took #1 back")

	ann.types("/dance", "/open carol", "/edit #99 x", "/help")
	ann.sees(t, "! no command /dance")
	ann.sees(t, "! not found: user carol")
	ann.sees(t, "! which message?")
	ann.sees(t, "/history")
	ann.in.Close()
	bob.types("/quit")
	for _, w := range []*window{ann, bob} {
		if err := <-w.ends; err != nil {
			t.Errorf("chat ended with %v", err)
		}
	}
}

func TestAWrongPasswordEndsTheChat(t *testing.T) {
	w := openWindow(t, "--url", newServer(t), "--user", "ANN", "--password-stdin")
	w.types("wrong")
	if err := <-w.ends; !protocol.Code_UNAUTHORIZED.Is(err) {
		t.Errorf("chat ended with %v", err)
	}
}
