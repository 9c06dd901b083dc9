package userctr

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// answerKept is how long a token that was found good is not asked for again, so
	// long may it be good after its system took it back.
	answerKept = 60 * time.Second
	// answerLife is how long a token is good whose system does not say: as long as one of our own.
	answerLife = 10 * time.Minute
	// maxAsking is how many questions are under way at a time, maxPatient how many wait.
	maxAsking  = 32
	maxPatient = 512
	// maxAnswers is per half; two halves of 20,000 are about 20 MB.
	maxAnswers = 20_000
)

// callback asks the outside system itself whether a token is good.
type callback struct {
	issuer string
	url    string
	bearer Secret // by which the system knows that it is us, "": it does not
	client *egress.Client
	now    func() time.Time
	log    *slog.Logger

	asking  flights[*outsideClaims]
	waiting chan struct{}
	turn    chan struct{}
	known   halves[string, answered]
}

type answered struct {
	claims *outsideClaims
	until  time.Time
}

func newCallback(i Issuer, client *egress.Client, now func() time.Time, log *slog.Logger) *callback {
	return &callback{
		issuer: i.Issuer, url: i.Callback, bearer: i.Secret, client: client, now: now, log: log,
		waiting: make(chan struct{}, maxPatient), turn: make(chan struct{}, maxAsking), known: halves[string, answered]{max: maxAnswers},
	}
}

// check gives whose a token is. A good answer is remembered for answerKept; any
// other is not. UNAUTHORIZED: nobody's; BUSY: the system cannot say now.
func (c *callback) check(ctx context.Context, token string) (*outsideClaims, error) {
	if claims := c.remembered(token); claims != nil {
		return claims, nil
	}
	key := sumOf(token)
	claims, err := c.asking.do(ctx, key, 2*askWithin, func(ctx context.Context) (*outsideClaims, error) {
		claims, err := c.ask(ctx, token)
		if err == nil {
			until := c.now().Add(answerKept)
			if exp := claims.ExpiresAt.Time; exp.Before(until) {
				until = exp
			}
			c.known.put(key, answered{claims, until})
		}
		return claims, err
	})
	if err != nil && ctx.Err() != nil {
		return nil, c.silent(ctx.Err())
	}
	return claims, err
}

// remembered gives whose a token is that was found good of late, else nil.
func (c *callback) remembered(token string) *outsideClaims {
	if a, ok := c.known.get(sumOf(token)); ok && c.now().Before(a.until) {
		return a.claims
	}
	return nil
}

func sumOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:])
}

func (c *callback) silent(why error) error {
	c.log.Warn("an outside system does not say whether a token is good", "issuer", c.issuer, "err", why)
	return &protocol.Error{Code: protocol.Code_BUSY, Detail: "the system that knows this token does not answer", RetryAfterMs: 1000}
}

// callbackAnswer is what the outside system says of a good token. No sub: it is not good.
type callbackAnswer struct {
	Sub      string `json:"sub"`
	Name     string `json:"name"`
	Exp      int64  `json:"exp"` // Unix seconds
	Device   string `json:"device"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

func (c *callback) ask(ctx context.Context, token string) (*outsideClaims, error) {
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "too many tokens are being checked", RetryAfterMs: 1000}
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, c.silent(ctx.Err())
	}
	text, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return nil, badToken()
	}
	q := egress.Question{Method: http.MethodPost, URL: c.url, Body: text, Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}}
	if c.bearer != "" {
		q.Header.Set("Authorization", "Bearer "+string(c.bearer))
	}
	status, body, err := fetch(ctx, c.client, q)
	if err != nil {
		return nil, c.silent(err)
	}
	switch status {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return nil, badToken()
	default:
		c.log.Warn("an outside system answered a question for a token", "issuer", c.issuer, "status", status)
		return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "the system that knows this token does not answer", RetryAfterMs: 1000}
	}
	var a callbackAnswer
	if json.Unmarshal(body, &a) != nil || a.Sub == "" {
		return nil, badToken()
	}
	now := c.now()
	exp := now.Add(answerLife)
	if a.Exp != 0 {
		exp = time.Unix(a.Exp, 0)
	}
	if !now.Before(exp) {
		return nil, protocol.Errorf(protocol.Code_TOKEN_EXPIRED, "the token has expired")
	}
	return &outsideClaims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: a.Sub, ExpiresAt: jwt.NewNumericDate(exp)},
		Name:             a.Name, Device: a.Device, Platform: a.Platform, Version: a.Version,
	}, nil
}
