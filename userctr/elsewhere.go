package userctr

import (
	"context"
	"fmt"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What other nodes of the installation change is remembered here as it was. They say so,
// and what they say may be lost: then it is read again after a while.

// Ended notes that another node has ended a login: its tokens are good no more.
func (c *Center) Ended(login string) {
	if login != "" {
		c.revoked.add(login, c.now())
	}
}

// Doubt lets go of what is remembered of a user, "": of what all users look like.
func (c *Center) Doubt(user protocol.UserID) {
	c.looks.forget(user)
	if user != "" {
		c.people.forget(user)
	}
}

// Reload reads the applications again, and which logins have ended of late; the
// connections of those that were not known to have ended are closed.
func (c *Center) Reload(ctx context.Context) error {
	c.apps.changing.Lock()
	err := c.loadApps(ctx)
	c.apps.changing.Unlock()
	if err != nil {
		return err
	}
	ended, err := c.store.RevokedSince(ctx, c.now().Add(-c.cfg.Access-2*leeway))
	if err != nil {
		return fmt.Errorf("userctr: revoked logins: %w", err)
	}
	for login, at := range ended {
		if !c.revoked.has(login) {
			c.revoked.add(login, at)
			c.tell("", login, protocol.Code_UNAUTHORIZED)
		}
	}
	return nil
}

// OnApps names who is told that the applications are others now, by a change that was made here.
func (c *Center) OnApps(told func()) { c.onApps.Store(&told) }

// appsChanged learns what was changed here.
func (c *Center) appsChanged(ctx context.Context) error {
	if told := c.onApps.Load(); told != nil {
		defer (*told)()
	}
	return c.loadApps(ctx)
}

// forget lets go of a user's profile, "": of all. What is being read meanwhile is passed over.
func (l *looks) forget(user protocol.UserID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns += 2
	if user == "" {
		l.young, l.old = map[protocol.UserID]*protocol.Profile{}, nil
		return
	}
	delete(l.young, user)
	delete(l.old, user)
}

func (p *people) forget(user protocol.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.young, user)
	delete(p.old, user)
}
