package userctr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Sessions is what the centre asks of sessions. FollowSessions gives it one.
type Sessions interface {
	// SessionsOf gives the sessions that user is in.
	SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error)
	// Replace puts to in the place of from, in one session. Done before: no error.
	Replace(ctx context.Context, session protocol.SessionID, from, to protocol.UserID) error
}

// FollowSessions names who knows about sessions. Before that nobody is merged or swept.
func (c *Center) FollowSessions(s Sessions) { c.sessions.Store(&s) }

// Merge is a guest that a user takes the place of.
type Merge struct {
	Guest, User protocol.UserID
	Begun       time.Time
	Done        time.Time // zero: a restart goes on with it
}

// auditMerged is what the audit log calls that a user took a guest's place.
const auditMerged = "guest-merged"

// MergeStore keeps who took whose place.
type MergeStore interface {
	// AddMerge keeps m, unless the guest has one already, and gives the one that it has now.
	AddMerge(ctx context.Context, m *Merge) (*Merge, error)
	// MergeOf gives a guest's. None: protocol.NotFound.
	MergeOf(ctx context.Context, guest protocol.UserID) (*Merge, error)
	// MergedInto gives the guests whose place user took, or is taking.
	MergedInto(ctx context.Context, user protocol.UserID) ([]protocol.UserID, error)
	// DoneMerge sets Done where it is zero.
	DoneMerge(ctx context.Context, guest protocol.UserID, at time.Time) error
	// OpenMerges gives up to limit of those that are not done.
	OpenMerges(ctx context.Context, limit int) ([]*Merge, error)
}

// MergeGuest puts the user who asks in the place of a guest in all of its sessions, with what the guest could read and
// had read, and closes the guest. Both prove who they are: the user by the token that was checked, the guest by
// guestToken, its access token. What was begun is finished, if need be after a restart; asking again is no error. CONFLICT: another
// user took the guest's place; DENIED: the guest's token is not good.
func (c *Center) MergeGuest(ctx context.Context, who protocol.Identity, address, guestToken string) error {
	if who.Kind != "" {
		return protocol.Denied("only a person takes a guest's place")
	}
	if err := c.limits.address(address, c.now()); err != nil {
		return err
	}
	refused := protocol.Denied("the guest's token is not good here") // not UNAUTHORIZED: the one who asks is signed in
	own, _, err := c.tokens.verify(guestToken)
	if protocol.Code_TOKEN_EXPIRED.Is(err) {
		return protocol.Denied("the guest's token has expired: renew it first")
	}
	if err != nil || own == nil || own.Kind != access.KindGuest || own.Subject == who.User {
		return refused
	}
	m, err := c.store.MergeOf(ctx, own.Subject)
	if protocol.Code_NOT_FOUND.Is(err) {
		if c.revoked.has(own.Login) { // a login that ended otherwise than by a merge
			return refused
		}
		if err := c.Record(ctx, Record{Action: auditMerged, By: whom(who), About: own.Subject}); err != nil {
			return err
		}
		m, err = c.store.AddMerge(ctx, &Merge{Guest: own.Subject, User: who.User, Begun: c.now()})
	}
	if err != nil {
		return fmt.Errorf("userctr: merge %s: %w", own.Subject, err)
	}
	if m.User != who.User {
		return protocol.Conflict("another user took this guest's place")
	}
	if !m.Done.IsZero() {
		return nil
	}
	c.log.Info("a user takes a guest's place", "user", who.User, "guest", m.Guest)
	return c.finishMerge(ctx, m)
}

// finishMerge does what is to be done of a merge; each step may be done again.
func (c *Center) finishMerge(ctx context.Context, m *Merge) error {
	sessions := c.sessions.Load()
	if sessions == nil {
		return &protocol.Error{Code: protocol.Code_BUSY, Detail: "sessions cannot be reached now", RetryAfterMs: 1000}
	}
	user, err := c.User(ctx, m.User)
	if err != nil {
		return err
	}
	avatar, err := c.copied(ctx, user.Avatar, m.Guest)
	if err != nil {
		return fmt.Errorf("userctr: merge %s: %w", m.Guest, err)
	}
	// The guest is closed first: what it began before is in the sessions that are read then.
	_, err = c.change(ctx, m.Guest, func(u *User) error {
		u.Disabled, u.Nickname, u.Avatar = true, user.Nickname, avatar // what it wrote is shown under the user's name
		return nil
	})
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return err
	}
	if err := c.revokeWhere(ctx, m.Guest, protocol.Code_UNAUTHORIZED, every); err != nil {
		return err
	}
	c.tell(m.Guest, "", protocol.Code_UNAUTHORIZED)
	for range 3 { // a frame that was under way when the sockets closed may still make a session
		in, err := (*sessions).SessionsOf(ctx, m.Guest)
		if err != nil {
			return fmt.Errorf("userctr: sessions of %s: %w", m.Guest, err)
		}
		in = slices.DeleteFunc(in, protocol.IsP2P) // the id of a session of two is made of the two
		if len(in) == 0 {
			break
		}
		for _, s := range in {
			if err := (*sessions).Replace(ctx, s, m.Guest, m.User); err != nil {
				return fmt.Errorf("userctr: merge %s in session %s: %w", m.Guest, s, err)
			}
		}
	}
	if err := c.store.DoneMerge(ctx, m.Guest, c.now()); err != nil {
		return fmt.Errorf("userctr: merge %s: %w", m.Guest, err)
	}
	return nil
}

// FinishMerges goes on with the merges that a restart, or a failure, cut off.
func (c *Center) FinishMerges(ctx context.Context) error {
	open, err := c.store.OpenMerges(ctx, 1000)
	if err != nil {
		return fmt.Errorf("userctr: merges: %w", err)
	}
	var failed error
	for _, m := range open {
		failed = errors.Join(failed, c.finishMerge(ctx, m))
	}
	return failed
}

// MergedInto gives the guests whose place user took: what it wrote before it was known.
func (c *Center) MergedInto(ctx context.Context, user protocol.UserID) ([]protocol.UserID, error) {
	guests, err := c.store.MergedInto(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("userctr: who was merged into %s: %w", user, err)
	}
	return guests, nil
}
