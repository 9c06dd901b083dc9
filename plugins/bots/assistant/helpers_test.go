package assistant

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/openaistub"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

// purse keeps nothing.
type purse struct{}

func (purse) AddUsage(context.Context, model.Row) error                       { return nil }
func (purse) UsageOf(context.Context, string, func(model.Row) bool) error     { return nil }
func (purse) UsageTotals(_ context.Context, _, _ string) ([]model.Row, error) { return nil, nil }
func (purse) DropUsage(context.Context, string) error                         { return nil }

// anybody has every event in hand.
type anybody struct{}

func (anybody) InHand(_, event string) (bot, user, session, trace string, ok bool) {
	return "b_assistant", "u_ann", "s_1", "", event != ""
}

type rig struct {
	*bottest.Host
	stub *openaistub.Server
	log  *safe
}

// safe collects what the bot logs.
type safe struct {
	mu   sync.Mutex
	text []byte
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	return len(p), nil
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

type setup struct {
	bottest.Config
	model func(*model.Config)
}

// start is the assistant behind the real gateway, before a provider that plays these turns.
func start(t *testing.T, s setup, turns ...openaistub.Turn) *rig {
	t.Helper()
	stub := openaistub.Start(turns...)
	cfg := model.Config{Again: -1}
	cfg.Providers, cfg.Models = model.Simple(stub.URL, "key", "stub-1", "stub-eyes")
	if s.model != nil {
		s.model(&cfg)
	}
	g, err := model.New(cfg, model.Needs{Store: purse{}, Desk: anybody{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "as")
	if err != nil {
		t.Fatal(err)
	}
	socket, token, shut, err := g.Open("assistant", dir)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Transport: transport, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", "model"
		r.Out.Header.Set("Authorization", "Bearer "+token)
	}}
	s.Model = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // before the answer begins: from then on the proxy could not read what is left of it
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
	t.Cleanup(func() {
		shut()
		g.Close()
		transport.CloseIdleConnections()
		stub.Close()
		os.RemoveAll(dir)
	})
	r := &rig{stub: stub, log: &safe{}}
	s.Log = r.log
	r.Host = s.New(t, New())
	return r
}

func with(t *testing.T, turns ...openaistub.Turn) *rig {
	t.Helper()
	return start(t, setup{}, turns...)
}

// asked is the nth chat that the provider was asked for, from the end.
func (r *rig) asked(t *testing.T, back int) openaistub.Chat {
	t.Helper()
	all := r.stub.Asked()
	if len(all) <= back {
		t.Fatalf("the provider was asked %d times", len(all))
	}
	return all[len(all)-1-back].Chat
}
