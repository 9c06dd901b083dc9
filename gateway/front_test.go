package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// served is a desk behind a front, and its address.
func served(t *testing.T, cfg Config) (*desk, *front, string) {
	d := newDesk(t, cfg)
	f := newFront(httptest.NewUnstartedServer(nil).Listener, d.srv.ws, &d.srv.open, 5*time.Second)
	go d.srv.http.Serve(f)
	return d, f, f.Addr().String()
}

// waiting is how many connections have not said anything.
func (f *front) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.silent)
}

// plug is a connection to address.
func plug(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

const plainHandshake = "GET /ws HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"

func TestWhateverComesFirstIsServed(t *testing.T) {
	for name, x := range map[string]struct {
		parts  []string // the first is read by itself
		status int
	}{
		"a handshake":                           {[]string{plainHandshake}, 101},
		"a handshake with a query":              {[]string{strings.Replace(plainHandshake, "/ws", "/ws?v=1", 1)}, 101},
		"a handshake in two parts":              {[]string{plainHandshake[:40], plainHandshake[40:]}, 101},
		"a handshake by bytes":                  {strings.Split(plainHandshake[:60], ""), 0},
		"a handshake without Host":              {[]string{strings.Replace(plainHandshake, "Host: chat.example\r\n", "", 1)}, 400},
		"a handshake with two Hosts":            {[]string{strings.Replace(plainHandshake, "Host:", "Host: other.example\r\nHost:", 1)}, 400},
		"a handshake with a strange Host":       {[]string{strings.Replace(plainHandshake, "chat.example", "chat<example", 1)}, 400},
		"a handshake with a control character":  {[]string{strings.Replace(plainHandshake, "Upgrade\r\n", "Upgrade\r\nX: a\x01b\r\n", 1)}, 400},
		"a handshake with a header's name torn": {[]string{strings.Replace(plainHandshake, "Upgrade\r\n", "Upgrade\r\nX Y: b\r\n", 1)}, 400},
		"a handshake of HTTP/1.0":               {[]string{strings.Replace(plainHandshake, "HTTP/1.1", "HTTP/1.0", 1)}, 400},
		"a handshake without a key":             {[]string{strings.Replace(plainHandshake, "Sec-WebSocket-Key", "X-Key", 1)}, 400},
		"a handshake of another site":           {[]string{strings.Replace(plainHandshake, "Upgrade\r\n", "Upgrade\r\nOrigin: https://other.example\r\n", 1)}, 403},
		"a handshake at another path":           {[]string{strings.Replace(plainHandshake, "/ws", "/wsx", 1)}, 404},
		"a long handshake":                      {[]string{strings.Replace(plainHandshake, "Upgrade\r\n", "Upgrade\r\nCookie: "+strings.Repeat("a", 6000)+"\r\n", 1)}, 101},
		"a handshake that is too long":          {[]string{strings.Replace(plainHandshake, "Upgrade\r\n", "Upgrade\r\nCookie: "+strings.Repeat("a", 60_000)+"\r\n", 1)}, 431},
		"a request":                             {[]string{"GET /healthz HTTP/1.1\r\nHost: chat.example\r\n\r\n"}, 200},
		"a request in two parts":                {[]string{"GET /heal", "thz HTTP/1.1\r\nHost: chat.example\r\n\r\n"}, 200},
		"no HTTP":                               {[]string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			_, f, address := served(t, Config{})
			c, in := plug(t, address)
			soon(t, "connection", func() bool { return f.waiting() == 1 })
			for _, part := range x.parts {
				if _, err := io.WriteString(c, part); err != nil {
					t.Fatal(err)
				}
				soon(t, "reading of the first part", func() bool { return f.waiting() == 0 })
			}
			if x.status == 0 {
				return // it is cut off by its client
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != x.status {
				t.Errorf("status = %d, want %d", resp.StatusCode, x.status)
			}
		})
	}
}

func TestOneConnectionHasManyRequests(t *testing.T) {
	_, _, address := served(t, Config{})
	c, in := plug(t, address)
	ask := "GET /healthz HTTP/1.1\r\nHost: chat.example\r\n\r\n"
	io.WriteString(c, ask+ask) // the second with the first
	for i := range 3 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "ok\n" {
			t.Errorf("answer %d = %q", i, b)
		}
		if i == 1 {
			io.WriteString(c, ask)
		}
	}
}

func TestRefusedHandshakesAnswerLikeAnyRequest(t *testing.T) {
	_, _, address := served(t, Config{})
	c, in := plug(t, address)
	io.WriteString(c, strings.Replace(plainHandshake, "Version: 13", "Version: 8", 1))
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != 400 || h.Get("Sec-WebSocket-Version") != "13" || h.Get("Content-Type") != "application/problem+json" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("answer = %d, %v", resp.StatusCode, h)
	}
}

func TestWhoSaysNothingIsCutOff(t *testing.T) {
	d, _, address := served(t, Config{})
	c, _ := plug(t, address)
	soon(t, "connection", func() bool { return d.srv.open.Load() == 1 })
	go d.srv.Shutdown(context.Background())
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the end: %v, want it closed", err)
	}
	soon(t, "none", func() bool { return d.srv.open.Load() == 0 })

	ws := newRig(t, Config{}).ws
	l := newFront(httptest.NewUnstartedServer(nil).Listener, ws, &d.srv.open, 10*time.Millisecond)
	defer l.Close()
	c, _ = plug(t, l.Addr().String())
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a while: %v, want it closed", err)
	}
}

func TestAWebSocketCountsOnce(t *testing.T) {
	d, _, address := served(t, Config{MaxConnections: 2})
	for range 2 {
		c, in := plug(t, address)
		io.WriteString(c, plainHandshake)
		if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
	}
	soon(t, "two WebSockets, and nothing else", func() bool { return d.srv.open.Load() == 0 && d.srv.ws.count() == 2 })
}

// A WebSocket over TLS is opened by way of net/http.
func TestAWebSocketOpensOverTLS(t *testing.T) {
	r := newRig(t, Config{})
	over := httptest.NewTLSServer(r.ws)
	defer over.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, over.URL+"/ws", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))} {
		req.Header.Set(name, value)
	}
	resp, err := over.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 {
		t.Fatalf("handshake = %d", resp.StatusCode)
	}
	both := resp.Body.(io.ReadWriter)
	both.Write(text(`{"type":"auth","token":"user:ann"}`))
	first := make([]byte, 2)
	if _, err := io.ReadFull(both, first); err != nil || first[0] != final|opText {
		t.Errorf("answer = %v, %v", first, err)
	}
}
