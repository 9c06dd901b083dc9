package userctr

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// AdminStore is what administrators need of a store besides.
type AdminStore interface {
	// EachUser calls each with the users whose id is above after, in order of ids, until it says false.
	EachUser(ctx context.Context, after protocol.UserID, each func(u *User) bool) error
}

// Administer says who asks, as the audit log names it, when they may do what: an
// administrator, as the store has it now. DENIED: nobody else.
func (c *Center) Administer(ctx context.Context, what access.Action) (by string, err error) {
	id, err := caller(ctx)
	if err != nil {
		return "", err
	}
	return id.User, c.requireAdmin(ctx, id, what)
}

// FindUsers gives up to limit users with an id above after: the one that query is the
// id of, and those whose name or nickname begins with it; "" is everybody. It reads
// through all users.
func (c *Center) FindUsers(ctx context.Context, query string, after protocol.UserID, limit int) (found []*User, err error) {
	query = strings.ToLower(strings.TrimSpace(query))
	begins := func(s string) bool { return strings.HasPrefix(strings.ToLower(s), query) }
	err = c.store.EachUser(ctx, after, func(u *User) bool {
		if strings.ToLower(u.ID) == query || begins(u.Name) || begins(u.Nickname) || begins(u.Outside) {
			found = append(found, u)
		}
		return len(found) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("userctr: find users: %w", err)
	}
	return found, nil
}

// Identify gives the user with this id or, where there is none, this name.
func (c *Center) Identify(ctx context.Context, who string) (*User, error) {
	u, err := c.User(ctx, who)
	if protocol.Code_NOT_FOUND.Is(err) {
		if u, err := c.Named(ctx, who); err == nil {
			return u, nil
		}
		return nil, protocol.NotFound("user %.64q", who)
	}
	return u, err
}

// LiveLogins gives a user's logins that have not ended, oldest first.
func (c *Center) LiveLogins(ctx context.Context, id protocol.UserID) ([]*Login, error) {
	rows, err := c.store.Logins(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("userctr: logins of %s: %w", id, err)
	}
	live := rows[:0]
	for _, l := range rows {
		if l.Expires.After(c.now()) {
			live = append(live, l)
		}
	}
	return live, nil
}

// ResetPassword gives a user a new password, which is known to the caller alone, and
// ends its logins. CONFLICT: the user signs in elsewhere, and has none here.
func (c *Center) ResetPassword(ctx context.Context, by string, id protocol.UserID) (password string, err error) {
	u, err := c.User(ctx, id)
	if err != nil {
		return "", err
	}
	if err := notForBots(id); err != nil {
		return "", err
	}
	if u.Folded == "" {
		return "", protocol.Conflict("user %s signs in by an outside system, and has no password here", id)
	}
	b := make([]byte, 12)
	rand.Read(b)
	password = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	if err := c.Record(ctx, Record{Action: auditReset, By: by, About: id}); err != nil {
		return "", err
	}
	c.log.Info("a password was reset", "user", id, "by", by)
	return password, c.SetPassword(ctx, id, password)
}

// SetAdmin makes a user an administrator, or no more: then its logins end, as its access
// tokens say otherwise. CONFLICT: it is the last, or who is to be one is no human.
// Of two who unmake each other at the same moment one is refused.
func (c *Center) SetAdmin(ctx context.Context, by string, id protocol.UserID, admin bool) (*User, error) {
	u, changed, err := c.setAdmin(ctx, by, id, admin)
	if err != nil || admin || !changed {
		return u, err
	}
	err = c.revokeWhere(ctx, id, protocol.Code_UNAUTHORIZED, every)
	c.tell(id, "", protocol.Code_UNAUTHORIZED) // connections of outside tokens
	return u, err
}

// setAdmin changes the user alone, and says whether anything was to be changed.
func (c *Center) setAdmin(ctx context.Context, by string, id protocol.UserID, admin bool) (*User, bool, error) {
	c.unmaking.Lock()
	defer c.unmaking.Unlock()
	u, err := c.User(ctx, id)
	if err != nil || u.Admin == admin {
		return u, false, err
	}
	if admin && u.Kind != Human {
		return nil, false, protocol.Conflict("user %s is of kind %s, and administrators are human", id, u.Kind)
	}
	if !admin && by != ByOperator {
		if err := c.notLast(ctx, id); err != nil {
			return nil, false, err
		}
	}
	action := auditRevoked
	if admin {
		action = auditGranted
	}
	if err := c.Record(ctx, Record{Action: action, By: by, About: id}); err != nil {
		return nil, false, err
	}
	c.log.Info("an administrator was made or unmade", "user", id, "by", by, "admin", admin)
	u, err = c.change(ctx, id, func(u *User) error { u.Admin = admin; return nil })
	if err == nil && !admin && by != ByOperator {
		err = c.stillOne(ctx, id, auditGranted, func(u *User) error { u.Admin = true; return nil })
	}
	if err != nil {
		return nil, false, err
	}
	return u, true, nil
}

// stillOne undoes what took the rights of administrator id, and fails with CONFLICT, where nobody is left who has them:
// on another node another took those of the others at the same moment. Of two who look behind
// their own change one sees the other's at least, and where both do, both undo theirs.
func (c *Center) stillOne(ctx context.Context, id protocol.UserID, undone string, undo func(*User) error) error {
	last := c.notLast(ctx, id)
	if !protocol.Code_CONFLICT.Is(last) {
		return last
	}
	if _, err := c.change(ctx, id, undo); err != nil {
		return err
	}
	if err := c.Record(ctx, Record{Action: undone, By: ByServer, About: id}); err != nil {
		return err
	}
	return last
}

// notLast fails with CONFLICT where there is no administrator but id. Who asks holds
// unmaking until id is none, which is enough in one process; of several nodes see stillOne.
func (c *Center) notLast(ctx context.Context, id protocol.UserID) error {
	another := false
	err := c.store.EachUser(ctx, "", func(u *User) bool {
		another = u.Admin && !u.Disabled && u.ID != id
		return !another
	})
	if err != nil {
		return fmt.Errorf("userctr: other administrators: %w", err)
	}
	if !another {
		return protocol.Conflict("user %s is the last administrator", id)
	}
	return nil
}
