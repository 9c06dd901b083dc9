package userctr

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
)

// AppSecret is a secret by which an application's back end signs. As it has to be had again to check a signature,
// it is not hashed but sealed: AES-256-GCM under a key made from secrets.json, for this application and
// secret. The store alone, or a copy of it, gives nothing away.
type AppSecret struct {
	ID      string
	Sealed  []byte
	Created time.Time
}

// appSecretPrefix shows what leaked when one is found somewhere.
const appSecretPrefix = "tsk_"

// maxAppSecrets is two: the old one and the new one, until the host's back end has it.
const maxAppSecrets = 2

func (s *secrets) seal(what string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.mac("seal " + what))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// newAppSecret gives the text of a new secret, and what is kept of it.
func (s *secrets) newAppSecret(app string, now time.Time) (string, AppSecret, error) {
	aead, err := s.seal("application secrets")
	if err != nil {
		return "", AppSecret{}, fmt.Errorf("userctr: seal a secret: %w", err)
	}
	var raw [32]byte
	rand.Read(raw[:])
	text := appSecretPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	row := AppSecret{ID: newID("s_"), Created: now}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	row.Sealed = aead.Seal(nonce, nonce, []byte(text), []byte(app+"\x00"+row.ID))
	return text, row, nil
}

func (s *secrets) openAppSecret(app string, row AppSecret) ([]byte, error) {
	aead, err := s.seal("application secrets")
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	if len(row.Sealed) < n {
		return nil, fmt.Errorf("userctr: secret %s of %s is damaged", row.ID, app)
	}
	text, err := aead.Open(nil, row.Sealed[:n], row.Sealed[n:], []byte(app+"\x00"+row.ID))
	if err != nil {
		return nil, fmt.Errorf("userctr: secret %s of %s does not belong to this installation's %s", row.ID, app, SecretsFile)
	}
	return text, nil
}

// AddAppSecret gives an application a second secret, which is shown this once. CONFLICT: it has two.
func (c *Center) AddAppSecret(ctx context.Context, by protocol.Identity, app string) (shown string, row AppSecret, err error) {
	_, err = c.ChangeApp(ctx, by, app, func(a *App) error {
		if len(a.Secrets) >= maxAppSecrets {
			return protocol.Conflict("the application has %d secrets: remove the old one first", maxAppSecrets)
		}
		if shown, row, err = c.keys.newAppSecret(app, c.now()); err != nil {
			return err
		}
		a.Secrets = append(slices.Clone(a.Secrets), row)
		return nil
	})
	if err != nil {
		shown = ""
	}
	return shown, row, err
}

// RemoveAppSecret ends a secret: what is signed with it is refused from now on. NOT_FOUND.
func (c *Center) RemoveAppSecret(ctx context.Context, by protocol.Identity, app, id string) error {
	_, err := c.ChangeApp(ctx, by, app, func(a *App) error {
		left := slices.DeleteFunc(slices.Clone(a.Secrets), func(s AppSecret) bool { return s.ID == id })
		if len(left) == len(a.Secrets) {
			return protocol.NotFound("secret %.64q", id)
		}
		a.Secrets = left
		return nil
	})
	return err
}

// parsePublic reads an application's public key, with the one algorithm that it is good for.
func parsePublic(text string) (pinned, error) {
	bad := protocol.BadRequest("publicKey: a PEM block PUBLIC KEY with an RSA (2,048 bits or more), P-256 or Ed25519 key is needed")
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 1 || len(text) > 4096 {
		return pinned{}, bad
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return pinned{}, bad
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 8192 {
			return pinned{alg: jwt.SigningMethodRS256.Alg(), key: k}, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return pinned{alg: jwt.SigningMethodES256.Alg(), key: k}, nil
		}
	case ed25519.PublicKey:
		return pinned{alg: jwt.SigningMethodEdDSA.Alg(), key: k}, nil
	}
	return pinned{}, bad
}
