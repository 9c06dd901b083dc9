package userctr_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func TestPasswordsAreKeptAsOWASPSays(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.Argon2 = userctr.Argon2{} })
	g := b.signUp("ann")
	u, err := b.store.User(t.Context(), g.User.ID)
	if err != nil || !strings.HasPrefix(u.Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored password = %q, %v", u.Password, err)
	}
	b.login("ann", "d", "")
}

func TestSignInBringsAWeakerHashToTodaysCost(t *testing.T) {
	b := start(t, nil)
	id := b.signUp("ann").User.ID
	stored := func() string {
		u, err := b.store.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return u.Password
	}
	old := stored()
	b.cfg.Argon2 = userctr.Argon2{Memory: 128, Passes: 2, Threads: 1}
	b.restart()
	_, err := b.Login(t.Context(), "ann", "wrong password", userctr.Client{})
	if wants(t, err, protocol.Code_UNAUTHORIZED); stored() != old {
		t.Error("a wrong password changed the hash")
	}
	var wait sync.WaitGroup
	for i := range 8 { // at the same time: none is refused because of another's writing
		wait.Go(func() { b.login("ann", fmt.Sprint("d", i), "") })
	}
	wait.Wait()
	fresh := stored()
	if !strings.Contains(fresh, "$m=128,t=2,p=1$") {
		t.Errorf("stored password = %q", fresh)
	}
	b.cfg.Argon2 = cheap // dearer than today's is left as it is
	b.restart()
	if b.login("ann", "d", ""); stored() != fresh {
		t.Errorf("stored password = %q, was %q", stored(), fresh)
	}
}

func TestUnknownNameAndWrongPasswordAnswerAlike(t *testing.T) {
	b := start(t, withOutside)
	b.signUp("ann")
	var answers []string
	for _, try := range [][2]string{{"ann", "wrong password"}, {"nobody", password}, {"no such\nname", password}, {"ann", ""}, {"ann", strings.Repeat("x", 5000)}} {
		_, err := b.Login(t.Context(), try[0], try[1], userctr.Client{})
		wants(t, err, protocol.Code_UNAUTHORIZED)
		answers = append(answers, fmt.Sprint(err))
	}
	if slices.Sort(answers); answers[0] != answers[len(answers)-1] {
		t.Errorf("answers differ: %q", answers)
	}
}

// An unknown name has to cost one password check like any other. Memory says so
// without a clock: the check takes what Argon2 is told to take.
func TestUnknownNameCostsAsMuchAsAKnownOne(t *testing.T) {
	const memory = 8 << 20
	b := start(t, func(c *userctr.Config) { c.Argon2 = userctr.Argon2{Memory: memory >> 10, Passes: 1, Threads: 1} })
	b.signUp("ann")
	for _, name := range []string{"ann", "nobody", "no such name"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := b.Login(t.Context(), name, "wrong password", userctr.Client{})
		runtime.ReadMemStats(&after)
		wants(t, err, protocol.Code_UNAUTHORIZED)
		if got := after.TotalAlloc - before.TotalAlloc; got < memory || got > 2*memory {
			t.Errorf("%s: %d bytes for one check, want about %d", name, got, memory)
		}
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	b := start(t, func(c *userctr.Config) {
		c.Limits = userctr.Limits{Account: userctr.Rate{Burst: 3, Every: 10 * time.Second}, Address: userctr.Rate{Burst: 5, Every: time.Second}}
	})
	if _, err := b.CreateUser(t.Context(), userctr.NewUser{Name: "ann", Password: password}); err != nil {
		t.Fatal(err)
	}
	try := func(name, address string) error {
		_, err := b.Login(t.Context(), name, "wrong password", userctr.Client{Address: address})
		return err
	}
	for _, name := range []string{"ann", "nobody"} { // alike, whether there is such a user
		for range 3 {
			wants(t, try(name, "127.0.0.1:5"), protocol.Code_UNAUTHORIZED)
		}
		err := try(strings.ToUpper(name), "10.9.9.9:7")
		wants(t, err, protocol.Code_RATE_LIMITED)
		if e := protocol.AsError(err); e.RetryAfterMs != 10_000 {
			t.Errorf("%s: try again in %d ms, want 10,000", name, e.RetryAfterMs)
		}
	}
	_, err := b.Login(t.Context(), "ann", password, userctr.Client{})
	wants(t, err, protocol.Code_RATE_LIMITED)
	b.pass(10 * time.Second)
	b.login("ann", "d", "")

	for i := range 5 {
		wants(t, try(fmt.Sprint("x", i), "[2001:db8::1]:80"), protocol.Code_UNAUTHORIZED)
	}
	wants(t, try("x9", "[2001:db8::2:3]:81"), protocol.Code_RATE_LIMITED) // the same /64
	wants(t, try("x8", "[2001:db8:1::1]:80"), protocol.Code_UNAUTHORIZED)
	for i := range 5 {
		_, err := b.SignUp(t.Context(), userctr.NewUser{Name: fmt.Sprint("new", i), Password: password}, userctr.Client{Address: "::ffff:10.1.1.1"})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.SignUp(t.Context(), userctr.NewUser{Name: "new9", Password: password}, userctr.Client{Address: "10.1.1.1:9"})
	wants(t, err, protocol.Code_RATE_LIMITED)
	for i := range 20 { // the machine itself
		wants(t, try(fmt.Sprint("y", i), "[::1]:80"), protocol.Code_UNAUTHORIZED)
	}
}

func TestFloodOfLoginsWaitsOrIsTurnedAway(t *testing.T) {
	const memory = 4 << 20
	b := start(t, func(c *userctr.Config) {
		c.Argon2 = userctr.Argon2{Memory: memory >> 10, Passes: 1, Threads: 1}
		c.Limits.Account = userctr.Rate{Burst: 1000, Every: time.Second}
	})
	b.signUp("ann")
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			if _, err := b.Login(t.Context(), "ann", password, userctr.Client{Device: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Login(ctx, "ann", password, userctr.Client{}); err != nil && protocol.Code_UNAUTHORIZED.Is(err) {
		t.Errorf("who went away meanwhile was told that the password is wrong: %v", err)
	}
}

func TestLogoutEndsTheLoginAtOnce(t *testing.T) {
	b := start(t, nil)
	phone := b.signUp("ann")
	desk := b.login("ann", "desk", "web")
	id := b.who(phone.Token)
	if err := b.Logout(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if told := b.told(); !slices.Equal(told, []string{id.User + " " + id.Login + " UNAUTHORIZED"}) {
		t.Errorf("told %q", told)
	}
	b.refused(phone.Token, protocol.Code_UNAUTHORIZED)
	_, err := b.Refresh(t.Context(), phone.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.who(desk.Token)

	b.restart() // it is remembered
	b.refused(phone.Token, protocol.Code_UNAUTHORIZED)
	b.who(desk.Token)
	b.pass(13 * time.Minute) // and forgotten when the token has expired anyway
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.refused(phone.Token, protocol.Code_TOKEN_EXPIRED)
	if err := b.Logout(t.Context(), id); err != nil {
		t.Errorf("logout of a login that was swept: %v", err)
	}
}

func TestPasswordChangeEndsEveryLogin(t *testing.T) {
	b := start(t, nil)
	phone := b.signUp("ann")
	desk := b.login("ann", "desk", "web")
	id := b.who(phone.Token)
	_, err := b.ChangePassword(t.Context(), id, "wrong password", "another password")
	wants(t, err, protocol.Code_DENIED)
	_, err = b.ChangePassword(t.Context(), id, password, "short")
	wants(t, err, protocol.Code_BAD_REQUEST)
	fresh, err := b.ChangePassword(t.Context(), id, password, "another password")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.told()); n != 2 {
		t.Errorf("%d logins ended, want 2", n)
	}
	for _, old := range []*userctr.Grant{phone, desk} {
		b.refused(old.Token, protocol.Code_UNAUTHORIZED)
		_, err := b.Refresh(t.Context(), old.Refresh, "")
		wants(t, err, protocol.Code_UNAUTHORIZED)
	}
	if now := b.who(fresh.Token); now.Device != "phone" || now.Platform != "ios" {
		t.Errorf("the device is signed in as %+v", now)
	}
	_, err = b.Login(t.Context(), "ann", password, userctr.Client{})
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if err := b.SetPassword(t.Context(), id.User, password); err != nil {
		t.Fatal(err)
	}
	b.refused(fresh.Token, protocol.Code_UNAUTHORIZED)
	b.login("ann", "d", "")
}

// A thief who signs in with the old password while it is being changed must not stay in.
func TestNoLoginOutlivesAPasswordChangedMeanwhile(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	var wait sync.WaitGroup
	var mu sync.Mutex
	var got []*userctr.Grant
	for range 15 {
		wait.Go(func() {
			if g, err := b.Login(t.Context(), "ann", password, userctr.Client{}); err == nil {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, g)
			}
		})
	}
	wait.Go(func() {
		if err := b.SetPassword(t.Context(), g.User.ID, "another password"); err != nil {
			t.Error(err)
		}
	})
	wait.Wait()
	for _, g := range append(got, g) {
		b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	}
	if logins, err := b.store.Logins(t.Context(), g.User.ID); err != nil || len(logins) != 0 {
		t.Errorf("%d logins live on, %v", len(logins), err)
	}
}

func TestDisabledUserIsOut(t *testing.T) {
	b := start(t, nil)
	root := b.who(b.admin().Token)
	g := b.signUp("ann")
	ann := b.who(g.Token)
	wants(t, b.Disable(t.Context(), ann, root.User, true), protocol.Code_DENIED)
	wants(t, b.Disable(t.Context(), root, root.User, true), protocol.Code_DENIED)
	wants(t, b.Disable(t.Context(), root, "u_nobody", true), protocol.Code_NOT_FOUND)
	wants(t, b.MayCome(t.Context(), "u_nobody"), protocol.Code_NOT_FOUND)
	if err := b.MayCome(t.Context(), ann.User); err != nil {
		t.Error(err)
	}
	if err := b.Disable(t.Context(), root, ann.User, true); err != nil {
		t.Fatal(err)
	}
	wants(t, b.MayCome(t.Context(), ann.User), protocol.Code_UNAUTHORIZED)
	if told := b.told(); !slices.Equal(told, []string{ann.User + " " + ann.Login + " UNAUTHORIZED", ann.User + "  UNAUTHORIZED"}) {
		t.Errorf("told %q", told)
	}
	b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	_, err := b.Refresh(t.Context(), g.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	_, err = b.Login(t.Context(), "ann", password, userctr.Client{})
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if err := b.Disable(t.Context(), root, ann.User, false); err != nil {
		t.Fatal(err)
	}
	b.refused(g.Token, protocol.Code_UNAUTHORIZED) // what ended stays ended
	b.login("ann", "d", "")
}

func TestPlatformPolicyReplacesOrAllows(t *testing.T) {
	b := start(t, func(c *userctr.Config) {
		c.Platform = map[string]string{"*": userctr.Replace, "web": userctr.Allow}
	})
	for platform, want := range map[string]string{"web": "allow", "ios": "replace", "": "replace"} {
		if got := b.Policy(platform); got != want {
			t.Errorf("Policy(%q) = %s, want %s", platform, got, want)
		}
	}
	old := b.signUp("ann")
	w1, w2 := b.login("ann", "w1", "web"), b.login("ann", "w2", "web")
	id := b.who(old.Token)
	b.pass(time.Second)
	fresh := b.login("ann", "new phone", "ios")
	if told := b.told(); !slices.Equal(told, []string{id.User + " " + id.Login + " REPLACED"}) {
		t.Errorf("told %q", told)
	}
	b.refused(old.Token, protocol.Code_UNAUTHORIZED)
	for _, g := range []*userctr.Grant{w1, w2, fresh} {
		b.who(g.Token)
	}
	if start(t, nil).Policy("ios") != userctr.Allow {
		t.Error("without a setting a platform does not allow many")
	}
}

func TestOfManyLoginsAtOnceWhereOneMayBeOneStays(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.Platform = map[string]string{"*": userctr.Replace} })
	user := b.signUp("ann").User.ID
	var wait sync.WaitGroup
	for i := range 15 {
		wait.Go(func() {
			_, err := b.Login(t.Context(), "ann", password, userctr.Client{Device: fmt.Sprint(i), Platform: "ios"})
			if err != nil {
				wants(t, err, protocol.Code_REPLACED)
			}
		})
	}
	wait.Wait()
	if logins, err := b.store.Logins(t.Context(), user); err != nil || len(logins) != 1 {
		t.Errorf("%d logins live, want 1: %v", len(logins), err)
	}
}

func TestLoginsOfOneUserAreBounded(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.Limits.Account = userctr.Rate{Burst: 1000, Every: time.Second} })
	first := b.signUp("ann")
	for i := range 50 {
		b.pass(time.Second)
		b.login("ann", fmt.Sprint(i), "web")
	}
	b.refused(first.Token, protocol.Code_UNAUTHORIZED)
	if logins, err := b.store.Logins(t.Context(), first.User.ID); err != nil || len(logins) != 50 {
		t.Errorf("%d logins live, want 50: %v", len(logins), err)
	}
}

func TestDevicesAreListedAndSignedOut(t *testing.T) {
	b := start(t, nil)
	phone := b.signUp("ann")
	b.pass(time.Minute)
	desk, err := b.Login(t.Context(), "ann", password, userctr.Client{Device: "desk", Name: "Ann's desk", Platform: "web", Version: "2.1"})
	if err != nil {
		t.Fatal(err)
	}
	user := phone.User.ID
	b.pass(time.Minute)
	if phone, err = b.Refresh(t.Context(), phone.Refresh, "phone"); err != nil {
		t.Fatal(err)
	}
	rows, err := b.Devices(t.Context(), user)
	if err != nil || len(rows) != 2 || rows[0].Device != "phone" || !rows[0].LastSeen.Equal(b.now()) ||
		rows[1].Name != "Ann's desk" || rows[1].Version != "2.1" || rows[1].Platform != "web" {
		t.Errorf("devices = %+v, %v", rows, err)
	}
	wants(t, b.RemoveDevice(t.Context(), user, "toaster"), protocol.Code_NOT_FOUND)
	wants(t, b.RemoveDevice(t.Context(), "u_other", "desk"), protocol.Code_NOT_FOUND)
	if err := b.RemoveDevice(t.Context(), user, "desk"); err != nil {
		t.Fatal(err)
	}
	b.refused(desk.Token, protocol.Code_UNAUTHORIZED)
	b.who(phone.Token)
	pad := b.login("ann", "pad", "ios")
	if err := b.RemoveDevices(t.Context(), user, "pad"); err != nil {
		t.Fatal(err)
	}
	b.refused(phone.Token, protocol.Code_UNAUTHORIZED)
	b.who(pad.Token)
	if err := b.RemoveDevices(t.Context(), user, ""); err != nil {
		t.Fatal(err)
	}
	b.refused(pad.Token, protocol.Code_UNAUTHORIZED)
	for _, c := range []userctr.Client{{Device: "a/b"}, {Platform: "a\nb"}, {Device: strings.Repeat("x", 129)}} {
		_, err := b.Login(t.Context(), "ann", password, c)
		wants(t, err, protocol.Code_BAD_REQUEST)
	}
}
