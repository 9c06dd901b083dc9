package userctr

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

// The signatures that an issuer with a key set may use.
var setAlgorithms = []string{
	jwt.SigningMethodRS256.Alg(), jwt.SigningMethodPS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg(),
}

const (
	// keysFresh is how long a key set is used without looking again: so long may a key
	// that its issuer has removed still be good.
	keysFresh = 10 * time.Minute
	// keysStale is how long the last good set is used while its issuer cannot be asked (reliability 4.1).
	keysStale = 24 * time.Hour
	// keysGap is between two questions, whatever the kids in tokens are (reliability 4.1: one a minute).
	keysGap = time.Minute
	// firstGap is between two questions as long as there was no good answer yet.
	firstGap = 10 * time.Second
	// maxKeys is in keys of one set; issuers have two or three.
	maxKeys = 100
)

// pinned is a public key and the one algorithm it is good for.
type pinned struct {
	kid, alg string
	key      any
}

// keySet is the keys of one issuer, read from the one address in the settings.
type keySet struct {
	issuer string
	url    string
	client *egress.Client
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	keys  []pinned
	good  time.Time     // of the last good answer
	tried time.Time     // of the last question
	under chan struct{} // closed when the question under way has its answer; nil: there is none
}

// key gives the key that a token of this kid and alg was signed with. A token without
// a kid is good where there is one key only. UNAUTHORIZED: there is no such
// key; BUSY: the issuer has not told its keys yet, or not for a day.
func (s *keySet) key(ctx context.Context, kid, alg string) (any, error) {
	key, wait := s.look(kid, alg)
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
		}
		key, _ = s.look(kid, alg)
	}
	if key != nil {
		return key, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "the issuer's keys cannot be read now", RetryAfterMs: firstGap.Milliseconds()}
	}
	return nil, badToken()
}

// look gives the key that is known. With wait it is worth while to look again when that
// is closed: the issuer is being asked.
func (s *keySet) look(kid, alg string) (key any, wait <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.good) > keysStale {
		s.keys = nil
	}
	for _, k := range s.keys {
		if k.alg == alg && (k.kid == kid || kid == "" && len(s.keys) == 1) {
			key = k.key
			break
		}
	}
	fresh := key != nil && now.Sub(s.good) < keysFresh
	gap := keysGap
	if s.good.IsZero() {
		gap = firstGap
	}
	switch {
	case fresh, s.under == nil && now.Sub(s.tried) < gap:
		return key, nil
	case s.under == nil:
		s.tried, s.under = now, make(chan struct{})
		go s.ask(s.under)
	}
	return key, s.under
}

// ask reads the set. One that cannot be read leaves the old one as it is.
func (s *keySet) ask(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	keys, err := s.read(ctx)
	if err != nil {
		s.log.Warn("an issuer's keys could not be read", "issuer", s.issuer, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.keys, s.good = keys, s.now()
	}
	s.under = nil
	close(done)
}

func (s *keySet) read(ctx context.Context) ([]pinned, error) {
	status, body, err := fetch(ctx, s.client, egress.Question{URL: s.url, Header: http.Header{"Accept": {"application/jwk-set+json, application/json"}}})
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", status)
	}
	return parseKeys(body)
}

type jwk struct {
	Kty, Kid, Use, Alg, Crv, N, E, X, Y string
	Ops                                 []string `json:"key_ops"`
}

// parseKeys reads a JSON Web Key Set (RFC 7517). Keys that are not for what is checked here
// are passed over, secret ones (kty oct) among them. A set without a key of use is an error.
func parseKeys(text []byte) ([]pinned, error) {
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("not a key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("a set of %d keys, and %d at most are read", len(set.Keys), maxKeys)
	}
	var keys []pinned
	for _, j := range set.Keys {
		k, err := j.pin()
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(keys, func(other pinned) bool { return other.kid == k.kid && other.alg == k.alg }) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("a set of %d keys, none of which can check a signature here", len(set.Keys))
	}
	return keys, nil
}

// pin gives the key with the one algorithm that it may be used with: what the key says, else
// RS256 for RSA, as most issuers mean.
func (j jwk) pin() (pinned, error) {
	k := pinned{kid: j.Kid, alg: j.Alg}
	if j.Use != "" && j.Use != "sig" || len(j.Ops) > 0 && !slices.Contains(j.Ops, "verify") || len(j.Kid) > maxHeader {
		return k, fmt.Errorf("a key for something else")
	}
	number := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		return b
	}
	means := func(only ...string) error {
		if k.alg == "" {
			k.alg = only[0]
		}
		if !slices.Contains(only, k.alg) {
			return fmt.Errorf("a %s key for %q", j.Kty, j.Alg)
		}
		return nil
	}
	switch {
	case j.Kty == "RSA":
		n, e := new(big.Int).SetBytes(number(j.N)), new(big.Int).SetBytes(number(j.E))
		if n.BitLen() < 2048 || n.BitLen() > 8192 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Int64()%2 == 0 {
			return k, fmt.Errorf("an RSA key of %d bits", n.BitLen())
		}
		k.key = &rsa.PublicKey{N: n, E: int(e.Int64())}
		return k, means(jwt.SigningMethodRS256.Alg(), jwt.SigningMethodPS256.Alg())
	case j.Kty == "EC" && j.Crv == "P-256":
		x, y := number(j.X), number(j.Y)
		if len(x) != 32 || len(y) != 32 {
			return k, fmt.Errorf("an EC key of %d bytes", len(x))
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return k, err
		}
		k.key = key
		return k, means(jwt.SigningMethodES256.Alg())
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x := number(j.X)
		if len(x) != ed25519.PublicKeySize {
			return k, fmt.Errorf("an Ed25519 key of %d bytes", len(x))
		}
		k.key = ed25519.PublicKey(x)
		if k.alg == "Ed25519" { // as RFC 9864 names it
			k.alg = jwt.SigningMethodEdDSA.Alg()
		}
		return k, means(jwt.SigningMethodEdDSA.Alg())
	}
	return k, fmt.Errorf("a key of type %q", j.Kty)
}
