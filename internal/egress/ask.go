package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// Question is what is asked.
type Question struct {
	Method string // GET
	URL    string
	Header http.Header // User-Agent, Host and Accept-Encoding are this package's
	Body   []byte
}

// Answer is what came. Close it.
type Answer struct {
	Status int
	Header http.Header
	URL    *url.URL // that answered, behind all redirects

	body  io.Reader
	bound int64
	close func()
}

// Close ends the question; Read does too.
func (a *Answer) Close() { a.close() }

// Do asks, and follows redirects of a GET. Its error is a *Refused, ErrBusy, or what went
// wrong on the way.
func (c *Client) Do(ctx context.Context, q Question) (*Answer, error) {
	at, err := Parse(q.URL)
	if err != nil {
		return nil, err
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Whole)
	for hops := 0; ; hops++ {
		a, next, err := c.hop(ctx, q, at)
		if err != nil {
			cancel()
			return nil, err
		}
		if next == nil {
			leave := a.close
			a.close = sync.OnceFunc(func() { leave(); cancel() })
			return a, nil
		}
		if hops >= c.cfg.Hops {
			cancel()
			return nil, refuse("%s leads on and on", at.Host)
		}
		if next.Host != at.Host {
			q.Header = q.Header.Clone()
			for _, secret := range []string{"Authorization", "Cookie"} {
				q.Header.Del(secret)
			}
		}
		at = next
	}
}

// hop asks one address. next is where it leads, if that is followed.
func (c *Client) hop(ctx context.Context, q Question, at *url.URL) (a *Answer, next *url.URL, err error) {
	leave, err := c.gate.enter(ctx, at.Hostname())
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if a == nil {
			leave()
		}
	}()
	r, err := http.NewRequestWithContext(ctx, q.Method, at.String(), bytes.NewReader(q.Body))
	if err != nil {
		return nil, nil, refuse("it is no address")
	}
	if q.Header != nil {
		r.Header = q.Header.Clone()
	}
	r.Header.Set("User-Agent", c.cfg.Agent)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := c.http.RoundTrip(r)
	if err != nil {
		return nil, nil, fmt.Errorf("egress: %w", err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols { // its body is the bare connection, which no deadline ends
		resp.Body.Close()
		return nil, nil, errors.New("egress: the answer is in another protocol, which was not asked for")
	}
	if to := resp.Header.Get("Location"); to != "" && follows(q.Method, resp.StatusCode) && c.cfg.Hops >= 0 {
		resp.Body.Close()
		next, err := at.Parse(to)
		if err == nil {
			next, err = Parse(next.String())
		}
		if err != nil {
			return nil, nil, refuse("%s leads to something else than an address", at.Host)
		}
		if at.Scheme == "https" && next.Scheme != "https" {
			return nil, nil, refuse("%s leads from https to http", at.Host)
		}
		return nil, next, nil
	}
	body, err := unpacked(io.LimitReader(resp.Body, c.cfg.Body+1), resp.Header)
	if err != nil {
		resp.Body.Close()
		return nil, nil, err
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, URL: at, body: body, bound: c.cfg.Body, close: func() {
		resp.Body.Close()
		leave()
	}}, nil, nil
}

func follows(method string, status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return method == http.MethodGet || method == http.MethodHead
	}
	return false
}

// unpacked reads a body that was packed for the way. It was asked for gzip or nothing.
func unpacked(r io.Reader, h http.Header) (io.Reader, error) {
	switch h.Get("Content-Encoding") {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return &lazily{r: r}, nil
	}
	return nil, fmt.Errorf("egress: the answer is packed by %.20q, which was not asked for", h.Get("Content-Encoding"))
}

// lazily unpacks when it is read, as the first bytes may take long.
type lazily struct {
	r io.Reader
	z *gzip.Reader
}

func (l *lazily) Read(b []byte) (n int, err error) {
	if l.z == nil {
		if l.z, err = gzip.NewReader(l.r); err != nil {
			return 0, err
		}
	}
	return l.z.Read(b)
}

// Read gives the body, most bytes of it at most, or the client's bound where that is less,
// and ends the question. cut: there is more.
func (a *Answer) Read(most int64) (body []byte, cut bool, err error) {
	defer a.close()
	most = min(most, a.bound)
	body, err = io.ReadAll(io.LimitReader(a.body, most+1))
	if int64(len(body)) > most {
		return body[:most], true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("egress: %w", err)
	}
	return body, false, nil
}

// Stream is the body as it comes, for who bounds by themselves what they take; ctx's end and
// Close end it. It is cut behind the client's bound.
func (a *Answer) Stream() io.Reader { return a.body }

// All gives the whole body. ErrTooLong: it has more bytes than the client's bound.
func (a *Answer) All() ([]byte, error) {
	body, cut, err := a.Read(a.bound)
	if cut {
		return nil, ErrTooLong
	}
	return body, err
}
