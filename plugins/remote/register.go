package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Wish is what an administrator says of a remote bot.
type Wish struct {
	ID     string
	Way    string
	URL    string
	Scopes []string
	Config string
	By     protocol.UserID
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Add registers a bot. token is its bearer token, and secret signs what a webhook is
// sent: both are shown this once. BAD_REQUEST; CONFLICT: the id is taken; TOO_MANY.
func (c *Center) Add(ctx context.Context, w Wish) (b *Bot, token, secret string, err error) {
	switch {
	case !idForm.MatchString(w.ID):
		return nil, "", "", protocol.BadRequest("id: 1 to 32 of a-z, 0-9 and - are needed, beginning with a letter")
	case w.Way != Socket && w.Way != Webhook:
		return nil, "", "", protocol.BadRequest("way: %s or %s is needed", Socket, Webhook)
	case w.Way == Socket && w.URL != "":
		return nil, "", "", protocol.BadRequest("url: a bot with a WebSocket has none")
	case len(w.Config) > maxConfig:
		return nil, "", "", protocol.TooLarge("config: %d bytes at most", maxConfig)
	}
	if w.Way == Webhook {
		if _, err := egress.Parse(w.URL); err != nil {
			return nil, "", "", protocol.BadRequest("url: %q cannot be asked: %s", w.URL, err)
		}
	}
	for _, s := range w.Scopes {
		if !slices.Contains(c.Scopes, s) {
			return nil, "", "", protocol.BadRequest("scopes: %.32q is none of %s", s, strings.Join(c.Scopes, ", "))
		}
	}
	b = &Bot{ID: w.ID, Way: w.Way, URL: w.URL, Scopes: slices.Compact(slices.Sorted(slices.Values(w.Scopes))), Config: w.Config, By: w.By, Created: c.Now()}
	token, secret = b.renew()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bots[b.ID] != nil || c.Taken != nil && c.Taken(b.ID) {
		return nil, "", "", protocol.Conflict("there is a bot %s already", b.ID)
	}
	if len(c.bots) >= c.cfg.Max {
		return nil, "", "", protocol.Errorf(protocol.Code_TOO_MANY, "%d remote bots at most", c.cfg.Max)
	}
	if err := c.Store.KeepRemoteBot(ctx, b); err != nil {
		return nil, "", "", fmt.Errorf("remote: keep %s: %w", b.ID, err)
	}
	c.bots[b.ID] = b
	c.begin(b)
	c.Changed()
	return b, token, secret, nil
}

// maxConfig is in bytes: some pages of settings.
const maxConfig = 64 << 10

// tokenPrefix tells a bot's token from others that somebody finds lying about.
const tokenPrefix = "tb_"

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func hashed(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

// renew gives a bot a new token and a new secret, of 160 and 256 bits.
func (b *Bot) renew() (token, secret string) {
	var raw [20 + 32]byte
	rand.Read(raw[:])
	token = tokenPrefix + base32Lower.EncodeToString(raw[:20])
	b.Token = hashed(token)
	if b.Way == Webhook {
		b.Secret = base32Lower.EncodeToString(raw[20:])
		secret = b.Secret
	}
	return token, secret
}

// Rotate gives a bot a new token and secret. The old ones are good no more, and the
// bot has to come again. NOT_FOUND.
func (c *Center) Rotate(ctx context.Context, id string) (token, secret string, err error) {
	err = c.change(ctx, id, func(b *Bot) { token, secret = b.renew() })
	return token, secret, err
}

// Set disables a bot, or enables it. NOT_FOUND.
func (c *Center) Set(ctx context.Context, id string, disabled bool) error {
	return c.change(ctx, id, func(b *Bot) { b.Disabled = disabled })
}

func (c *Center) change(ctx context.Context, id string, do func(*Bot)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.bots[id]
	if old == nil {
		return protocol.NotFound("remote bot %.40q", id)
	}
	b := *old
	do(&b)
	if err := c.Store.KeepRemoteBot(ctx, &b); err != nil {
		return fmt.Errorf("remote: keep %s: %w", id, err)
	}
	c.bots[id] = &b
	c.end(id)
	c.begin(&b)
	c.Changed()
	return nil
}

// Remove lets a bot go for good. NOT_FOUND.
func (c *Center) Remove(ctx context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bots[id] == nil {
		return protocol.NotFound("remote bot %.40q", id)
	}
	if err := c.Store.RemoveRemoteBot(ctx, id); err != nil {
		return fmt.Errorf("remote: remove %s: %w", id, err)
	}
	delete(c.bots, id)
	c.end(id)
	c.Changed()
	return nil
}
