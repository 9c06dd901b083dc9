// Package remote lets bots be members that run elsewhere: over a WebSocket that they
// open, or by webhooks that they are sent. They speak the same frames as a plugin's
// process (plugins/sdk/botv1), as JSON, and what they may do is the same.
package remote

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Ways by which a bot is reached.
const (
	Socket  = "websocket" // it opens a WebSocket to /bots/v1/connect
	Webhook = "webhook"   // it is sent POSTs
)

// Bot is a remote bot as an administrator registered it.
type Bot struct {
	ID       string          `json:"id"`               // the plugin's
	Way      string          `json:"way"`              // Socket or Webhook
	URL      string          `json:"url,omitempty"`    // of a Webhook
	Token    string          `json:"token"`            // SHA-256 of its bearer token, in hex
	Secret   string          `json:"secret,omitempty"` // signs what a Webhook is sent
	Scopes   []string        `json:"scopes,omitempty"`
	Config   string          `json:"config,omitempty"` // JSON that it gets in Welcome
	By       protocol.UserID `json:"by"`
	Created  time.Time       `json:"created"`
	Disabled bool            `json:"disabled,omitempty"`
}

// Store keeps remote bots, and the addresses at which others tell bots something.
type Store interface {
	// RemoteBots gives all of them in order of their ids.
	RemoteBots(ctx context.Context) ([]*Bot, error)
	// KeepRemoteBot keeps one as it is from now on.
	KeepRemoteBot(ctx context.Context, b *Bot) error
	// RemoveRemoteBot removes one; one that is not there is removed already.
	RemoveRemoteBot(ctx context.Context, id string) error

	// Hooks gives all hooks, in no order.
	Hooks(ctx context.Context) ([]*Hook, error)
	KeepHook(ctx context.Context, h *Hook) error
	// RemoveHook removes the one with a token; one that is not there is removed already.
	RemoveHook(ctx context.Context, token string) error
}

// Desks makes whoever is at the other end of a channel a member, until the channel ends.
type Desks interface {
	Serve(ctx context.Context, p desk.Plugin, ch desk.Channel) error
	// Incoming has a bot told what came from outside, at least once: it is durable when
	// this returns. The same id again is the same event.
	Incoming(ctx context.Context, in desk.Incoming) error
	// Recall has the desk know what an event was about that another node gave the bot.
	Recall(ctx context.Context, plugin, event string) error
}

// Config bounds what remote bots do. A zero field means its written default.
type Config struct {
	Frame   int64         // bytes of one frame; default 16 MiB, as of a plugin's process
	Within  time.Duration // a webhook answers within it; default 25 s, less than the 30 s after which an event comes again
	Max     int           // bots; default 100
	Egress  egress.Config
	Backoff time.Duration // between two tries to reach a webhook, at first; default 1 s, doubled up to a minute
}

func (c Config) withDefaults() Config {
	if c.Frame == 0 {
		c.Frame = 16 << 20
	}
	if c.Within == 0 {
		c.Within = 25 * time.Second
	}
	if c.Max == 0 {
		c.Max = 100
	}
	if c.Backoff == 0 {
		c.Backoff = time.Second
	}
	c.Egress.Trusted, c.Egress.Hops = true, -1 // an administrator wrote the addresses
	c.Egress.Whole, c.Egress.Body = c.Within, c.Frame
	return c
}

// Needs is what the center leans on.
type Needs struct {
	Store Store
	Desks Desks
	// Taken says whether a plugin of this installation has an id already.
	Taken func(id string) bool
	// Changed is called when bots or hooks are others now, as the store has them: other nodes
	// are to Reload. nil: there are none.
	Changed func()
	// Tell tells the Heard of all nodes what a bot said here and is for another one. It does
	// not block, and may be lost. nil: there are none.
	Tell func(word string)
	// Scopes are those that a bot may be given.
	Scopes []string
	// Problem answers a request with an error.
	Problem func(w http.ResponseWriter, err error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Center knows the remote bots and serves those that are there.
type Center struct {
	cfg Config
	Needs
	web *egress.Client

	mu      sync.Mutex
	bots    map[string]*Bot
	hooks   map[string]*Hook    // by their tokens' hashes
	serving map[string]*serving // by id: the newest channel
	ctx     context.Context     // Run's
	running sync.WaitGroup
}

// serving is one bot that is there.
type serving struct {
	stop  context.CancelFunc
	hook  *webhook // nil: a WebSocket
	since time.Time
}

// New makes a center of what the store has.
func New(ctx context.Context, cfg Config, needs Needs) (*Center, error) {
	cfg = cfg.withDefaults()
	c := &Center{cfg: cfg, Needs: needs, web: egress.New(cfg.Egress), bots: map[string]*Bot{}, hooks: map[string]*Hook{}, serving: map[string]*serving{}}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	all, err := c.Store.RemoteBots(ctx)
	if err != nil {
		return nil, fmt.Errorf("remote bots: %w", err)
	}
	for _, b := range all {
		c.bots[b.ID] = b
	}
	hooks, err := c.Store.Hooks(ctx)
	if err != nil {
		return nil, fmt.Errorf("hooks of bots: %w", err)
	}
	for _, h := range hooks {
		c.hooks[h.Token] = h
	}
	return c, nil
}

// Run serves webhooks until ctx ends, and returns when all bots have been let go.
func (c *Center) Run(ctx context.Context) {
	c.mu.Lock()
	c.ctx = ctx
	for _, b := range c.bots {
		c.begin(b)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.running.Wait()
}

// begin serves a webhook; mu is held. Whoever opens a WebSocket begins by itself.
func (c *Center) begin(b *Bot) {
	if b.Way != Webhook || b.Disabled || c.ctx == nil || c.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(c.ctx)
	s := &serving{stop: stop, since: c.Now()}
	c.serving[b.ID] = s
	c.running.Go(func() { c.keepUp(ctx, b, s) })
}

// keepUp tries to reach a webhook until ctx ends.
func (c *Center) keepUp(ctx context.Context, b *Bot, s *serving) {
	wait := c.cfg.Backoff
	for ctx.Err() == nil {
		describe, err := c.describe(ctx, b)
		if err == nil {
			wait = c.cfg.Backoff
			hook := newWebhook(c, b, describe)
			c.mu.Lock()
			s.hook, s.since = hook, c.Now()
			c.mu.Unlock()
			err = c.Desks.Serve(ctx, plugin(b), hook)
			hook.Close("")
		}
		if ctx.Err() != nil {
			return
		}
		c.Log.Warn("a bot's webhook is not there", "bot", b.ID, "again", wait, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Minute)
	}
}

func plugin(b *Bot) desk.Plugin {
	return desk.Plugin{ID: b.ID, Scopes: b.Scopes, Config: b.Config, Remote: true, Single: b.Way == Socket}
}

// end lets a bot go; mu is held.
func (c *Center) end(id string) {
	if s := c.serving[id]; s != nil {
		s.stop()
		delete(c.serving, id)
	}
}

// Reload reads again what other nodes may have changed, and lets bots go and come by it.
func (c *Center) Reload(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock() // what is read is not changed here meanwhile
	all, err := c.Store.RemoteBots(ctx)
	if err != nil {
		return fmt.Errorf("remote bots: %w", err)
	}
	hooks, err := c.Store.Hooks(ctx)
	if err != nil {
		return fmt.Errorf("hooks of bots: %w", err)
	}
	there := map[string]bool{}
	for _, b := range all {
		there[b.ID] = true
		if was := c.bots[b.ID]; was == nil || !was.same(b) {
			c.bots[b.ID] = b
			c.end(b.ID)
			c.begin(b)
		}
	}
	for id := range c.bots {
		if !there[id] {
			delete(c.bots, id)
			c.end(id)
		}
	}
	known := c.hooks
	c.hooks = map[string]*Hook{}
	for _, h := range hooks {
		if was := known[h.Token]; was != nil {
			h = was // with its bucket
		}
		c.hooks[h.Token] = h
	}
	return nil
}

// same says whether b is served as o is.
func (b *Bot) same(o *Bot) bool {
	return b.Way == o.Way && b.URL == o.URL && b.Token == o.Token && b.Secret == o.Secret && slices.Equal(b.Scopes, o.Scopes) && b.Config == o.Config && b.Disabled == o.Disabled
}

// Listed is a bot as administrators see it.
type Listed struct {
	Bot
	There bool // it is reached now
	Since time.Time
}

// List gives all of them in order of their ids.
func (c *Center) List() []Listed {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Listed, 0, len(c.bots))
	for id, b := range c.bots {
		l := Listed{Bot: *b}
		l.Token, l.Secret = "", ""
		if s := c.serving[id]; s != nil {
			l.There, l.Since = b.Way == Socket || s.hook != nil, s.since
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Listed) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Has says whether id is a remote bot.
func (c *Center) Has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bots[id] != nil
}

// whose finds the bot of a bearer token, nil: nobody's. Of all bots each is compared,
// in a time that says nothing of the tokens.
func (c *Center) whose(token string) (found *Bot) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return nil
	}
	hash := hashed(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bots {
		if subtle.ConstantTimeCompare([]byte(hash), []byte(b.Token)) == 1 && !b.Disabled {
			found = b
		}
	}
	return found
}
