// Package preview is the preview centre: what a link leads to in a few words and a
// picture, so that readers see it before they follow it. docs/links.md tells the same
// story to operators and clients.
//
// The server asks the page, by its egress client, and keeps what it found for everybody:
// texts that are only texts, and a small picture that was written anew, from our own
// origin. So what a page's owner learns is the server's address, once, and no reader's.
// Who wanted a preview is not kept, nor is the link: a row is found by the link's hash.
package preview

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Config is what an operator may set. A zero field means its written default.
type Config struct {
	Data   string        // the directory of pictures; it has to be given
	Off    bool          // nobody gets any
	Egress egress.Config // how pages are asked; this package sets bounds of its own

	Good  time.Duration // a preview is kept so long before its page is asked again: 24 h
	Bad   time.Duration // that there is none, so long: 10 min
	Rows  int           // previews that are kept, the last used ones: 20,000
	Room  int64         // bytes of all pictures: 256 MiB
	Burst int           // pages that one user may have asked at once: 30
	Every time.Duration // in which one more is earned: 2 s
	Under int           // links that are asked at once: 64; for one user a quarter of them
}

func (c Config) withDefaults() Config {
	if c.Good == 0 {
		c.Good = 24 * time.Hour
	}
	if c.Bad == 0 {
		c.Bad = 10 * time.Minute
	}
	if c.Rows == 0 {
		c.Rows = 20_000
	}
	if c.Room == 0 {
		c.Room = 256 << 20
	}
	if c.Burst == 0 {
		c.Burst = 30
	}
	if c.Every == 0 {
		c.Every = 2 * time.Second
	}
	if c.Under == 0 {
		c.Under = 64
	}
	c.Egress.Body = maxPicture
	c.Egress.Agent += " (link preview)"
	return c
}

// Key is a link as the store knows it: the SHA-256 of its proper form.
type Key [sha256.Size]byte

// Preview is what is known of one link.
type Preview struct {
	Key     Key
	Host    string // that the link leads to, behind redirects; "": there is no preview
	Title   string
	Text    string
	Site    string
	Picture *Picture
	At      time.Time // when its page was asked
	Used    time.Time // about when somebody last wanted it
}

// Picture is a small picture of ours.
type Picture struct {
	ID            string // also its name in the directory, and in its address; nobody can guess one
	Mime          string
	Bytes         int64
	Width, Height int
	Placeholder   string // a blurhash
}

// Bounds say what is kept at most.
type Bounds struct {
	Rows  int
	Bytes int64 // of pictures
}

// Store keeps previews. What a method writes is durable when it returns. Keys lie in it,
// and no links.
type Store interface {
	// Preview gives what is known of a link. protocol.NotFound: nothing.
	Preview(ctx context.Context, key Key) (*Preview, error)
	// PutPreview keeps p instead of what was known before, and lets go of those that were
	// not used for longest, until the rest is within bounds. It gives the pictures that
	// nobody has any more.
	PutPreview(ctx context.Context, p *Preview, bounds Bounds) (dropped []string, err error)
	// UsePreview moves Used forward. No such preview: no error.
	UsePreview(ctx context.Context, key Key, at time.Time) error
	// PreviewPicture gives a picture by its id, or protocol.NotFound.
	PreviewPicture(ctx context.Context, id string) (*Picture, error)
}

// Center is the preview centre. Its methods may be called from everywhere at once.
type Center struct {
	cfg    Config
	store  Store
	web    *egress.Client
	now    func() time.Time
	log    *slog.Logger
	shrink chan struct{} // a place for each picture that is decoded

	mu    sync.Mutex
	under map[Key]*flight
	of    map[protocol.UserID]int // flights by who began them
	rates map[protocol.UserID]*rate.Limiter
}

// New opens the preview centre, and removes pictures that no preview has.
func New(cfg Config, store Store, now func() time.Time, log *slog.Logger) (*Center, error) {
	cfg = cfg.withDefaults()
	if cfg.Data == "" {
		return nil, errors.New("preview: no data directory was given")
	}
	c := &Center{cfg: cfg, store: store, web: egress.New(cfg.Egress), now: now, log: log, shrink: make(chan struct{}, 1), under: map[Key]*flight{}, of: map[protocol.UserID]int{}, rates: map[protocol.UserID]*rate.Limiter{}}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return c, c.tidy()
}

// tidy removes what the last process left in the directory and no row knows.
func (c *Center) tidy() error {
	entries, err := os.ReadDir(c.cfg.Data)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	for _, e := range entries {
		_, err := c.store.PreviewPicture(context.Background(), e.Name())
		if protocol.Code_NOT_FOUND.Is(err) {
			err = os.Remove(c.file(e.Name()))
		}
		if err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	return nil
}

func (c *Center) file(id string) string { return filepath.Join(c.cfg.Data, id) }

// usedEvery is how exactly it is known when a preview was last used.
const usedEvery = time.Hour

// nothing is the answer where there is no preview, whyever: it says nothing of what the
// server can reach and what it cannot.
func nothing() error { return protocol.NotFound("there is no preview of this link") }

// Get gives the preview of a link for user; cached, only one that is there already.
// BAD_REQUEST: it is no link; UNSUPPORTED: previews are off; NOT_FOUND: there is none;
// RATE_LIMITED; BUSY.
func (c *Center) Get(ctx context.Context, user protocol.UserID, link string, cached bool) (*Preview, error) {
	if c.cfg.Off {
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "link previews are off here")
	}
	u, err := egress.Parse(link)
	if err != nil {
		return nil, protocol.BadRequest("%s", why(err))
	}
	if u.Path == "" {
		u.Path = "/"
	}
	key := Key(sha256.Sum256([]byte(u.String())))
	now := c.now()
	p, err := c.store.Preview(ctx, key)
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return nil, err
	}
	if err == nil && c.fresh(p, now) {
		if now.Sub(p.Used) > usedEvery {
			if err := c.store.UsePreview(ctx, key, now); err != nil {
				return nil, err
			}
		}
		return good(p)
	}
	if cached {
		return nil, nothing()
	}
	if p, err = c.join(ctx, user, key, u.String()); err != nil {
		return nil, err
	}
	return good(p)
}

func good(p *Preview) (*Preview, error) {
	if p.Host == "" {
		return nil, nothing()
	}
	return p, nil
}

// fresh says whether a preview needs no asking: it is young enough, and its picture is there.
func (c *Center) fresh(p *Preview, now time.Time) bool {
	life := c.cfg.Good
	if p.Host == "" {
		life = c.cfg.Bad
	}
	if age := now.Sub(p.At); age < 0 || age >= life {
		return false
	}
	if p.Picture == nil {
		return true
	}
	_, err := os.Stat(c.file(p.Picture.ID))
	return err == nil
}

func why(err error) string {
	var no *egress.Refused
	if errors.As(err, &no) {
		return no.Why
	}
	return "it is no link"
}

// flight is one link that is being asked, for all who want it.
type flight struct {
	user   protocol.UserID // who began it
	landed chan struct{}
	p      *Preview
	err    error
}

func busy() error {
	return &protocol.Error{Code: protocol.Code_BUSY, Detail: "too many links are being asked", RetryAfterMs: 2000}
}

// maxRates is how many users' rates are known; past it all begin anew.
const maxRates = 20_000

// join asks for a link, or waits for who does already. Only who begins pays for it.
func (c *Center) join(ctx context.Context, user protocol.UserID, key Key, link string) (*Preview, error) {
	c.mu.Lock()
	f := c.under[key]
	if f == nil {
		var err error
		if len(c.under) >= c.cfg.Under || c.of[user] >= max(1, c.cfg.Under/4) {
			err = busy()
		} else {
			err = c.take(user)
		}
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		f = &flight{user: user, landed: make(chan struct{})}
		c.under[key] = f
		c.of[user]++
		go c.fly(context.WithoutCancel(ctx), f, key, link)
	}
	c.mu.Unlock()
	select {
	case <-f.landed:
		return f.p, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take counts one page that is asked for user. The caller holds mu.
func (c *Center) take(user protocol.UserID) error {
	l := c.rates[user]
	if l == nil {
		if len(c.rates) >= maxRates {
			clear(c.rates)
		}
		l = rate.NewLimiter(rate.Every(c.cfg.Every), c.cfg.Burst)
		c.rates[user] = l
	}
	now := c.now()
	r := l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "too many links; wait a little", RetryAfterMs: max(1, wait.Milliseconds())}
}

// within is for a page and its picture together, so that an asker has an answer before
// its own patience ends.
const within = 25 * time.Second

// fly asks a link and keeps what it found.
func (c *Center) fly(ctx context.Context, f *flight, key Key, link string) {
	defer func() {
		c.mu.Lock()
		delete(c.under, key)
		if c.of[f.user]--; c.of[f.user] == 0 {
			delete(c.of, f.user)
		}
		c.mu.Unlock()
		close(f.landed)
	}()
	asking, cancel := context.WithTimeout(ctx, within)
	p, err := c.ask(asking, link)
	cancel()
	switch {
	case errors.Is(err, egress.ErrBusy):
		f.err = busy()
		return
	case err != nil:
		c.log.Debug("a link has no preview", "err", err)
		p = &Preview{}
	}
	p.Key, p.At = key, c.now()
	p.Used = p.At
	dropped, err := c.store.PutPreview(ctx, p, Bounds{Rows: c.cfg.Rows, Bytes: c.cfg.Room})
	if err != nil && p.Picture != nil {
		dropped = append(dropped, p.Picture.ID)
	}
	for _, id := range dropped {
		if err := os.Remove(c.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.log.Warn("a preview's picture is left behind until the next start", "picture", id, "err", err)
		}
	}
	f.p, f.err = p, err
}
