package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Web asks others on the web for bots. It reaches what links in messages may lead to: the
// public web, and what the operator allows besides. It fills desk.Web.
type Web struct {
	any *egress.Client // follows redirects
	one *egress.Client // does not, as they may lead to a host that was not granted
	now func() time.Time
}

// NewWeb makes one.
func NewWeb(cfg egress.Config, now func() time.Time) *Web {
	w := &Web{any: egress.New(cfg), now: now}
	cfg.Hops = -1
	w.one = egress.New(cfg)
	return w
}

// Fetch asks. DENIED: the host was not granted, or is not reached from here; BUSY: it
// did not answer, or too much is being asked at once; TOO_LARGE.
func (w *Web) Fetch(ctx context.Context, r *desk.WebRequest) (*desk.WebAnswer, error) {
	at, err := egress.Parse(r.URL)
	if err != nil {
		return nil, protocol.BadRequest("fetch.url: %s", err)
	}
	client := w.any
	if len(r.Hosts) > 0 {
		client = w.one
		if !slices.ContainsFunc(r.Hosts, func(h string) bool { return granted(h, at.Hostname(), at.Port(), at.Scheme) }) {
			return nil, protocol.Denied("the host %s was not granted to this bot", at.Host)
		}
	}
	header := http.Header{}
	for name, value := range r.Header {
		header.Set(name, value)
	}
	header.Del(egress.SignatureHeader)
	if r.Sign != "" {
		header.Set(egress.SignatureHeader, egress.Sign(r.Sign, w.now(), r.Body))
	}
	a, err := client.Do(ctx, egress.Question{Method: r.Method, URL: r.URL, Header: header, Body: r.Body})
	var refused *egress.Refused
	switch {
	case errors.As(err, &refused):
		return nil, protocol.Denied("%s", refused.Why)
	case err != nil:
		e := protocol.Errorf(protocol.Code_BUSY, "%s did not answer: %s", at.Host, err)
		e.RetryAfterMs = 1000
		return nil, e
	}
	defer a.Close()
	body, cut, err := a.Read(maxAnswer)
	switch {
	case cut:
		return nil, protocol.TooLarge("the answer has more than %d bytes", maxAnswer)
	case err != nil:
		return nil, protocol.Errorf(protocol.Code_BUSY, "the answer of %s ended early: %s", at.Host, err)
	}
	got := &desk.WebAnswer{Status: a.Status, Body: body, Header: map[string]string{}}
	for name := range a.Header {
		got.Header[strings.ToLower(name)] = a.Header.Get(name)
	}
	return got, nil
}

// maxAnswer is in bytes of a body.
const maxAnswer = 1 << 20

// granted says whether a host is one that was granted: a name, or a name and a port. A
// name alone is good for the ports of http and https.
func granted(grant, host, port, scheme string) bool {
	name, only, err := net.SplitHostPort(grant)
	if err != nil {
		name, only = grant, ""
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	if only == "" {
		return strings.EqualFold(name, host) && (port == "80" || port == "443")
	}
	return strings.EqualFold(name, host) && port == only
}
