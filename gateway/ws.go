package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// The subprotocols. Without one a connection speaks JSON.
const (
	subJSON   = "troupe.v1.json"
	subBinary = "troupe.v1.proto"
)

// WS is the WebSocket transport.
type WS struct {
	cfg     Config
	origins *origins
	limits  *limits
	actors  Actors
	auth    Authenticator
	metrics *metrics
	log     *slog.Logger

	upgraders map[string]*gws.Upgrader // by subprotocol
	checks    chan check
	elsewhere chan struct{} // has an element for each token that is checked with another system
	stopped   chan struct{} // closed when no token is checked any more

	cutOff func() bool // nil: never

	mu      sync.Mutex
	sockets map[*socket]struct{}
	byAddr  map[netip.Addr]int
	leaving bool          // no new connections
	empty   chan struct{} // closed when leaving and the last socket has ended
}

// newWS fails where an origin in the settings is none.
func newWS(cfg Config, a Actors, auth Authenticator, m *metrics, log *slog.Logger) (*WS, error) {
	cfg = cfg.withDefaults()
	o, err := newOrigins(cfg)
	if err != nil {
		return nil, err
	}
	g := &WS{
		cfg: cfg, origins: o, actors: a, auth: auth, metrics: m, log: log,
		limits: &limits{
			first: int64(cfg.FirstFrame), later: int64(cfg.Frame), fragments: int32(cfg.Fragments),
			auth: cfg.AuthWithin, frame: cfg.FrameWithin, idle: cfg.Heartbeat * 5 / 2,
			start: time.Now().Add(-time.Second), // 0 means never
		},
		upgraders: map[string]*gws.Upgrader{},
		checks:    make(chan check),
		elsewhere: make(chan struct{}, maxElsewhere),
		stopped:   make(chan struct{}),
		sockets:   map[*socket]struct{}{},
		byAddr:    map[netip.Addr]int{},
		empty:     make(chan struct{}),
	}
	for _, sub := range []string{"", subJSON, subBinary} {
		g.upgraders[sub] = gws.NewUpgrader(events{}, g.options(sub))
	}
	for range cfg.AuthWorkers {
		go g.check()
	}
	return g, nil
}

func (g *WS) options(sub string) *gws.ServerOption {
	o := &gws.ServerOption{
		ReadMaxPayloadSize: g.cfg.Frame,
		ReadBufferSize:     16, // the least there is: the guard has borrowed a larger one
		ParallelGolimit:    1,  // not used, but allocated
		CheckUtf8Enabled:   true,
		HandshakeTimeout:   5 * time.Second,
		NewSession:         func() gws.SessionStorage { return nil },
		Logger:             silent{},
	}
	if sub != "" {
		o.SubProtocols = []string{sub}
	}
	if g.cfg.Compress {
		o.PermessageDeflate = gws.PermessageDeflate{Enabled: true, Level: 1, PoolSize: 8, Threshold: deflateOver}
	}
	return o
}

// silent drops what gws would print by itself.
type silent struct{}

func (silent) Error(...any) {}

// ServeHTTP is the handshake. All that can be wrong with it is said in HTTP.
func (g *WS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr, scheme, counted := client(r, g.cfg.TrustedProxies)
	if err := g.handshake(r, scheme); err != nil {
		if r.Header.Get("Sec-WebSocket-Version") != "13" {
			w.Header().Set("Sec-WebSocket-Version", "13")
		}
		w.Header().Set("Connection", "close") // and no waiting for a body
		WriteProblem(w, err)
		return
	}
	s := &socket{ws: g, addr: addr, counted: counted}
	if err := g.enter(s); err != nil {
		WriteProblem(w, err)
		return
	}
	if !g.upgrade(s, hijacker{w, s}, r) && s.guard.Conn == nil { // not hijacked
		WriteProblem(w, protocol.BadRequest("no WebSocket can be opened on this connection"))
	}
}

// take opens a WebSocket on c for a request that was read from in, and in has what came
// with it. False: it cannot be opened, nothing was written, and ServeHTTP would say why.
func (g *WS) take(c net.Conn, r *http.Request, in *bufio.Reader) bool {
	addr, scheme, counted := client(r, g.cfg.TrustedProxies)
	if g.handshake(r, scheme) != nil {
		return false
	}
	s := &socket{ws: g, addr: addr, counted: counted}
	if g.enter(s) != nil {
		return false
	}
	g.upgrade(s, opener{s, c, in}, r)
	return true
}

// upgrade speaks WebSocket from now on, where s is counted.
func (g *WS) upgrade(s *socket, w http.ResponseWriter, r *http.Request) bool {
	sub := pick(r.Header)
	s.binary = sub == subBinary
	s.guard.sock, s.guard.limits = s, g.limits
	s.guard.deflate = g.cfg.Compress && mayDeflate(r.Header)
	c, err := g.upgraders[sub].Upgrade(w, r)
	if err != nil {
		g.leave(s)
		return false
	}
	s.raw = rawConn(s.guard.Conn)
	s.guard.raw, s.guard.try = s.raw, s.guard.take
	s.guard.raised = true
	s.guard.since = g.limits.now()
	s.guard.heard = s.guard.since
	s.actor = g.actors.Connect(s, actors.Remote{Address: s.addr.String(), Transport: "ws"})
	go s.read(c) // not in this goroutine, whose stack and buffers are to be freed
	if g.begin(s) {
		s.Close(protocol.Code_GOAWAY.CloseCode(), "restarting")
	}
	return true
}

// begin says that the handshake is done: from here on others may write to s. True:
// a drain has begun meanwhile and did not see it.
func (g *WS) begin(s *socket) (leaving bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.begun = true
	return g.leaving
}

// handshake checks what gws does not, or answers too late.
func (g *WS) handshake(r *http.Request, scheme string) error {
	if err := g.origins.check(r, scheme); err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return protocol.BadRequest("a WebSocket begins with a GET of HTTP/1.1")
	case !has(r.Header, "Connection", "upgrade") || !has(r.Header, "Upgrade", "websocket"):
		return protocol.BadRequest("this is a WebSocket: Connection and Upgrade headers are needed")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return protocol.BadRequest("the version of WebSocket spoken here is 13")
	case err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return protocol.BadRequest("Sec-WebSocket-Key is 16 bytes in base64")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return protocol.BadRequest("a handshake has no body")
	}
	// gws compares these as wholes.
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	return nil
}

// has looks for a word in a header that is a list.
func has(h http.Header, name, word string) bool {
	for _, v := range h.Values(name) {
		for w := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

// pick chooses the first subprotocol of the client's that is spoken here, and
// leaves only that one for gws to see. "": none.
func pick(h http.Header) string {
	for _, v := range h.Values("Sec-WebSocket-Protocol") {
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w == subJSON || w == subBinary {
				h.Set("Sec-WebSocket-Protocol", w)
				return w
			}
		}
	}
	h.Del("Sec-WebSocket-Protocol")
	return ""
}

// mayDeflate says whether one of the client's offers of permessage-deflate can be
// met, and leaves that one for gws to see. An offer that limits our window cannot.
func mayDeflate(h http.Header) bool {
	const name = "Sec-WebSocket-Extensions"
	for _, v := range h.Values(name) {
		for offer := range strings.SplitSeq(v, ",") {
			params := strings.Split(offer, ";")
			if strings.TrimSpace(params[0]) != "permessage-deflate" {
				continue
			}
			good := true
			for _, p := range params[1:] {
				k, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				switch k {
				case "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits":
				case "server_max_window_bits":
					good = good && strings.Trim(value, `"`) == "15"
				default:
					good = false
				}
			}
			if good {
				h.Set(name, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
				return true
			}
		}
	}
	h.Del(name)
	return false
}

// away says that clients are to go to other nodes.
func (g *WS) away() bool { return g.cutOff != nil && g.cutOff() }

func errCutOff() error {
	return &protocol.Error{Code: protocol.Code_GOAWAY, Detail: "this node is cut off, others are not", RetryAfterMs: 1000}
}

// enter counts a socket in, or refuses it.
func (g *WS) enter(s *socket) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.away():
		return errCutOff()
	case g.leaving:
		return &protocol.Error{Code: protocol.Code_GOAWAY, Detail: "restarting", RetryAfterMs: 1000}
	case len(g.sockets) >= g.cfg.MaxConnections:
		return &protocol.Error{Code: protocol.Code_BUSY, Detail: "no more connections", RetryAfterMs: 5000}
	case s.counted && g.byAddr[s.addr] >= g.cfg.MaxPerAddress:
		return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "too many connections from this address", RetryAfterMs: 5000}
	}
	g.sockets[s] = struct{}{}
	if s.counted {
		g.byAddr[s.addr]++
	}
	return nil
}

func (g *WS) leave(s *socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s)
	if s.counted {
		if g.byAddr[s.addr]--; g.byAddr[s.addr] <= 0 {
			delete(g.byAddr, s.addr)
		}
	}
	if g.leaving && len(g.sockets) == 0 {
		g.emptied()
	}
}

func (g *WS) emptied() {
	select {
	case <-g.empty:
	default:
		close(g.empty)
	}
}

// all gives the sockets whose handshake is done.
func (g *WS) all() []*socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*socket, 0, len(g.sockets))
	for s := range g.sockets {
		if s.begun {
			all = append(all, s)
		}
	}
	return all
}

func (g *WS) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sockets)
}

// admits says whether there may be that many connections besides WebSockets.
func (g *WS) admits(others int64) bool { return others+int64(g.count()) <= int64(g.cfg.MaxConnections) }

func (g *WS) refusing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leaving
}

func (g *WS) refuse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving = true
	if len(g.sockets) == 0 {
		g.emptied()
	}
}

// Drain refuses new connections and asks the clients of the others to come back
// later, each after a time of its own between one and five seconds. It returns when
// all have gone, or when ctx is done and the rest were cut off.
func (g *WS) Drain(ctx context.Context) {
	g.refuse()
	for i, s := range g.all() {
		wait := int64(1000 + i*7919%4000)
		s.Deliver([]actors.Outgoing{{Frame: &protocol.Frame{Body: &protocol.Frame_Goaway{Goaway: &protocol.Goaway{RetryInMs: wait}}}}}, nil)
		s.Close(protocol.Code_GOAWAY.CloseCode(), "restarting")
	}
	select {
	case <-g.empty:
	case <-ctx.Done():
		for _, s := range g.all() {
			s.broken()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.stopped:
	default:
		close(g.stopped)
	}
}

func (g *WS) panicked(where string, p any) {
	g.log.Error("a panic, which is a bug", "where", where, "panic", p, "stack", string(debug.Stack()))
}
