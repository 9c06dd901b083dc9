package userctr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// NewUser is who registers, or is made by an operator.
type NewUser struct {
	Name     string // see foldName
	Password string // see checkPassword
	Nickname string // Name, when it is ""
	Avatar   string
	Code     string // of an invitation
	Kind     Kind   // Human; for CreateUser only
	Admin    bool   // for CreateUser only: a registration gets it by its code
}

// Client is what signs in.
type Client struct {
	Device   string // its own name for itself, "": it is given one
	Name     string // of the device, for people
	Platform string
	Version  string
	Channel  string // of whose releases it wants to be told
	Address  string // "host:port" it comes from, for the limits
}

// Grant is what a login gives.
type Grant struct {
	User    *User
	Device  string
	Token   string
	Expires time.Time // of Token
	Refresh string

	Platform, Version, Channel string // of the client, as it said it
}

// maxLogins is what one user may have at a time; one more ends the oldest.
const maxLogins = 50

// SignUp registers a user, as the policy allows, and signs it in. DENIED: not
// without a (better) code; CONFLICT: the name is taken; RATE_LIMITED; BAD_REQUEST.
func (c *Center) SignUp(ctx context.Context, n NewUser, client Client) (*Grant, error) {
	u, err := c.prepare(n)
	if err != nil {
		return nil, err
	}
	if err := checkDevice(client.Device, client.Platform, client.Version); err != nil {
		return nil, err
	}
	now := c.now()
	if err := c.limits.address(client.Address, now); err != nil {
		return nil, err
	}
	if err := c.limits.account(u.Folded, now); err != nil {
		return nil, err
	}
	invite, err := c.admit(ctx, n.Code)
	if err != nil {
		return nil, err
	}
	u.Kind, u.Admin = Human, invite != nil && invite.Admin
	id := ""
	if invite != nil {
		id = invite.ID
	}
	if err := c.add(ctx, u, n.Password, id); err != nil {
		return nil, err
	}
	c.log.Info("a user has registered", "user", u.ID, "admin", u.Admin)
	if err := c.Record(ctx, Record{Action: auditRegistered, By: u.ID, Note: adminNote(u)}); err != nil {
		return nil, err
	}
	return c.open(ctx, u, client)
}

// CreateUser makes a user whatever the policy is. An admin made so takes the
// place of the first admin: the code printed at the first start is good no more.
func (c *Center) CreateUser(ctx context.Context, n NewUser) (*User, error) {
	u, err := c.prepare(n)
	if err != nil {
		return nil, err
	}
	u.Kind, u.Admin = n.Kind, n.Admin
	if u.Kind == "" {
		u.Kind = Human
	}
	invite := ""
	if u.Admin {
		if invite, err = c.closeSetup(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.add(ctx, u, n.Password, invite); err != nil {
		return u, err
	}
	c.log.Info("a user was made", "user", u.ID, "admin", u.Admin)
	return u, c.Record(ctx, Record{Action: auditMade, By: ByOperator, About: u.ID, Note: adminNote(u)})
}

func (c *Center) prepare(n NewUser) (*User, error) {
	folded, err := foldName(n.Name)
	if err != nil {
		return nil, err
	}
	if err := checkPassword(n.Password, folded); err != nil {
		return nil, err
	}
	nickname, err := cleanNickname(n.Nickname)
	if err != nil {
		return nil, err
	}
	if nickname == "" {
		nickname = n.Name
	}
	u := &User{ID: protocol.NewUserID(), Name: n.Name, Folded: folded, Nickname: nickname, Created: c.now()}
	if err := u.keepAvatar(n.Avatar); err != nil {
		return nil, err
	}
	return u, nil
}

func (c *Center) add(ctx context.Context, u *User, password, invite string) error {
	taken := protocol.Conflict("the name is taken")
	switch _, err := c.store.UserByName(ctx, u.Folded); { // before the dear part
	case err == nil:
		return taken
	case !protocol.Code_NOT_FOUND.Is(err):
		return fmt.Errorf("userctr: user by name: %w", err)
	}
	hash, err := c.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	u.Password = hash
	switch err := c.store.AddUser(ctx, u, invite); {
	case err == nil:
		c.remember(u)
		return nil
	case protocol.Code_CONFLICT.Is(err):
		return taken
	case errors.Is(err, ErrSpent):
		return badCode()
	default:
		return fmt.Errorf("userctr: add user: %w", err)
	}
}

// Login signs a user in. UNAUTHORIZED with the same text, after the same time,
// whether the name or the password is wrong; RATE_LIMITED; BUSY.
func (c *Center) Login(ctx context.Context, name, password string, client Client) (*Grant, error) {
	if err := checkDevice(client.Device, client.Platform, client.Version); err != nil {
		return nil, err
	}
	now := c.now()
	if err := c.limits.address(client.Address, now); err != nil {
		return nil, err
	}
	folded, err := foldName(name)
	if err != nil {
		folded = "" // nobody's; it takes as long as anybody's
	}
	if err := c.limits.account(folded, now); err != nil {
		return nil, err
	}
	u := &User{}
	if folded != "" {
		found, err := c.store.UserByName(ctx, folded)
		switch {
		case err == nil:
			u = found
		case !protocol.Code_NOT_FOUND.Is(err):
			return nil, fmt.Errorf("userctr: user by name: %w", err)
		}
	}
	if n := len(password); n > 4*maxPassword {
		password = "" // longer than any we took
	}
	ok, err := c.hasher.verify(ctx, u.Password, password)
	if err != nil {
		return nil, err
	}
	if !ok {
		c.log.Warn("a sign-in was refused", "user", u.ID)
		c.refusals.add(refused{auditSignIn, "", u.ID})
		return nil, protocol.Unauthorized("the name or the password is wrong")
	}
	if u, err = c.rehash(ctx, u, password); err != nil {
		return nil, err
	}
	return c.open(ctx, u, client)
}

// rehash keeps a password that was just found right at today's cost, where its hash is
// of a weaker time. Of sign-ins at the same time one writes, and the others take its row.
func (c *Center) rehash(ctx context.Context, u *User, password string) (*User, error) {
	if !c.hasher.weak(u.Password) {
		return u, nil
	}
	hash, err := c.hasher.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	was := u.Password
	is, err := c.change(ctx, u.ID, func(u *User) error {
		if u.Password != was {
			return ErrChanged
		}
		u.Password = hash
		return nil
	})
	if err == nil {
		c.log.Info("a password is kept at today's cost", "user", u.ID)
		return is, nil
	}
	if !errors.Is(err, ErrChanged) {
		return nil, err
	}
	if is, err = c.User(ctx, u.ID); err != nil {
		return nil, err
	}
	switch ok, err := c.hasher.verify(ctx, is.Password, password); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, protocol.Unauthorized("the name or the password is wrong") // it was changed meanwhile
	}
	return is, nil
}

// open makes a login for a user whose proof was good when u was read.
func (c *Center) open(ctx context.Context, u *User, client Client) (*Grant, error) {
	if u.Disabled {
		return nil, protocol.Unauthorized("this user is disabled")
	}
	if err := notForBots(u.ID); err != nil {
		return nil, err
	}
	if client.Device == "" {
		client.Device = newID("d_")
	}
	name, err := cleanNickname(client.Name)
	if err != nil {
		return nil, err
	}
	now := c.now()
	l := &Login{
		ID: newID("l_"), User: u.ID, Device: client.Device, Platform: client.Platform, Version: client.Version,
		Created: now, Expires: now.Add(c.cfg.Session),
	}
	text, row, err := c.keys.firstRefresh(l.ID, now)
	if err != nil {
		return nil, err
	}
	device := &DeviceRow{
		User: u.ID, Device: l.Device, Name: name, Platform: l.Platform, Version: l.Version, Created: now, LastSeen: now,
	}
	if err := c.store.AddLogin(ctx, l, row, device); err != nil {
		return nil, fmt.Errorf("userctr: add a login of %s: %w", u.ID, err)
	}
	if err := c.settle(ctx, l); err != nil {
		return nil, err
	}
	// Whoever disables a user or changes its password writes the user first and
	// ends its logins then; we wrote the login first and read the user now. So one
	// of the two sees the other.
	is, err := c.User(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if is.Disabled || is.Password != u.Password {
		return nil, errors.Join(protocol.Unauthorized("the user was changed meanwhile; sign in again"), c.revoke(ctx, l, protocol.Code_UNAUTHORIZED))
	}
	if err := c.Record(ctx, Record{Action: auditSignIn, By: u.ID, About: l.ID}); err != nil {
		return nil, err
	}
	g, err := c.grant(l, is, text)
	if err == nil {
		g.Channel = client.Channel
	}
	return g, err
}

// settle ends what the new login l takes the place of. Of logins made at the same
// time on a platform where only one may be, each side keeps the same one.
func (c *Center) settle(ctx context.Context, l *Login) error {
	logins, err := c.store.Logins(ctx, l.User)
	if err != nil {
		return fmt.Errorf("userctr: logins of %s: %w", l.User, err)
	}
	replace := c.Policy(l.Platform) == Replace
	newest := l
	for _, other := range logins {
		if other.Platform == l.Platform && later(other, newest) {
			newest = other
		}
	}
	alive := 0
	for i := len(logins) - 1; i >= 0; i-- {
		other := logins[i]
		if replace && other.Platform == l.Platform && other.ID != newest.ID {
			if err := c.revoke(ctx, other, protocol.Code_REPLACED); err != nil {
				return err
			}
			continue
		}
		if alive++; alive > maxLogins {
			if err := c.revoke(ctx, other, protocol.Code_UNAUTHORIZED); err != nil {
				return err
			}
		}
	}
	if replace && newest != l && newest.ID != l.ID {
		return protocol.Errorf(protocol.Code_REPLACED, "a later sign-in on this platform took the place of this one")
	}
	return nil
}

func later(a, b *Login) bool {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c > 0
	}
	return strings.Compare(a.ID, b.ID) > 0
}

func (c *Center) grant(l *Login, u *User, refresh string) (*Grant, error) {
	token, expires, err := c.mint(l, u)
	if err != nil {
		return nil, err
	}
	return &Grant{User: u, Device: l.Device, Token: token, Expires: expires, Refresh: refresh, Platform: l.Platform, Version: l.Version}, nil
}
