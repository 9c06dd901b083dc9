package userctr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// App is an application: another's pages in which Troupe is embedded.
type App struct {
	ID        string
	Version   int64 // of this row; the first is 1
	Name      string
	Origins   []string          // web origins of its pages, as browsers write them
	Colours   map[string]string // whatever its page makes of them
	Texts     map[string]string // "guest" is what a visitor is called
	Features  []string
	Members   []protocol.UserID // who answer its visitors
	Guests    bool              // visitors may come without a name
	Files     FileLimits        // of those who came by it
	PublicKey string            // PEM: signs its users' tokens, besides the secrets; "": there is none
	Secrets   []AppSecret       // two at most
	By        protocol.UserID
	Created   time.Time
}

// AppStore keeps applications.
type AppStore interface {
	// Apps gives all of them.
	Apps(ctx context.Context) ([]*App, error)
	// PutApp keeps a in the place of the row that has its Version, 0: there must be none, and
	// counts a.Version up. Another Version is ErrChanged.
	PutApp(ctx context.Context, a *App) error
	RemoveApp(ctx context.Context, id string) error

	// Spend notes that what has this hash in a realm was used, until it is not good any more. A second
	// time is protocol.Conflict.
	Spend(ctx context.Context, realm string, hash Hash, until time.Time) error
	// SweepSpent forgets what was good until before.
	SweepSpent(ctx context.Context, before time.Time) error
}

// What the audit log calls what is done to applications.
const (
	auditAppMade    = "application-made"
	auditAppChanged = "application-changed"
	auditAppRemoved = "application-removed"
)

// Bounds of applications. They are all kept in memory.
const (
	maxApps       = 1000
	maxOrigins    = 50
	maxTexts      = 100
	maxTextKey    = 32   // bytes
	maxText       = 1000 // characters
	maxFeatures   = 32
	maxAppMembers = 100 // who answer
)

// apps are the applications, and the origins of their pages.
type apps struct {
	changing sync.Mutex // held while the store and what is below change together
	mu       sync.RWMutex
	all      map[string]*App
	origins  map[string]bool
}

func (a *apps) get(id string) *App {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.all[id]
}

// loadApps reads all applications anew.
func (c *Center) loadApps(ctx context.Context) error {
	rows, err := c.store.Apps(ctx)
	if err != nil {
		return fmt.Errorf("userctr: applications: %w", err)
	}
	all, origins := map[string]*App{}, map[string]bool{}
	for _, a := range rows {
		all[a.ID] = a
		for _, o := range a.Origins {
			origins[o] = true
		}
	}
	c.apps.mu.Lock()
	defer c.apps.mu.Unlock()
	c.apps.all, c.apps.origins = all, origins
	return nil
}

// Origin says whether a page of this origin, as its browser writes it, is one of app's, or with app "" of any
// application. It is compared byte by byte.
func (c *Center) Origin(app, origin string) bool {
	c.apps.mu.RLock()
	defer c.apps.mu.RUnlock()
	if app == "" {
		return c.apps.origins[origin]
	}
	a := c.apps.all[app]
	return a != nil && slices.Contains(a.Origins, origin)
}

// AppMembers gives who answer the visitors of an application, at once; nobody changes the slice.
func (c *Center) AppMembers(app string) []protocol.UserID {
	if a := c.apps.get(app); a != nil {
		return a.Members
	}
	return nil
}

// App gives an application. NOT_FOUND: there is none.
func (c *Center) App(id string) (*App, error) {
	if a := c.apps.get(id); a != nil {
		return a, nil
	}
	return nil, protocol.NotFound("application %.64q", id)
}

// AppPage gives up to limit applications behind the one called after, in order of their ids. DENIED: by is no admin.
func (c *Center) AppPage(ctx context.Context, by protocol.Identity, after string, limit int) ([]*App, error) {
	if err := c.requireAdmin(ctx, by, access.AdminApps); err != nil {
		return nil, err
	}
	c.apps.mu.RLock()
	defer c.apps.mu.RUnlock()
	var page []*App
	for id, a := range c.apps.all {
		if id > after {
			page = append(page, a)
		}
	}
	slices.SortFunc(page, func(a, b *App) int { return strings.Compare(a.ID, b.ID) })
	return page[:min(limit, len(page))], nil
}

// MakeApp makes an application with one secret, which is shown this once. DENIED: by is no admin.
func (c *Center) MakeApp(ctx context.Context, by protocol.Identity, a App) (*App, string, error) {
	if err := c.requireAdmin(ctx, by, access.AdminApps); err != nil {
		return nil, "", err
	}
	if err := c.checkApp(ctx, &a); err != nil {
		return nil, "", err
	}
	a.ID, a.Version, a.By, a.Created = newID("app_"), 0, by.User, c.now()
	shown, secret, err := c.keys.newAppSecret(a.ID, c.now())
	if err != nil {
		return nil, "", err
	}
	a.Secrets = []AppSecret{secret}
	c.apps.changing.Lock()
	defer c.apps.changing.Unlock()
	c.apps.mu.RLock()
	n := len(c.apps.all)
	c.apps.mu.RUnlock()
	if n >= maxApps {
		return nil, "", protocol.Errorf(protocol.Code_TOO_MANY, "there are %d applications, which is as many as there may be", n)
	}
	if err := c.putApp(ctx, &a); err != nil {
		return nil, "", err
	}
	if err := c.Record(ctx, Record{Action: auditAppMade, By: whom(by), About: a.ID}); err != nil {
		return nil, "", err
	}
	c.log.Info("an application was made", "app", a.ID, "by", by.User)
	return &a, shown, nil
}

// putApp keeps a and learns it. The lock on changing is held.
func (c *Center) putApp(ctx context.Context, a *App) error {
	if err := c.store.PutApp(ctx, a); err != nil {
		if errors.Is(err, ErrChanged) {
			return protocol.Conflict("the application was changed meanwhile")
		}
		return fmt.Errorf("userctr: keep an application: %w", err)
	}
	return c.appsChanged(ctx)
}

// ChangeApp changes what edit changes of an application. NOT_FOUND; DENIED: by is no admin.
func (c *Center) ChangeApp(ctx context.Context, by protocol.Identity, id string, edit func(a *App) error) (*App, error) {
	if err := c.requireAdmin(ctx, by, access.AdminApps); err != nil {
		return nil, err
	}
	c.apps.changing.Lock()
	defer c.apps.changing.Unlock()
	is, err := c.App(id)
	if err != nil {
		return nil, err
	}
	a := *is
	if err := edit(&a); err != nil {
		return nil, err
	}
	if err := c.checkApp(ctx, &a); err != nil {
		return nil, err
	}
	if err := c.Record(ctx, Record{Action: auditAppChanged, By: whom(by), About: id}); err != nil {
		return nil, err
	}
	if err := c.putApp(ctx, &a); err != nil {
		return nil, err
	}
	c.log.Info("an application was changed", "app", id, "by", by.User)
	return &a, nil
}

// RemoveApp ends an application: its pages may not connect, nobody comes in by it any more, and who did is signed
// out at once. NOT_FOUND; DENIED: by is no admin.
func (c *Center) RemoveApp(ctx context.Context, by protocol.Identity, id string) error {
	if err := c.requireAdmin(ctx, by, access.AdminApps); err != nil {
		return err
	}
	c.apps.changing.Lock()
	defer c.apps.changing.Unlock()
	if _, err := c.App(id); err != nil {
		return err
	}
	if err := c.Record(ctx, Record{Action: auditAppRemoved, By: whom(by), About: id}); err != nil {
		return err
	}
	if err := c.store.RemoveApp(ctx, id); err != nil {
		return fmt.Errorf("userctr: remove an application: %w", err)
	}
	c.log.Info("an application was removed", "app", id, "by", by.User)
	if err := c.appsChanged(ctx); err != nil {
		return err
	}
	// Whoever signs in meanwhile either is among the sockets that are closed now, or is found
	// not to be Alive.
	if told := c.onApp.Load(); told != nil {
		(*told)(id)
	}
	return nil
}

// OnApp names who is told that an application is gone, so that the sockets of those who
// came by it are closed.
func (c *Center) OnApp(told func(app string)) { c.onApp.Store(&told) }

// gone says that somebody came by an application that there is no more.
func (c *Center) gone(app string) bool { return app != "" && c.apps.get(app) == nil }

func (c *Center) checkApp(ctx context.Context, a *App) error {
	name, err := cleanNickname(a.Name)
	if err != nil || name == "" {
		return protocol.BadRequest("name: 1 to %d characters are needed", maxNickname)
	}
	a.Name = name
	if len(a.Origins) > maxOrigins || len(a.Features) > maxFeatures || len(a.Members) > maxAppMembers {
		return protocol.Errorf(protocol.Code_TOO_MANY, "origins: %d at most, features: %d, members: %d", maxOrigins, maxFeatures, maxAppMembers)
	}
	for _, o := range a.Origins {
		if err := checkOrigin(o); err != nil {
			return err
		}
	}
	for _, f := range a.Features {
		if f == "" || len(f) > maxTextKey || !printable(f) {
			return protocol.BadRequest("features: a word has 1 to %d bytes", maxTextKey)
		}
	}
	for what, m := range map[string]map[string]string{"colours": a.Colours, "texts": a.Texts} {
		if len(m) > maxTexts {
			return protocol.Errorf(protocol.Code_TOO_MANY, "%s: %d at most", what, maxTexts)
		}
		for k, v := range m {
			if k == "" || len(k) > maxTextKey || !printable(k) || utf8.RuneCountInString(v) > maxText || !utf8.ValidString(v) {
				return protocol.BadRequest("%s: a key has 1 to %d bytes, a value %d characters at most", what, maxTextKey, maxText)
			}
		}
	}
	if a.PublicKey != "" {
		if _, err := parsePublic(a.PublicKey); err != nil {
			return err
		}
	}
	if err := a.Files.check(); err != nil {
		return err
	}
	a.Members = slices.Compact(slices.Sorted(slices.Values(a.Members)))
	unknown, err := c.Unknown(ctx, a.Members)
	if err == nil && len(unknown) > 0 {
		err = protocol.NotFound("user %.64q", unknown[0])
	}
	return err
}

// checkOrigin takes an origin as browsers write it: scheme and host in lower case, no port
// where it is the scheme's own, nothing behind it. http is for pages on one's own machine alone.
func checkOrigin(o string) error {
	bad := protocol.BadRequest("origins: %.80q is not written as browsers do: https://shop.example.com, in lower case, without a path and without :443", o)
	u, err := url.Parse(o)
	if err != nil || len(o) > 256 || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o || u.Hostname() == "" || strings.ContainsAny(u.Host, "*@ ,") {
		return bad
	}
	for _, r := range u.Host {
		if r > 126 {
			return protocol.BadRequest("origins: %.80q has other than ASCII letters: browsers write it as xn--", o)
		}
	}
	if strings.HasSuffix(u.Host, ":") {
		return bad
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "https" && u.Port() != "443":
		return nil
	case u.Scheme == "http" && u.Port() != "80" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	}
	return bad
}
