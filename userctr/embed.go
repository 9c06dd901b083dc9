package userctr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// embedLife is how long a token that a host's back end signs may be good (reliability 4.1: 5 min).
	embedLife = 5 * time.Minute
	// minJTI is in bytes; 8 random ones are never met twice within embedLife.
	minJTI, maxJTI = 8, 128
)

// embedClaims are what a host's back end says of somebody on its page.
type embedClaims struct {
	jwt.RegisteredClaims
	Name   string `json:"name"`
	Avatar string `json:"avatar"`
}

// Exchange takes a token that an application's back end has signed for one of its users, and signs that user
// in. A token is good once. UNAUTHORIZED, the same for an application that is none; TOKEN_EXPIRED; RATE_LIMITED.
func (c *Center) Exchange(ctx context.Context, app, token string, client Client) (*Grant, error) {
	if err := checkDevice(client.Device, client.Platform, client.Version); err != nil {
		return nil, err
	}
	if err := c.limits.address(client.Address, c.now()); err != nil {
		return nil, err
	}
	a := c.apps.get(app)
	claims, err := c.readEmbed(a, token)
	if err != nil {
		return nil, err
	}
	realm := ofApp(app)
	sum := sha256.Sum256([]byte(claims.ID))
	switch err := c.store.Spend(ctx, realm, sum, claims.ExpiresAt.Add(leeway)); {
	case protocol.Code_CONFLICT.Is(err):
		c.log.Warn("a token of an application was shown a second time", "app", app)
		return nil, protocol.Unauthorized("the token was used before; each is good once")
	case err != nil:
		return nil, fmt.Errorf("userctr: spend a token of %s: %w", app, err)
	}
	as := User{Kind: Human, App: app}
	if name, err := cleanNickname(claims.Name); err == nil {
		as.Nickname, as.Outside = name, name
	}
	_ = as.keepAvatar(claims.Avatar) // what is none is left out, as with names
	id, err := c.userOf(ctx, Subject{realm, claims.Subject}, as)
	if err != nil {
		return nil, err
	}
	u, err := c.User(ctx, id)
	if err != nil {
		return nil, err
	}
	if !u.Disabled && (as.Outside != "" && as.Outside != u.Outside || as.Avatar != "" && as.Avatar != u.Avatar) {
		if u, err = c.change(ctx, id, func(u *User) error {
			if as.Outside != "" && as.Outside != u.Outside {
				u.Nickname, u.Outside = as.Outside, as.Outside
			}
			if as.Avatar != "" {
				u.Avatar = as.Avatar
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return c.open(ctx, u, client)
}

// nobodys stands for the application that there is none of, so that asking for it is the same work.
var nobodys = &App{ID: "app_none"}

// readEmbed checks a token of a's, which may be nil.
func (c *Center) readEmbed(a *App, token string) (*embedClaims, error) {
	if a == nil {
		a = nobodys
	}
	alg := algorithm(token)
	var keys []any
	switch {
	case alg == jwt.SigningMethodHS256.Alg():
		for _, row := range a.Secrets {
			secret, err := c.keys.openAppSecret(a.ID, row)
			if err != nil {
				return nil, err
			}
			keys = append(keys, secret)
		}
		if a == nobodys {
			keys = []any{c.keys.mac("nobody's application")}
		}
	case alg != "" && a.PublicKey != "":
		if k, err := parsePublic(a.PublicKey); err == nil && k.alg == alg {
			keys = []any{k.key}
		}
	}
	if len(keys) == 0 {
		return nil, badToken()
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithAudience(a.ID), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(c.now), jwt.WithStrictDecoding())
	var refused error
	for _, key := range keys {
		claims := &embedClaims{}
		_, err := parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
			if typ, said := t.Header["typ"]; said {
				if word, _ := typ.(string); !strings.EqualFold(word, "JWT") {
					return nil, errors.New("not an identity token")
				}
			}
			return key, refuseHeader(t)
		})
		if err == nil && a != nobodys {
			return claims, claims.once(c.now())
		}
		if refused == nil || !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			refused = err
		}
	}
	return nil, refusal(refused)
}

// once says whether the claims are such that the token can be good once, and for a short time.
func (e *embedClaims) once(now time.Time) error {
	switch {
	case len(e.Audience) != 1:
		return badToken()
	case e.IssuedAt == nil:
		return protocol.Unauthorized("the token does not say when it was made (iat)")
	case e.ExpiresAt.Sub(e.IssuedAt.Time) > embedLife, e.ExpiresAt.Sub(now) > embedLife+leeway:
		return protocol.Unauthorized("the token is to end within %d minutes (exp)", int(embedLife.Minutes()))
	case len(e.ID) < minJTI || len(e.ID) > maxJTI:
		return protocol.Unauthorized("the token needs an id of its own of %d to %d bytes (jti)", minJTI, maxJTI)
	}
	return nil
}
