package userctr

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// guestPrefix begins a guest's id; 128 random bits follow, so that nobody finds one.
const guestPrefix = "g_"

// GuestStore keeps anonymous visitors.
type GuestStore interface {
	// AddGuest keeps u, who is a guest, and can be listed as one.
	AddGuest(ctx context.Context, u *User) error
	// Guests gives up to limit guests behind the one called after, in order of their ids.
	Guests(ctx context.Context, after protocol.UserID, limit int) ([]protocol.UserID, error)
	// RemoveGuest forgets a guest, with its devices.
	RemoveGuest(ctx context.Context, id protocol.UserID) error
}

// Visit makes an anonymous visitor of an application, and signs it in. DENIED: the application takes none;
// NOT_FOUND: there is no such application; RATE_LIMITED.
func (c *Center) Visit(ctx context.Context, app string, client Client) (*Grant, error) {
	if err := checkDevice(client.Device, client.Platform, client.Version); err != nil {
		return nil, err
	}
	if err := c.limits.visit(client.Address, c.now()); err != nil {
		return nil, err
	}
	a, err := c.App(app)
	if err != nil {
		return nil, err
	}
	if !a.Guests {
		return nil, protocol.Denied("this application is not open to visitors without a name")
	}
	var raw [16]byte
	rand.Read(raw[:])
	id := base32Lower.EncodeToString(raw[:])
	name := a.Texts["guest"]
	if name == "" {
		name = "Guest"
	}
	if name, err = cleanNickname(firstRunes(name, maxNickname-5) + " " + id[:4]); err != nil {
		return nil, err
	}
	u := &User{ID: guestPrefix + id, Nickname: name, Kind: Guest, App: app, Created: c.now()}
	if err := c.store.AddGuest(ctx, u); err != nil {
		return nil, fmt.Errorf("userctr: add a guest: %w", err)
	}
	c.remember(u)
	return c.open(ctx, u, client)
}

// MayKnow says whether who may know of another user: everybody may but a guest, who knows itself and those
// who answer the visitors of its application.
func (c *Center) MayKnow(who *protocol.Identity, other protocol.UserID) bool {
	return who.Kind != access.KindGuest || other == who.User || slices.Contains(c.AppMembers(who.App), other)
}

// knownUser gives a user that the caller may know of. NOT_FOUND: there is none, or it may not.
func (c *Center) knownUser(ctx context.Context, id protocol.UserID) (*User, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if !c.MayKnow(&who, id) {
		return nil, protocol.NotFound("user %s", id)
	}
	return c.User(ctx, id)
}

// sweptAtOnce is how many guests are looked at between two writes.
const sweptAtOnce = 200

// sweepGuests forgets the guests that nobody has seen for cfg.GuestLife and who are in no session. Who wrote something
// stays, as others read it; so does one whose place somebody took.
func (c *Center) sweepGuests(ctx context.Context) error {
	sessions := c.sessions.Load()
	if sessions == nil {
		return nil
	}
	old := c.now().Add(-c.cfg.GuestLife)
	for after := ""; ; {
		ids, err := c.store.Guests(ctx, after, sweptAtOnce)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		for _, id := range ids {
			seen, err := c.guestSeen(ctx, id)
			if err != nil || seen.After(old) {
				continue
			}
			in, err := (*sessions).SessionsOf(ctx, id)
			if err != nil {
				return err
			}
			if len(in) > 0 {
				continue
			}
			if _, err := c.store.MergeOf(ctx, id); !protocol.Code_NOT_FOUND.Is(err) {
				if err != nil {
					return err
				}
				continue
			}
			if err := c.revokeWhere(ctx, id, protocol.Code_UNAUTHORIZED, every); err != nil {
				return err
			}
			if err := c.store.RemoveGuest(ctx, id); err != nil {
				return err
			}
		}
	}
}

func (c *Center) guestSeen(ctx context.Context, id protocol.UserID) (time.Time, error) {
	u, err := c.store.User(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	devices, err := c.store.Devices(ctx, id)
	seen := u.Created
	for _, d := range devices {
		if d.LastSeen.After(seen) {
			seen = d.LastSeen
		}
	}
	return seen, err
}
