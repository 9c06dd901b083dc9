package userctr

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// glance is what is remembered of a user between two looks at the store.
type glance struct {
	disabled, admin, password bool
	outside                   string  // the name an outside system last gave
	origin                    *origin // nil: an ordinary person
	at                        int64   // Unix seconds
}

// origin is what few users have.
type origin struct {
	kind string // as an Identity has it
	app  string
}

const (
	// glanceLife bounds how long another node's change of a user goes unseen (reliability 4.1: 30 s).
	glanceLife = 30 * time.Second
	// maxPeople is in users per half; 50,000 halves at about 150 bytes are under 16 MB in all.
	maxPeople = 50_000
)

// people remembers users in two halves: when the young one is full it becomes
// the old one, and what nobody asked for meanwhile is forgotten.
type people struct {
	mu         sync.Mutex
	young, old map[protocol.UserID]glance
}

func newPeople() *people { return &people{young: map[protocol.UserID]glance{}} }

func (p *people) get(id protocol.UserID) (glance, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.young[id]
	if !ok {
		if g, ok = p.old[id]; ok {
			p.keep(id, g)
		}
	}
	return g, ok
}

func (p *people) put(id protocol.UserID, g glance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(id, g)
}

func (p *people) keep(id protocol.UserID, g glance) {
	if len(p.young) >= maxPeople {
		p.old, p.young = p.young, map[protocol.UserID]glance{}
	}
	p.young[id] = g
}

func (c *Center) remember(u *User) glance {
	g := glance{disabled: u.Disabled, admin: u.Admin, password: u.Password != "", outside: u.Outside, at: c.now().Unix()}
	if kind := kindOf(u); kind != "" || u.App != "" {
		g.origin = &origin{kind, u.App}
	}
	c.people.put(u.ID, g)
	return g
}

// MayCome is nil for a user who is not disabled. NOT_FOUND, UNAUTHORIZED.
func (c *Center) MayCome(ctx context.Context, id protocol.UserID) error {
	g, ok := c.people.get(id)
	if !ok || c.now().Unix()-g.at >= int64(glanceLife/time.Second) {
		u, err := c.store.User(ctx, id)
		if err != nil {
			return err
		}
		g = c.remember(u)
	}
	if g.disabled {
		return protocol.Unauthorized("this user is disabled")
	}
	return nil
}

// meet knows an outside user, makes it at first sight, and takes over a new name.
func (c *Center) meet(ctx context.Context, id protocol.UserID, name string) (glance, error) {
	name, err := cleanNickname(name)
	if err != nil {
		name = "" // the outside system's user is good all the same; its name is not shown
	}
	if g, ok := c.people.get(id); ok && c.now().Unix()-g.at < int64(glanceLife/time.Second) && (name == "" || name == g.outside) {
		return g, nil
	}
	u, err := c.store.User(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		u = &User{ID: id, Nickname: name, Outside: name, Kind: Human, Created: c.now()}
		if name == "" {
			u.Nickname = firstRunes(id, maxNickname)
		}
		switch err = c.store.AddUser(ctx, u, ""); {
		case err == nil:
			c.log.Debug("an outside user was seen for the first time", "user", id)
		case protocol.Code_CONFLICT.Is(err): // on another connection at the same time
			u, err = c.store.User(ctx, id)
		}
	}
	if err != nil {
		return glance{}, fmt.Errorf("userctr: meet %s: %w", id, err)
	}
	if name != "" && name != u.Outside && !u.Disabled { // of one who was erased no name is kept again
		u, err = c.change(ctx, id, func(u *User) error {
			u.Nickname, u.Outside = name, name
			return nil
		})
		if err != nil {
			return glance{}, err
		}
	}
	return c.remember(u), nil
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// Unknown gives those of ids that name no user. Users are never forgotten, so
// one that was seen once is not looked for again.
func (c *Center) Unknown(ctx context.Context, ids []protocol.UserID) ([]protocol.UserID, error) {
	var ask []protocol.UserID
	for _, id := range ids {
		if _, ok := c.people.get(id); !ok {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	missing, err := c.store.Missing(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("userctr: which users are unknown: %w", err)
	}
	no := make(map[protocol.UserID]bool, len(missing))
	for _, id := range missing {
		no[id] = true
	}
	for _, id := range ask {
		if !no[id] {
			c.people.put(id, glance{}) // too old to answer anything but that it is there
		}
	}
	return missing, nil
}

// User gives a user. NOT_FOUND: there is none.
func (c *Center) User(ctx context.Context, id protocol.UserID) (*User, error) {
	u, err := c.store.User(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, protocol.NotFound("user %s", id)
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: user %s: %w", id, err)
	}
	return u, nil
}

// Named gives the user of that very name. NOT_FOUND: there is none.
func (c *Center) Named(ctx context.Context, name string) (*User, error) {
	folded, err := foldName(name)
	if err != nil {
		return nil, protocol.NotFound("no user has this name")
	}
	u, err := c.store.UserByName(ctx, folded)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, protocol.NotFound("no user has this name")
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: user by name: %w", err)
	}
	return u, nil
}

// change edits a user's row until nobody else did at the same time.
func (c *Center) change(ctx context.Context, id protocol.UserID, edit func(u *User) error) (*User, error) {
	for range 20 {
		u, err := c.User(ctx, id)
		if err != nil {
			return nil, err
		}
		before := shown(u)
		if err := edit(u); err != nil {
			return nil, err
		}
		err = c.store.UpdateUser(ctx, u)
		if err == nil {
			c.remember(u)
			c.seen(before, u)
			return u, nil
		}
		if err != ErrChanged {
			return nil, fmt.Errorf("userctr: change user %s: %w", id, err)
		}
	}
	return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "the user is being changed by others", RetryAfterMs: 100}
}

// seen remembers what u looks like after a change, and tells of it when others see one.
func (c *Center) seen(before *protocol.Profile, u *User) {
	now := shown(u)
	c.looks.changed(now)
	if told := c.onProfile.Load(); told != nil && !sameLooks(before, now) {
		(*told)(now)
	}
}
