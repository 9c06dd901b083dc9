package mongostore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// A new user is made in this order: its name is claimed, a use of its invitation is claimed, its
// terms are put into the index of names, its row is inserted, and only that makes it. After a crash
// in between there are claims of nobody. Who wants what is claimed, later than claimLife, decides by
// inserting a version that is not live in the place of the row's: either that is in, and the
// claims are removed, or the row is, and they stand. A later attempt for the same user takes the next
// version.

// claimLife is how long an attempt may take before others may end it. Clocks that differ by more
// do no harm but that an attempt is told to begin again.
const claimLife = time.Minute

// claim is what an attempt to make a user inserts first.
type claim struct {
	ID      string `bson:"_id"` // the attempt's, as nobody else ever has it
	Mark    string `bson:"mark"`
	User    string `bson:"user"`
	Version int64  `bson:"version"` // that the row is to have
	At      int64  `bson:"at"`
}

// nameDoc says whose a name is.
type nameDoc struct {
	Claim claim  `bson:",inline"`
	Name  string `bson:"name"` // folded; unique
}

// AddUser fills userctr.Store.
func (s *Store) AddUser(ctx context.Context, u *userctr.User, invite string) error {
	return s.addUser(ctx, u, invite, false)
}

func (s *Store) addUser(ctx context.Context, u *userctr.User, invite string, guest bool) error {
	version, err := s.firstVersion(ctx, u.ID)
	if err != nil || version == 0 {
		return either(err, userExists(u.ID))
	}
	mark := s.token()
	attempt := claim{ID: mark, Mark: mark, User: u.ID, Version: version, At: nanos(time.Now())}
	err = s.claimAndAdd(ctx, attempt, u, invite, guest)
	if err == nil {
		u.Version = version
		return nil
	}
	if refused(err) { // else it is not known whether the row is in
		s.afterwards(ctx, "to remove the claims of an attempt", func(ctx context.Context) error { return s.removeClaims(ctx, attempt, u) })
	}
	return err
}

// refused says that it is certain that an attempt made no user.
func refused(err error) bool {
	return protocol.Code_CONFLICT.Is(err) || protocol.Code_NOT_FOUND.Is(err) || errors.Is(err, userctr.ErrSpent)
}

func (s *Store) claimAndAdd(ctx context.Context, attempt claim, u *userctr.User, invite string, guest bool) error {
	if u.Folded != "" {
		if err := s.claimName(ctx, attempt, u.Folded); err != nil {
			return err
		}
	}
	if invite == "" {
		return s.addRow(ctx, attempt.Mark, attempt.Version, u, guest)
	}
	if err := s.claimUse(ctx, attempt, invite); err != nil {
		return err
	}
	if err := s.addRow(ctx, attempt.Mark, attempt.Version, u, guest); err != nil {
		return err
	}
	s.afterwards(ctx, "to note that a use of an invitation stands", func(ctx context.Context) error {
		_, err := s.change(ctx, inInviteUses, attempt.ID, useStands)
		return err
	})
	return nil
}

// firstVersion is the version that a new row of a user has: 1, unless attempts to make one were
// ended. 0: there is such a user.
func (s *Store) firstVersion(ctx context.Context, user protocol.UserID) (int64, error) {
	for first := int64(1); ; first++ {
		has, err := s.versions(ctx, user)
		if err != nil || len(has) > 0 {
			return 0, err
		}
		ended, err := get[userDoc](ctx, s, inUsers, userID(user, first))
		if err != nil || ended == nil {
			return first, err
		}
	}
}

func userExists(user protocol.UserID) error { return protocol.Conflict("user %s exists", user) }

// addRow inserts the first version of a user's row, and what it is found by before. CONFLICT: there is such
// a user; BUSY: the attempt took so long that another ended it.
func (s *Store) addRow(ctx context.Context, mark string, version int64, u *userctr.User, guest bool) error {
	d := &userDoc{ID: userID(u.ID, version), Mark: mark, User: u.ID, Version: version, Live: true, Guest: guest, Under: mark, Row: rowOfUser(u)}
	if err := s.addTerms(ctx, d, userctr.SearchTerms(d.user())); err != nil {
		return err
	}
	err := s.put(ctx, inUsers, d.ID, d.Mark, d)
	if !errors.Is(err, errTaken) {
		return err
	}
	s.afterwards(ctx, "to remove the terms of an attempt", func(ctx context.Context) error { return s.removeTerms(ctx, d.Under) })
	is, err := s.versions(ctx, u.ID)
	if err != nil {
		return err
	}
	if len(is) > 0 {
		return userExists(u.ID)
	}
	return &protocol.Error{Code: protocol.Code_BUSY, Detail: "making the user took too long", RetryAfterMs: 100}
}

// claimName claims a name. CONFLICT: it is another's, or soon will be.
func (s *Store) claimName(ctx context.Context, attempt claim, folded string) error {
	for {
		err := s.put(ctx, inNames, attempt.ID, attempt.Mark, nameDoc{Claim: attempt, Name: folded})
		if !errors.Is(err, errTaken) {
			return err
		}
		has, err := find[nameDoc](ctx, s, inNames, bson.D{eq("name", folded)})
		if err != nil {
			return err
		}
		if len(has) == 0 {
			continue // it was removed meanwhile
		}
		if has[0].Claim.User == attempt.User && has[0].Claim.Version == attempt.Version { // another attempt's to make the same user
			return nil
		}
		void, err := s.void(ctx, has[0].Claim)
		if err != nil {
			return err
		}
		if !void {
			return protocol.Conflict("the name is taken")
		}
		if err := s.remove(ctx, inNames, has[0].Claim.ID); err != nil {
			return err
		}
	}
}

// void says whether a claim is of nobody. It ends the attempt that made it when that is old.
func (s *Store) void(ctx context.Context, of claim) (bool, error) {
	for {
		d, err := get[userDoc](ctx, s, inUsers, userID(of.User, of.Version))
		if err != nil {
			return false, err
		}
		if d != nil {
			if d.Live {
				return false, nil
			}
			is, err := s.versions(ctx, of.User)
			return err == nil && len(is) == 0, err
		}
		if time.Since(fromNanos(of.At)) < claimLife {
			return false, nil
		}
		ended := userDoc{ID: userID(of.User, of.Version), Mark: s.token(), User: of.User, Version: of.Version}
		if err := s.put(ctx, inUsers, ended.ID, ended.Mark, ended); !errors.Is(err, errTaken) {
			return err == nil, err
		}
	}
}

// removeClaims removes what an attempt claimed that made no user. A name stays where another attempt made
// the same user by it meanwhile.
func (s *Store) removeClaims(ctx context.Context, attempt claim, u *userctr.User) error {
	if err := s.remove(ctx, inInviteUses, attempt.ID); err != nil {
		return err
	}
	is, err := s.versions(ctx, u.ID)
	if err != nil || len(is) > 0 && is[0].Row.Folded == u.Folded {
		return err
	}
	return s.remove(ctx, inNames, attempt.ID)
}

// inviteDoc is an invitation. It never changes.
type inviteDoc struct {
	ID      string `bson:"_id"`
	Mark    string `bson:"mark"`
	Hash    []byte `bson:"hash"`
	Admin   bool   `bson:"admin,omitempty"`
	Uses    int    `bson:"uses"`
	Used    int    `bson:"used,omitempty"` // before it came into this store
	By      string `bson:"by,omitempty"`
	Created int64  `bson:"created"`
	Expires int64  `bson:"expires"` // 0: never
}

// useDoc is one use of an invitation. There are as many places for them as the invitation has uses.
type useDoc struct {
	Claim  claim  `bson:",inline"`
	Slot   string `bson:"slot"` // joined invitation and Number; unique
	Invite string `bson:"invite"`
	Number int    `bson:"number"` // 1 to the invitation's uses
	Stands bool   `bson:"stands"` // the user is there: it need not be looked for
}

var useStands = bson.D{eq("$set", bson.D{eq("stands", true)})}

// AddInvite fills userctr.Store.
func (s *Store) AddInvite(ctx context.Context, i *userctr.Invite) error {
	d := inviteDoc{
		ID: i.ID, Mark: s.token(), Hash: i.Hash[:], Admin: i.Admin, Uses: i.Uses, Used: i.Used, By: i.By,
		Created: nanos(i.Created), Expires: nanos(i.Expires),
	}
	err := s.put(ctx, inInvites, d.ID, d.Mark, d)
	if errors.Is(err, errTaken) {
		return protocol.Conflict("invitation %s exists", i.ID)
	}
	return err
}

// Invite fills userctr.Store.
func (s *Store) Invite(ctx context.Context, id string) (*userctr.Invite, error) {
	d, err := s.invite(ctx, id)
	if err != nil {
		return nil, err
	}
	uses, err := s.usesOf(ctx, d)
	if err != nil {
		return nil, err
	}
	i := &userctr.Invite{
		ID: d.ID, Admin: d.Admin, Uses: d.Uses, Used: d.Used + len(uses), By: d.By, Created: fromNanos(d.Created), Expires: fromNanos(d.Expires),
	}
	copy(i.Hash[:], d.Hash)
	return i, nil
}

func (s *Store) invite(ctx context.Context, id string) (*inviteDoc, error) {
	d, err := get[inviteDoc](ctx, s, inInvites, id)
	if err == nil && d == nil {
		err = protocol.NotFound("invitation %s", id)
	}
	return d, err
}

// usesOf gives the uses of an invitation. When there is none left it looks for those of nobody, and removes them.
func (s *Store) usesOf(ctx context.Context, i *inviteDoc) (uses []*useDoc, err error) {
	all, err := find[useDoc](ctx, s, inInviteUses, bson.D{eq("invite", i.ID)})
	if err != nil || i.Used+len(all) < i.Uses {
		return all, err
	}
	for _, use := range all {
		if !use.Stands && time.Since(fromNanos(use.Claim.At)) >= claimLife {
			void, err := s.void(ctx, use.Claim)
			if err != nil {
				return nil, err
			}
			if void {
				if err := s.remove(ctx, inInviteUses, use.Claim.ID); err != nil {
					return nil, err
				}
				continue
			}
			if _, err := s.change(ctx, inInviteUses, use.Claim.ID, useStands); err != nil {
				return nil, err
			}
		}
		uses = append(uses, use)
	}
	return uses, nil
}

// claimUse claims a use of an invitation. ErrSpent: none is left.
func (s *Store) claimUse(ctx context.Context, attempt claim, invite string) error {
	i, err := s.invite(ctx, invite)
	if err != nil {
		return err
	}
	for {
		uses, err := s.usesOf(ctx, i)
		if err != nil {
			return err
		}
		taken := make(map[int]bool, len(uses))
		for _, use := range uses {
			taken[use.Number] = true
		}
		var free []int
		for n := i.Used + 1; n <= i.Uses; n++ {
			if !taken[n] {
				free = append(free, n)
			}
		}
		if len(free) == 0 {
			return userctr.ErrSpent
		}
		n := free[rand.IntN(len(free))] // of many at once few want the same
		use := useDoc{Claim: attempt, Slot: joined(invite, decimal(int64(n))), Invite: invite, Number: n}
		if err := s.put(ctx, inInviteUses, use.Claim.ID, use.Claim.Mark, use); !errors.Is(err, errTaken) {
			return err
		}
	}
}
