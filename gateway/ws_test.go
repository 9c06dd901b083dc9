package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestFourteenBytesDoNotEndTheProcess(t *testing.T) {
	r := newRig(t, Config{})
	for range 50 {
		w := r.dial()
		w.send([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
		if code, _ := w.closedWith(); code != 1002 {
			t.Fatalf("close = %d, want 1002", code)
		}
	}
	soon(t, "empty register", func() bool { return len(r.ws.all()) == 0 })
	r.stage.mu.Lock()
	defer r.stage.mu.Unlock()
	for _, c := range r.stage.conns {
		if n := c.ended(); n != 1 {
			t.Errorf("Gone was called %d times, want once", n)
		}
	}
}

func TestOriginIsComparedExactly(t *testing.T) {
	r := newRig(t, Config{Origins: []string{"https://Chat.Example.com", "http://localhost:5173/"}})
	own := "http://" + r.http.Listener.Addr().String()
	_, port, _ := strings.Cut(r.http.Listener.Addr().String(), ":")
	for origin, ok := range map[string]bool{
		"https://chat.example.com":      true,
		"http://localhost:5173":         true,
		own:                             true,
		"null":                          false,
		"":                              false,
		"https://evil.com":              false,
		"https://chat.example.com.evil": false, // suffix
		"https://evilchat.example.com":  false,
		"https://sub.chat.example.com":  false,
		"http://chat.example.com":       false, // scheme
		"https://chat.example.com:444":  false, // port
		"https://chat.example.com:443":  false, // no browser writes it
		"HTTPS://CHAT.EXAMPLE.COM":      false,
		"https://chat.example.com/":     false,
		"https://user@chat.example.com": false,
		"http://localhost":              false,
		"https://127.0.0.1:" + port:     false, // own host, other scheme
		"http://127.0.0.1":              false,
		"file://":                       false,
		own + ", https://evil.com":      false,
	} {
		w, status := r.try(nil, "Origin: "+origin)
		if want := map[bool]int{true: 101, false: 403}[ok]; status != want {
			t.Errorf("Origin %q = %d, want %d", origin, status, want)
		}
		w.Close()
	}
	if _, status := r.try(nil); status != 101 {
		t.Errorf("no Origin = %d, want 101", status)
	}
	if _, status := r.try(nil, "Origin: "+own, "Origin: https://evil.com"); status != 403 {
		t.Errorf("two Origins = %d, want 403", status)
	}
	strict := newRig(t, Config{RequireOrigin: true})
	if _, status := strict.try(nil); status != 403 {
		t.Errorf("no Origin where one is needed = %d, want 403", status)
	}
	if _, err := newOrigins(Config{Origins: []string{"example.com"}}); err == nil {
		t.Error("a setting that is no origin was taken")
	}
}

func TestHandshakeIsRefusedInHTTP(t *testing.T) {
	r := newRig(t, Config{})
	for name, change := range map[string]func(h http.Header){
		"no version":         func(h http.Header) { h.Del("Sec-WebSocket-Version") },
		"an old version":     func(h http.Header) { h.Set("Sec-WebSocket-Version", "8") },
		"no key":             func(h http.Header) { h.Del("Sec-WebSocket-Key") },
		"a short key":        func(h http.Header) { h.Set("Sec-WebSocket-Key", "YWJj") },
		"no upgrade":         func(h http.Header) { h.Del("Upgrade") },
		"another upgrade":    func(h http.Header) { h.Set("Upgrade", "h2c") },
		"no connection word": func(h http.Header) { h.Set("Connection", "keep-alive") },
	} {
		req, _ := http.NewRequest("GET", r.http.URL, nil)
		req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="}}
		change(req.Header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var p Problem
		if json.NewDecoder(resp.Body).Decode(&p); resp.StatusCode != 400 || p.Code != "BAD_REQUEST" || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %q %+v, want a problem", name, resp.StatusCode, resp.Header.Get("Content-Type"), p)
		}
		resp.Body.Close()
	}
	if _, status := r.try(nil, "Content-Length: 4"); status != 400 {
		t.Errorf("a handshake with a body = %d, want 400", status)
	}
}

func TestSubprotocolDecidesTheEncoding(t *testing.T) {
	r := newRig(t, Config{})
	for _, row := range []struct{ ask, got string }{
		{"", ""}, {subJSON, subJSON}, {subBinary, subBinary}, {"chat, " + subJSON, subJSON},
		{subBinary + ", " + subJSON, subBinary}, {"chat", ""},
	} {
		w := r.dial("Sec-WebSocket-Protocol: " + row.ask)
		if got := w.head.Get("Sec-WebSocket-Protocol"); got != row.got {
			t.Errorf("asked for %q, got %q, want %q", row.ask, got, row.got)
		}
	}
	w := r.dial("Sec-WebSocket-Protocol: " + subBinary)
	w.send(frameBytes(final|opBinary, protocol.AppendBinary(nil, &protocol.Frame{Id: "1", Body: &protocol.Frame_Auth{Auth: &protocol.Auth{Token: "user:ann"}}})))
	w.say(`{"type":"heartbeat","id":"2"}`)
	for _, id := range []string{"1", "2"} {
		first, b, err := w.next()
		if err != nil || first != final|opBinary {
			t.Fatalf("answer = %#x %q %v, want a binary frame", first, b, err)
		}
		if f, err := protocol.DecodeBinary(b); err != nil || f.Id != id {
			t.Errorf("answer = %v, %v", f, err)
		}
	}
	j := r.signedIn()
	j.send(frameBytes(final|opBinary, []byte("abc")))
	if f := j.frame(); f["type"] != "error" || f["code"] != "UNSUPPORTED" {
		t.Errorf("a binary frame on a JSON connection = %v", f)
	}
	j.say(beat)
	if f := j.frame(); f["type"] != "heartbeat_reply" {
		t.Errorf("after it = %v, want the connection to live", f)
	}
}

func TestBadFrameIsAnsweredAndTheConnectionLives(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	for _, bad := range []string{`{`, ``, `[]`, `{"type":"nonsense","id":"7"}`, strings.Repeat("[", 10_000)} {
		w.say(bad)
		if f := w.frame(); f["type"] != "error" || f["errcode"] == 0.0 {
			t.Errorf("%.20q = %v, want an error frame", bad, f)
		}
	}
	w.say(`{"type":"msg_send","id":"8","session":5}`)
	if f := w.frame(); f["type"] != "msg_send_reply" || f["id"] != "8" || f["code"] != "BAD_REQUEST" {
		t.Errorf("wrong type of a field = %v", f)
	}
}

func TestCloseCodes(t *testing.T) {
	r := newRig(t, Config{})
	for _, row := range []struct {
		say    string
		answer string
		code   string
		close  int
	}{
		{`{"type":"auth","id":"1","token":"bad"}`, "auth_reply", "UNAUTHORIZED", 4501},
		{`{"type":"auth","id":"1","token":"old"}`, "auth_reply", "TOKEN_EXPIRED", 4001},
		{`{"type":"heartbeat","id":"1"}`, "heartbeat_reply", "UNAUTHORIZED", 4501},
		{`{"type":"logout","id":"1"}`, "logout_reply", "UNAUTHORIZED", 4501},
		{`{"type":"msg_send","id":"1","session":"s","clientMsgId":"c","content":{"type":"text","text":"x"}}`, "msg_send_reply", "UNAUTHORIZED", 4501},
	} {
		w := r.dial()
		w.send(text(row.say), text(`{"type":"auth","token":"user:eve"}`)) // what comes behind is not looked at
		if f := w.frame(); f["type"] != row.answer || f["code"] != row.code || f["id"] != "1" {
			t.Errorf("%s = %v", row.say, f)
		}
		if code, _ := w.closedWith(); code != row.close {
			t.Errorf("%s closed with %d, want %d", row.say, code, row.close)
		}
	}
	w := r.signedIn()
	r.stage.conn(t).link.Close(protocol.Code_REPLACED.CloseCode(), "replaced")
	if code, reason := w.closedWith(); code != 4509 || reason != "replaced" {
		t.Errorf("close = %d %q", code, reason)
	}
	w = r.signedIn()
	w.say(`{"type":"logout","id":"9"}`)
	if f := w.frame(); f["type"] != "logout_reply" {
		t.Errorf("logout = %v", f)
	}
	if code, _ := w.closedWith(); code != 1000 {
		t.Errorf("close after logout = %d, want 1000", code)
	}
	if len(r.door.out) != 1 || r.door.out[0] != "ann" {
		t.Errorf("logged out: %v", r.door.out)
	}
}

func TestTokenIsCheckedOnceMoreOnALiveConnection(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	w.say(`{"type":"auth","id":"2","token":"broken"}`) // the checker fails, not the token
	if f := w.frame(); f["code"] != "INTERNAL" || f["error"] != "internal error" {
		t.Errorf("answer = %v", f)
	}
	w.say(`{"type":"auth","id":"2","token":"slow"}`) // nothing is broken: what is asked takes too long
	if f := w.frame(); f["code"] != "BUSY" || f["retryAfterMs"] == nil {
		t.Errorf("answer = %v, want BUSY and when to come again", f)
	}
	w.say(`{"type":"auth","id":"3","token":"user:ann"}`)
	if f := w.frame(); f["id"] != "3" || f["errcode"] != 0.0 {
		t.Errorf("renewal = %v", f)
	}
}

func TestFramesBehindAuthWaitForIt(t *testing.T) {
	r := newRig(t, Config{})
	r.door.hold = make(chan struct{})
	// All of it in one segment, with the handshake in front.
	w, status := r.try(join(text(`{"type":"auth","id":"1","token":"user:ann"}`), text(`{"type":"heartbeat","id":"2"}`), text(`{"type":"heartbeat","id":"3"}`)))
	if status != 101 {
		t.Fatal(status)
	}
	c := r.stage.conn(t)
	if n := len(c.heard()); n != 0 {
		t.Fatalf("%d frames went past the check", n)
	}
	close(r.door.hold)
	for _, id := range []string{"1", "2", "3"} {
		if f := w.frame(); f["id"] != id || f["errcode"] != 0.0 {
			t.Errorf("answer = %v, want %s", f, id)
		}
	}
}

func TestDeadlines(t *testing.T) {
	cfg := Config{AuthWithin: 80 * time.Millisecond, FrameWithin: 80 * time.Millisecond, Heartbeat: 60 * time.Millisecond}
	slow := cfg
	slow.AuthWithin = time.Minute
	t.Run("no auth in time", func(t *testing.T) {
		if code, _ := newRig(t, cfg).dial().closedWith(); code != 4408 {
			t.Errorf("close = %d, want 4408", code)
		}
	})
	t.Run("an auth frame that never ends", func(t *testing.T) {
		w := newRig(t, slow).dial()
		w.send(text(`{"type":"auth","token":"user:ann"}`)[:20])
		if code, _ := w.closedWith(); code != 4408 {
			t.Errorf("close = %d, want 4408", code)
		}
	})
	t.Run("silence after auth", func(t *testing.T) {
		if code, _ := newRig(t, cfg).signedIn().closedWith(); code != 4408 {
			t.Errorf("close = %d, want 4408", code)
		}
	})
	long := slow
	long.Heartbeat = time.Minute
	for name, drip := range map[string]func(i int) []byte{
		"a frame drip-fed": func(i int) []byte { return text(beat + string(spaces(100_00)))[i : i+1] },
		"a message drip-fed in parts": func(i int) []byte {
			if i == 0 {
				return frameBytes(0x01, []byte("{"))
			}
			return frameBytes(0x00, nil)
		},
		"pings within a message": func(i int) []byte {
			if i == 0 {
				return frameBytes(0x01, []byte("{"))
			}
			return frameBytes(0x89, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rig := newRig(t, long)
			rig.ws.limits.fragments = 1 << 30
			w := rig.signedIn()
			stop := make(chan struct{})
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
						if _, err := w.Write(drip(i)); err != nil {
							return
						}
					}
				}
			}()
			code, _ := closeOf(w)
			close(stop)
			<-fed
			if code != 4408 {
				t.Errorf("close = %d, want 4408", code)
			}
		})
	}
}

// closeOf is closedWith for a client that does not stop sending.
func closeOf(w *wire) (int, error) {
	for {
		first, b, err := w.next()
		if err != nil {
			return 0, err
		}
		if first&0x0f == opClose && len(b) >= 2 {
			return int(b[0])<<8 | int(b[1]), nil
		}
	}
}

func TestAnnouncedLengthsAreNotAllocated(t *testing.T) {
	r := newRig(t, Config{})
	before := heap()
	const n = 200
	for range n {
		w := r.dial()
		w.send([]byte{0x81, 0x80 | 127, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4}) // 16 MiB
		if code, _ := w.closedWith(); code != 1009 {
			t.Fatalf("close = %d, want 1009", code)
		}
	}
	stalled := []*wire{}
	for range n { // what is allowed before auth, announced and never sent
		w := r.dial()
		w.send([]byte{0x81, 0x80 | 126, 0x0f, 0xff, 1, 2, 3, 4})
		stalled = append(stalled, w)
	}
	soon(t, "all connected", func() bool { return len(r.ws.all()) == n })
	if grown := heap() - before; grown > n*40<<10 {
		t.Errorf("heap grew by %d bytes for %d connections", grown, n)
	}
	runtime.KeepAlive(stalled)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFirstMessageHasASmallerCap(t *testing.T) {
	r := newRig(t, Config{})
	w := r.dial()
	w.say(`{"type":"auth","token":"user:ann","x":"` + strings.Repeat("x", 4<<10) + `"}`)
	if code, _ := w.closedWith(); code != 1009 {
		t.Errorf("close = %d, want 1009", code)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	fronted := newRig(t, Config{MaxConnections: 3, MaxPerAddress: 2})
	bare := *fronted
	r := &bare
	r.http = httptest.NewServer(r.ws) // without a front, which cuts off the fourth as it comes
	t.Cleanup(r.http.Close)
	far, other := "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 198.51.100.9, 203.0.113.8"
	a := r.dial(far)
	r.dial(far)
	if _, status := r.try(nil, far); status != 429 {
		t.Errorf("third of one address = %d, want 429", status)
	}
	r.dial(other)
	if _, status := r.try(nil, other); status != 503 {
		t.Errorf("fourth of all = %d, want 503", status)
	}
	a.Close()
	soon(t, "room again", func() bool { return r.ws.count() == 2 })
	r.dial(far)
}

func TestDrainSendsEverybodyAway(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	idle := r.dial()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { r.ws.Drain(ctx); close(done) }()
	if f := w.frame(); f["type"] != "goaway" {
		t.Errorf("frame = %v, want goaway", f)
	}
	for _, w := range []*wire{w, idle} {
		if code, _ := w.closedWith(); code != 4000 {
			t.Errorf("close = %d, want 4000", code)
		}
		w.Close()
	}
	<-done
	if _, status := r.try(nil); status != 503 {
		t.Errorf("a new connection = %d, want 503", status)
	}
}

func TestAnotherWebSocketPeer(t *testing.T) {
	r := newRig(t, Config{Compress: true})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
		c, _, err := websocket.Dial(ctx, r.http.URL, &websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1, Subprotocols: []string{subJSON}})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		say := func(s string) map[string]any {
			t.Helper()
			if err := c.Write(ctx, websocket.MessageText, []byte(s)); err != nil {
				t.Fatal(err)
			}
			_, b, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			json.Unmarshal(b, &m)
			return m
		}
		if f := say(`{"type":"auth","token":"user:ann"}`); f["userId"] != "ann" {
			t.Errorf("auth = %v", f)
		}
		long := strings.Repeat("troupe ", 3000)
		r.stage.conn(t).onTell = func(f *protocol.Frame) {
			r.stage.conn(t).link.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Id: f.Id, Body: &protocol.Frame_Notice{Notice: &protocol.Notice{Text: long}}}}}, nil)
		}
		for range 3 {
			if f := say(`{"type":"heartbeat","pad":"` + long + `"}`); f["text"] != long {
				t.Errorf("mode %v: a long frame came back otherwise", mode)
			}
		}
		if err := c.Close(4321, "bye"); err != nil {
			t.Errorf("mode %v: close = %v", mode, err)
		}
	}
}

func TestCompressionBombIsCut(t *testing.T) {
	r := newRig(t, Config{Compress: true})
	w := r.signedIn("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	if got := w.head.Get("Sec-WebSocket-Extensions"); got != "permessage-deflate; server_no_context_takeover; client_no_context_takeover" {
		t.Errorf("agreed on %q", got)
	}
	bomb, did := deflate(bytes.Repeat([]byte(" "), 32<<20), 0) // 1000:1
	if !did || len(bomb) > 256<<10 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	before := heap()
	w.send(frameBytes(0x41, bomb[:30<<10]), frameBytes(0x80, bomb[30<<10:60<<10]))
	if code, _ := w.closedWith(); code != 1009 {
		t.Errorf("close = %d, want 1009", code)
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
	w = r.signedIn("Sec-WebSocket-Extensions: permessage-deflate")
	w.send(frameBytes(0xc1, []byte("\xff\xff\xffgarbage")))
	if code, _ := w.closedWith(); code != 1007 {
		t.Errorf("close = %d, want 1007", code)
	}
	w = r.dial("Sec-WebSocket-Extensions: permessage-deflate") // 4 KiB before auth, inflated too
	small, _ := deflate(bytes.Repeat([]byte(" "), 5<<10), 0)
	w.send(frameBytes(0xc1, small))
	if code, _ := w.closedWith(); code != 1009 {
		t.Errorf("close = %d, want 1009", code)
	}
	for _, bad := range [][]byte{frameBytes(0xc9, nil), frameBytes(0xa1, nil), join(frameBytes(0x41, []byte("a")), frameBytes(0xc0, []byte("a")))} {
		w := r.signedIn("Sec-WebSocket-Extensions: permessage-deflate")
		w.send(bad)
		if code, _ := w.closedWith(); code != 1002 {
			t.Errorf("%x: close = %d, want 1002", bad[:1], code)
		}
	}
	for offer, agreed := range map[string]bool{
		"permessage-deflate; server_max_window_bits=10":                     false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate": true,
		"permessage-deflate; unknown":                                       false,
		"x-webkit-deflate-frame":                                            false,
	} {
		if got := r.dial("Sec-WebSocket-Extensions: "+offer).head.Get("Sec-WebSocket-Extensions") != ""; got != agreed {
			t.Errorf("offer %q agreed = %v, want %v", offer, got, agreed)
		}
	}
	off := newRig(t, Config{})
	if got := off.dial("Sec-WebSocket-Extensions: permessage-deflate").head.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("not asked for, agreed on %q", got)
	}
}

func TestPanicOfOneFrameHarmsNobodyElse(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	r.stage.conn(t).onTell = func(*protocol.Frame) { panic("a bug") }
	w.say(beat)
	if f := w.frame(); f["type"] != "heartbeat_reply" || f["code"] != "INTERNAL" {
		t.Errorf("answer = %v", f)
	}
	r.signedIn()
}

func TestWhatAClientCallsItselfHasBounds(t *testing.T) {
	r := newRig(t, Config{})
	w := r.dial()
	for _, said := range []string{`"device":"` + strings.Repeat("d", 129) + `"`, `"platform":"a\u0000b"`, `"version":"\n"`} {
		w.say(`{"type":"auth","id":"1","token":"user:ann",` + said + `}`)
		if f := w.frame(); f["type"] != "auth_reply" || f["code"] != "BAD_REQUEST" {
			t.Errorf("%.30s = %v", said, f)
		}
	}
	w.say(`{"type":"auth","id":"2","token":"user:ann","device":"phone"}`)
	if f := w.frame(); f["errcode"] != 0.0 {
		t.Errorf("auth = %v", f)
	}
}

func TestALoginThatEndsWhileItsConnectionSignsInIsNotKept(t *testing.T) {
	r := newRig(t, Config{})
	w := r.dial()
	w.say(`{"type":"auth","id":"1","token":"ending:ann"}`)
	w.frame()
	if code, _ := w.closedWith(); code != 4501 {
		t.Errorf("closed with %d, want 4501", code)
	}
}

func TestTokensOfAnotherSystemThatDoesNotAnswerHoldUpNobodyElse(t *testing.T) {
	r := newRig(t, Config{AuthWorkers: 1})
	r.door.far = make(chan struct{})
	var slow []*wire
	for range 3 {
		w := r.dial()
		w.say(`{"type":"auth","token":"far:eve"}`)
		slow = append(slow, w)
	}
	soon(t, "checks under way", func() bool { return len(r.ws.elsewhere) == len(slow) })
	ann := r.signedIn()
	r.stage.mu.Lock()
	conn := r.stage.conns[len(slow)]
	r.stage.mu.Unlock()
	ann.say(`{"type":"heartbeat"}`)
	soon(t, "heartbeat", func() bool {
		return slices.ContainsFunc(conn.heard(), func(f *protocol.Frame) bool { return f.GetHeartbeat() != nil })
	})
	close(r.door.far)
	for _, w := range slow {
		if f := w.frame(); f["type"] != "auth_reply" || f["code"] != "UNAUTHORIZED" {
			t.Errorf("answer = %v", f)
		}
	}
	soon(t, "end of the checks", func() bool { return len(r.ws.elsewhere) == 0 })
}
