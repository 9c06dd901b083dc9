package userctr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// revoked remembers logins that ended for as long as an access token of theirs may live.
type revoked struct {
	keep time.Duration
	mu   sync.RWMutex
	at   map[string]time.Time
	next time.Time // when to look for old ones again
}

func newRevoked(keep time.Duration) *revoked {
	return &revoked{keep: keep, at: map[string]time.Time{}}
}

func (r *revoked) has(login string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.at[login]
	return ok
}

func (r *revoked) add(login string, at time.Time) {
	r.mu.Lock()
	r.at[login] = at
	due := at.After(r.next)
	r.mu.Unlock()
	if due {
		r.prune(at)
	}
}

func (r *revoked) prune(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = now.Add(r.keep)
	for login, at := range r.at {
		if now.Sub(at) > r.keep {
			delete(r.at, login)
		}
	}
}

// revoke ends one login: its refresh tokens, its access tokens, its sockets.
func (c *Center) revoke(ctx context.Context, l *Login, code protocol.Code) error {
	now := c.now()
	if err := c.store.RevokeLogin(ctx, l.ID, now); err != nil {
		return fmt.Errorf("userctr: revoke login %s: %w", l.ID, err)
	}
	c.revoked.add(l.ID, now)
	c.tell(l.User, l.ID, code)
	return nil
}

func (c *Center) tell(user protocol.UserID, login string, code protocol.Code) {
	c.mu.Lock()
	told := c.onRevoke
	c.mu.Unlock()
	if told != nil {
		told(user, login, code)
	}
}

// revokeWhere ends those of a user's logins that which picks.
func (c *Center) revokeWhere(ctx context.Context, user protocol.UserID, code protocol.Code, which func(*Login) bool) error {
	logins, err := c.store.Logins(ctx, user)
	if err != nil {
		return fmt.Errorf("userctr: logins of %s: %w", user, err)
	}
	var failed error
	for _, l := range logins {
		if which(l) {
			failed = errors.Join(failed, c.revoke(ctx, l, code))
		}
	}
	return failed
}

func every(*Login) bool { return true }

// Logout ends the login that id speaks by. An outside token has none: it stays
// good until it expires, and only its connections are closed. So does a server key,
// which an administrator revokes.
func (c *Center) Logout(ctx context.Context, id protocol.Identity) error {
	if id.Login == "" || id.Kind == access.KindKey {
		return nil
	}
	return c.revoke(ctx, &Login{ID: id.Login, User: id.User}, protocol.Code_UNAUTHORIZED)
}

// Disable shuts a user out, or lets it in again. Its logins end and its sockets
// close. DENIED: by is no admin, or is that user.
func (c *Center) Disable(ctx context.Context, by protocol.Identity, id protocol.UserID, disabled bool) error {
	if err := c.requireAdmin(ctx, by, access.AdminUsers); err != nil {
		return err
	}
	return c.SetDisabled(ctx, by.User, id, disabled)
}

// SetDisabled is Disable by whoever the audit log is to name. DENIED: that is the
// user itself; CONFLICT: the user was erased, or is the last administrator.
func (c *Center) SetDisabled(ctx context.Context, by string, id protocol.UserID, disabled bool) error {
	if by == id {
		return protocol.Denied("an administrator cannot disable itself")
	}
	c.unmaking.Lock()
	defer c.unmaking.Unlock()
	unmakes := false
	switch u, err := c.User(ctx, id); {
	case err != nil:
		return err
	case u.Gone:
		return protocol.Conflict("user %s was erased", id)
	case protocol.IsBot(id):
		return protocol.Conflict("user %s is a bot: bots are switched off, not shut out", id)
	case disabled && u.Admin && !u.Disabled && by != ByOperator:
		if err := c.notLast(ctx, id); err != nil {
			return err
		}
		unmakes = true
	}
	what := auditEnabled
	if disabled {
		what = auditDisabled
	}
	if err := c.Record(ctx, Record{Action: what, By: by, About: id}); err != nil {
		return err
	}
	c.log.Info("a user was disabled or enabled", "user", id, "by", by, "disabled", disabled)
	if disabled {
		if err := c.Shut(ctx, id); err != nil || !unmakes {
			return err
		}
		return c.stillOne(ctx, id, auditEnabled, func(u *User) error { u.Disabled = u.Gone; return nil })
	}
	_, err := c.change(ctx, id, func(u *User) error { u.Disabled = u.Gone; return nil })
	return err
}

// ChangePassword puts a new password in the place of the old one, ends every login
// of the user, and signs the device of id in again.
func (c *Center) ChangePassword(ctx context.Context, id protocol.Identity, old, fresh string) (*Grant, error) {
	u, err := c.User(ctx, id.User)
	if err != nil {
		return nil, err
	}
	if u.Password == "" {
		return nil, protocol.Denied("this user has no password here")
	}
	if err := checkPassword(fresh, u.Folded); err != nil {
		return nil, err
	}
	if err := c.limits.account(u.Folded, c.now()); err != nil {
		return nil, err
	}
	ok, err := c.hasher.verify(ctx, u.Password, old)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, protocol.Denied("the old password is another")
	}
	hash, err := c.hasher.hash(ctx, fresh)
	if err != nil {
		return nil, err
	}
	if err := c.Record(ctx, Record{Action: auditPassword, By: id.User}); err != nil {
		return nil, err
	}
	was := u.Password
	u, err = c.change(ctx, id.User, func(u *User) error {
		if u.Password != was {
			return protocol.Conflict("the password was changed meanwhile")
		}
		u.Password = hash
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.revokeWhere(ctx, id.User, protocol.Code_UNAUTHORIZED, every); err != nil {
		return nil, err
	}
	return c.open(ctx, u, Client{Device: id.Device, Platform: id.Platform, Version: id.Version})
}

// SetPassword is ChangePassword for an operator, who need not know the old one.
func (c *Center) SetPassword(ctx context.Context, id protocol.UserID, fresh string) error {
	u, err := c.User(ctx, id)
	if err != nil {
		return err
	}
	if err := notForBots(id); err != nil {
		return err
	}
	if err := checkPassword(fresh, u.Folded); err != nil {
		return err
	}
	hash, err := c.hasher.hash(ctx, fresh)
	if err != nil {
		return err
	}
	if _, err := c.change(ctx, id, func(u *User) error { u.Password = hash; return nil }); err != nil {
		return err
	}
	return c.revokeWhere(ctx, id, protocol.Code_UNAUTHORIZED, every)
}

// Devices gives a user's devices, the last seen first.
func (c *Center) Devices(ctx context.Context, user protocol.UserID) ([]*DeviceRow, error) {
	if err := c.sightings.kept(ctx); err != nil {
		return nil, err
	}
	rows, err := c.store.Devices(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("userctr: devices of %s: %w", user, err)
	}
	return rows, nil
}

// RemoveDevice signs a device out and forgets it. NOT_FOUND: the user has no such device.
func (c *Center) RemoveDevice(ctx context.Context, user protocol.UserID, device string) error {
	rows, err := c.Devices(ctx, user)
	if err != nil {
		return err
	}
	found := false
	for _, d := range rows {
		found = found || d.Device == device
	}
	if !found {
		return protocol.NotFound("device %s", device)
	}
	if err := c.revokeWhere(ctx, user, protocol.Code_UNAUTHORIZED, func(l *Login) bool { return l.Device == device }); err != nil {
		return err
	}
	if err := c.store.RemoveDevice(ctx, user, device); err != nil {
		return fmt.Errorf("userctr: remove a device of %s: %w", user, err)
	}
	c.closeDevice(user, device)
	return nil
}

// RemoveDevices signs all devices of a user out but the one named keep.
func (c *Center) RemoveDevices(ctx context.Context, user protocol.UserID, keep string) error {
	rows, err := c.Devices(ctx, user)
	if err != nil {
		return err
	}
	if keep == "" { // sockets that came with outside tokens and named no device too
		defer c.tell(user, "", protocol.Code_UNAUTHORIZED)
	}
	for _, d := range rows {
		if keep == "" || d.Device != keep {
			if err := c.RemoveDevice(ctx, user, d.Device); err != nil && !protocol.Code_NOT_FOUND.Is(err) {
				return err
			}
		}
	}
	return nil
}
