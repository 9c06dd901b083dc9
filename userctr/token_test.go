package userctr_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

const identitySecret = "an outside system's secret of 40 bytes.."

func withOutside(c *userctr.Config) { c.IdentitySecret = identitySecret }

// sign makes a token as anybody with the key could.
func sign(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	for k, v := range header {
		if v == nil {
			delete(token.Header, k)
		} else {
			token.Header[k] = v
		}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parts gives header and claims of a token.
func parts(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// signingKey reads the installation's own key, as the strongest of thieves would.
func signingKey(t testing.TB, dir string) ed25519.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var form struct{ Signing [][]byte }
	if err := json.Unmarshal(text, &form); err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(form.Signing[0])
}

func TestForgedAccessTokensAreRefused(t *testing.T) {
	b := start(t, withOutside)
	good := b.signUp("ann").Token
	header, claims := parts(t, good)
	if header["typ"] != "at+jwt" || header["alg"] != "EdDSA" || header["kid"] == "" {
		t.Errorf("header = %v", header)
	}
	key := signingKey(t, b.cfg.Data)
	public := key.Public().(ed25519.PublicKey)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	// with gives the good claims with one changed; nil takes it away.
	with := func(name string, value any) map[string]any {
		c := map[string]any{}
		for k, v := range claims {
			c[k] = v
		}
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	own := func(c map[string]any) string { return sign(t, jwt.SigningMethodEdDSA, key, header, c) }
	head := func(name string, value any) string {
		h := map[string]any{"typ": "at+jwt", "kid": header["kid"], name: value}
		return sign(t, jwt.SigningMethodEdDSA, key, h, claims)
	}
	kid := map[string]any{"typ": "at+jwt", "kid": header["kid"]}
	now := b.now().Unix()
	b.who(own(claims)) // the tests' own way of signing is good

	p := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
	for says, token := range map[string]string{
		"nothing":                     "",
		"no token":                    "hello",
		"dots":                        strings.Repeat(".", 4000),
		"many dots":                   strings.Repeat(".", 1<<20),
		"none":                        none + "." + p[1] + ".",
		"none, with the signature":    none + "." + p[1] + "." + p[2],
		"None":                        base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None","typ":"at+jwt"}`)) + "." + p[1] + ".",
		"no signature":                p[0] + "." + p[1] + ".",
		"two parts":                   p[0] + "." + p[1],
		"four parts":                  good + "." + p[2],
		"padded":                      good + "=",
		"trailing bits":               good[:len(good)-1] + string(good[len(good)-1]+1),
		"other claims":                p[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"u_root"}`)) + "." + p[2],
		"another key":                 sign(t, jwt.SigningMethodEdDSA, other, kid, claims),
		"HS256 by the public key":     sign(t, jwt.SigningMethodHS256, []byte(public), kid, claims),
		"HS256 by the private key":    sign(t, jwt.SigningMethodHS256, []byte(key), kid, claims),
		"HS512 by the outside secret": sign(t, jwt.SigningMethodHS512, []byte(identitySecret), nil, with("exp", now+60)),
		"HS256 dressed as at+jwt":     sign(t, jwt.SigningMethodHS256, []byte(identitySecret), kid, claims),
		"RS256":                       sign(t, jwt.SigningMethodRS256, rsaKey, kid, claims),
		"typ JWT":                     head("typ", "JWT"),
		"no typ":                      head("typ", nil),
		"typ a number":                head("typ", 7),
		"no kid":                      head("kid", nil),
		"unknown kid":                 head("kid", "x"),
		"kid a path":                  head("kid", "../../../dev/null"),
		"kid SQL":                     head("kid", "x' UNION SELECT 'key"),
		"kid a list":                  head("kid", []string{"x"}),
		"jku":                         head("jku", "https://evil.example/keys"),
		"jwk":                         head("jwk", map[string]string{"kty": "OKP"}),
		"x5u":                         head("x5u", "https://evil.example/cert"),
		"crit":                        head("crit", []string{"exp"}),
		"huge header":                 head("pad", strings.Repeat("x", 600)),
		"huge claims":                 own(with("pad", strings.Repeat("x", 4096))),
		"no exp":                      own(with("exp", nil)),
		"exp no number":               own(with("exp", "tomorrow")),
		"far future":                  own(with("exp", now+86400)),
		"exp past all years":          own(with("exp", 1e18)),
		"not yet":                     own(with("nbf", now+61)),
		"issued later":                own(with("iat", now+61)),
		"no issuer":                   own(with("iss", nil)),
		"another issuer":              own(with("iss", "troupe:other")),
		"no audience":                 own(with("aud", nil)),
		"another audience":            own(with("aud", "other")),
		"no subject":                  own(with("sub", nil)),
		"no login":                    own(with("sid", nil)),
		"expired, another audience":   sign(t, jwt.SigningMethodEdDSA, key, kid, map[string]any{"aud": "x", "exp": now - 100}),
	} {
		if _, err := b.Authenticate(t.Context(), token); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %v, want UNAUTHORIZED", says, err)
		}
	}
	b.who(own(with("nbf", now+59))) // clocks may be that far apart
}

func TestAccessTokenExpires(t *testing.T) {
	b := start(t, nil)
	grant := b.signUp("ann")
	token := grant.Token
	b.pass(10*time.Minute + 59*time.Second)
	if id := b.who(token); !id.Expires.Equal(grant.Expires) || !id.Expires.Add(id.Leeway).After(b.now()) {
		t.Errorf("a token that is still taken expires at %v and %v, the grant said %v", id.Expires, id.Leeway, grant.Expires)
	}
	b.pass(2 * time.Second)
	b.refused(token, protocol.Code_TOKEN_EXPIRED)
}

func TestWhoeverWasShutOutIsNotAliveAnyMore(t *testing.T) {
	b := start(t, withOutside)
	own := b.who(b.signUp("ann").Token)
	outside := b.who(sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "doctor-7", "exp": b.now().Add(time.Hour).Unix()}))
	for _, who := range []protocol.Identity{own, outside} {
		if err := b.Alive(&who); err != nil {
			t.Errorf("%s: %v", who.User, err)
		}
	}
	if err := b.Logout(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if err := b.Disable(t.Context(), b.who(b.admin().Token), outside.User, true); err != nil {
		t.Fatal(err)
	}
	for _, who := range []protocol.Identity{own, outside} {
		if err := b.Alive(&who); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %v, want UNAUTHORIZED", who.User, err)
		}
	}
}

func TestTokenOfAnotherInstallationIsRefused(t *testing.T) {
	b, other := start(t, nil), start(t, nil)
	b.refused(other.signUp("ann").Token, protocol.Code_UNAUTHORIZED)
}

func TestOutsideTokenMakesItsUser(t *testing.T) {
	b := start(t, withOutside)
	outside := func(claims map[string]any) string {
		return sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, claims)
	}
	exp := b.now().Add(time.Hour).Unix()
	id := b.who(outside(map[string]any{"sub": "doctor-7", "exp": exp, "name": "Dr. 王", "device": "pad", "platform": "android"}))
	if id.User != "doctor-7" || id.Login != "" || id.Device != "pad" || id.Platform != "android" || id.Admin || id.Expires.Unix() != exp {
		t.Errorf("identity = %+v", id)
	}
	if u, err := b.User(t.Context(), "doctor-7"); err != nil || u.Nickname != "Dr. 王" || u.Name != "" || u.Kind != userctr.Human {
		t.Errorf("user = %+v, %v", u, err)
	}
	own := "mine"
	if _, err := b.SetProfile(t.Context(), "doctor-7", userctr.Looks{Nickname: &own}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Dr. 王": "mine", "": "mine"} { // nothing new
		b.who(outside(map[string]any{"sub": "doctor-7", "exp": exp, "name": name}))
		if u, _ := b.User(t.Context(), "doctor-7"); u.Nickname != want {
			t.Errorf("after name %q the nickname is %q, want %q", name, u.Nickname, want)
		}
	}
	b.who(outside(map[string]any{"sub": "doctor-7", "exp": exp, "name": "Prof. 王"}))
	if u, _ := b.User(t.Context(), "doctor-7"); u.Nickname != "Prof. 王" {
		t.Errorf("after a new name the nickname is %q", u.Nickname)
	}
	b.who(outside(map[string]any{"sub": "病人 8", "exp": float64(exp) + 0.5}))
	if u, err := b.User(t.Context(), "病人 8"); err != nil || u.Nickname != "病人 8" {
		t.Errorf("user = %+v, %v", u, err)
	}
}

func TestBadOutsideTokensAreRefused(t *testing.T) {
	b := start(t, withOutside)
	now := b.now().Unix()
	good := map[string]any{"sub": "ann", "exp": now + 60}
	with := func(name string, value any) string {
		c := map[string]any{"sub": "ann", "exp": now + 60, name: value}
		if value == nil {
			delete(c, name)
		}
		return sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, c)
	}
	head := func(name string, value any) string {
		return sign(t, jwt.SigningMethodHS256, []byte(identitySecret), map[string]any{name: value}, good)
	}
	b.who(with("x", 1))
	b.who(head("typ", nil))
	b.who(head("typ", "jwt"))
	b.who(head("kid", "../../dev/null")) // there is one key, whatever the token calls it
	for says, token := range map[string]string{
		"another secret":    sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 40)), nil, good),
		"empty secret":      sign(t, jwt.SigningMethodHS256, []byte{}, nil, good),
		"HS384":             sign(t, jwt.SigningMethodHS384, []byte(identitySecret), nil, good),
		"typ at+jwt":        head("typ", "at+jwt"),
		"typ a list":        head("typ", []string{"JWT"}),
		"jwk":               head("jwk", map[string]string{"kty": "oct", "k": "eA"}),
		"crit":              head("crit", []string{"b64"}),
		"huge header":       head("pad", strings.Repeat("x", 600)),
		"no exp":            with("exp", nil),
		"exp zero":          with("exp", 0),
		"far future":        with("exp", now+32*86400),
		"milliseconds":      with("exp", now*1000),
		"not yet":           with("nbf", now+61),
		"issued later":      with("iat", now+61),
		"no subject":        with("sub", nil),
		"subject a number":  with("sub", 7),
		"slash":             with("sub", "a/b"),
		"control character": with("sub", "a\nb"),
		"zero byte":         with("sub", "a\x00b"),
		"long subject":      with("sub", strings.Repeat("x", 129)),
		"everybody":         with("sub", "*"),
		"the installation":  with("sub", "system"),
		"a bot":             with("sub", "b_echo"),
		"a word of a path":  with("sub", "me"),
		"up the tree":       with("sub", ".."),
		"device":            with("device", "a/b"),
		"cut short":         with("x", 1)[:len(with("x", 1))-1],
		"a part too many":   with("x", 1) + ".",
		"two parts":         with("x", 1)[:strings.LastIndexByte(with("x", 1), '.')],
		"the header alone":  with("x", 1)[:strings.IndexByte(with("x", 1), '.')+1],
	} {
		want := protocol.Code_UNAUTHORIZED
		if says == "exp zero" {
			want = protocol.Code_TOKEN_EXPIRED
		}
		for _, before := range []string{head("kid", "another"), with("x", 1)} { // so its header is known, or not
			b.who(before)
			if _, err := b.Authenticate(t.Context(), token); !want.Is(err) {
				t.Errorf("%s: %v, want %s", says, err, want.Word())
			}
		}
	}
	token := with("sub", "ann")
	b.pass(2*time.Minute + time.Second)
	b.refused(token, protocol.Code_TOKEN_EXPIRED)

	off := start(t, nil)
	off.refused(sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": off.now().Unix() + 60}), protocol.Code_UNAUTHORIZED)
	off.refused(sign(t, jwt.SigningMethodHS256, []byte{}, nil, map[string]any{"sub": "ann", "exp": off.now().Unix() + 60}), protocol.Code_UNAUTHORIZED)
}

func TestOutsideUserSeenByManyConnectionsAtOnceIsOne(t *testing.T) {
	b := start(t, withOutside)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			token := sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Unix() + 60, "name": fmt.Sprint("Ann", i%2)})
			if id, err := b.Authenticate(t.Context(), token); err != nil || id.User != "ann" {
				t.Errorf("identity = %+v, %v", id, err)
			}
		})
	}
	wait.Wait()
}

func TestOutsideTokenOfAnAdminWithAPasswordIsNoAdmins(t *testing.T) {
	b := start(t, withOutside)
	root := b.admin().User.ID
	id := b.who(sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": root, "exp": b.now().Unix() + 60}))
	if id.User != root || id.Admin {
		t.Errorf("identity = %+v", id)
	}
	_, _, err := b.MakeInvite(t.Context(), id, 1, time.Hour)
	wants(t, err, protocol.Code_DENIED)
}

func TestDisabledOutsideUserIsOut(t *testing.T) {
	b := start(t, withOutside)
	root := b.who(b.admin().Token)
	token := sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Unix() + 3600})
	b.who(token)
	if err := b.Disable(t.Context(), root, "ann", true); err != nil {
		t.Fatal(err)
	}
	if told := b.told(); len(told) != 1 || told[0] != "ann  UNAUTHORIZED" {
		t.Errorf("told %q", told)
	}
	b.refused(token, protocol.Code_UNAUTHORIZED)
	b.restart()
	b.refused(token, protocol.Code_UNAUTHORIZED)
	if err := b.Disable(t.Context(), root, "ann", false); err != nil {
		t.Fatal(err)
	}
	b.who(token)
}

func FuzzAuthenticate(f *testing.F) {
	b := start(f, withOutside)
	f.Add(b.signUp("ann").Token)
	f.Add(sign(f, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Unix() + 60}))
	f.Add("eyJhbGciOiJub25lIn0..")
	f.Add("...")
	f.Fuzz(func(t *testing.T, token string) {
		if id, err := b.Authenticate(t.Context(), token); (err == nil) != (id.User != "") {
			t.Errorf("identity %+v with error %v", id, err)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	c := start(b, withOutside)
	for name, token := range map[string]string{
		"own":     c.signUp("ann").Token,
		"outside": sign(b, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": c.now().Unix() + 60, "name": "Ann"}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Authenticate(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
