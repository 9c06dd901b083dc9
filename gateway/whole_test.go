package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

type everybody struct{}

func (everybody) Unknown(context.Context, []protocol.UserID) ([]protocol.UserID, error) {
	return nil, nil
}

// A house is the gateway over real actors and a real store.
type house struct {
	*rig
	t   *testing.T
	srv *Server
}

func newHouse(t *testing.T) *house {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	n := actors.New(actors.Config{Rate: -1}, store, pushctr.NewLocal(), everybody{}, log)
	srv, err := New(Config{Rate: -1}, Needs{Actors: OfNode(n), Auth: &doorman{}, Home: store, Profiles: shelf{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Refuse()
		n.Drain(context.Background(), 0)
		srv.Shutdown(ctx)
		web.Close()
		store.Close()
	})
	return &house{rig: &rig{t: t, http: web, ws: srv.ws}, t: t, srv: srv}
}

// as asks by REST for a user, wants a status below 300, and gives the answer.
func (h *house) as(user, method, path, body string) map[string]any {
	h.t.Helper()
	status, m := h.request(user, method, path, body)
	if status >= 300 {
		h.t.Fatalf("%s: %s %s = %d %v", user, method, path, status, m)
	}
	return m
}

func (h *house) request(user, method, path, body string) (int, map[string]any) {
	h.t.Helper()
	req, _ := http.NewRequest(method, h.http.URL+"/api/v2"+path, bytes.NewBufferString(body))
	req.Header.Set("Authorization", "Bearer user:"+user)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	json.NewDecoder(resp.Body).Decode(&m)
	described(h.t, h.srv, method, "/api/v2"+path, resp.StatusCode)
	return resp.StatusCode, m
}

func TestOneCanChatWithRESTAlone(t *testing.T) {
	h := newHouse(t)
	created := h.as("ann", "POST", "/sessions", `{"sessionType":"group","name":"team","members":["bob","cem"]}`)
	s := "/sessions/" + created["session"].(string)
	if created["memberCount"] != 3.0 || created["owner"] != "ann" {
		t.Errorf("created = %v", created)
	}
	if status, _ := h.request("eve", "GET", s+"/session", ""); status != 404 {
		t.Errorf("a stranger = %d", status)
	}

	// Bob listens on a socket.
	bob := h.dial()
	bob.say(`{"type":"auth","id":"a","token":"user:bob"}`)
	if f := bob.frame(); f["type"] != "auth_reply" || f["heartbeatMs"] != 30000.0 {
		t.Fatalf("auth = %v", f)
	}
	sent := h.as("ann", "POST", s+"/messages", `{"clientMsgId":"1","content":{"type":"text","text":"hello"}}`)
	push := bob.frame()
	if push["type"] != "msg_push" || push["messagerecvId"] != sent["messagerecvId"] || push["messagesendId"] != sent["messagerecvId"].(string)+"@bob" || push["seq"] != sent["seq"] {
		t.Errorf("push = %v", push)
	}
	if again := h.as("ann", "POST", s+"/messages", `{"clientMsgId":"1","content":{"type":"text","text":"hello"}}`); again["messagerecvId"] != sent["messagerecvId"] || again["duplicate"] != true {
		t.Errorf("again = %v", again)
	}
	if status, p := h.request("ann", "POST", s+"/messages", `{"clientMsgId":"1","content":{"type":"text","text":"other"}}`); status != 409 || p["code"] != "CONFLICT" {
		t.Errorf("other content = %d %v", status, p)
	}
	if got := h.as("bob", "GET", s+"/unread_message_count", ""); got["count"] != 1.0 {
		t.Errorf("unread = %v", got)
	}
	if got := h.as("bob", "GET", s+"/messages/unread", ""); len(got["items"].([]any)) != 1 {
		t.Errorf("unread messages = %v", got)
	}
	soon(t, "badge of 1", func() bool { return h.as("bob", "GET", "/application/badge_no", "")["badge"] == 1.0 })
	if got := h.as("bob", "GET", s+"/messages/"+sent["messagerecvId"].(string), ""); got["content"].(map[string]any)["text"] != "hello" {
		t.Errorf("message = %v", got)
	}
	h.as("bob", "PUT", s+"/recv", `{}`)
	if got := h.as("bob", "PUT", s+"/read", `{}`); got["unread"] != 0.0 || got["readSeq"] != sent["seq"] {
		t.Errorf("read = %v", got)
	}
	h.as("bob", "PUT", s+"/messages/"+sent["messagerecvId"].(string)+"/reactions/%2B1", "")
	if got := h.as("cem", "GET", s+"/messages/"+sent["messagerecvId"].(string), ""); got["reactions"] == nil {
		t.Errorf("after a reaction = %v", got)
	}
	h.as("bob", "DELETE", s+"/messages/"+sent["messagerecvId"].(string)+"/reactions/%2B1", "")
	h.as("ann", "PUT", s+"/messages/"+sent["messagerecvId"].(string), `{"content":{"type":"text","text":"hello!"}}`)
	h.as("ann", "DELETE", s+"/messages/"+sent["messagerecvId"].(string), "")
	if got := h.as("cem", "GET", s+"/messages/"+sent["messagerecvId"].(string), ""); got["recalled"] != true || got["content"] != nil {
		t.Errorf("after a recall = %v", got)
	}

	// Pages of history, from the end and from the beginning.
	for i := range 7 {
		h.as("ann", "POST", s+"/messages", `{"clientMsgId":"m`+string(rune('0'+i))+`","content":{"type":"text","text":"x"}}`)
	}
	for _, from := range []string{"?limit=4", "?limit=4&after=0"} {
		seen := map[float64]bool{}
		for next := ""; ; {
			page := h.as("cem", "GET", s+"/messages"+from+next, "")
			for _, m := range page["items"].([]any) {
				seq := m.(map[string]any)["seq"].(float64)
				if seen[seq] {
					t.Errorf("seq %v twice", seq)
				}
				seen[seq] = true
			}
			cursor, more := page["next"].(string)
			if !more {
				if len(seen) != int(page["headSeq"].(float64)) {
					t.Errorf("%s read %d of %v entries", from, len(seen), page["headSeq"])
				}
				break
			}
			from, next = "?limit=4", "&cursor="+cursor
		}
	}

	// Members and what one may do to them.
	if got := h.as("bob", "GET", s+"/participants?limit=2", ""); len(got["items"].([]any)) != 2 || got["next"] == nil {
		t.Errorf("participants = %v", got)
	}
	if got := h.as("bob", "GET", s+"/participants/avatars", ""); len(got["items"].([]any)) != 3 {
		t.Errorf("avatars = %v", got)
	}
	h.as("ann", "POST", s+"/participants", `{"members":["dan"]}`)
	h.as("ann", "PUT", s+"/participant/update", `{"remove":["dan"],"add":["fay"]}`)
	if got := h.as("ann", "PUT", s+"/participants/fay", `{"role":"admin"}`); got["role"] != "admin" {
		t.Errorf("fay = %v", got)
	}
	if got := h.as("ann", "PUT", s+"/participants/gus", ""); got["user"] != "gus" {
		t.Errorf("gus = %v", got)
	}
	h.as("ann", "DELETE", s+"/participants/gus", "")
	for _, body := range []string{`{"role":"admin"}`, `{"role":"owner"}`, `{"silencedUntil":"forever"}`} { // cem may add, and no more than that
		if status, p := h.request("cem", "PUT", s+"/participants/gus", body); status != 403 || p["code"] != "DENIED" {
			t.Errorf("cem puts gus in with %s: %d %v", body, status, p)
		}
	}
	if status, p := h.request("ann", "PUT", s+"/participants/gus", `{"role":"admin","silencedUntil":"forever"}`); status != 400 {
		t.Errorf("role and silence in one: %d %v", status, p)
	}
	if status, _ := h.request("ann", "GET", s+"/participants/gus", ""); status != 404 {
		t.Errorf("gus is still there: %d", status)
	}
	if status, p := h.request("cem", "PUT", s, `{"owner":"cem"}`); status != 403 || p["code"] != "DENIED" {
		t.Errorf("cem takes the session over: %d %v", status, p)
	}
	h.as("ann", "PUT", s, `{"name":"crew","owner":"bob"}`)
	h.as("ann", "PUT", s+"/sticky", "")
	h.as("ann", "PUT", s+"/mute", "")
	got := h.as("ann", "GET", s+"/session", "")
	if mine := got["mine"].(map[string]any); got["name"] != "crew" || got["owner"] != "bob" || mine["sticky"] != true || mine["muted"] != true {
		t.Errorf("session = %v", got)
	}
	h.as("ann", "DELETE", s+"/sticky", "")
	h.as("ann", "DELETE", s+"/mute", "")
	h.as("ann", "GET", s+"/status", "")
	h.as("ann", "POST", s+"/exit", "")
	if status, _ := h.request("ann", "GET", s+"/session", ""); status != 404 {
		t.Errorf("after leaving = %d", status)
	}
	pair := h.as("bob", "POST", "/sessions", `{"sessionType":"p2p","members":["ann"]}`)
	if same := h.as("ann", "POST", "/sessions", `{"sessionType":2,"members":["bob"]}`); same["session"] != pair["session"] {
		t.Errorf("p2p sessions %v and %v", pair["session"], same["session"])
	}
	soon(t, "p2p session in the list", func() bool {
		return len(h.as("bob", "GET", "/sessions/recent?type=p2p", "")["items"].([]any)) == 1
	})
}
