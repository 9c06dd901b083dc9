package userctr

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Key lets another back end in: it makes users and tokens for them, and does what
// its scopes say for them or for itself. The key itself is nowhere kept.
type Key struct {
	ID       string
	Hash     [sha256.Size]byte
	User     protocol.UserID // its own, of kind System
	Name     string
	Scopes   []string // of KeyScopes
	By       protocol.UserID
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: it is good
	LastUsed time.Time // to a minute; zero: never
}

// KeyStore keeps server keys.
type KeyStore interface {
	// AddKey keeps a new key and its user in one step.
	AddKey(ctx context.Context, k *Key, u *User) error
	Key(ctx context.Context, id string) (*Key, error)
	// Keys gives up to limit keys behind the one called after, in order of their ids.
	Keys(ctx context.Context, after string, limit int) ([]*Key, error)
	// RevokeKey sets Revoked where it is zero.
	RevokeKey(ctx context.Context, id string, at time.Time) error
	// UsedKey moves LastUsed forward. No such key: no error.
	UsedKey(ctx context.Context, id string, at time.Time) error
}

// A key is "tk_", the 16 characters of its id behind "k_", and 256 random bits as 52 characters.
const (
	keyPrefix  = "tk_"
	keyID      = "k_"
	keyIDChars = 16
	keyChars   = 52
)

// KeyScopes are what a key may be allowed.
var KeyScopes = []string{access.ScopeUsers, access.ScopeSessions, access.ScopeMessages, access.ScopeRead, access.ScopeNotice, access.ScopeModerate}

// What the audit log calls what is done to keys.
const (
	auditKeyMade    = "key-made"
	auditKeyRevoked = "key-revoked"
)

const (
	maxKeyName = 64
	// maxKeyLife is what most say of a year's rotation, twice.
	maxKeyLife = 2 * 366 * 24 * time.Hour
	// usedEvery is how exactly LastUsed is kept.
	usedEvery = time.Minute
)

// MakeKey makes a server key, and gives its text, which is shown this once. life 0: it does not
// end by itself. DENIED: by is no admin.
func (c *Center) MakeKey(ctx context.Context, by protocol.Identity, name string, scopes []string, life time.Duration) (string, *Key, error) {
	if err := c.requireAdmin(ctx, by, access.AdminKeys); err != nil {
		return "", nil, err
	}
	name, err := cleanNickname(name)
	if err != nil || name == "" || len(name) > 4*maxKeyName {
		return "", nil, protocol.BadRequest("a key's name has 1 to %d characters", maxKeyName)
	}
	if life < 0 || life > maxKeyLife {
		return "", nil, protocol.BadRequest("a key lives at most %d days", int(maxKeyLife.Hours()/24))
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	if len(scopes) == 0 {
		return "", nil, protocol.BadRequest("scopes: one of %s at least", strings.Join(KeyScopes, ", "))
	}
	for _, s := range scopes {
		if !slices.Contains(KeyScopes, s) {
			return "", nil, protocol.BadRequest("scopes: %.32q is none of %s", s, strings.Join(KeyScopes, ", "))
		}
	}
	now := c.now()
	var secret [32]byte
	rand.Read(secret[:])
	k := &Key{ID: newID(keyID), User: protocol.NewUserID(), Name: name, Scopes: scopes, By: by.User, Created: now}
	if life > 0 {
		k.Expires = now.Add(life)
	}
	text := keyPrefix + strings.TrimPrefix(k.ID, keyID) + base32Lower.EncodeToString(secret[:])
	k.Hash = sha256.Sum256([]byte(text))
	if err := c.store.AddKey(ctx, k, &User{ID: k.User, Nickname: name, Kind: System, Created: now}); err != nil {
		return "", nil, fmt.Errorf("userctr: add a key: %w", err)
	}
	if err := c.Record(ctx, Record{Action: auditKeyMade, By: whom(by), About: k.ID, Note: strings.Join(scopes, " ")}); err != nil {
		return "", nil, err
	}
	c.log.Info("a server key was made", "key", k.ID, "name", name, "scopes", scopes, "by", by.User)
	return text, k, nil
}

// Keys gives up to limit keys behind the one called after. DENIED: by is no admin.
func (c *Center) Keys(ctx context.Context, by protocol.Identity, after string, limit int) ([]*Key, error) {
	if err := c.requireAdmin(ctx, by, access.AdminKeys); err != nil {
		return nil, err
	}
	keys, err := c.store.Keys(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("userctr: keys: %w", err)
	}
	return keys, nil
}

// RevokeKey ends a key and closes its sockets. NOT_FOUND; DENIED: by is no admin.
func (c *Center) RevokeKey(ctx context.Context, by protocol.Identity, id string) error {
	if err := c.requireAdmin(ctx, by, access.AdminKeys); err != nil {
		return err
	}
	k, err := c.store.Key(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return protocol.NotFound("key %.32q", id)
	}
	if err != nil {
		return fmt.Errorf("userctr: key %s: %w", id, err)
	}
	if err := c.Record(ctx, Record{Action: auditKeyRevoked, By: whom(by), About: id}); err != nil {
		return err
	}
	now := c.now()
	if err := c.store.RevokeKey(ctx, id, now); err != nil {
		return fmt.Errorf("userctr: revoke key %s: %w", id, err)
	}
	c.revoked.add(id, now)
	c.tell(k.User, id, protocol.Code_UNAUTHORIZED)
	c.log.Info("a server key was revoked", "key", id, "by", by.User)
	return nil
}

// authenticateKey says who holds a key: its own user. The store is asked each time, so a key
// that was revoked anywhere is refused at once.
func (c *Center) authenticateKey(ctx context.Context, text string) (protocol.Identity, error) {
	bad := badToken()
	if len(text) != len(keyPrefix)+keyIDChars+keyChars {
		return protocol.Identity{}, bad
	}
	k, err := c.store.Key(ctx, keyID+text[len(keyPrefix):len(keyPrefix)+keyIDChars])
	if protocol.Code_NOT_FOUND.Is(err) {
		k, err = &Key{Revoked: c.now()}, nil // nobody's; it takes as long as anybody's
	}
	if err != nil {
		return protocol.Identity{}, fmt.Errorf("userctr: a key: %w", err)
	}
	now := c.now()
	sum := sha256.Sum256([]byte(text))
	if subtle.ConstantTimeCompare(sum[:], k.Hash[:]) != 1 || !k.Revoked.IsZero() || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return protocol.Identity{}, bad
	}
	if now.Sub(k.LastUsed) >= usedEvery {
		if err := c.store.UsedKey(ctx, k.ID, now); err != nil && !protocol.Code_BUSY.Is(err) { // a full disk does not shut it out
			return protocol.Identity{}, fmt.Errorf("userctr: a key's use: %w", err)
		}
	}
	return protocol.Identity{User: k.User, Login: k.ID, Kind: access.KindKey, Scopes: k.Scopes, Expires: k.Expires}, nil
}

// ActFor is a key speaking for one of the users: the user's standing in sessions, the key's
// scopes. DENIED: who is no key; NOT_FOUND: there is no such user, or it is shut out.
func (c *Center) ActFor(ctx context.Context, who protocol.Identity, user protocol.UserID) (protocol.Identity, error) {
	if who.Kind != access.KindKey {
		return who, protocol.Denied("only a server key speaks for others")
	}
	u, err := c.User(ctx, user)
	if err != nil {
		return who, err
	}
	if u.Disabled || c.gone(u.App) {
		return who, protocol.NotFound("user %s", user)
	}
	who.User, who.App = u.ID, u.App
	return who, nil
}

// Mint is a user that a back end makes or changes.
type Mint struct {
	ID       string // "": one is made
	Nickname *string
	Avatar   *string
}

// MintUser makes the user m.ID, or changes it when there is one; new says which. DENIED
// without the scope, and for users that have a password here or are admins.
func (c *Center) MintUser(ctx context.Context, by protocol.Identity, m Mint) (u *User, new bool, err error) {
	if err := c.requireAdmin(ctx, by, access.MintUsers); err != nil {
		return nil, false, err
	}
	fresh := &User{ID: m.ID, Kind: Human, Created: c.now()}
	edit := func(u *User) error {
		if m.Nickname != nil {
			clean, err := cleanNickname(*m.Nickname)
			if err != nil {
				return err
			}
			u.Nickname = clean
		}
		if m.Avatar != nil {
			return u.keepAvatar(*m.Avatar)
		}
		return nil
	}
	if err := edit(fresh); err != nil {
		return nil, false, err
	}
	if fresh.ID == "" {
		fresh.ID = protocol.NewUserID()
	} else if _, err := protocol.ParseUserID(m.ID); err != nil || segments[m.ID] {
		return nil, false, protocol.BadRequest("id: %.64q cannot be a user id", m.ID)
	} else if err := notForBots(m.ID); err != nil {
		return nil, false, err
	}
	if fresh.Nickname == "" {
		fresh.Nickname = firstRunes(fresh.ID, maxNickname)
	}
	is, err := c.store.User(ctx, fresh.ID)
	if protocol.Code_NOT_FOUND.Is(err) {
		if m.ID != "" && strings.HasPrefix(m.ID, "u_") {
			return nil, false, protocol.BadRequest("id: there is no user %.64q, and ids that begin with u_ are made here", m.ID)
		}
		if err = c.store.AddUser(ctx, fresh, ""); err == nil {
			c.remember(fresh)
			return fresh, true, nil
		}
		if protocol.Code_CONFLICT.Is(err) {
			is, err = c.store.User(ctx, fresh.ID)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("userctr: make user %s: %w", fresh.ID, err)
	}
	u, err = c.change(ctx, is.ID, func(u *User) error {
		if err := minted(u); err != nil {
			return err
		}
		return edit(u)
	})
	return u, false, err
}

// minted refuses users that are not for back ends to speak as: DENIED, or CONFLICT where nobody is behind it any more.
func minted(u *User) error {
	if u.Gone {
		return protocol.Conflict("user %s was erased", u.ID)
	}
	if err := notForBots(u.ID); err != nil {
		return err
	}
	if u.Admin || u.Password != "" || u.Kind == System || u.Kind == Guest {
		return protocol.Denied("user %s is not for a server key to change or to sign in", u.ID)
	}
	return nil
}

// MintToken signs a user in for a back end that knows it. DENIED as MintUser; NOT_FOUND.
func (c *Center) MintToken(ctx context.Context, by protocol.Identity, user protocol.UserID, client Client) (*Grant, error) {
	if err := c.requireAdmin(ctx, by, access.MintUsers); err != nil {
		return nil, err
	}
	if err := checkDevice(client.Device, client.Platform, client.Version); err != nil {
		return nil, err
	}
	u, err := c.User(ctx, user)
	if err != nil {
		return nil, err
	}
	if err := minted(u); err != nil {
		return nil, err
	}
	if u.Disabled {
		return nil, protocol.Denied("user %s is disabled", user)
	}
	if c.gone(u.App) {
		return nil, protocol.Denied("user %s came by an application that was removed", user)
	}
	return c.open(ctx, u, client)
}
