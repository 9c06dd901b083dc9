package userctr

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
)

const (
	// askWithin is for one question to an outside system, from the dial to the last byte.
	askWithin = 5 * time.Second
	// maxAnswer is in bytes; a key set of a hundred RSA keys has some 60 KiB.
	maxAnswer = 256 << 10
)

// newEgress makes the client that asks outside systems. Where it goes is written in
// the settings alone, and a redirect is not followed: nobody else sends it anywhere.
func newEgress(c egress.Config) *egress.Client {
	c.Trusted, c.Hops = true, -1
	c.Whole, c.Body = askWithin, maxAnswer
	c.All = 2 * maxAsking // a callback's questions, and the key sets'
	c.Waiting = maxPatient
	return egress.New(c)
}

// fetch gives status and body of an answer. A body over maxAnswer is an error.
func fetch(ctx context.Context, client *egress.Client, q egress.Question) (int, []byte, error) {
	a, err := client.Do(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	body, err := a.All()
	return a.Status, body, err
}

// checkEgress takes https addresses, and http ones of this machine alone: a key
// or a token is not to be read or changed on the way.
func checkEgress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is no address like https://id.example.com/keys", address)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("%q begins with something else than https://", address)
	}
	if _, err := egress.Parse(address); err != nil {
		return fmt.Errorf("%q cannot be asked: %w", address, err)
	}
	return nil
}
