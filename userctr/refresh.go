package userctr

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A refresh token is "tr_" and base64url of: the login (10 bytes), a secret (32
// bytes, 256 bits), a tag (16 bytes). The tag shows that we made it, so a token
// whose row was swept away is still known for what it is: spent.
//
// The secret of a token's successor is an HMAC over its own secret and a random
// nonce that is in the successor's row. So whoever lost the answer and shows the
// spent token again gets the same successor, and nobody can make that one from
// the store, or from the secrets, without the spent token.
const (
	refreshPrefix = "tr_"
	loginSize     = 10
	secretSize    = 32
	tagSize       = 16
)

// grace is how long a spent token gives the same successor again: a lost answer
// is asked for within seconds (reliability 4.1: 10 s).
const grace = 10 * time.Second

func (s *secrets) refreshToken(login string, secret []byte) (string, error) {
	raw, err := base32Lower.DecodeString(strings.TrimPrefix(login, "l_"))
	if err != nil || len(raw) != loginSize {
		return "", fmt.Errorf("userctr: %q is no login", login)
	}
	raw = append(raw, secret...)
	raw = append(raw, s.mac("refresh tag", raw)[:tagSize]...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// openRefresh gives the login and the secret of a token that we made.
func (s *secrets) openRefresh(token string) (login string, secret []byte, ok bool) {
	text, found := strings.CutPrefix(token, refreshPrefix)
	if !found || len(text) != base64.RawURLEncoding.EncodedLen(loginSize+secretSize+tagSize) {
		return "", nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", nil, false
	}
	body, tag := raw[:loginSize+secretSize], raw[loginSize+secretSize:]
	if !hmac.Equal(tag, s.mac("refresh tag", body)[:tagSize]) {
		return "", nil, false
	}
	return "l_" + base32Lower.EncodeToString(body[:loginSize]), body[loginSize:], true
}

func (s *secrets) firstRefresh(login string, now time.Time) (string, *Refresh, error) {
	secret := make([]byte, secretSize)
	rand.Read(secret)
	text, err := s.refreshToken(login, secret)
	return text, &Refresh{Hash: sha256.Sum256([]byte(text)), Login: login, Issued: now}, err
}

// nextRefresh gives the token that follows the one with this secret, under this nonce.
func (s *secrets) nextRefresh(login string, secret, nonce []byte) (string, error) {
	return s.refreshToken(login, s.mac("refresh next", secret, nonce))
}

// Refresh spends a refresh token for its successor and a new access token. device
// may be "", else it has to be the login's. UNAUTHORIZED: sign in again. A token
// that was spent before ends its login, unless it was within the last 10 s, on
// the same device, and its successor is not spent: then this is a lost answer
// asked for again, and the successor is the same.
func (c *Center) Refresh(ctx context.Context, token, device string) (*Grant, error) {
	refused := protocol.Unauthorized("the refresh token is not good; sign in again")
	id, secret, ok := c.keys.openRefresh(token)
	if !ok {
		return nil, refused
	}
	l, err := c.store.Login(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: login %s: %w", id, err)
	}
	now := c.now()
	if !l.Revoked.IsZero() || !now.Before(l.Expires) {
		return nil, refused
	}
	have, child, err := c.store.Refresh(ctx, l.ID, sha256.Sum256([]byte(token)))
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, c.reused(ctx, l, refused) // ours, and of a login that lives: spent and swept
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: refresh token of login %s: %w", id, err)
	}
	same := device == "" || device == l.Device
	if child == nil {
		if !same || now.Sub(have.Issued) > c.cfg.Idle {
			return nil, refused
		}
		if child, err = c.spend(ctx, have, secret, now); protocol.Code_NOT_FOUND.Is(err) {
			return nil, c.reused(ctx, l, refused)
		} else if err != nil {
			return nil, err
		}
	} else if _, grandchild, err := c.store.Refresh(ctx, l.ID, child.Hash); err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return nil, fmt.Errorf("userctr: refresh token of login %s: %w", id, err)
	} else if err != nil || !same || grandchild != nil || now.Sub(child.Issued) > grace {
		return nil, c.reused(ctx, l, refused)
	}
	text, err := c.keys.nextRefresh(l.ID, secret, child.Nonce)
	if err != nil {
		return nil, err
	}
	return c.renew(ctx, l, text, now)
}

// spend gives the child that the token now has: ours, or one inserted at the same time.
func (c *Center) spend(ctx context.Context, have *Refresh, secret []byte, now time.Time) (*Refresh, error) {
	nonce := make([]byte, secretSize)
	rand.Read(nonce)
	text, err := c.keys.nextRefresh(have.Login, secret, nonce)
	if err != nil {
		return nil, err
	}
	child := &Refresh{Hash: sha256.Sum256([]byte(text)), Parent: have.Hash, Login: have.Login, Nonce: nonce, Issued: now}
	child, err = c.store.AddRefresh(ctx, child)
	if err != nil {
		return nil, fmt.Errorf("userctr: spend a refresh token of login %s: %w", have.Login, err)
	}
	return child, nil
}

func (c *Center) renew(ctx context.Context, l *Login, text string, now time.Time) (*Grant, error) {
	u, err := c.User(ctx, l.User)
	if err != nil {
		return nil, err
	}
	if err := c.store.SeenDevice(ctx, l.User, l.Device, now); err != nil {
		return nil, fmt.Errorf("userctr: device of %s: %w", l.User, err)
	}
	if u.Disabled || c.revoked.has(l.ID) || c.gone(u.App) {
		return nil, protocol.Unauthorized("this sign-in has ended")
	}
	return c.grant(l, u, text)
}

// reused ends a login one of whose spent tokens was shown: somebody has a copy.
func (c *Center) reused(ctx context.Context, l *Login, refused error) error {
	c.log.Warn("a spent refresh token was used again; its login is ended", "user", l.User, "login", l.ID)
	if err := c.revoke(ctx, l, protocol.Code_UNAUTHORIZED); err != nil {
		return err
	}
	return refused
}
