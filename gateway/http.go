package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Needs is what the gateway is plugged into.
type Needs struct {
	Actors   Actors
	Auth     Authenticator
	Home     Home
	Profiles Profiles
	Search   Searcher                               // nil: messages are not searched
	Notices  Notices                                // nil: no operation sends any
	Judges   Moderation                             // nil: nothing is decided on
	Origins  Origins                                // of applications' pages; nil: there are none
	Ready    map[string]func(context.Context) error // what /readyz asks, by name
	CutOff   func() bool                            // says that other nodes serve, and this one cannot; nil: it is alone
	Log      *slog.Logger
}

// Server is the one listener's worth of REST, WebSocket and pages.
type Server struct {
	cfg     Config
	need    Needs
	ws      *WS
	api     huma.API // all of it
	mux     *chi.Mux
	http    *http.Server
	metrics *metrics
	rates   *rates
	log     *slog.Logger
	open    atomic.Int64 // connections that are no WebSockets (yet)
}

// New fails where a setting is no good.
func New(cfg Config, need Needs) (*Server, error) {
	hook()
	cfg = cfg.withDefaults()
	m := newMetrics()
	ws, err := newWS(cfg, need.Actors, need.Auth, m, need.Log)
	if err != nil {
		return nil, err
	}
	ws.origins.apps, ws.cutOff = need.Origins, need.CutOff
	m.watch(ws)
	s := &Server{cfg: cfg, need: need, ws: ws, metrics: m, log: need.Log, mux: chi.NewMux(), rates: newRates(cfg)}
	s.mux.Use(s.shield, s.headers, s.cors, s.origin)
	s.mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, protocol.NotFound("nothing is at this path"))
	})
	s.mux.MethodNotAllowed(s.notAllowed)
	s.mux.Method(http.MethodGet, "/ws", ws)
	s.mux.Get("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	s.mux.Get("/readyz", s.ready)
	s.mux.Method(http.MethodGet, "/metrics", m.handler())
	s.docs()
	s.api = humachi.New(s.mux, s.description())
	s.api.UseMiddleware(s.counted, s.elsewhere, s.bearer)
	sessions := newSessions(need)
	sessions.register(s.API())
	(&contacts{sessions}).register(s.API())
	notices{need.Notices}.register(s.API())
	moderation{need.Judges}.register(s.API())
	s.http = &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(need.Log.Handler(), slog.LevelDebug),
		ConnState:         s.connection,
	}
	return s, nil
}

// API takes further operations, their paths without /api/v2. An operation whose
// Security names bearer is reached with a good token only.
func (s *Server) API() huma.API { return huma.NewGroup(s.api, "/api/v2") }

// Handle serves what is no operation: pages, files.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Metrics takes further metrics for /metrics.
func (s *Server) Metrics() prometheus.Registerer { return s.metrics.registry }

// ServeHTTP makes the server a handler for tests and for those who bring a listener of their own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serve answers on l until Shutdown. Out of file descriptors it waits and accepts again.
func (s *Server) Serve(l net.Listener) error {
	l = newFront(l, s.ws, &s.open, s.http.ReadHeaderTimeout)
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Refuse takes no new WebSockets from now on: the first step of a drain.
func (s *Server) Refuse() { s.ws.refuse() }

// Shutdown sends the clients away and ends the server. The actors' connections are
// best drained before, so that nothing is left unanswered.
func (s *Server) Shutdown(ctx context.Context) error {
	s.ws.Drain(ctx)
	return s.http.Shutdown(ctx)
}

// connection counts net/http's connections, so that all together stay under the cap.
// It is called before the connection has a goroutine.
func (s *Server) connection(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !s.ws.admits(s.open.Add(1)) {
			c.Close()
		}
	case http.StateHijacked, http.StateClosed:
		s.open.Add(-1)
	}
}

type serverKey struct{}

// shield turns a panic into a problem, and knows the server for those behind it.
func (s *Server) shield(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.Error("a panic, which is a bug", "where", "http", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			WriteProblem(w, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
		}()
		if !strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
			r.URL.RawPath = "" // routes match what was meant, not how it was written
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), serverKey{}, s)))
	})
}

// What a browser may do with our answers. The API is not for looking at; a page that
// needs more sets its own policy.
const (
	policyAPI  = "default-src 'none'; frame-ancestors 'none'"
	policyPage = "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "geolocation=(self), microphone=(self), camera=(self)")
		h.Set("Content-Security-Policy", policyPage)
		if _, scheme, _ := client(r, s.cfg.TrustedProxies); scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.Set("Content-Security-Policy", policyAPI)
			h.Set("Cache-Control", "no-store")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			if !strings.HasPrefix(r.URL.Path, "/api/v2/files") {
				r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// maxBody is in bytes, of what is sent to an operation; files have limits of their own.
const maxBody = 64 << 10

// origin replaces a trusted proxy's address by the one it speaks for. /ws looks itself.
func (s *Server) origin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			if addr, _, _ := client(r, s.cfg.TrustedProxies); addr.IsValid() {
				_, port, _ := net.SplitHostPort(r.RemoteAddr)
				n, _ := strconv.ParseUint(port, 10, 16)
				r.RemoteAddr = netip.AddrPortFrom(addr, uint16(n)).String()
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) notAllowed(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
		if s.mux.Match(chi.NewRouteContext(), m, r.URL.Path) {
			allow = append(allow, m)
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	WriteProblem(w, protocol.Errorf(protocol.Code_METHOD_NOT_ALLOWED, "this path takes %s", strings.Join(allow, ", ")))
}

// ready asks everything that must work, each for at most two seconds. What is wrong
// is named; why, is in the log.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(r.Context()); err != nil {
		WriteProblem(w, err)
		return
	}
	w.Write([]byte("ready\n"))
}

// Ready is what /readyz says: nil, or BUSY with the names of what is not.
func (s *Server) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var wrong []string
	for name, check := range s.need.Ready {
		if err := check(ctx); err != nil {
			s.log.Warn("not ready", "what", name, "err", err)
			wrong = append(wrong, name)
		}
	}
	if s.ws.refusing() {
		wrong = append(wrong, "draining")
	}
	if s.ws.away() {
		wrong = append(wrong, "cut off")
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return protocol.Errorf(protocol.Code_BUSY, "not ready: %s", strings.Join(wrong, ", "))
}

// elsewhere refuses what a node that is cut off would only wait for.
func (s *Server) elsewhere(ctx huma.Context, next func(huma.Context)) {
	if s.ws.away() {
		huma.WriteErr(s.api, ctx, http.StatusInternalServerError, "", errCutOff())
		return
	}
	next(ctx)
}

// signed says whether an operation needs a token.
func signed(op *huma.Operation) bool {
	return slices.ContainsFunc(op.Security, func(m map[string][]string) bool { _, ok := m["bearer"]; return ok })
}

// bearer finds out who asks, and turns away those who may never call the operation.
func (s *Server) bearer(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if !signed(op) {
		if err := access.MayCall(op.OperationID, nil); err != nil {
			huma.WriteErr(s.api, ctx, http.StatusInternalServerError, "", err)
			return
		}
		next(ctx)
		return
	}
	who, err := s.who(ctx)
	if err == nil {
		err = access.MayCall(op.OperationID, &who)
	}
	if err == nil {
		err = s.rates.take(who.User, ctx.Method() != http.MethodGet)
	}
	if err != nil {
		huma.WriteErr(s.api, ctx, http.StatusInternalServerError, "", err)
		return
	}
	next(huma.WithContext(ctx, protocol.WithIdentity(ctx.Context(), who)))
}

func (s *Server) who(ctx huma.Context) (protocol.Identity, error) {
	scheme, token, _ := strings.Cut(ctx.Header("Authorization"), " ")
	if token = strings.TrimSpace(token); token == "" || !strings.EqualFold(scheme, "bearer") {
		return protocol.Identity{}, protocol.Unauthorized("an Authorization header with a Bearer token is needed")
	}
	who, err := s.need.Auth.Authenticate(protocol.WithAddress(ctx.Context(), ctx.RemoteAddr()), token)
	if user := ctx.Header(actFor); user != "" && err == nil {
		if user, err = url.PathUnescape(user); err != nil {
			return who, protocol.BadRequest("%s: a user id is needed, escaped as in a path", actFor)
		}
		return s.need.Auth.ActFor(ctx.Context(), who, user)
	}
	return who, err
}

// actFor is the header by which a server key names the user that it speaks for, escaped
// as in a path where it has other than ASCII characters.
const actFor = "X-Troupe-User"

func (s *Server) counted(ctx huma.Context, next func(huma.Context)) {
	next(ctx)
	s.metrics.requests.WithLabelValues(ctx.Operation().OperationID, strconv.Itoa(ctx.Status())).Inc()
}
