// Package storetest is what every store has to pass, so that one can take the
// place of another.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Users checks what a userctr.Store promises. open gives an empty store each time.
func Users(t *testing.T, open func(t *testing.T) userctr.Store) {
	for _, c := range []struct {
		says string
		test func(t *testing.T, s userctr.Store)
	}{
		{"UserComesBackAsItWasKept", userComesBack},
		{"IDsAndNamesAreUnique", idsAndNamesAreUnique},
		{"OfManyWhoTakeOneNameOneGetsIt", oneGetsTheName},
		{"UpdateOfAnOlderRowIsRefused", updateOfAnOlderRow},
		{"OfManyUpdatesNoneIsLost", noUpdateIsLost},
		{"MissingNamesThoseThatNobodyHas", missingNames},
		{"InviteLetsInAsManyAsItSays", inviteLetsIn},
		{"SetupInviteIsMadeOnce", inviteIsMadeOnce},
		{"LoginComesBackUntilItIsRevoked", loginComesBack},
		{"OfManyRotationsOneIsTheChild", oneChild},
		{"TokenOfNobodyHasNoChild", noChildOfNobody},
		{"DeviceKeepsItsFirstTime", deviceKeepsItsFirstTime},
		{"DevicesAreSeenTogether", devicesAreSeenTogether},
		{"SweepRemovesWhatHasEnded", sweepRemoves},
		{"NamesAreIndexedWithTheirRows", namesAreIndexed},
		{"SubjectsKeepTheirUsers", subjectsKeepTheirUsers},
		{"KeyComesBack", keyComesBack},
		{"AppComesBack", appComesBack},
		{"OfManyWhoSpendOneDoes", spentOnce},
		{"GuestsAndMergesAreKept", guestsAndMerges},
		{"OfManyAtFirstSightOneUserIsMade", oneUserOfASubject},
		{"AuditRowsCarryOnEachOther", auditRowsCarryOn},
		{"OfManyAuditRowsNoneIsLost", noAuditRowIsLost},
		{"RemovedAuditRowsLeaveAnAnchor", removedAuditRows},
		{"EachUserComesOnceInOrder", eachUserComesOnce},
	} {
		t.Run(c.says, func(t *testing.T) { c.test(t, open(t)) })
	}
}

var began = time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)

func user(id, folded string) *userctr.User {
	return &userctr.User{
		ID: id, Name: folded, Folded: folded, Nickname: "N " + id, Avatar: "https://example.com/a", Kind: userctr.Human,
		Admin: true, Created: began, Password: "$argon2id$…", Outside: "o",
	}
}

func hash(s string) userctr.Hash { return sha256.Sum256([]byte(s)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err error, code protocol.Code) {
	t.Helper()
	if !code.Is(err) {
		t.Errorf("error = %v, want %s", err, code.Word())
	}
}

func userComesBack(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	u := user("u_1", "ann")
	must(t, s.AddUser(ctx, u, ""))
	if u.Version != 1 {
		t.Errorf("version of a new row = %d, want 1", u.Version)
	}
	for _, read := range []func() (*userctr.User, error){
		func() (*userctr.User, error) { return s.User(ctx, "u_1") },
		func() (*userctr.User, error) { return s.UserByName(ctx, "ann") },
	} {
		if got, err := read(); err != nil || !reflect.DeepEqual(got, u) {
			t.Errorf("read %+v, %v, want %+v", got, err, u)
		}
	}
	_, err := s.User(ctx, "u_2")
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = s.UserByName(ctx, "bob")
	wants(t, err, protocol.Code_NOT_FOUND)
}

func idsAndNamesAreUnique(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, user("u_1", "ann"), ""))
	wants(t, s.AddUser(ctx, user("u_1", "bob"), ""), protocol.Code_CONFLICT)
	wants(t, s.AddUser(ctx, user("u_2", "ann"), ""), protocol.Code_CONFLICT)
	for _, id := range []string{"u_2"} {
		_, err := s.User(ctx, id)
		wants(t, err, protocol.Code_NOT_FOUND)
	}
	_, err := s.UserByName(ctx, "bob")
	wants(t, err, protocol.Code_NOT_FOUND)
	must(t, s.AddUser(ctx, user("outside-1", ""), "")) // no name is not a name
	must(t, s.AddUser(ctx, user("outside-2", ""), ""))
}

// atOnce runs f n times in parallel and gives how often it gave no error.
func atOnce(t *testing.T, n int, allowed func(error) bool, f func(i int) error) (ok int) {
	t.Helper()
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ok++
			} else if !allowed(err) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	return ok
}

func oneGetsTheName(t *testing.T, s userctr.Store) {
	ok := atOnce(t, 50, protocol.Code_CONFLICT.Is, func(i int) error {
		return s.AddUser(t.Context(), user(fmt.Sprint("u_", i), "ann"), "")
	})
	if ok != 1 {
		t.Errorf("%d of 50 got the name, want 1", ok)
	}
}

func updateOfAnOlderRow(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, user("u_1", "ann"), ""))
	a, err := s.User(ctx, "u_1")
	must(t, err)
	b, err := s.User(ctx, "u_1")
	must(t, err)
	a.Nickname, a.Disabled = "Ann", true
	must(t, s.UpdateUser(ctx, a))
	if a.Version != 2 {
		t.Errorf("version after an update = %d, want 2", a.Version)
	}
	b.Nickname = "lost"
	if err := s.UpdateUser(ctx, b); !errors.Is(err, userctr.ErrChanged) {
		t.Errorf("update of an older row = %v, want ErrChanged", err)
	}
	if got, err := s.User(ctx, "u_1"); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("read %+v, %v, want %+v", got, err, a)
	}
	a.Folded, a.Name, a.Created = "bob", "bob", began.Add(time.Hour)
	must(t, s.UpdateUser(ctx, a))
	if got, err := s.UserByName(ctx, "ann"); err != nil || got.Name != "ann" || !got.Created.Equal(began) {
		t.Errorf("name and time of birth changed: %+v, %v", got, err)
	}
	wants(t, s.UpdateUser(ctx, user("u_9", "x")), protocol.Code_NOT_FOUND)
}

func noUpdateIsLost(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	must(t, s.AddUser(ctx, user("u_1", "ann"), ""))
	atOnce(t, 20, nil, func(int) error {
		for {
			u, err := s.User(ctx, "u_1")
			if err != nil {
				return err
			}
			u.Avatar += "+"
			if err := s.UpdateUser(ctx, u); !errors.Is(err, userctr.ErrChanged) {
				return err
			}
		}
	})
	if u, err := s.User(ctx, "u_1"); err != nil || len(u.Avatar) != len("https://example.com/a")+20 || u.Version != 21 {
		t.Errorf("after 20 updates: %+v, %v", u, err)
	}
}

func missingNames(t *testing.T, s userctr.Store) {
	must(t, s.AddUser(t.Context(), user("u_1", "ann"), ""))
	got, err := s.Missing(t.Context(), []string{"u_0", "u_1", "ann", "u_10"})
	if err != nil || !slices.Equal(got, []string{"u_0", "ann", "u_10"}) {
		t.Errorf("Missing = %v, %v", got, err)
	}
}

func inviteLetsIn(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	i := &userctr.Invite{ID: "i1", Hash: hash("code"), Uses: 3, By: "u_0", Created: began, Expires: began.Add(time.Hour)}
	must(t, s.AddInvite(ctx, i))
	if got, err := s.Invite(ctx, "i1"); err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("read %+v, %v, want %+v", got, err, i)
	}
	must(t, s.AddUser(ctx, user("u_x", "taken"), ""))
	wants(t, s.AddUser(ctx, user("u_y", "taken"), "i1"), protocol.Code_CONFLICT) // costs no use
	ok := atOnce(t, 20, func(err error) bool { return errors.Is(err, userctr.ErrSpent) }, func(n int) error {
		return s.AddUser(ctx, user(fmt.Sprint("u_", n), fmt.Sprint("name", n)), "i1")
	})
	if ok != 3 {
		t.Errorf("%d of 20 came in by an invitation for 3", ok)
	}
	if got, err := s.Invite(ctx, "i1"); err != nil || got.Used != 3 {
		t.Errorf("after 3 uses: %+v, %v", got, err)
	}
	wants(t, s.AddUser(ctx, user("u_z", "zoe"), "i2"), protocol.Code_NOT_FOUND)
	_, err := s.User(ctx, "u_z")
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = s.UserByName(ctx, "zoe")
	wants(t, err, protocol.Code_NOT_FOUND)
}

func inviteIsMadeOnce(t *testing.T, s userctr.Store) {
	ok := atOnce(t, 20, protocol.Code_CONFLICT.Is, func(i int) error {
		return s.AddInvite(t.Context(), &userctr.Invite{ID: "setup", Hash: hash(fmt.Sprint(i)), Uses: 1, Admin: true, Created: began})
	})
	if ok != 1 {
		t.Errorf("%d of 20 made the same invitation, want 1", ok)
	}
	if i, err := s.Invite(t.Context(), "setup"); err != nil || !i.Admin || !i.Expires.IsZero() {
		t.Errorf("read %+v, %v", i, err)
	}
}

func login(id, user, device string, at time.Time) (*userctr.Login, *userctr.Refresh, *userctr.DeviceRow) {
	return &userctr.Login{ID: id, User: user, Device: device, Platform: "web", Version: "1", Created: at, Expires: at.Add(30 * 24 * time.Hour)},
		&userctr.Refresh{Hash: hash(id + "/0"), Login: id, Issued: at},
		&userctr.DeviceRow{User: user, Device: device, Name: "Phone", Platform: "web", Version: "1", Created: at, LastSeen: at}
}

func addLogin(t *testing.T, s userctr.Store, id, user, device string, at time.Time) *userctr.Login {
	t.Helper()
	l, r, d := login(id, user, device, at)
	must(t, s.AddLogin(t.Context(), l, r, d))
	return l
}

func ids(logins []*userctr.Login) (ids []string) {
	for _, l := range logins {
		ids = append(ids, l.ID)
	}
	return ids
}

func loginComesBack(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	b := addLogin(t, s, "l_b", "u_1", "phone", began)
	addLogin(t, s, "l_a", "u_1", "phone", began.Add(time.Minute))
	addLogin(t, s, "l_c", "u_12", "phone", began)
	if got, err := s.Login(ctx, "l_b"); err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("read %+v, %v, want %+v", got, err, b)
	}
	if got, err := s.Logins(ctx, "u_1"); err != nil || !slices.Equal(ids(got), []string{"l_b", "l_a"}) {
		t.Errorf("logins = %v, %v, want the older first", ids(got), err)
	}
	at := began.Add(time.Hour)
	must(t, s.RevokeLogin(ctx, "l_b", at))
	must(t, s.RevokeLogin(ctx, "l_b", at.Add(time.Hour))) // the first time stays
	must(t, s.RevokeLogin(ctx, "l_none", at))
	if got, err := s.Login(ctx, "l_b"); err != nil || !got.Revoked.Equal(at) {
		t.Errorf("revoked login = %+v, %v", got, err)
	}
	if got, err := s.Logins(ctx, "u_1"); err != nil || !slices.Equal(ids(got), []string{"l_a"}) {
		t.Errorf("logins = %v, %v, want the one that lives", ids(got), err)
	}
	for since, n := range map[time.Time]int{at.Add(-time.Hour): 1, at: 1, at.Add(1): 0} {
		if got, err := s.RevokedSince(ctx, since); err != nil || len(got) != n || n == 1 && !got["l_b"].Equal(at) {
			t.Errorf("revoked since %v = %v, %v, want %d", since, got, err, n)
		}
	}
	_, err := s.Login(ctx, "l_none")
	wants(t, err, protocol.Code_NOT_FOUND)
}

func child(login, parent, name string, at time.Time) *userctr.Refresh {
	return &userctr.Refresh{Hash: hash(name), Parent: hash(parent), Login: login, Nonce: []byte("nonce of " + name), Issued: at}
}

func oneChild(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	addLogin(t, s, "l_1", "u_1", "phone", began)
	first := hash("l_1/0")
	if got, next, err := s.Refresh(ctx, "l_1", first); err != nil || next != nil || got.Hash != first || got.Parent != (userctr.Hash{}) || !got.Issued.Equal(began) {
		t.Errorf("first token = %+v, %+v, %v", got, next, err)
	}
	var stands [50]*userctr.Refresh
	atOnce(t, len(stands), nil, func(i int) (err error) {
		stands[i], err = s.AddRefresh(ctx, child("l_1", "l_1/0", fmt.Sprint(i), began.Add(time.Minute)))
		return err
	})
	_, next, err := s.Refresh(ctx, "l_1", first)
	must(t, err)
	own := 0
	for i, r := range stands {
		if !reflect.DeepEqual(r, next) {
			t.Errorf("rotation %d was told %+v, but the child is %+v", i, r, next)
		}
		if r.Hash == hash(fmt.Sprint(i)) {
			own++
			continue
		}
		_, _, err := s.Refresh(ctx, "l_1", hash(fmt.Sprint(i)))
		wants(t, err, protocol.Code_NOT_FOUND)
	}
	if own != 1 {
		t.Errorf("%d of 50 rotations inserted a child, want 1", own)
	}
}

func noChildOfNobody(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	addLogin(t, s, "l_1", "u_1", "phone", began)
	_, err := s.AddRefresh(ctx, child("l_1", "never", "x", began))
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = s.AddRefresh(ctx, child("l_2", "l_1/0", "x", began)) // another login's token
	wants(t, err, protocol.Code_NOT_FOUND)
	_, _, err = s.Refresh(ctx, "l_1", hash("x"))
	wants(t, err, protocol.Code_NOT_FOUND)
}

func deviceKeepsItsFirstTime(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	addLogin(t, s, "l_1", "u_1", "phone", began)
	addLogin(t, s, "l_2", "u_1", "desk", began.Add(time.Minute))
	addLogin(t, s, "l_3", "u_1", "phone", began.Add(time.Hour))
	addLogin(t, s, "l_4", "u_12", "phone", began)
	names := func() (names []string) {
		rows, err := s.Devices(ctx, "u_1")
		must(t, err)
		for _, d := range rows {
			names = append(names, fmt.Sprint(d.Device, " ", d.Created.Sub(began), " ", d.LastSeen.Sub(began), " ", d.Name))
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"phone 0s 1h0m0s Phone", "desk 1m0s 1m0s Phone"}) {
		t.Errorf("devices = %q", got)
	}
	must(t, s.SeenDevice(ctx, "u_1", "desk", began.Add(2*time.Hour)))
	must(t, s.SeenDevice(ctx, "u_1", "desk", began)) // never back
	must(t, s.SeenDevice(ctx, "u_1", "none", began))
	must(t, s.RemoveDevice(ctx, "u_1", "phone"))
	if got := names(); !slices.Equal(got, []string{"desk 1m0s 2h0m0s Phone"}) {
		t.Errorf("devices = %q", got)
	}
}

func devicesAreSeenTogether(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	seen := func(user protocol.UserID, device string, at time.Duration) *userctr.DeviceRow {
		return &userctr.DeviceRow{User: user, Device: device, Platform: "web", Created: began.Add(at), LastSeen: began.Add(at)}
	}
	names := func(user protocol.UserID) (names []string) {
		rows, err := s.Devices(ctx, user)
		must(t, err)
		for _, d := range rows {
			names = append(names, fmt.Sprint(d.Device, " ", d.Created.Sub(began), " ", d.LastSeen.Sub(began)))
		}
		return names
	}
	must(t, s.SeeDevices(ctx, []*userctr.DeviceRow{
		seen("u_1", "a", 1), seen("u_2", "a", 2), seen("u_1", "b", 3), seen("u_1", "a", 4), seen("u_1", "c", 5), seen("u_1", "d", 6),
	}, 3))
	if got := names("u_1"); !slices.Equal(got, []string{"d 6ns 6ns", "c 5ns 5ns", "a 1ns 4ns"}) {
		t.Errorf("devices = %q, want the last three", got)
	}
	if got := names("u_2"); !slices.Equal(got, []string{"a 2ns 2ns"}) {
		t.Errorf("devices = %q", got)
	}
}

func sweepRemoves(t *testing.T, s userctr.Store) {
	ctx := context.Background()
	old := addLogin(t, s, "l_old", "u_1", "a", began.Add(-40*24*time.Hour))
	addLogin(t, s, "l_out", "u_1", "b", began)
	addLogin(t, s, "l_1", "u_1", "c", began)
	must(t, s.RevokeLogin(ctx, "l_out", began))
	for i, parent := range []string{"l_1/0", "1", "2"} {
		_, err := s.AddRefresh(ctx, child("l_1", parent, fmt.Sprint(i+1), began.Add(time.Duration(i+1)*time.Hour)))
		must(t, err)
	}
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "i", Uses: 1, Created: began, Expires: began}))
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "setup", Uses: 1, Created: began}))
	must(t, s.Sweep(ctx, began.Add(time.Second), began.Add(2*time.Hour)))

	for id, there := range map[string]bool{old.ID: false, "l_out": false, "l_1": true} {
		if _, err := s.Login(ctx, id); (err == nil) != there {
			t.Errorf("login %s after the sweep: %v, want there = %v", id, err, there)
		}
		if _, _, err := s.Refresh(ctx, id, hash(id+"/0")); !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("first token of %s after the sweep: %v", id, err)
		}
	}
	if got, err := s.RevokedSince(ctx, time.Time{}); err != nil || len(got) != 0 {
		t.Errorf("revoked = %v, %v", got, err)
	}
	if got, err := s.Logins(ctx, "u_1"); err != nil || !slices.Equal(ids(got), []string{"l_1"}) {
		t.Errorf("logins = %v, %v", ids(got), err)
	}
	// The child of "1" is as old as the bound, so "1" stays, and what follows it.
	for name, next := range map[string]string{"1": "2", "2": "3", "3": ""} {
		_, child, err := s.Refresh(ctx, "l_1", hash(name))
		if err != nil || next == "" && child != nil || next != "" && (child == nil || child.Hash != hash(next)) {
			t.Errorf("token %s after the sweep: child %+v, %v, want %q", name, child, err, next)
		}
	}
	_, err := s.Invite(ctx, "i")
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = s.Invite(ctx, "setup")
	must(t, err)
}
