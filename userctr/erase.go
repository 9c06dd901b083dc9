package userctr

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Erasure is a user being erased. It is kept until all is done, so that a restart
// goes on with it; every step may be done again.
type Erasure struct {
	User     protocol.UserID `json:"user"`
	By       string          `json:"by"`
	Messages string          `json:"messages"` // KeepMessages or TombstoneMessages
	Began    int64           `json:"began"`    // Unix milliseconds
}

// What becomes of the messages of a user who is erased.
const (
	KeepMessages      = "keep"      // they stay, by an author who is nobody any more
	TombstoneMessages = "tombstone" // what they said is gone
)

// EraseStore is what erasing people needs of a store.
type EraseStore interface {
	BeginErasure(ctx context.Context, e *Erasure) error
	EndErasure(ctx context.Context, user protocol.UserID) error
	// Erasures gives those that have begun and not ended.
	Erasures(ctx context.Context) ([]*Erasure, error)
	// EraseUser leaves of a user its id, kind and times, marked as gone: its name is
	// free, its logins have ended, and its devices, subjects, contacts (others' rows of
	// it too), requests and avatars are removed. It may be done again.
	EraseUser(ctx context.Context, id protocol.UserID, now time.Time) error
	// Purge makes sure that what was replaced or removed is in no file any more.
	Purge(ctx context.Context) error
}

// BeginErasure writes down that a user is being erased and shuts it out at once: its
// logins end, its sockets close. NOT_FOUND; CONFLICT: it is the last administrator.
func (c *Center) BeginErasure(ctx context.Context, by string, id protocol.UserID, messages string) (*Erasure, error) {
	if messages != KeepMessages && messages != TombstoneMessages {
		return nil, protocol.BadRequest("messages: %s or %s", KeepMessages, TombstoneMessages)
	}
	u, err := c.User(ctx, id)
	if err != nil {
		return nil, err
	}
	if by == id {
		return nil, protocol.Denied("administrators do not erase themselves")
	}
	if protocol.IsBot(id) {
		return nil, protocol.Conflict("user %s is a bot: bots are switched off, not erased", id)
	}
	if u.Admin {
		if _, err := c.SetAdmin(ctx, by, id, false); err != nil {
			return nil, err
		}
	}
	e := &Erasure{User: id, By: by, Messages: messages, Began: c.now().UnixMilli()}
	if err := c.Record(ctx, Record{Action: auditErased, By: by, About: id, Note: "messages: " + messages}); err != nil {
		return nil, err
	}
	if err := c.store.BeginErasure(ctx, e); err != nil {
		return nil, fmt.Errorf("userctr: begin to erase %s: %w", id, err)
	}
	c.log.Info("a user is being erased", "user", id, "by", by, "messages", messages)
	return e, c.Shut(ctx, id)
}

// Hide takes the pictures of a user away at once, also of the guests that it was: the
// rest of an erasure may take a while.
func (c *Center) Hide(ctx context.Context, id protocol.UserID) error {
	all, err := c.MergedInto(ctx, id)
	if err != nil {
		return err
	}
	for _, id := range append(all, id) {
		_, err := c.change(ctx, id, func(u *User) error { u.Avatar = ""; return nil })
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
	}
	return nil
}

// Shut ends all that a user may do.
func (c *Center) Shut(ctx context.Context, id protocol.UserID) error {
	if _, err := c.change(ctx, id, func(u *User) error { u.Disabled = true; return nil }); err != nil {
		return err
	}
	err := c.revokeWhere(ctx, id, protocol.Code_UNAUTHORIZED, every)
	c.tell(id, "", protocol.Code_UNAUTHORIZED) // connections of outside tokens
	return err
}

// Erasures gives those that have begun and not ended.
func (c *Center) Erasures(ctx context.Context) ([]*Erasure, error) {
	all, err := c.store.Erasures(ctx)
	if err != nil {
		return nil, fmt.Errorf("userctr: who is being erased: %w", err)
	}
	return all, nil
}

// Forget is the last step of an erasure: nothing of who the user was is kept here.
func (c *Center) Forget(ctx context.Context, id protocol.UserID) error {
	if err := c.ForgetSubjects(ctx, id); err != nil { // what outside systems call them is theirs too
		return err
	}
	if err := c.sightings.kept(ctx); err != nil { // else a device's row would come after
		return err
	}
	if err := c.store.EraseUser(ctx, id, c.now()); err != nil {
		return fmt.Errorf("userctr: erase %s: %w", id, err)
	}
	u, err := c.User(ctx, id)
	if err != nil {
		return err
	}
	c.remember(u)
	c.seen(&protocol.Profile{}, u)
	return nil
}

// EndErasure says that an erasure is done, after what was removed is in no file any more.
func (c *Center) EndErasure(ctx context.Context, id protocol.UserID) error {
	if err := c.store.Purge(ctx); err != nil {
		return fmt.Errorf("userctr: purge: %w", err)
	}
	if err := c.store.EndErasure(ctx, id); err != nil {
		return fmt.Errorf("userctr: end the erasure of %s: %w", id, err)
	}
	c.log.Info("a user was erased", "user", id)
	return nil
}
