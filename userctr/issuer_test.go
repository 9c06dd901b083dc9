package userctr_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// idp is an outside system with a key set, served over HTTP.
type idp struct {
	*httptest.Server
	mu    sync.Mutex
	keys  []map[string]string
	raw   string // said instead of the keys
	down  bool
	asked int
}

func startIDP(t *testing.T) *idp {
	p := &idp{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		switch {
		case p.down:
			w.WriteHeader(http.StatusInternalServerError)
		case p.raw != "":
			w.Write([]byte(p.raw))
		default:
			json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) set(change func(p *idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// key is a private key, what signs with it, and how a key set shows its public half.
type key struct {
	kid     string
	private any
	method  jwt.SigningMethod
	shown   map[string]string
}

var b64 = base64.RawURLEncoding.EncodeToString

// rsaKey is made once, as making one takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newRSA(kid string, method jwt.SigningMethod) key {
	k := rsaKey()
	return key{kid, k, method, map[string]string{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": method.Alg(), "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
	}}
}

func newEC(t *testing.T, kid string) key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return key{kid, k, jwt.SigningMethodES256, map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])}}
}

func newEd(t *testing.T, kid string) key {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{kid, private, jwt.SigningMethodEdDSA, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": b64(public)}}
}

// claims are a good token's, changed.
func (b *bench) claims(iss string, change map[string]any) map[string]any {
	c := map[string]any{"iss": iss, "aud": "chat", "sub": "doctor-7", "exp": b.now().Add(time.Hour).Unix(), "iat": b.now().Unix()}
	maps.Copy(c, change)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (k key) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return sign(t, k.method, k.private, map[string]any{"kid": k.kid}, claims)
}

const iss = "https://id.example.com"

func withJWKS(p *idp) func(*userctr.Config) {
	return func(c *userctr.Config) {
		c.Issuers = []userctr.Issuer{{Issuer: iss, Audience: "chat", JWKS: p.URL + "/keys"}}
	}
}

func TestTokensOfAnIssuerWithPublicKeysAreGood(t *testing.T) {
	p := startIDP(t)
	keys := []key{newRSA("rs", jwt.SigningMethodRS256), newRSA("ps", jwt.SigningMethodPS256), newEC(t, "es"), newEd(t, "ed")}
	for _, k := range keys {
		p.keys = append(p.keys, k.shown)
	}
	p.keys = append(p.keys, map[string]string{"kty": "oct", "kid": "oct", "k": b64([]byte(strings.Repeat("k", 32)))},
		map[string]string{"kty": "RSA", "kid": "for encryption", "use": "enc", "n": keys[0].shown["n"], "e": keys[0].shown["e"]})
	b := start(t, withJWKS(p))
	first := ""
	for _, k := range keys {
		id := b.who(k.sign(t, b.claims(iss, map[string]any{"name": "Dr. Wang", "device": "desk", "platform": "web"})))
		if first == "" {
			first = id.User
		}
		if id.User != first || !strings.HasPrefix(id.User, "u_") || id.Login != "" || id.Admin || id.Device != "desk" || id.Platform != "web" {
			t.Errorf("%s: identity = %+v, want user %s", k.kid, id, first)
		}
	}
	u, err := b.User(t.Context(), first)
	if err != nil || u.Nickname != "Dr. Wang" || u.Kind != userctr.Human {
		t.Errorf("user = %+v, %v", u, err)
	}
	b.who(keys[0].sign(t, b.claims(iss, map[string]any{"name": "Prof. Wang"})))
	if u, err := b.User(t.Context(), first); err != nil || u.Nickname != "Prof. Wang" {
		t.Errorf("user after a new name = %+v, %v", u, err)
	}
	if n := p.count(); n != 1 {
		t.Errorf("the keys were read %d times, want once", n)
	}
	b.restart()
	if id := b.who(keys[1].sign(t, b.claims(iss, nil))); id.User != first {
		t.Errorf("after a restart the subject is %s, want %s", id.User, first)
	}
}

func TestForgedTokensOfAnIssuerAreRefused(t *testing.T) {
	p := startIDP(t)
	rs, es := newRSA("rs", jwt.SigningMethodRS256), newEC(t, "es")
	p.keys = []map[string]string{rs.shown, es.shown}
	b := start(t, func(c *userctr.Config) {
		withJWKS(p)(c)
		c.IdentitySecret = identitySecret
	})
	b.who(rs.sign(t, b.claims(iss, nil)))
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	with := func(change map[string]any) string { return rs.sign(t, b.claims(iss, change)) }
	header := func(h map[string]any) string { return sign(t, rs.method, rs.private, h, b.claims(iss, nil)) }
	other := newEC(t, "es")
	for says, token := range map[string]string{
		"another audience":             with(map[string]any{"aud": "mail"}),
		"no audience":                  with(map[string]any{"aud": nil}),
		"an audience in another case":  with(map[string]any{"aud": "Chat"}),
		"no end":                       with(map[string]any{"exp": nil}),
		"an end too far ahead":         with(map[string]any{"exp": b.now().Add(40 * 24 * time.Hour).Unix()}),
		"not good yet":                 with(map[string]any{"nbf": b.now().Add(2 * time.Minute).Unix()}),
		"made in the future":           with(map[string]any{"iat": b.now().Add(2 * time.Minute).Unix()}),
		"no subject":                   with(map[string]any{"sub": nil}),
		"a long subject":               with(map[string]any{"sub": strings.Repeat("s", 256)}),
		"a subject with a zero":        with(map[string]any{"sub": "a\x00b"}),
		"a slash at the issuer's end":  with(map[string]any{"iss": iss + "/"}),
		"an issuer in another case":    with(map[string]any{"iss": "https://ID.example.com"}),
		"no issuer":                    with(map[string]any{"iss": nil}),
		"our own issuer's name":        with(map[string]any{"iss": "troupe:x"}),
		"an unknown kid":               header(map[string]any{"kid": "rs2"}),
		"a kid that is a path":         header(map[string]any{"kid": "../../dev/null"}),
		"no kid among several":         header(nil),
		"a kid that is a number":       header(map[string]any{"kid": 7}),
		"another key's kid":            header(map[string]any{"kid": "es"}),
		"a key address of its own":     header(map[string]any{"kid": "rs", "jku": p.URL}),
		"a key of its own":             header(map[string]any{"kid": "rs", "jwk": rs.shown}),
		"what must be understood":      header(map[string]any{"kid": "rs", "crit": []string{"exp"}}),
		"a logout token":               header(map[string]any{"kid": "rs", "typ": "logout+jwt"}),
		"RS256's key under PS256":      sign(t, jwt.SigningMethodPS256, rs.private, map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"another's key":                other.sign(t, b.claims(iss, nil)),
		"HS256 with the public key":    sign(t, jwt.SigningMethodHS256, inPEM, map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"HS256 with the modulus":       sign(t, jwt.SigningMethodHS256, []byte(rs.shown["n"]), map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"HS256 with no key":            sign(t, jwt.SigningMethodHS256, []byte{}, map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"HS256 with the shared secret": sign(t, jwt.SigningMethodHS256, []byte(identitySecret), map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"no signature":                 sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": "rs"}, b.claims(iss, nil)),
		"a signature cut off":          strings.TrimRight(with(nil), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
		"not a token":                  "a.b.c",
	} {
		if id, err := b.Authenticate(t.Context(), token); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: %+v, %v, want UNAUTHORIZED", says, id, err)
		}
	}
	b.refused(with(map[string]any{"exp": b.now().Add(-2 * time.Minute).Unix()}), protocol.Code_TOKEN_EXPIRED)
	b.who(with(map[string]any{"aud": []string{"mail", "chat"}}))
}

func TestTwoIssuersSubjectsNeverMeet(t *testing.T) {
	one, two := startIDP(t), startIDP(t)
	a, z := newEC(t, "same kid"), newEC(t, "same kid")
	one.keys, two.keys = []map[string]string{a.shown}, []map[string]string{z.shown}
	const secret = "a shop's secret, of at least 32 bytes"
	b := start(t, func(c *userctr.Config) {
		c.IdentitySecret = identitySecret
		c.Issuers = []userctr.Issuer{
			{Issuer: "https://one", Audience: "chat", JWKS: one.URL},
			{Issuer: "https://two", Audience: "chat", JWKS: two.URL},
			{Issuer: "shop", Audience: "chat", Secret: secret},
		}
	})
	users := map[string]bool{}
	for _, token := range []string{
		a.sign(t, b.claims("https://one", nil)),
		z.sign(t, b.claims("https://two", nil)),
		sign(t, jwt.SigningMethodHS256, []byte(secret), nil, b.claims("shop", nil)),
		sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, b.claims("whoever", nil)), // the shared secret looks at no iss
	} {
		users[b.who(token).User] = true
	}
	if len(users) != 4 || !users["doctor-7"] {
		t.Errorf("four systems' doctor-7 are the users %v", users)
	}
	b.refused(z.sign(t, b.claims("https://one", nil)), protocol.Code_UNAUTHORIZED)
	b.refused(a.sign(t, b.claims("https://two", nil)), protocol.Code_UNAUTHORIZED)
	b.refused(sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, b.claims("shop", nil)), protocol.Code_UNAUTHORIZED)
	b.refused(sign(t, jwt.SigningMethodHS256, []byte(secret), nil, b.claims("other", nil)), protocol.Code_UNAUTHORIZED)
}

func TestKeysRollOver(t *testing.T) {
	p := startIDP(t)
	old, next := newEC(t, "old"), newEC(t, "next")
	p.keys = []map[string]string{old.shown}
	b := start(t, withJWKS(p))
	b.who(old.sign(t, b.claims(iss, nil)))

	// A new key is looked for once a minute, whatever strangers say.
	for range 20 {
		b.refused(next.sign(t, b.claims(iss, nil)), protocol.Code_UNAUTHORIZED)
	}
	if n := p.count(); n != 1 {
		t.Errorf("within the first minute the keys were read %d times, want once", n)
	}
	b.pass(61 * time.Second)
	p.set(func(p *idp) { p.keys = append(p.keys, next.shown) })
	b.who(next.sign(t, b.claims(iss, nil)))
	for range 20 {
		b.refused(newEC(t, "third").sign(t, b.claims(iss, nil)), protocol.Code_UNAUTHORIZED)
	}
	if n := p.count(); n != 2 {
		t.Errorf("the keys were read %d times, want twice", n)
	}

	// A key that was taken back is good for ten minutes at most.
	p.set(func(p *idp) { p.keys = []map[string]string{next.shown} })
	b.pass(10 * time.Minute)
	b.refused(old.sign(t, b.claims(iss, nil)), protocol.Code_UNAUTHORIZED)
	b.who(next.sign(t, b.claims(iss, nil)))
	b.who(sign(t, next.method, next.private, nil, b.claims(iss, nil))) // without a kid, as there is one key

	// An issuer that does not answer, or not with keys, is good by what it said, for a day.
	p.set(func(p *idp) { p.down = true })
	b.pass(12 * time.Hour)
	b.who(next.sign(t, b.claims(iss, nil)))
	p.set(func(p *idp) { p.down, p.raw = false, "<html>" })
	b.pass(11 * time.Hour)
	b.who(next.sign(t, b.claims(iss, nil)))
	b.pass(2 * time.Hour)
	b.refused(next.sign(t, b.claims(iss, nil)), protocol.Code_BUSY)
	p.set(func(p *idp) { p.raw = "" })
	b.pass(time.Minute)
	b.who(next.sign(t, b.claims(iss, nil)))
}

func TestAKeySetIsBounded(t *testing.T) {
	good := newEC(t, "k")
	many := make([]map[string]string, 101)
	for i := range many {
		many[i] = good.shown
	}
	tooMany, err := json.Marshal(map[string]any{"keys": many})
	if err != nil {
		t.Fatal(err)
	}
	weak := `{"keys":[{"kty":"RSA","kid":"k","n":"` + b64(make([]byte, 128)) + `","e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"k","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}]}`
	for says, raw := range map[string]string{
		"huge":                    `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
		"many":                    string(tooMany),
		"no keys":                 `{}`,
		"a weak one, a false one": weak,
		"not JSON":                "keys",
	} {
		p := startIDP(t)
		p.raw = raw
		b := start(t, withJWKS(p))
		if _, err := b.Authenticate(t.Context(), good.sign(t, b.claims(iss, nil))); !protocol.Code_BUSY.Is(err) {
			t.Errorf("%s: %v, want BUSY", says, err)
		}
	}
}

func TestKeysAreReadOnceForAllWhoWait(t *testing.T) {
	k := newEC(t, "k")
	hold, asked := make(chan struct{}), make(chan struct{}, 100)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-hold
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{k.shown}})
	}))
	t.Cleanup(slow.Close)
	b := start(t, func(c *userctr.Config) { c.Issuers = []userctr.Issuer{{Issuer: iss, Audience: "chat", JWKS: slow.URL}} })
	token := k.sign(t, b.claims(iss, nil))
	var wait sync.WaitGroup
	users := make(chan string, 20)
	for range 20 {
		wait.Go(func() {
			id, err := b.Authenticate(t.Context(), token)
			if err != nil {
				t.Error(err)
			}
			users <- id.User
		})
	}
	<-asked
	close(hold)
	wait.Wait()
	close(users)
	all := map[string]bool{}
	for u := range users {
		all[u] = true
	}
	if len(all) != 1 || len(asked) != 0 {
		t.Errorf("20 at once became the users %v, with %d more questions", all, len(asked))
	}
}

func TestKeysAreNotReadElsewhere(t *testing.T) {
	k := newEC(t, "k")
	p := startIDP(t)
	p.keys = []map[string]string{k.shown}
	away := httptest.NewServer(http.RedirectHandler(p.URL, http.StatusFound))
	t.Cleanup(away.Close)
	b := start(t, func(c *userctr.Config) { c.Issuers = []userctr.Issuer{{Issuer: iss, Audience: "chat", JWKS: away.URL}} })
	b.refused(k.sign(t, b.claims(iss, nil)), protocol.Code_BUSY)
	if p.count() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestIssuersAreChecked(t *testing.T) {
	secret := userctr.Secret(strings.Repeat("s3cr3t", 6))
	for says, bad := range map[string][]userctr.Issuer{
		"no iss":                 {{Audience: "a", Secret: secret}},
		"our own iss":            {{Issuer: "troupe:x", Audience: "a", Secret: secret}},
		"no way":                 {{Issuer: "i", Audience: "a"}},
		"two ways":               {{Issuer: "i", Audience: "a", JWKS: "https://a/k", Callback: "https://a/c"}},
		"keys and a secret":      {{Issuer: "i", Audience: "a", JWKS: "https://a/k", Secret: secret}},
		"no audience":            {{Issuer: "i", JWKS: "https://a/k"}},
		"a short secret":         {{Issuer: "i", Audience: "a", Secret: secret[:31]}},
		"http":                   {{Issuer: "i", Audience: "a", JWKS: "http://id.example.com/k"}},
		"http to look like here": {{Issuer: "i", Audience: "a", JWKS: "http://localhost.example.com/k"}},
		"a file":                 {{Issuer: "i", Audience: "a", JWKS: "file:///etc/passwd"}},
		"a password in it":       {{Issuer: "i", Audience: "a", JWKS: "https://a:b@c/k"}},
		"another algorithm":      {{Issuer: "i", Audience: "a", JWKS: "https://a/k", Algorithms: []string{"HS256"}}},
		"none":                   {{Issuer: "i", Audience: "a", JWKS: "https://a/k", Algorithms: []string{"none"}}},
		"another subject":        {{Issuer: "i", Audience: "a", JWKS: "https://a/k", Subject: "mine"}},
		"the same twice":         {{Issuer: "i", Audience: "a", Secret: secret}, {Issuer: "i", Audience: "b", Secret: secret}},
		"two callbacks":          {{Issuer: "i", Callback: "https://a/c"}, {Issuer: "j", Callback: "https://b/c"}},
		"two as they stand":      {{Issuer: "i", Audience: "a", Secret: secret, Subject: "asis"}, {Issuer: "j", Audience: "a", Secret: secret, Subject: "asis"}},
	} {
		if err := userctr.CheckIssuers(bad, false); err == nil {
			t.Errorf("%s: CheckIssuers took it", says)
		} else if strings.Contains(err.Error(), string(secret[:31])) {
			t.Errorf("%s: the error shows the secret", says)
		}
	}
	good := []userctr.Issuer{
		{Issuer: "i", Audience: "a", JWKS: "https://id.example.com/k", Algorithms: []string{"ES256"}},
		{Issuer: "j", Audience: "a", JWKS: "http://127.0.0.1:9/k"},
		{Issuer: "k", Callback: "http://localhost:9/c", Secret: "short", Subject: "asis"},
	}
	if err := userctr.CheckIssuers(good, false); err != nil {
		t.Error(err)
	}
	if err := userctr.CheckIssuers(good, true); err == nil {
		t.Error("a second system whose subjects are user ids was taken")
	}
}

func TestASubjectThatStandsAsItIsIsTheUser(t *testing.T) {
	p := startIDP(t)
	k := newEd(t, "k")
	p.keys = []map[string]string{k.shown}
	b := start(t, func(c *userctr.Config) {
		withJWKS(p)(c)
		c.Issuers[0].Subject = userctr.SubjectAsIs
	})
	if id := b.who(k.sign(t, b.claims(iss, nil))); id.User != "doctor-7" {
		t.Errorf("user = %s, want doctor-7", id.User)
	}
	b.refused(k.sign(t, b.claims(iss, map[string]any{"sub": "me"})), protocol.Code_UNAUTHORIZED)
	b.refused(k.sign(t, b.claims(iss, map[string]any{"sub": "a/b"})), protocol.Code_UNAUTHORIZED)
}
