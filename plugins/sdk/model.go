package sdk

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Model is the installation's model, which speaks the OpenAI API: any client of it works
// with these three. The provider's key is not among them; the host has it.
type Model struct {
	BaseURL string       // http://model/v1
	Token   string       // the API key to give to the client
	Client  *http.Client // reaches it over the host's unix socket, and says for whom
}

// model is what all events of a connection share.
type model struct {
	socket    string
	transport *http.Transport
}

// Model is nil where the installation has none for this bot. It is for this event: what
// it costs counts against the event's sender and session.
func (c *Ctx) Model() *Model {
	l := c.link
	l.mu.Lock()
	socket, token := l.welcome.GetModelSocket(), l.welcome.GetModelToken()
	l.mu.Unlock()
	if socket == "" {
		return nil
	}
	m := l.model.Load()
	if m == nil || m.socket != socket {
		m = &model{socket: socket, transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
			ResponseHeaderTimeout: 10 * time.Minute, // the host says something sooner: it watches over its provider
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       time.Minute,
		}}
		l.model.Store(m)
	}
	return &Model{
		BaseURL: "http://model/v1", Token: token,
		Client: &http.Client{Transport: &modelTransport{c: c, to: m.transport}},
	}
}

// modelTransport says for which event a request is.
type modelTransport struct {
	c  *Ctx
	to http.RoundTripper
}

func (t *modelTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, v := range map[string]string{
		"Troupe-Event": t.c.ID, "Troupe-Session": t.c.Session, "Troupe-User": t.c.Sender.User,
		"Traceparent": t.c.Trace,
	} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	return t.to.RoundTrip(r)
}
