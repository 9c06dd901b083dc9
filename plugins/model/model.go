// Package model is the way from bots to models. A bot's process has no network and no key: it
// finds a unix socket that speaks the OpenAI API, by which it asks for a model by an alias.
// The gateway puts in address, name and key, keeps budgets, counts, waits and tries again
// where that is right, and passes on a stream that a plain client reads without falling for
// what providers do (docs/assistant.md, "What is guarded against"). What is asked and
// answered is in no log and no row.
package model

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
)

// Desk knows what bots are busy with.
type Desk interface {
	// InHand says whose event a plugin has in hand; ok false: it has none with that id.
	InHand(plugin, event string) (bot, user, session, traceparent string, ok bool)
}

// Needs is who the gateway leans on.
type Needs struct {
	Store Store
	Desk  Desk // nil: UseDesk says it, and until then all that a bot asks is its own
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// Gateway is the installation's. A nil one has no models.
type Gateway struct {
	cfg    Config
	store  Store
	desk   atomic.Pointer[Desk]
	log    *slog.Logger
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error // between tries
	out    *egress.Client
	routes map[string]*route
	ledger *ledger
	counts counts

	mu    sync.Mutex
	gates map[string]*gate
}

// route is where an alias leads.
type route struct {
	provider *Provider
	model    Model
	profile  string
}

// maxAnswer is in bytes of one answer.
const maxAnswer = 64 << 20

// New makes a gateway and reads what was used today. Its error says what is wrong with cfg,
// or with the store.
func New(cfg Config, n Needs) (*Gateway, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	g := &Gateway{cfg: cfg, store: n.Store, log: n.Log, now: n.Now, routes: map[string]*route{}, gates: map[string]*gate{}}
	if g.now == nil {
		g.now = time.Now
	}
	if n.Desk != nil {
		g.UseDesk(n.Desk)
	}
	g.sleep = sleep
	g.counts.of = map[countKey]float64{}
	g.out = egress.New(egress.Config{Trusted: true, Deny: cfg.Deny, Whole: cfg.Total + time.Minute, Body: maxAnswer, Hops: -1, All: 256, Connect: min(10*time.Second, cfg.Header)})
	providers := slices.Clone(cfg.Providers)
	for _, m := range cfg.Models {
		i := max(slices.IndexFunc(providers, func(p Provider) bool { return p.Name == m.Provider }), 0)
		if m.MaxOutput == 0 {
			m.MaxOutput = cfg.MaxOutput
		}
		g.routes[m.Alias] = &route{provider: &providers[i], model: m, profile: profileOf(&providers[i], &m)}
	}
	g.ledger = newLedger(cfg.Budgets, g.now)
	if err := g.ledger.load(context.Background(), g.store); err != nil {
		return nil, fmt.Errorf("model: what was used today: %w", err)
	}
	return g, nil
}

// UseDesk says who knows what bots are busy with. It is made after the gateway.
func (g *Gateway) UseDesk(d Desk) {
	if g != nil {
		g.desk.Store(&d)
	}
}

// Ready says whether there is a model to ask.
func (g *Gateway) Ready() bool { return g != nil && len(g.routes) > 0 }

// Close lets go of connections to providers.
func (g *Gateway) Close() {
	if g != nil {
		g.out.Close()
	}
}

// socketName is the socket's in the plugin's directory. A unix socket's path has 107 bytes at most.
const socketName = "model.sock"

// Open makes a plugin's way to the models, in a directory that is its alone. closing ends it and
// what goes on there, waits for that, and removes it. Without models socket and token are "".
func (g *Gateway) Open(plugin, dir string) (socket, token string, closing func(), err error) {
	if !g.Ready() {
		return "", "", func() {}, nil
	}
	socket = filepath.Join(dir, socketName)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return "", "", nil, fmt.Errorf("model: %w", err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return "", "", nil, fmt.Errorf("model: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return "", "", nil, errors.Join(err, l.Close())
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	d := &door{g: g, plugin: plugin, token: hex.EncodeToString(secret[:]), gate: g.gate(plugin)}
	ctx, cancel := context.WithCancel(context.Background())
	s := &http.Server{
		Handler:           d.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("a plugin's way to the models ended", "plugin", plugin, "err", err)
		}
	}()
	return socket, d.token, sync.OnceFunc(func() {
		cancel()
		s.Close()
		<-served
		d.busy.Wait()
		_ = os.Remove(socket) // Close did, unless somebody was quicker
	}), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
