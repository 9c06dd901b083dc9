package userctr_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// cheap is for tests: the cost is not what they are about.
var cheap = userctr.Argon2{Memory: 64, Passes: 1, Threads: 1}

const password = "correct horse battery"

// bench is a centre on a store in memory, with a clock that the test moves.
type bench struct {
	*userctr.Center
	t     testing.TB
	cfg   userctr.Config
	store *pebblestore.Store

	mu    sync.Mutex
	clock time.Time
	log   bytes.Buffer
	ended []string // what OnRevoke told: "user login code"
}

func start(t testing.TB, change func(*userctr.Config)) *bench {
	t.Helper()
	b := &bench{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.cfg = userctr.Config{Data: t.TempDir(), Policy: userctr.Open, Argon2: cheap}
	if change != nil {
		change(&b.cfg)
	}
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b.store = store
	b.restart()
	return b
}

// restart makes a new centre on the same data.
func (b *bench) restart() {
	b.t.Helper()
	c, err := userctr.New(b.cfg, b.store, b.now, slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		b.t.Fatal(err)
	}
	c.OnRevoke(func(user protocol.UserID, login string, code protocol.Code) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ended = append(b.ended, fmt.Sprint(user, " ", login, " ", code.Word()))
	})
	b.Center = c
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

// Write takes the log.
func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

// told gives what OnRevoke told since the last call.
func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.ended
	b.ended = nil
	return told
}

func (b *bench) signUp(name string) *userctr.Grant {
	b.t.Helper()
	g, err := b.SignUp(b.t.Context(), userctr.NewUser{Name: name, Password: password}, userctr.Client{Device: "phone", Platform: "ios"})
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bench) login(name, device, platform string) *userctr.Grant {
	b.t.Helper()
	g, err := b.Login(b.t.Context(), name, password, userctr.Client{Device: device, Platform: platform})
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

func (b *bench) who(token string) protocol.Identity {
	b.t.Helper()
	id, err := b.Authenticate(b.t.Context(), token)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// refused checks that a token is not good, and why.
func (b *bench) refused(token string, code protocol.Code) {
	b.t.Helper()
	id, err := b.Authenticate(b.t.Context(), token)
	wants(b.t, err, code)
	if !reflect.ValueOf(id).IsZero() {
		b.t.Errorf("a refused token names %+v", id)
	}
}

func (b *bench) admin() *userctr.Grant {
	b.t.Helper()
	if _, err := b.CreateUser(b.t.Context(), userctr.NewUser{Name: "root", Password: password, Admin: true}); err != nil {
		b.t.Fatal(err)
	}
	return b.login("root", "desk", "web")
}

func wants(t testing.TB, err error, code protocol.Code) {
	t.Helper()
	if !code.Is(err) {
		t.Errorf("error = %v, want %s", err, code.Word())
	}
}

func TestRegisteringSignsIn(t *testing.T) {
	b := start(t, nil)
	g := b.signUp("Ann")
	if !strings.HasPrefix(g.User.ID, "u_") || g.User.Admin || g.User.Nickname != "Ann" || g.User.Kind != userctr.Human {
		t.Errorf("user = %+v", g.User)
	}
	id := b.who(g.Token)
	if id.User != g.User.ID || id.Device != "phone" || id.Platform != "ios" || id.Login == "" || id.Admin || !id.Expires.Equal(g.Expires) {
		t.Errorf("identity = %+v", id)
	}
	if want := b.now().Add(10 * time.Minute); !g.Expires.Equal(want) {
		t.Errorf("token ends at %v, want %v", g.Expires, want)
	}
}

func TestNamesAreUniqueInWhateverForm(t *testing.T) {
	b := start(t, nil)
	b.signUp("Zoë")
	for _, same := range []string{"zoë", "ZOË", "Zoe\u0308", "Ｚoë"} {
		_, err := b.SignUp(t.Context(), userctr.NewUser{Name: same, Password: password}, userctr.Client{})
		wants(t, err, protocol.Code_CONFLICT)
		b.login(same, "d", "")
	}
	b.signUp("zoe")
}

func TestNewUserIsChecked(t *testing.T) {
	b := start(t, nil)
	long := strings.Repeat("x", 65)
	for says, n := range map[string]userctr.NewUser{
		"no name":                 {Password: password},
		"long name":               {Name: long, Password: password},
		"space in the name":       {Name: "two words", Password: password},
		"slash in the name":       {Name: "a/b", Password: password},
		"control in the name":     {Name: "a\nb", Password: password},
		"name is not UTF-8":       {Name: "a\xff", Password: password},
		"zero width in the name":  {Name: "a\u200bb", Password: password},
		"short password":          {Name: "ann", Password: "1234567"},
		"everybody's password":    {Name: "ann", Password: "Password123"},
		"name as password":        {Name: "annabella", Password: "Annabella"},
		"long password":           {Name: "ann", Password: strings.Repeat("x", 257)},
		"long nickname":           {Name: "ann", Password: password, Nickname: long},
		"nickname turns the text": {Name: "ann", Password: password, Nickname: "a\u202eb"},
		"script for an avatar":    {Name: "ann", Password: password, Avatar: "javascript:alert(1)"},
	} {
		if _, err := b.SignUp(t.Context(), n, userctr.Client{}); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%s: %v, want BAD_REQUEST", says, err)
		}
	}
	for _, name := range []string{"a", strings.Repeat("x", 64), "王小明", "ann.lee+1@example.com", "Ωmega"} {
		b.signUp(name)
	}
}

func TestPolicySaysWhoRegisters(t *testing.T) {
	for _, c := range []struct {
		policy               userctr.Policy
		none, invited, first bool
	}{
		{userctr.Open, true, true, true},
		{userctr.InviteOnly, false, true, true},
		{"", false, true, true}, // the default
		{userctr.Closed, false, false, true},
	} {
		b := start(t, func(cfg *userctr.Config) { cfg.Policy = c.policy })
		setup, err := b.SetupCode(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		try := func(name, code string) bool {
			_, err := b.SignUp(t.Context(), userctr.NewUser{Name: name, Password: password, Code: code}, userctr.Client{})
			if err != nil {
				wants(t, err, protocol.Code_DENIED)
			}
			return err == nil
		}
		if got := try("first", setup); got != c.first {
			t.Errorf("%q: the first admin's code lets in = %v", c.policy, got)
		}
		root := b.who(b.login("first", "d", "").Token)
		invite, _, err := b.MakeInvite(t.Context(), root, 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got := try("ann", ""); got != c.none {
			t.Errorf("%q: lets in without a code = %v", c.policy, got)
		}
		if got := try("bob", invite); got != c.invited {
			t.Errorf("%q: lets in by invitation = %v", c.policy, got)
		}
	}
}

func TestFirstAdminsCodeWorksOnce(t *testing.T) {
	b := start(t, func(cfg *userctr.Config) { cfg.Policy = userctr.Closed })
	code, err := b.SetupCode(t.Context())
	if err != nil || len(code) < 26 {
		t.Fatalf("code = %q, %v", code, err)
	}
	b.restart()
	if again, err := b.SetupCode(t.Context()); again != "" || err != nil {
		t.Errorf("the second start printed %q, %v", again, err)
	}
	for _, wrong := range []string{"setup", "setup-", code + "a", "setup-aaaaaaaaaaaaaaaaaaaaaaaaaa", "nothing-x", "-"} {
		_, err := b.SignUp(t.Context(), userctr.NewUser{Name: "eve", Password: password, Code: wrong}, userctr.Client{})
		wants(t, err, protocol.Code_DENIED)
	}
	g, err := b.SignUp(t.Context(), userctr.NewUser{Name: "root", Password: password, Code: " " + strings.ToUpper(code)}, userctr.Client{})
	if err != nil || !g.User.Admin || !b.who(g.Token).Admin {
		t.Fatalf("first admin = %+v, %v", g, err)
	}
	_, err = b.SignUp(t.Context(), userctr.NewUser{Name: "eve", Password: password, Code: code}, userctr.Client{})
	wants(t, err, protocol.Code_DENIED)
}

func TestOfManyWithTheFirstAdminsCodeOneBecomesIt(t *testing.T) {
	b := start(t, func(cfg *userctr.Config) { cfg.Policy = userctr.Closed })
	code, err := b.SetupCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var admins sync.Map
	for i := range 10 {
		wait.Go(func() {
			g, err := b.SignUp(t.Context(), userctr.NewUser{Name: fmt.Sprint("a", i), Password: password, Code: code}, userctr.Client{})
			if err == nil {
				admins.Store(g.User.ID, true)
			} else {
				wants(t, err, protocol.Code_DENIED)
			}
		})
	}
	wait.Wait()
	n := 0
	admins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d became the first admin, want 1", n)
	}
}

func TestAnAdminMadeByAnOperatorEndsTheFirstAdminsCode(t *testing.T) {
	b := start(t, nil)
	code, err := b.SetupCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !b.admin().User.Admin {
		t.Error("the operator's admin is none")
	}
	_, err = b.SignUp(t.Context(), userctr.NewUser{Name: "eve", Password: password, Code: code}, userctr.Client{})
	wants(t, err, protocol.Code_DENIED)
	if _, err := b.CreateUser(t.Context(), userctr.NewUser{Name: "root2", Password: password, Admin: true}); err != nil {
		t.Errorf("a second admin: %v", err)
	}
	fresh := start(t, nil)
	fresh.admin()
	if code, err := fresh.SetupCode(t.Context()); code != "" || err != nil {
		t.Errorf("with an admin, the first start printed %q, %v", code, err)
	}
}

func TestInvitationEnds(t *testing.T) {
	b := start(t, func(cfg *userctr.Config) { cfg.Policy = userctr.InviteOnly })
	root := b.who(b.admin().Token)
	code, i, err := b.MakeInvite(t.Context(), root, 2, time.Hour)
	if err != nil || i.Uses != 2 || !i.Expires.Equal(b.now().Add(time.Hour)) {
		t.Fatalf("invitation = %+v, %v", i, err)
	}
	late, _, err := b.MakeInvite(t.Context(), root, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name, code string) error {
		_, err := b.SignUp(t.Context(), userctr.NewUser{Name: name, Password: password, Code: code}, userctr.Client{})
		return err
	}
	for _, name := range []string{"ann", "bob"} {
		if err := try(name, code); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wants(t, try("cid", code), protocol.Code_DENIED)
	b.pass(time.Hour)
	wants(t, try("dan", late), protocol.Code_DENIED)

	ann := b.who(b.login("ann", "d", "").Token)
	_, _, err = b.MakeInvite(t.Context(), ann, 1, time.Hour)
	wants(t, err, protocol.Code_DENIED)
	for _, c := range []struct {
		uses int
		life time.Duration
	}{{0, time.Hour}, {10_001, time.Hour}, {1, 0}, {1, 91 * 24 * time.Hour}} {
		_, _, err = b.MakeInvite(t.Context(), root, c.uses, c.life)
		wants(t, err, protocol.Code_BAD_REQUEST)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for says, change := range map[string]func(*userctr.Config){
		"no directory":    func(c *userctr.Config) { c.Data = "" },
		"short secret":    func(c *userctr.Config) { c.IdentitySecret = userctr.Secret(strings.Repeat("s", 31)) },
		"unknown policy":  func(c *userctr.Config) { c.Policy = "anyone" },
		"platform policy": func(c *userctr.Config) { c.Platform = map[string]string{"web": "kick"} },
		"negative life":   func(c *userctr.Config) { c.Access = -time.Second },
	} {
		cfg := userctr.Config{Data: t.TempDir()}
		change(&cfg)
		if _, err := userctr.New(cfg, nil, time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: New took it", says)
		} else if strings.Contains(err.Error(), "sss") {
			t.Errorf("%s: the error shows the secret", says)
		}
	}
}

func TestUnknownNamesWhoIsNobody(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann").User.ID
	for range 2 { // from the store, then from memory
		got, err := b.Unknown(t.Context(), []string{ann, "u_nobody", ""})
		if err != nil || len(got) != 2 || got[0] != "u_nobody" {
			t.Errorf("Unknown = %q, %v", got, err)
		}
		b.restart()
	}
	if got, err := b.Unknown(t.Context(), []string{ann}); err != nil || len(got) != 0 {
		t.Errorf("Unknown = %q, %v", got, err)
	}
}
