package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/cmd/chaos/proxy"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestANodeThatOnlyItsClientsReachSendsThemToTheOthersAndEndsWhenItLearnsWhy(t *testing.T) {
	var links []*proxy.Link
	leads := func(to string) string {
		l, err := proxy.New(to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		links = append(links, l)
		return l.Addr()
	}
	nodes := startNodesWith(t, 3, func(i int, redis, mongo string) []string {
		if i > 0 {
			return nil
		}
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listen := free.Addr().String()
		free.Close()
		at, err := url.Parse(mongo)
		if err != nil {
			t.Fatal(err)
		}
		at.Host = leads(at.Host)
		return []string{"TROUPE_MONGO=" + at.String(), "TROUPE_REDIS=redis://" + leads(redis), "TROUPE_NODE_LISTEN=" + listen, "TROUPE_NODE_ADVERTISE=" + leads(listen)}
	})
	cut := nodes[0]
	soon(t, "the nodes to see each other", func() bool {
		for _, s := range nodes {
			if _, text := s.page("/metrics"); !strings.Contains(text, "troupe_node_members 3") {
				return false
			}
		}
		return true
	})
	closed := cut.socket(cut.token("ann"), "phone")
	for _, l := range links {
		l.Set(proxy.Silent)
	}
	began := time.Now()
	if code := closed(); int(code) != protocol.Code_GOAWAY.CloseCode() {
		t.Errorf("the client is sent away with %d", code)
	}
	t.Logf("sent away after %v", time.Since(began).Round(100*time.Millisecond))
	for _, path := range []string{"/readyz", "/api/v2/sessions/s_1/messages"} {
		if code, text := cut.page(path); code != http.StatusServiceUnavailable || !strings.Contains(text, "cut off") {
			t.Errorf("%s is answered with %d %s", path, code, text)
		}
	}
	if conn, r, err := websocket.Dial(t.Context(), strings.Replace(cut.url, "http", "ws", 1)+"/ws", nil); err == nil {
		conn.CloseNow()
		t.Error("it takes new clients")
	} else if r == nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new client is told %v, %v", r, err)
	}
	ann, bob := nodes[1].join("ann", "phone"), nodes[2].join("bob", "phone") // all sessions are at these by now, or soon
	room := ann.with("bob")
	ann.say(room, "1", "here I am")
	soon(t, "bob to hear her", func() bool { return len(bob.heard(room)) == 1 })
	for _, l := range links {
		l.Set(proxy.Open)
	}
	select {
	case <-cut.ended:
		cut.process = nil
		if !strings.Contains(cut.log.String(), "given this one up") {
			t.Error("it ended for another reason")
		}
	case <-time.After(patience):
		t.Error("it was given up, and runs on")
	}
}

// page reads a path as a stranger.
func (s *testServer) page(path string) (status int, text string) {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
