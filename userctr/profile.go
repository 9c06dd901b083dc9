package userctr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// ProfileStore is the part of Store by which people are shown and found.
type ProfileStore interface {
	// Users gives those of ids that are there, in no order.
	Users(ctx context.Context, ids []protocol.UserID) ([]*User, error)
	// FindTerms gives the entries of the index of SearchTerms whose term begins with
	// prefix, in the order of TermPlace behind after, limit at most.
	FindTerms(ctx context.Context, prefix string, after TermPlace, limit int) ([]TermPlace, error)
}

// Bounds of a profile's free fields.
const (
	maxFields     = 20
	maxFieldKey   = 32  // characters
	maxFieldValue = 256 // characters
)

// checkFields takes what an installation shows of its people besides name and face.
func checkFields(fields map[string]string) error {
	if len(fields) > maxFields {
		return protocol.Errorf(protocol.Code_TOO_MANY, "fields: %d at most", maxFields)
	}
	for k, v := range fields {
		if n := utf8.RuneCountInString(k); n < 1 || n > maxFieldKey || !utf8.ValidString(k) || !printable(k) {
			return protocol.BadRequest("fields: a key has 1 to %d characters, none of them a control character", maxFieldKey)
		}
		if utf8.RuneCountInString(v) > maxFieldValue || !utf8.ValidString(v) {
			return protocol.BadRequest("fields: a value has at most %d characters", maxFieldValue)
		}
	}
	return nil
}

// shown is what others see of u.
func shown(u *User) *protocol.Profile {
	return &protocol.Profile{
		UserId: u.ID, Nickname: u.Nickname, Avatar: protocol.ShownAvatar(u.Avatar, u.ID), Kind: string(u.Kind), Name: u.Name,
		Fields: maps.Clone(u.Fields), Version: u.Version, Gone: u.Gone,
	}
}

// maxLooks is in users per half; two halves of 20,000 profiles are about 16 MB.
const maxLooks = 20_000

// looks remembers profiles in two halves, as people does. What is in it is never
// older than what a finished change made: a change puts its own, and a reader that
// was slower is passed over.
type looks struct {
	mu         sync.Mutex
	young, old map[protocol.UserID]*protocol.Profile
	turns      int // how often the young half became the old one
}

func newLooks() *looks { return &looks{young: map[protocol.UserID]*protocol.Profile{}} }

// known gives those of ids that are remembered, in the order of ids, and the others.
// turn is to be given back with what is read of them.
func (l *looks) known(ids []protocol.UserID) (known []*protocol.Profile, others []protocol.UserID, turn int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		p := l.get(id)
		switch {
		case p != nil && known == nil:
			known = append(make([]*protocol.Profile, 0, len(ids)), p)
		case p != nil:
			known = append(known, p)
		default:
			others = append(others, id)
		}
	}
	return known, others, l.turns
}

func (l *looks) get(id protocol.UserID) *protocol.Profile {
	p := l.young[id]
	if p == nil {
		if p = l.old[id]; p != nil {
			l.keep(p)
		}
	}
	return p
}

// put remembers p unless a newer one is there, and gives the newer of the two. What
// was read two turns ago is not kept: a newer one may have come and gone meanwhile.
func (l *looks) put(p *protocol.Profile, turn int) *protocol.Profile {
	l.mu.Lock()
	defer l.mu.Unlock()
	if is := l.get(p.UserId); is != nil && is.Version >= p.Version {
		return is
	}
	if l.turns < turn+2 {
		l.keep(p)
	}
	return p
}

func (l *looks) keep(p *protocol.Profile) {
	if len(l.young) >= maxLooks {
		l.old, l.young = l.young, map[protocol.UserID]*protocol.Profile{}
		l.turns++
	}
	l.young[p.UserId] = p
}

// changed remembers what a user looks like from now on.
func (l *looks) changed(p *protocol.Profile) {
	l.mu.Lock()
	turn := l.turns
	l.mu.Unlock()
	l.put(p, turn)
}

// Known gives the profiles that are had without waiting, and the ids of the others.
// A profile is changed by nobody.
func (c *Center) Known(ids []protocol.UserID) (known []*protocol.Profile, others []protocol.UserID) {
	known, others, _ = c.looks.known(ids)
	return known, others
}

// Profiles gives the profiles of those of ids that are users', in no order, each once.
func (c *Center) Profiles(ctx context.Context, ids []protocol.UserID) ([]*protocol.Profile, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found, others, turn := c.looks.known(ids)
	if len(others) == 0 {
		return found, nil
	}
	users, err := c.store.Users(ctx, others)
	if err != nil {
		return nil, fmt.Errorf("userctr: profiles: %w", err)
	}
	for _, u := range users {
		found = append(found, c.looks.put(shown(u), turn))
	}
	return found, nil
}

// OnProfile names who is told that somebody looks different now. It must not wait.
func (c *Center) OnProfile(told func(*protocol.Profile)) { c.onProfile.Store(&told) }

// Looks is what a user may change of its own profile; what is nil stays.
type Looks struct {
	Nickname *string
	Avatar   *string
	Fields   map[string]string // all of them: those that are not in it are gone
	Findable *Findable         // who finds the user by its name
}

// SetProfile changes what others see of a user, and has them told. BAD_REQUEST,
// TOO_MANY, RATE_LIMITED, NOT_FOUND; of a picture also UNSUPPORTED, TOO_LARGE, BUSY.
func (c *Center) SetProfile(ctx context.Context, id protocol.UserID, l Looks) (*User, error) {
	var nickname string
	var err error
	if l.Nickname != nil {
		if nickname, err = cleanNickname(*l.Nickname); err != nil {
			return nil, err
		}
	}
	if l.Avatar != nil {
		if err := checkAvatar(*l.Avatar); err != nil {
			return nil, err
		}
	}
	if err := checkFields(l.Fields); err != nil {
		return nil, err
	}
	if l.Findable != nil && !slices.Contains([]Findable{FindableByAll, FindableByExact, FindableByNone}, *l.Findable) {
		return nil, protocol.BadRequest("findable: everyone, exact or nobody is needed")
	}
	if err := c.profileRate.take(id, c.now()); err != nil {
		return nil, err
	}
	var avatar string
	drawn := false
	if l.Avatar != nil {
		if avatar, drawn, err = c.drawAvatar(ctx, id, *l.Avatar); err != nil {
			return nil, err
		}
	}
	return c.change(ctx, id, func(u *User) error {
		if u.Gone { // while a picture was drawn
			return protocol.NotFound("user %s", id)
		}
		if l.Nickname != nil {
			u.Nickname = nickname
		}
		switch {
		case drawn:
			u.Avatar = avatar
		case l.Avatar != nil:
			if err := u.keepAvatar(avatar); err != nil {
				return err
			}
		}
		if l.Findable != nil {
			u.Findable = *l.Findable
		}
		if l.Fields != nil {
			u.Fields = maps.Clone(l.Fields)
			if len(u.Fields) == 0 {
				u.Fields = nil
			}
		}
		return nil
	})
}

// sameLooks says that others see no difference between two rows of a user.
func sameLooks(a, b *protocol.Profile) bool {
	return a.Nickname == b.Nickname && a.Avatar == b.Avatar && a.Kind == b.Kind && a.Gone == b.Gone &&
		a.Name == b.Name && maps.Equal(a.Fields, b.Fields)
}
