package userctr

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// askWithin is for one question to an outside system, from the dial to the last byte.
	askWithin = 5 * time.Second
	// maxAnswer is in bytes; a key set of a hundred RSA keys has some 60 KiB.
	maxAnswer = 256 << 10
)

// newEgress makes the client that asks outside systems. Where it goes is written in
// the settings alone, and a redirect is not followed: nobody else sends it anywhere.
func newEgress() *http.Client {
	return &http.Client{
		Timeout: askWithin,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSHandshakeTimeout:   3 * time.Second,
			ResponseHeaderTimeout: askWithin,
			MaxIdleConnsPerHost:   8,
			MaxConnsPerHost:       maxAsking,
			IdleConnTimeout:       time.Minute,
			ForceAttemptHTTP2:     true,

			MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch gives status and body of an answer. A body over maxAnswer is an error.
func fetch(client *http.Client, r *http.Request) (int, []byte, error) {
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, err
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("the answer of %s has more than %d bytes", r.URL.Host, maxAnswer)
	}
	return resp.StatusCode, body, nil
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
	return nil
}
