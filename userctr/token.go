package userctr

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// leeway is how far clocks may be apart (reliability: a client's or an outside
	// system's clock is never trusted further).
	leeway = 60 * time.Second
	// maxToken is in bytes: a frame before auth has at most 4 KiB.
	maxToken = 4096
	// maxHeader is in base64 characters; ours has 60, and others' have few fields.
	maxHeader = 512
	// maxOutside is how far ahead an outside token may end: one that never ends is a
	// password. It is the life of a login here.
	maxOutside = 31 * 24 * time.Hour
	typAccess  = "at+jwt" // RFC 9068
)

// accessClaims are what our own access tokens say.
type accessClaims struct {
	jwt.RegisteredClaims
	Login    string `json:"sid"`
	Device   string `json:"did"`
	Platform string `json:"plt,omitempty"`
	Version  string `json:"ver,omitempty"`
	Admin    bool   `json:"adm,omitempty"`
	Kind     string `json:"knd,omitempty"` // of the user; "" is human
	App      string `json:"app,omitempty"`
}

// outsideClaims are what an outside system's tokens say.
type outsideClaims struct {
	jwt.RegisteredClaims
	Name     string `json:"name"`
	Device   string `json:"device"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// verifier checks tokens. There is one key per algorithm and one algorithm per
// key, and the key is never chosen by anything else that the token says of itself.
type verifier struct {
	now      func() time.Time
	longest  time.Duration // life of an access token, with the leeway
	own      *jwt.Parser
	ownKey   jwt.Keyfunc
	outside  *jwt.Parser // nil: no outside system
	outerKey jwt.Keyfunc
	shared   *shared // its quicker way
}

func newVerifier(cfg Config, keys *secrets, now func() time.Time) *verifier {
	v := &verifier{now: now, longest: cfg.Access + 2*leeway}
	common := []jwt.ParserOption{jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding()}
	v.own = jwt.NewParser(append(common[:len(common):len(common)], jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(keys.issuer), jwt.WithAudience(cfg.Audience))...)
	v.ownKey = func(t *jwt.Token) (any, error) {
		if typ, _ := t.Header["typ"].(string); typ != typAccess {
			return nil, errors.New("not an access token")
		}
		kid, _ := t.Header["kid"].(string)
		key, ok := keys.public[kid]
		if !ok {
			return nil, errors.New("no such key")
		}
		return key, refuseHeader(t)
	}
	if cfg.IdentitySecret != "" {
		secret := []byte(cfg.IdentitySecret)
		v.outside = jwt.NewParser(append(common[:len(common):len(common)], jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}))...)
		v.shared = newShared(secret, common)
		v.outerKey = func(t *jwt.Token) (any, error) {
			if typ, said := t.Header["typ"]; said {
				if word, _ := typ.(string); !strings.EqualFold(word, "JWT") {
					return nil, errors.New("not an identity token")
				}
			}
			return secret, refuseHeader(t)
		}
	}
	return v
}

// refuseHeader refuses what names or carries a key, and what must be understood (RFC 7515 section 4.1).
func refuseHeader(t *jwt.Token) error {
	for _, field := range []string{"jku", "jwk", "x5u", "x5c", "crit", "zip", "b64"} {
		if _, said := t.Header[field]; said {
			return fmt.Errorf("header field %s", field)
		}
	}
	return nil
}

// algorithm gives what the header says of itself, "" when it cannot be read.
func algorithm(token string) string {
	head, _, _ := strings.Cut(token, ".")
	if len(token) > maxToken || len(head) > maxHeader {
		return ""
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return ""
	}
	var h struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(text, &h) != nil {
		return ""
	}
	return h.Alg
}

// verify gives the claims of a good token: accessClaims or outsideClaims.
func (v *verifier) verify(token string) (*accessClaims, *outsideClaims, error) {
	if v.shared != nil {
		if c := v.shared.check(token); c != nil {
			return v.bounded(c)
		}
	}
	switch alg := algorithm(token); {
	case alg == jwt.SigningMethodEdDSA.Alg():
		c := &accessClaims{}
		if _, err := v.own.ParseWithClaims(token, c, v.ownKey); err != nil {
			return nil, nil, refusal(err)
		}
		if c.Subject == "" || c.Login == "" || c.ExpiresAt.Sub(v.now()) > v.longest {
			return nil, nil, badToken()
		}
		return c, nil, nil
	case alg == jwt.SigningMethodHS256.Alg() && v.outside != nil:
		c := &outsideClaims{}
		if _, err := v.outside.ParseWithClaims(token, c, v.outerKey); err != nil {
			return nil, nil, refusal(err)
		}
		v.shared.good(token)
		return v.bounded(c)
	default:
		return nil, nil, badToken()
	}
}

// bounded refuses an outside token that ends too far ahead.
func (v *verifier) bounded(c *outsideClaims) (*accessClaims, *outsideClaims, error) {
	if c.ExpiresAt.Sub(v.now()) > maxOutside {
		return nil, nil, protocol.Unauthorized("the token ends more than %d days ahead", int(maxOutside.Hours()/24))
	}
	return nil, c, nil
}

func badToken() error { return protocol.Unauthorized("the token is not good here") }

// refusal tells a good token that is too old from any other; it says no more, as
// whoever forges one would learn from it.
func refusal(err error) error {
	other := []error{jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing}
	for _, e := range other {
		if errors.Is(err, e) {
			return badToken()
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return protocol.Errorf(protocol.Code_TOKEN_EXPIRED, "the token has expired")
	}
	return badToken()
}

// mint signs an access token for a login.
func (c *Center) mint(l *Login, u *User) (token string, expires time.Time, err error) {
	now := c.now()
	expires = now.Add(c.cfg.Access).Truncate(time.Second)
	var jti [12]byte
	rand.Read(jti[:])
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: c.keys.issuer, Audience: jwt.ClaimStrings{c.cfg.Audience}, Subject: l.User,
			ID:       base64.RawURLEncoding.EncodeToString(jti[:]),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Login: l.ID, Device: l.Device, Platform: l.Platform, Version: l.Version, Admin: u.Admin, Kind: kindOf(u), App: u.App,
	})
	t.Header["typ"], t.Header["kid"] = typAccess, c.keys.kid
	token, err = t.SignedString(c.keys.private)
	if err != nil {
		return "", expires, fmt.Errorf("userctr: sign a token: %w", err)
	}
	return token, expires, nil
}

// Authenticate says who holds token. UNAUTHORIZED: nobody; TOKEN_EXPIRED: somebody
// who needs a new one. One of our own is checked in memory alone.
func (c *Center) Authenticate(ctx context.Context, token string) (protocol.Identity, error) {
	if strings.HasPrefix(token, keyPrefix) {
		return c.authenticateKey(ctx, token)
	}
	if i := c.issuers.of(token); i != nil {
		claims, err := c.askFor(ctx, i, token)
		if err != nil {
			return protocol.Identity{}, err
		}
		return c.authenticateOutside(ctx, i.realm(), claims)
	}
	own, outside, err := c.tokens.verify(token)
	if err != nil {
		return protocol.Identity{}, err
	}
	if outside != nil {
		return c.authenticateOutside(ctx, "", outside)
	}
	if c.revoked.has(own.Login) || c.gone(own.App) {
		return protocol.Identity{}, hasEnded()
	}
	return protocol.Identity{
		User: own.Subject, Device: own.Device, Login: own.Login, Platform: own.Platform, Version: own.Version,
		Expires: own.ExpiresAt.Time, Leeway: leeway, Admin: own.Admin, Kind: own.Kind, App: own.App,
	}, nil
}

// askFor is i.verify, where the address that asks has not had i's system asked for too many
// tokens that were nobody's: RATE_LIMITED. What is remembered as good is not limited.
func (c *Center) askFor(ctx context.Context, i *issuer, token string) (*outsideClaims, error) {
	if i.ask == nil {
		return i.verify(ctx, token)
	}
	if claims := i.ask.remembered(token); claims != nil {
		return claims, nil
	}
	address := protocol.AddressFrom(ctx)
	if err := c.limits.mayAsk(address, c.now()); err != nil {
		return nil, err
	}
	claims, err := i.verify(ctx, token)
	if protocol.Code_UNAUTHORIZED.Is(err) || protocol.Code_TOKEN_EXPIRED.Is(err) {
		c.limits.asked(address, c.now())
	}
	return claims, err
}

// Elsewhere says that another system may have to be asked about token: the one that it names
// has its keys, or is asked for each token.
func (c *Center) Elsewhere(token string) bool {
	i := c.issuers.of(token)
	return i != nil && (i.set != nil || i.ask != nil)
}

// authenticateOutside says who the holder of good claims is. realm is "" where the subject is
// the user's id.
func (c *Center) authenticateOutside(ctx context.Context, realm string, claims *outsideClaims) (protocol.Identity, error) {
	if err := checkDevice(claims.Device, claims.Platform, claims.Version); err != nil {
		return protocol.Identity{}, protocol.Unauthorized("the token's device, platform or version cannot be one")
	}
	user, name := claims.Subject, claims.Name
	if realm == "" {
		if err := checkUserID(user); err != nil {
			return protocol.Identity{}, err
		}
	} else {
		if clean, err := cleanNickname(name); err == nil {
			name = clean
		} else {
			name = ""
		}
		var err error
		if user, err = c.userOf(ctx, Subject{realm, claims.Subject}, User{Nickname: name, Outside: name, Kind: Human}); err != nil {
			return protocol.Identity{}, err
		}
	}
	seen, err := c.meet(ctx, user, name)
	if err != nil {
		return protocol.Identity{}, err
	}
	if seen.disabled {
		return protocol.Identity{}, shutOut()
	}
	who := protocol.Identity{
		User: user, Device: claims.Device, Platform: claims.Platform, Version: claims.Version,
		Expires: claims.ExpiresAt.Time, Leeway: leeway, Admin: seen.admin && !seen.password,
	}
	if o := seen.origin; o != nil {
		who.Kind, who.App = o.kind, o.app
	}
	if c.gone(who.App) {
		return protocol.Identity{}, hasEnded()
	}
	return who, nil
}

// Alive says whether who, whom Authenticate gave of late, would be given still.
// UNAUTHORIZED: the login has ended since, or the user been shut out, or its application
// removed. It looks at what was revoked alone, in memory, and costs next to nothing.
func (c *Center) Alive(who *protocol.Identity) error {
	if c.gone(who.App) {
		return hasEnded()
	}
	if who.Login != "" {
		if c.revoked.has(who.Login) {
			return hasEnded()
		}
		return nil
	}
	if g, ok := c.people.get(who.User); ok && g.disabled {
		return shutOut()
	}
	return nil
}

// kindOf is a user's kind as an Identity has it.
func kindOf(u *User) string {
	if u.Kind == Human {
		return ""
	}
	return string(u.Kind)
}

func hasEnded() error { return protocol.Unauthorized("this sign-in has ended") }

func shutOut() error { return protocol.Unauthorized("this user is disabled") }
