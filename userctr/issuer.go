package userctr

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

// How an issuer's subjects become users.
const (
	SubjectOwn  = "own"  // each is given a user id of ours at first sight: two issuers' never meet
	SubjectAsIs = "asis" // the subject is the user's id; for one issuer at most
)

// Issuer is an outside system whose tokens are good here. It has one of JWKS, Secret
// alone, and Callback.
type Issuer struct {
	Issuer     string   `json:"iss"`                  // exactly what its tokens say
	Audience   string   `json:"audience,omitempty"`   // that its tokens must be for; not for a callback
	JWKS       string   `json:"jwks,omitempty"`       // where its public keys are read
	SecretFile string   `json:"secretFile,omitempty"` // a file with the secret of HS256 tokens; with a callback: what we show to it
	Callback   string   `json:"callback,omitempty"`   // who is asked whether a token is good
	Subject    string   `json:"subject,omitempty"`    // SubjectOwn when ""
	Algorithms []string `json:"algorithms,omitempty"` // with JWKS: those of setAlgorithms that are taken; all when empty

	Secret Secret `json:"-"` // what SecretFile says
}

func (i Issuer) check() error {
	if i.Issuer == "" || len(i.Issuer) > 512 || !printable(i.Issuer) || strings.HasPrefix(i.Issuer, issuerPrefix) {
		return errors.New("iss is needed: what its tokens say, 512 bytes at most, and not beginning with " + issuerPrefix)
	}
	ways := 0
	for _, said := range []bool{i.JWKS != "", i.Callback != "", i.Callback == "" && i.Secret != ""} {
		if said {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("one of jwks, callback and secretFile is needed")
	case i.JWKS != "" && i.Secret != "":
		return errors.New("an issuer with public keys has no secret")
	case i.Callback == "" && i.Audience == "":
		return errors.New("audience is needed, else a token that is meant for another would be good here")
	case i.Callback == "" && i.Secret != "" && len(i.Secret) < minSecret:
		return fmt.Errorf("the secret has %d bytes, and less than %d can be guessed", len(i.Secret), minSecret)
	case i.Subject != "" && i.Subject != SubjectOwn && i.Subject != SubjectAsIs:
		return fmt.Errorf("subject %q is none of %s, %s", i.Subject, SubjectOwn, SubjectAsIs)
	case i.JWKS == "" && len(i.Algorithms) > 0:
		return errors.New("algorithms are for an issuer with jwks")
	}
	for _, alg := range i.Algorithms {
		if !slices.Contains(setAlgorithms, alg) {
			return fmt.Errorf("the algorithm %q is none of %s", alg, strings.Join(setAlgorithms, ", "))
		}
	}
	if i.JWKS != "" {
		return checkEgress(i.JWKS)
	}
	if i.Callback != "" {
		return checkEgress(i.Callback)
	}
	return nil
}

// CheckIssuers says what keeps a server with these issuers from starting; shared is whether
// there is an IdentitySecret, whose subjects are user ids too.
func CheckIssuers(all []Issuer, shared bool) error {
	var wrong []error
	seen, callbacks, asis := map[string]bool{}, 0, 0
	if shared {
		asis++
	}
	for n, i := range all {
		if err := i.check(); err != nil {
			wrong = append(wrong, fmt.Errorf("issuer %d (%s): %w", n+1, i.Issuer, err))
		}
		if seen[i.Issuer] {
			wrong = append(wrong, fmt.Errorf("issuer %d (%s): there is another with this iss", n+1, i.Issuer))
		}
		seen[i.Issuer] = true
		if i.Callback != "" {
			callbacks++
		}
		if i.Subject == SubjectAsIs {
			asis++
		}
	}
	if callbacks > 1 {
		wrong = append(wrong, errors.New("issuers: one callback at most, as a token does not say which to ask"))
	}
	if asis > 1 {
		wrong = append(wrong, errors.New("issuers: the subjects of one system at most can be user ids as they stand, the identity secret's counted; else one could speak for the other's users"))
	}
	return errors.Join(wrong...)
}

// issuers knows the outside systems of the settings by what their tokens say.
type issuers struct {
	all    map[string]*issuer
	opaque *callback // asked for what is no JWT; nil: nobody is
}

type issuer struct {
	Issuer
	parser *jwt.Parser
	set    *keySet
	ask    *callback
	now    func() time.Time
}

func newIssuers(all []Issuer, reach egress.Config, now func() time.Time, log *slog.Logger) *issuers {
	s := &issuers{all: map[string]*issuer{}}
	var client *egress.Client
	for _, i := range all {
		one := &issuer{Issuer: i, now: now}
		if client == nil {
			client = newEgress(reach)
		}
		algorithms := []string{jwt.SigningMethodHS256.Alg()}
		switch {
		case i.Callback != "":
			one.ask = newCallback(i, client, now, log)
			s.opaque = one.ask
		case i.JWKS != "":
			one.set = &keySet{issuer: i.Issuer, url: i.JWKS, client: client, now: now, log: log}
			if algorithms = i.Algorithms; len(algorithms) == 0 {
				algorithms = setAlgorithms
			}
		}
		one.parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithIssuer(i.Issuer), jwt.WithAudience(i.Audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding())
		s.all[i.Issuer] = one
	}
	return s
}

// of finds the issuer whose token this says it is, nil: none of ours. What the token says
// chooses among the settings and does nothing else; it is not believed before the
// signature is.
func (s *issuers) of(token string) *issuer {
	if len(s.all) == 0 || token == "" || len(token) > maxToken || strings.HasPrefix(token, keyPrefix) || strings.HasPrefix(token, refreshPrefix) {
		return nil
	}
	_, rest, _ := strings.Cut(token, ".")
	body, _, jws := strings.Cut(rest, ".")
	var said struct {
		Iss string `json:"iss"`
	}
	if jws {
		text, err := base64.RawURLEncoding.Strict().DecodeString(body)
		jws = err == nil && json.Unmarshal(text, &said) == nil
	}
	if !jws && s.opaque != nil {
		return s.all[s.opaque.issuer]
	}
	return s.all[said.Iss]
}

// realm is where i's subjects are users of, "": they are user ids as they stand.
func (i *issuer) realm() string {
	if i.Subject == SubjectAsIs {
		return ""
	}
	return ofIssuer(i.Issuer.Issuer)
}

// verify gives the claims of a good token of i's. UNAUTHORIZED, TOKEN_EXPIRED; BUSY: i
// cannot be asked for its keys, or for the token.
func (i *issuer) verify(ctx context.Context, token string) (*outsideClaims, error) {
	if i.ask != nil {
		return i.ask.check(ctx, token)
	}
	if algorithm(token) == "" {
		return nil, badToken()
	}
	claims := &outsideClaims{}
	var unknown error
	_, err := i.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if err := refuseHeader(t); err != nil {
			return nil, err
		}
		if typ, said := t.Header["typ"]; said {
			if word, _ := typ.(string); !strings.EqualFold(word, "JWT") && !strings.EqualFold(word, typAccess) {
				return nil, errors.New("neither an identity nor an access token")
			}
		}
		if i.set == nil {
			return []byte(i.Secret), nil
		}
		kid, said := t.Header["kid"].(string)
		if _, there := t.Header["kid"]; there && (!said || kid == "") {
			return nil, errors.New("a kid that is none")
		}
		key, err := i.set.key(ctx, kid, t.Method.Alg())
		unknown = err
		return key, err
	})
	switch {
	case protocol.Code_BUSY.Is(unknown):
		return nil, unknown
	case err != nil:
		return nil, refusal(err)
	case claims.ExpiresAt.Sub(i.now()) > maxOutside:
		return nil, protocol.Unauthorized("the token ends more than %d days ahead", int(maxOutside.Hours()/24))
	}
	return claims, nil
}
