package userctr_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// app makes an application that takes visitors, whom ann answers.
func (b *bench) app() (*userctr.App, string) {
	b.t.Helper()
	ann := b.signUp("ann")
	a, secret, err := b.MakeApp(b.t.Context(), b.who(b.admin().Token), userctr.App{
		Name: "Shop", Origins: []string{"https://shop.example.com"}, Members: []string{ann.User.ID}, Guests: true,
		Texts: map[string]string{"guest": "Visitor"}, Colours: map[string]string{"accent": "#d33"}, Features: []string{"voice"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return a, secret
}

// embed is what a host's back end signs, changed.
func (b *bench) embed(app string, change map[string]any) map[string]any {
	var jti [12]byte
	rand.Read(jti[:])
	c := map[string]any{"sub": "customer-7", "aud": app, "iat": b.now().Unix(), "exp": b.now().Add(2 * time.Minute).Unix(), "jti": hex.EncodeToString(jti[:])}
	maps.Copy(c, change)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (b *bench) hs(secret string, claims map[string]any) string {
	b.t.Helper()
	return sign(b.t, jwt.SigningMethodHS256, []byte(secret), nil, claims)
}

func (b *bench) exchange(app, token string) (*userctr.Grant, error) {
	return b.Exchange(b.t.Context(), app, token, userctr.Client{Device: "page", Platform: "web"})
}

func TestAHostsTokenIsGoodOnce(t *testing.T) {
	b := start(t, nil)
	a, secret := b.app()
	token := b.hs(secret, b.embed(a.ID, map[string]any{"name": "Ms. Li", "avatar": "https://example.com/a"}))
	g, err := b.exchange(a.ID, token)
	if err != nil {
		t.Fatal(err)
	}
	id := b.who(g.Token)
	if !strings.HasPrefix(id.User, "u_") || id.App != a.ID || id.Kind != "" || id.Device != "page" || g.User.Nickname != "Ms. Li" || g.User.Avatar != "https://example.com/a" {
		t.Errorf("identity = %+v, user %+v", id, g.User)
	}
	_, err = b.exchange(a.ID, token)
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.restart()
	_, err = b.exchange(a.ID, token)
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = b.exchange(a.ID, token)
	wants(t, err, protocol.Code_UNAUTHORIZED)

	again, err := b.exchange(a.ID, b.hs(secret, b.embed(a.ID, map[string]any{"name": "Mrs. Li"})))
	if err != nil || again.User.ID != g.User.ID || again.User.Nickname != "Mrs. Li" || again.User.Avatar != "https://example.com/a" {
		t.Errorf("the second sign-in is %+v, %v", again, err)
	}
	if _, err := b.Refresh(t.Context(), g.Refresh, "page"); err != nil {
		t.Error(err)
	}
	b.pass(4 * time.Minute)
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = b.exchange(a.ID, token) // forgotten, as it has ended
	wants(t, err, protocol.Code_TOKEN_EXPIRED)
}

func TestOfManyWithAHostsTokenOneComesIn(t *testing.T) {
	b := start(t, nil)
	a, secret := b.app()
	token := b.hs(secret, b.embed(a.ID, nil))
	var wait sync.WaitGroup
	in := make(chan string, 20)
	for range 20 {
		wait.Go(func() {
			if g, err := b.exchange(a.ID, token); err == nil {
				in <- g.User.ID
			} else {
				wants(t, err, protocol.Code_UNAUTHORIZED)
			}
		})
	}
	wait.Wait()
	if len(in) != 1 {
		t.Errorf("%d came in by one token, want 1", len(in))
	}
}

func TestForgedHostsTokensAreRefused(t *testing.T) {
	b := start(t, nil)
	a, secret := b.app()
	other, _, err := b.MakeApp(t.Context(), b.who(b.login("root", "desk", "web").Token), userctr.App{Name: "Clinic"})
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("customer-7"))
	bare := mac.Sum(nil)
	with := func(change map[string]any) string { return b.hs(secret, b.embed(a.ID, change)) }
	now := b.now()
	for says, token := range map[string]string{
		"a bare HMAC of a user id":               hex.EncodeToString(bare),
		"a bare HMAC behind the id":              "customer-7." + b64(bare),
		"a bare HMAC made to look like a token":  b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte("customer-7")) + "." + b64(bare),
		"another application's":                  b.hs(secret, b.embed(other.ID, nil)),
		"two audiences":                          with(map[string]any{"aud": []string{a.ID, other.ID}}),
		"no audience":                            with(map[string]any{"aud": nil}),
		"no jti":                                 with(map[string]any{"jti": nil}),
		"a short jti":                            with(map[string]any{"jti": "1"}),
		"a long jti":                             with(map[string]any{"jti": strings.Repeat("j", 129)}),
		"no iat":                                 with(map[string]any{"iat": nil}),
		"no exp":                                 with(map[string]any{"exp": nil}),
		"a long life":                            with(map[string]any{"exp": now.Add(6 * time.Minute).Unix()}),
		"a long life that began long ago":        with(map[string]any{"iat": now.Add(-time.Hour).Unix()}),
		"made in the future":                     with(map[string]any{"iat": now.Add(2 * time.Minute).Unix()}),
		"no subject":                             with(map[string]any{"sub": nil}),
		"a long subject":                         with(map[string]any{"sub": strings.Repeat("s", 256)}),
		"another secret":                         b.hs("tsk_"+strings.Repeat("x", 43), b.embed(a.ID, nil)),
		"the application's id as the secret":     b.hs(a.ID, b.embed(a.ID, nil)),
		"no signature":                           sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, b.embed(a.ID, nil)),
		"HS384":                                  sign(t, jwt.SigningMethodHS384, []byte(secret), nil, b.embed(a.ID, nil)),
		"a key of its own":                       sign(t, jwt.SigningMethodHS256, []byte(secret), map[string]any{"jwk": map[string]string{"kty": "oct"}}, b.embed(a.ID, nil)),
		"an access token's type":                 sign(t, jwt.SigningMethodHS256, []byte(secret), map[string]any{"typ": "at+jwt"}, b.embed(a.ID, nil)),
		"a public key's, where the app has none": newEd(t, "k").sign(t, b.embed(a.ID, nil)),
		"nothing":                                "",
	} {
		if g, err := b.exchange(a.ID, token); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %+v, %v, want UNAUTHORIZED", says, g, err)
		}
	}
	_, err = b.exchange(a.ID, with(map[string]any{"iat": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(-2 * time.Minute).Unix()}))
	wants(t, err, protocol.Code_TOKEN_EXPIRED)

	// An application that is none gets the answer of a bad token.
	_, unknown := b.exchange("app_unknown", b.hs(secret, b.embed("app_unknown", nil)))
	_, bad := b.exchange(a.ID, b.hs("x", b.embed(a.ID, nil)))
	if unknown == nil || bad == nil || unknown.Error() != bad.Error() {
		t.Errorf("an unknown application answers %v, a bad token %v", unknown, bad)
	}
	b.refused(with(nil), protocol.Code_UNAUTHORIZED) // it is no access token
}

func TestAnApplicationHasTwoSecretsAtMost(t *testing.T) {
	b := start(t, nil)
	a, one := b.app()
	root := b.who(b.login("root", "desk", "web").Token)
	two, row, err := b.AddAppSecret(t.Context(), root, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	good := func(secret string) error {
		_, err := b.exchange(a.ID, b.hs(secret, b.embed(a.ID, nil)))
		return err
	}
	for _, secret := range []string{one, two} {
		if err := good(secret); err != nil {
			t.Errorf("with two secrets: %v", err)
		}
	}
	_, _, err = b.AddAppSecret(t.Context(), root, a.ID)
	wants(t, err, protocol.Code_CONFLICT)
	if err := b.RemoveAppSecret(t.Context(), root, a.ID, a.Secrets[0].ID); err != nil {
		t.Fatal(err)
	}
	b.restart()
	wants(t, good(one), protocol.Code_UNAUTHORIZED)
	if err := good(two); err != nil {
		t.Error(err)
	}
	wants(t, b.RemoveAppSecret(t.Context(), root, a.ID, "s_none"), protocol.Code_NOT_FOUND)
	if is, err := b.App(a.ID); err != nil || len(is.Secrets) != 1 || is.Secrets[0].ID != row.ID || strings.Contains(string(is.Secrets[0].Sealed), two) {
		t.Errorf("what is kept = %+v, %v", is, err)
	}
}

func TestAnApplicationsPublicKeySignsToo(t *testing.T) {
	b := start(t, nil)
	a, secret := b.app()
	root := b.who(b.login("root", "desk", "web").Token)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if _, err := b.ChangeApp(t.Context(), root, a.ID, func(a *userctr.App) error { a.PublicKey = text; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := b.exchange(a.ID, sign(t, jwt.SigningMethodEdDSA, private, nil, b.embed(a.ID, nil))); err != nil {
		t.Error(err)
	}
	if _, err := b.exchange(a.ID, b.hs(secret, b.embed(a.ID, nil))); err != nil {
		t.Error(err)
	}
	for says, token := range map[string]string{
		"HS256 with the public key": b.hs(text, b.embed(a.ID, nil)),
		"HS256 with its bytes":      b.hs(string(public), b.embed(a.ID, nil)),
		"another's key":             newEd(t, "k").sign(t, b.embed(a.ID, nil)),
		"another algorithm":         newEC(t, "k").sign(t, b.embed(a.ID, nil)),
	} {
		if _, err := b.exchange(a.ID, token); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %v, want UNAUTHORIZED", says, err)
		}
	}
	for _, bad := range []string{"x", strings.ReplaceAll(text, "PUBLIC", "PRIVATE"), text + text} {
		if _, err := b.ChangeApp(t.Context(), root, a.ID, func(a *userctr.App) error { a.PublicKey = bad; return nil }); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("the key %.20q: %v, want BAD_REQUEST", bad, err)
		}
	}
}

func TestOriginsAreWrittenAsBrowsersDo(t *testing.T) {
	b := start(t, nil)
	a, _ := b.app()
	root := b.who(b.login("root", "desk", "web").Token)
	for origin, good := range map[string]bool{
		"https://shop.example.com":        true,
		"https://shop.example.com:8443":   true,
		"http://localhost:5173":           true,
		"http://127.0.0.1:5173":           true,
		"https://xn--fiq228c.example":     true,
		"":                                false,
		"null":                            false,
		"*":                               false,
		"https://*.example.com":           false,
		"http://shop.example.com":         false, // anybody on the way may change such a page
		"https://shop.example.com/":       false,
		"https://shop.example.com/chat":   false,
		"https://shop.example.com:443":    false,
		"http://localhost:80":             false,
		"https://Shop.example.com":        false,
		"https://中文.example":              false,
		"https://a:b@shop.example.com":    false,
		"shop.example.com":                false,
		"https://":                        false,
		"https://shop.example.com:":       false,
		"javascript:alert(1)":             false,
		"https://a.example,https://b.com": false,
	} {
		_, err := b.ChangeApp(t.Context(), root, a.ID, func(a *userctr.App) error { a.Origins = []string{origin}; return nil })
		if (err == nil) != good {
			t.Errorf("origin %q: %v, want good = %v", origin, err, good)
		}
		if good && (!b.Origin("", origin) || !b.Origin(a.ID, origin) || b.Origin("app_other", origin)) {
			t.Errorf("origin %q is not known", origin)
		}
	}
	if b.Origin("", "https://shop.example.com/") || b.Origin("", "") {
		t.Error("an origin that is none is known")
	}
}

func TestAnApplicationIsKept(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	a, _ := b.app()
	root := b.login("root", "desk", "web").Token
	ann := b.login("ann", "desk", "web").Token
	want := func(status int, token, method, path, body string) map[string]any {
		t.Helper()
		got, out := call(t, h, token, method, path, body)
		if got != status {
			t.Fatalf("%s %s %s answered %d %v, want %d", method, path, body, got, out, status)
		}
		return out
	}
	shown := want(200, "", "GET", "/apps/"+a.ID, "")
	if shown["name"] != "Shop" || fmt.Sprint(shown["colours"]) != "map[accent:#d33]" || shown["guests"] != true {
		t.Errorf("a page sees %v", shown)
	}
	for _, private := range []string{"origins", "members", "secrets", "createdBy", "publicKey"} {
		if _, ok := shown[private]; ok {
			t.Errorf("a page sees %s: %v", private, shown)
		}
	}
	want(404, "", "GET", "/apps/app_none", "")
	for _, path := range []string{"", "/" + a.ID + "/settings"} {
		want(403, ann, "GET", "/apps"+path, "")
	}
	want(403, ann, "PUT", "/apps/"+a.ID, `{"name":"mine"}`)
	want(403, ann, "DELETE", "/apps/"+a.ID, "")
	want(403, ann, "POST", "/apps/"+a.ID+"/secrets", "")
	want(403, ann, "POST", "/apps", `{"name":"mine"}`)

	made := want(201, root, "POST", "/apps", `{"name":"Clinic","origins":["https://clinic.example.com"],"guests":false}`)
	id := made["app"].(string)
	if !strings.HasPrefix(id, "app_") || !strings.HasPrefix(made["secret"].(string), "tsk_") {
		t.Errorf("made = %v", made)
	}
	want(400, root, "POST", "/apps", `{"origins":[]}`)
	want(404, root, "PUT", "/apps/"+id, `{"members":["u_nobody"]}`)
	want(404, root, "PUT", "/apps/app_none", `{"name":"x"}`)
	changed := want(200, root, "PUT", "/apps/"+id, `{"texts":{"hello":"Good day"},"features":["calls"]}`)
	if changed["name"] != "Clinic" || fmt.Sprint(changed["texts"]) != "map[hello:Good day]" || fmt.Sprint(changed["origins"]) != "[https://clinic.example.com]" {
		t.Errorf("changed = %v", changed)
	}
	if got := want(200, root, "GET", "/apps/"+id+"/settings", ""); strings.Contains(fmt.Sprint(got), "tsk_") || len(got["secrets"].([]any)) != 1 {
		t.Errorf("settings = %v", got)
	}
	if !b.Origin("", "https://clinic.example.com") {
		t.Error("its page may not connect")
	}
	secret := want(201, root, "POST", "/apps/"+id+"/secrets", "")
	want(204, root, "DELETE", "/apps/"+id+"/secrets/"+secret["id"].(string), "")
	if got := want(200, root, "GET", "/apps?limit=1", ""); len(got["items"].([]any)) != 1 || got["next"] == nil {
		t.Errorf("the first page = %v", got)
	}
	want(403, "", "POST", "/apps/"+id+"/guests", "")
	b.restart()
	if _, err := b.App(id); err != nil {
		t.Error(err)
	}
	h = b.rest()
	want(204, root, "DELETE", "/apps/"+id, "")
	want(404, "", "GET", "/apps/"+id, "")
	if b.Origin("", "https://clinic.example.com") {
		t.Error("the page of an application that is gone may connect")
	}
}

func TestAGuestComesInWithoutAName(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	a, _ := b.app()
	status, out := call(t, h, "", "POST", "/apps/"+a.ID+"/guests", `{"device":"tab","platform":"web"}`)
	if status != 201 {
		t.Fatalf("answered %d %v", status, out)
	}
	token := out["token"].(string)
	id := b.who(token)
	if !strings.HasPrefix(id.User, "g_") || len(id.User) != 28 || id.Kind != "guest" || id.App != a.ID || id.Device != "tab" || id.Admin {
		t.Errorf("identity = %+v", id)
	}
	if u, err := b.User(t.Context(), id.User); err != nil || u.Kind != userctr.Guest || u.Nickname != "Visitor "+id.User[2:6] {
		t.Errorf("user = %+v, %v", u, err)
	}
	if _, err := b.Refresh(t.Context(), out["refreshToken"].(string), "tab"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{
		"/users/me":                              200,
		"/users/" + a.Members[0]:                 200,
		"/users/" + b.rootID():                   404, // a stranger
		"/users/u_nobody":                        404,
		"/users/" + b.rootID() + "/consult/time": 404,
	} {
		if got, out := call(t, h, token, "GET", path, ""); got != want {
			t.Errorf("a guest reads %s: %d %v, want %d", path, got, out, want)
		}
	}
	_, err := b.Visit(t.Context(), "app_none", userctr.Client{})
	wants(t, err, protocol.Code_NOT_FOUND)

	// When the application is gone, so are its guests.
	g, err := b.Visit(t.Context(), a.ID, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	who := b.who(g.Token)
	var gone []string
	b.OnApp(func(app string) {
		gone = append(gone, app)
		wants(t, b.Alive(&who), protocol.Code_UNAUTHORIZED) // whoever signs in now finds it so
	})
	if err := b.RemoveApp(t.Context(), b.who(b.login("root", "desk", "web").Token), a.ID); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gone, []string{a.ID}) {
		t.Errorf("told that %q are gone", gone)
	}
	_, err = b.Refresh(t.Context(), g.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	b.restart()
	b.refused(g.Token, protocol.Code_UNAUTHORIZED)
	key, _, err := b.MakeKey(t.Context(), b.who(b.login("root", "desk", "web").Token), "back end", []string{"users", "messages"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.ActFor(t.Context(), b.who(key), g.User.ID)
	wants(t, err, protocol.Code_NOT_FOUND)
}

func (b *bench) rootID() string {
	b.t.Helper()
	u, err := b.Named(b.t.Context(), "root")
	if err != nil {
		b.t.Fatal(err)
	}
	return u.ID
}

func TestGuestsAreLimitedPerAddress(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.Limits.Guests = userctr.Rate{Burst: 2, Every: time.Minute} })
	a, secret := b.app()
	from := func(address string) error {
		_, err := b.Visit(t.Context(), a.ID, userctr.Client{Address: address})
		return err
	}
	for range 2 {
		if err := from("203.0.113.7:1"); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, from("203.0.113.7:2"), protocol.Code_RATE_LIMITED)
	if err := from("203.0.113.8:1"); err != nil {
		t.Error(err)
	}
	b.pass(time.Minute)
	if err := from("203.0.113.7:3"); err != nil {
		t.Error(err)
	}
	_ = secret
}

// rooms is the session side: who is in which session.
type rooms struct {
	mu   sync.Mutex
	in   map[protocol.UserID][]protocol.SessionID
	fail error
	done []string
}

func (r *rooms) SessionsOf(_ context.Context, user protocol.UserID) ([]protocol.SessionID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.in[user]), nil
}

func (r *rooms) Replace(_ context.Context, session protocol.SessionID, from, to protocol.UserID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil && len(r.done) > 0 {
		return r.fail
	}
	r.done = append(r.done, session+" "+from+" "+to)
	r.in[from] = slices.DeleteFunc(r.in[from], func(s string) bool { return s == session })
	r.in[to] = append(r.in[to], session)
	return nil
}

func TestAUserTakesAGuestsPlaceWithBothTokens(t *testing.T) {
	b := start(t, nil)
	a, _ := b.app()
	guest, err := b.Visit(t.Context(), a.ID, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rooms{in: map[string][]string{guest.User.ID: {"s_1", "s_2"}}, fail: errors.New("the server is killed here")}
	b.FollowSessions(r)
	zoe := b.signUp("zoe")
	who := b.who(zoe.Token)
	ann := b.who(b.login("ann", "d", "").Token)
	merge := func(who protocol.Identity, token string) error { return b.MergeGuest(t.Context(), who, "", token) }

	for says, token := range map[string]string{
		"a person's token": b.login("ann", "d", "").Token, "its own": zoe.Token, "a refresh token": guest.Refresh, "the guest's id": guest.User.ID, "nothing": "",
	} {
		if err := merge(who, token); !protocol.Code_DENIED.Is(err) {
			t.Errorf("with %s: %v, want DENIED", says, err)
		}
	}
	wants(t, merge(b.who(guest.Token), guest.Token), protocol.Code_DENIED)

	b.told()
	if err := merge(who, guest.Token); err == nil {
		t.Fatal("it is done, though a session did not answer")
	}
	b.refused(guest.Token, protocol.Code_UNAUTHORIZED) // the guest is closed first
	if told := b.told(); len(told) == 0 || !strings.HasPrefix(told[0], guest.User.ID) {
		t.Errorf("told %q, so that no socket is closed", told)
	}
	wants(t, merge(ann, guest.Token), protocol.Code_CONFLICT)

	b.restart() // which goes on with it
	r.fail = nil
	b.FollowSessions(r)
	if err := b.FinishMerges(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"s_1 " + guest.User.ID + " " + who.User, "s_2 " + guest.User.ID + " " + who.User}; !slices.Equal(r.done, want) {
		t.Errorf("sessions were changed %q, want %q", r.done, want)
	}
	if err := merge(who, guest.Token); err != nil {
		t.Errorf("asked once more: %v", err)
	}
	wants(t, merge(ann, guest.Token), protocol.Code_CONFLICT)
	if err := b.FinishMerges(t.Context()); err != nil || len(r.done) != 2 {
		t.Errorf("a finished merge is done again: %q, %v", r.done, err)
	}
	_, err = b.Refresh(t.Context(), guest.Refresh, "")
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if u, err := b.User(t.Context(), guest.User.ID); err != nil || !u.Disabled || u.Nickname != "zoe" {
		t.Errorf("the guest = %+v, %v", u, err)
	}
}

func TestGuestsWhoWroteNothingAreForgotten(t *testing.T) {
	b := start(t, nil)
	a, _ := b.app()
	guest := func() string {
		g, err := b.Visit(t.Context(), a.ID, userctr.Client{})
		if err != nil {
			t.Fatal(err)
		}
		return g.User.ID
	}
	idle, talked := guest(), guest()
	b.FollowSessions(&rooms{in: map[string][]string{talked: {"s_1"}}})
	merged, err := b.Visit(t.Context(), a.ID, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.MergeGuest(t.Context(), b.who(b.signUp("zoe").Token), "", merged.Token); err != nil {
		t.Fatal(err)
	}
	b.pass(31 * 24 * time.Hour)
	young := guest()
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, there := range map[string]bool{idle: false, talked: true, young: true, merged.User.ID: true} {
		if _, err := b.User(t.Context(), id); (err == nil) != there {
			t.Errorf("guest %s: %v, want there = %v", id, err, there)
		}
	}
}

var _ userctr.Store = (*pebblestore.Store)(nil)
