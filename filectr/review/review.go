// Package review has a service of the operator's look at files before others see them:
// an HTTP POST that says which file, with a link to it, answered by what becomes of it.
// docs/files.md, Moderation, has it in full.
package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/egress"
)

// Config is what an operator may set.
type Config struct {
	URL    string // of the service; it has to be given
	Secret string // that signs what it is sent, 32 bytes or more
	Within time.Duration
	Answer int64 // bytes of an answer at most: 1 MiB
	Egress egress.Config
}

// Service asks a service. It fills filectr.Reviewer.
type Service struct {
	cfg Config
	web *egress.Client
	now func() time.Time
}

// minSecret is in bytes: as long as the HMAC's output (RFC 7518 section 3.2).
const minSecret = 32

// Check says what is wrong with an address and a secret.
func Check(url, secret string) error {
	if _, err := egress.Parse(url); err != nil {
		return fmt.Errorf("%q cannot be asked: %w", url, err)
	}
	if len(secret) < minSecret {
		return fmt.Errorf("review-secret has %d bytes, and less than %d can be guessed; `openssl rand -hex 32` makes a good one", len(secret), minSecret)
	}
	return nil
}

// New makes a Service.
func New(cfg Config, now func() time.Time) *Service {
	e := cfg.Egress
	e.Trusted, e.Hops = true, -1 // the address stands in the settings
	e.Whole, e.Body = cfg.Within, cfg.Answer
	return &Service{cfg: cfg, web: egress.New(e), now: now}
}

// request is what the service is sent.
type request struct {
	ID        string    `json:"id"`   // the same for the same file, however often it is sent
	Type      string    `json:"type"` // file.review
	Try       int       `json:"try"`
	File      any       `json:"file"` // as in the answer to its upload
	Owner     string    `json:"owner"`
	App       string    `json:"app,omitempty"`
	Guest     bool      `json:"guest,omitempty"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
	Decide    string    `json:"decide"` // where a later decision is posted
}

// answer is what it says.
type answer struct {
	Deal   string `json:"deal"`
	Reason string `json:"reason"`
	File   []byte `json:"file"`
}

// Review fills filectr.Reviewer.
func (s *Service) Review(ctx context.Context, r filectr.Review) (filectr.Decision, error) {
	body, err := json.Marshal(request{
		ID: "review-" + r.File.ID, Type: "file.review", Try: r.Try, File: filectr.View(r.File), Owner: r.File.Owner, App: r.File.App, Guest: r.File.Guest,
		URL: r.Link, ExpiresAt: r.Until, Decide: "/api/v2/files/" + r.File.ID + "/deal",
	})
	if err != nil {
		return filectr.Decision{}, err
	}
	a, err := s.web.Do(ctx, egress.Question{Method: http.MethodPost, URL: s.cfg.URL, Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, egress.SignatureHeader: {egress.Sign(s.cfg.Secret, s.now(), body)},
	}})
	if err != nil {
		return filectr.Decision{}, err
	}
	text, err := a.All()
	switch {
	case err != nil:
		return filectr.Decision{}, err
	case a.Status == http.StatusAccepted:
		return filectr.Decision{State: filectr.Held}, nil
	case a.Status != http.StatusOK:
		return filectr.Decision{}, fmt.Errorf("it answered %d", a.Status)
	}
	var said answer
	if err := json.Unmarshal(text, &said); err != nil {
		return filectr.Decision{}, errors.New("its answer is no JSON of {deal, reason, file}")
	}
	state, ok := filectr.ParseDeal(said.Deal)
	if !ok {
		return filectr.Decision{}, fmt.Errorf("its answer has the deal %.20q, which is none of allow, reject, hold, replace", said.Deal)
	}
	return filectr.Decision{State: state, Reason: said.Reason, Picture: said.File}, nil
}
