package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Hook is an address at which others tell a bot something that belongs to a session:
// a POST of a text to /bots/hooks/TOKEN. Whoever has the address may.
type Hook struct {
	Token   string             `json:"token"` // SHA-256 of it, in hex
	ID      string             `json:"id"`    // names it to people
	Plugin  string             `json:"plugin"`
	Bot     protocol.UserID    `json:"bot"`
	Session protocol.SessionID `json:"session"`
	Name    string             `json:"name"`
	Created time.Time          `json:"created"`

	bucket *rate.Limiter
}

// HooksPath begins the addresses of hooks.
const HooksPath = "/bots/hooks/"

const (
	maxHook     = 64 << 10 // bytes of what is told
	maxHooks    = 20       // of a bot in a session
	maxAllHooks = 10_000
	maxHookName = 64 // bytes
)

// hookRate is how often a hook is told something: 1 a second, 20 at once.
const (
	hookRate  = 1
	hookBurst = 20
)

// MakeHook makes an address for a bot in a session, and gives its path, which is told
// this once. TOO_MANY; BAD_REQUEST. It fills desk.Hooks.
func (c *Center) MakeHook(ctx context.Context, plugin string, bot protocol.UserID, session protocol.SessionID, name string) (id, path string, err error) {
	if len(name) > maxHookName || !utf8.ValidString(name) {
		return "", "", protocol.BadRequest("name: %d bytes of UTF-8 at most", maxHookName)
	}
	var raw [20 + 5]byte
	rand.Read(raw[:])
	token := base32Lower.EncodeToString(raw[:20])
	h := &Hook{Token: hashed(token), ID: "h_" + base32Lower.EncodeToString(raw[20:]), Plugin: plugin, Bot: bot, Session: session, Name: name, Created: c.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hooksOf(bot, session)) >= maxHooks || len(c.hooks) >= maxAllHooks {
		return "", "", protocol.Errorf(protocol.Code_TOO_MANY, "%d hooks of a bot in a session at most", maxHooks)
	}
	if err := c.Store.KeepHook(ctx, h); err != nil {
		return "", "", fmt.Errorf("remote: keep a hook: %w", err)
	}
	c.hooks[h.Token] = h
	c.Changed()
	return h.ID, HooksPath + token, nil
}

// HooksOf gives a bot's hooks in a session, the oldest first.
func (c *Center) HooksOf(bot protocol.UserID, session protocol.SessionID) []desk.Hook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hooksOf(bot, session)
}

func (c *Center) hooksOf(bot protocol.UserID, session protocol.SessionID) (all []desk.Hook) {
	for _, h := range c.hooks {
		if h.Bot == bot && h.Session == session {
			all = append(all, desk.Hook{ID: h.ID, Name: h.Name, Created: h.Created})
		}
	}
	slices.SortFunc(all, func(a, b desk.Hook) int { return a.Created.Compare(b.Created) })
	return all
}

// DropHook ends a bot's hook in a session, id "": all of them. NOT_FOUND.
func (c *Center) DropHook(ctx context.Context, bot protocol.UserID, session protocol.SessionID, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	for token, h := range c.hooks {
		if h.Bot != bot || h.Session != session || id != "" && h.ID != id {
			continue
		}
		if err := c.Store.RemoveHook(ctx, token); err != nil {
			return fmt.Errorf("remote: remove a hook: %w", err)
		}
		delete(c.hooks, token)
		found = true
	}
	if !found && id != "" {
		return protocol.NotFound("hook %.40q", id)
	}
	if found {
		c.Changed()
	}
	return nil
}

// incoming serves a hook: 202 says that the bot will be told. A sender that gives an
// Idempotency-Key may ask again.
func (c *Center) incoming(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.URL.Path, HooksPath)
	c.mu.Lock()
	h := c.hooks[hashed(token)]
	slow := false
	if h != nil {
		if h.bucket == nil {
			h.bucket = rate.NewLimiter(hookRate, hookBurst)
		}
		slow = !h.bucket.Allow()
	}
	c.mu.Unlock()
	switch {
	case h == nil:
		c.Problem(w, protocol.NotFound("nothing is here"))
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		c.Problem(w, protocol.Errorf(protocol.Code_METHOD_NOT_ALLOWED, "POST is needed"))
		return
	case slow:
		e := protocol.Errorf(protocol.Code_RATE_LIMITED, "one a second, %d at once", hookBurst)
		e.RetryAfterMs = 1000
		c.Problem(w, e)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		c.Problem(w, protocol.TooLarge("%d bytes at most", maxHook))
		return
	}
	if len(body) == 0 || !utf8.Valid(body) {
		c.Problem(w, protocol.BadRequest("a text in UTF-8 is needed"))
		return
	}
	id := r.Header.Get("Idempotency-Key")
	if id == "" {
		id = rand.Text()
	}
	told, err := json.Marshal(map[string]string{"hook": h.ID, "name": h.Name, "type": r.Header.Get("Content-Type"), "body": string(body)})
	if err == nil {
		err = c.Desks.Incoming(r.Context(), desk.Incoming{Plugin: h.Plugin, Bot: h.Bot, Session: h.Session, ID: hashed(h.ID + "\x00" + id)[:32], Body: string(told)})
	}
	if err != nil {
		c.Log.Warn("what came to a hook was not taken", "bot", h.Bot, "hook", h.ID, "err", err)
		c.Problem(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
