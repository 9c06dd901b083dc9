package userctr_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func (b *bench) refresh(token string) *userctr.Grant {
	b.t.Helper()
	g, err := b.Refresh(b.t.Context(), token, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// dead checks that a grant and its login have ended.
func (b *bench) dead(g *userctr.Grant) {
	b.t.Helper()
	b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	_, err := b.Refresh(b.t.Context(), g.Refresh, "")
	wants(b.t, err, protocol.Code_UNAUTHORIZED)
}

func TestRefreshTokenIsRotated(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	seen := map[string]bool{g.Refresh: true}
	login := b.who(g.Token).Login
	for range 5 {
		b.pass(9 * time.Minute)
		g = b.refresh(g.Refresh)
		if seen[g.Refresh] {
			t.Fatal("a refresh token came twice")
		}
		seen[g.Refresh] = true
		if id := b.who(g.Token); id.Login != login || id.Device != "phone" || id.Platform != "ios" {
			t.Errorf("identity = %+v", id)
		}
	}
}

func TestSpentRefreshTokenEndsItsLogin(t *testing.T) {
	b := start(t, nil)
	first := b.signUp("ann")
	other := b.login("ann", "desk", "web")
	second := b.refresh(first.Refresh)
	login := b.who(first.Token)
	b.pass(11 * time.Second)
	_, err := b.Refresh(t.Context(), first.Refresh, "phone")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if told := b.told(); len(told) != 1 || told[0] != login.User+" "+login.Login+" UNAUTHORIZED" {
		t.Errorf("told %q", told)
	}
	b.dead(first)
	b.dead(second)
	b.who(other.Token)
	b.refresh(other.Refresh)
}

func TestLostAnswerIsGivenAgain(t *testing.T) {
	b := start(t, nil)
	first := b.signUp("ann")
	second := b.refresh(first.Refresh)
	b.restart()
	b.pass(10 * time.Second)
	again, err := b.Refresh(t.Context(), first.Refresh, "phone")
	if err != nil || again.Refresh != second.Refresh {
		t.Fatalf("the successor is another: %v", err)
	}
	b.who(again.Token)
	// Whoever spends the successor has it: from then on the first one is a copy.
	b.refresh(second.Refresh)
	_, err = b.Refresh(t.Context(), first.Refresh, "phone")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.dead(again)
}

func TestSpentTokenFromAnotherDeviceEndsTheLogin(t *testing.T) {
	b := start(t, nil)
	first := b.signUp("ann")
	_, err := b.Refresh(t.Context(), first.Refresh, "stranger") // not spent by this
	wants(t, err, protocol.Code_UNAUTHORIZED)
	second := b.refresh(first.Refresh)
	_, err = b.Refresh(t.Context(), first.Refresh, "stranger")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.dead(second)
}

func TestOfManyUsesOfOneRefreshTokenOneFamilyComes(t *testing.T) {
	b := start(t, nil)
	first := b.signUp("ann")
	var grants [50]*userctr.Grant
	var wait sync.WaitGroup
	for i := range grants {
		wait.Go(func() {
			g, err := b.Refresh(t.Context(), first.Refresh, "phone")
			if err != nil {
				t.Error(err)
				return
			}
			grants[i] = g
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	for _, g := range grants {
		if g.Refresh != grants[0].Refresh {
			t.Fatal("one token has two successors")
		}
		b.who(g.Token)
	}
	if logins, err := b.store.Logins(t.Context(), first.User.ID); err != nil || len(logins) != 1 {
		t.Errorf("%d logins live, want 1: %v", len(logins), err)
	}
	b.pass(time.Minute)
	_, err := b.Refresh(t.Context(), first.Refresh, "phone")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	for _, g := range grants {
		b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	}
}

func TestReuseIsSeenAfterASweep(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	first := g
	for range 3 {
		b.pass(time.Hour)
		g = b.refresh(g.Refresh)
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.who(g.Token)
	_, err := b.Refresh(t.Context(), first.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.dead(g)
}

func TestRefreshTokenThatIsNotUsedEnds(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	b.pass(7 * 24 * time.Hour)
	g = b.refresh(g.Refresh)
	b.pass(7*24*time.Hour + time.Second)
	_, err := b.Refresh(t.Context(), g.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
}

func TestLoginEndsAfterThirtyDaysWhateverIsDone(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	for range 29 {
		b.pass(24 * time.Hour)
		g = b.refresh(g.Refresh)
	}
	b.pass(24 * time.Hour)
	_, err := b.Refresh(t.Context(), g.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.pass(time.Hour)
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if logins, err := b.store.Logins(t.Context(), g.User.ID); err != nil || len(logins) != 0 {
		t.Errorf("%d logins are kept, %v", len(logins), err)
	}
}

func TestForgedRefreshTokensAreRefused(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("ann")
	good := g.Refresh
	other := start(t, nil).signUp("ann").Refresh
	for says, token := range map[string]string{
		"nothing":        "",
		"access token":   g.Token,
		"prefix":         "tr_",
		"no prefix":      strings.TrimPrefix(good, "tr_"),
		"one bit":        good[:20] + flip(good[20:21]) + good[21:],
		"tag":            good[:len(good)-4] + flip(good[len(good)-4:len(good)-3]) + good[len(good)-3:],
		"longer":         good + "A",
		"line end":       good + "\n",
		"inner line end": good[:30] + "\n" + good[30:],
		"installation":   other,
	} {
		if _, err := b.Refresh(t.Context(), token, ""); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %v, want UNAUTHORIZED", says, err)
		}
	}
	b.refused(good, protocol.Code_UNAUTHORIZED) // nor is it an access token
	if told := b.told(); len(told) != 0 {
		t.Errorf("a forged token ended %q", told)
	}
	b.refresh(good)
}

func flip(c string) string {
	if c == "A" {
		return "B"
	}
	return "A"
}

func TestSecretsAreMadeOnceForTheirOwnerOnly(t *testing.T) {
	b := start(t, nil)
	path := filepath.Join(b.cfg.Data, "secrets.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	text, _ := os.ReadFile(path)
	token := b.signUp("ann").Token
	b.restart()
	b.who(token)
	if again, _ := os.ReadFile(path); string(again) != string(text) {
		t.Error("a restart changed the secrets")
	}
	files, _ := os.ReadDir(b.cfg.Data)
	if len(files) != 1 {
		t.Errorf("%d files in the data directory, want the secrets alone", len(files))
	}
	other, _ := os.ReadFile(filepath.Join(start(t, nil).cfg.Data, "secrets.json"))
	if string(other) == string(text) {
		t.Error("two installations have the same secrets")
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o660: true, 0o644: false, 0o602: false, 0o777: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := userctr.New(b.cfg, b.store, b.now, nil); (err == nil) != ok {
			t.Errorf("mode %04o: %v, want ok = %v", mode, err, ok)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{}", string(text[:len(text)/2]), `{"installation":"x","signing":["AAAA"],"refresh":"` + strings.Repeat("A", 44) + `"}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := userctr.New(b.cfg, b.store, b.now, nil); err == nil {
			t.Errorf("secrets %q were taken", bad)
		}
	}
}

func TestSecretsMadeByTwoStartsAtOnceAreTheSame(t *testing.T) {
	b := start(t, nil)
	cfg := b.cfg
	cfg.Data = filepath.Join(t.TempDir(), "new")
	cfg.Argon2, cfg.Policy = cheap, userctr.Open
	quiet := slog.New(slog.DiscardHandler)
	var centres [8]*userctr.Center
	var wait sync.WaitGroup
	for i := range centres {
		wait.Go(func() {
			c, err := userctr.New(cfg, b.store, b.now, quiet)
			if err != nil {
				t.Error(err)
			}
			centres[i] = c
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	g, err := centres[0].SignUp(t.Context(), userctr.NewUser{Name: "ann", Password: password}, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range centres {
		if _, err := c.Authenticate(t.Context(), g.Token); err != nil {
			t.Errorf("one start's token at another: %v", err)
		}
	}
}
