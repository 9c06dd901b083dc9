// Package egress is the one way by which the server asks others on the web: link
// previews, issuers' keys, callbacks, reviews of files. Whoever can make the server
// ask an address of their choice must reach nothing that they could not reach by
// themselves: not this machine, not the networks behind it, not a cloud's metadata,
// by whatever spelling, name, redirect or change of mind of a name server.
//
// So an address is read strictly, its name is resolved here, each of its IP addresses
// is looked at, one that was looked at is what is dialled, and the socket is looked at
// once more before it connects. Each hop of a redirect begins from the start. All of it
// is bounded in time, in bytes, and in how much goes on at once.
package egress

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Config is what may be set. A zero field means its written default.
type Config struct {
	// Trusted is for addresses that stand in the operator's settings, and are nobody else's
	// choice: private networks and all ports are reached too. Link-local addresses, where
	// clouds tell their secrets, are not.
	Trusted bool

	Allow []netip.Prefix // networks that are reached besides the public ones, on all ports
	Deny  []netip.Prefix // networks that are never reached; it stands above Allow
	Ports []int          // 80 and 443

	Connect time.Duration // until a connection is there, of all addresses of a name: 3 s
	Whole   time.Duration // from the first step to the last byte, over all redirects: 10 s
	Body    int64         // bytes of a body, before and after it is unpacked: 1 MiB
	Header  int64         // bytes of an answer's header: 32 KiB
	Hops    int           // redirects that are followed; -1 none: 3
	All     int           // questions at once: 32
	Host    int           // to one host: 4; Trusted: All
	Waiting int           // questions that wait for their turn; one more is ErrBusy: 256

	Agent    string        // User-Agent: Troupe
	Resolver *net.Resolver // the system's
}

func (c Config) withDefaults() Config {
	std := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if len(c.Ports) == 0 {
		c.Ports = []int{80, 443}
	}
	if c.Connect == 0 {
		c.Connect = 3 * time.Second
	}
	if c.Whole == 0 {
		c.Whole = 10 * time.Second
	}
	if c.Body == 0 {
		c.Body = 1 << 20
	}
	if c.Header == 0 {
		c.Header = 32 << 10
	}
	std(&c.Hops, 3)
	std(&c.All, 32)
	std(&c.Waiting, 256)
	if c.Trusted {
		std(&c.Host, c.All)
	}
	std(&c.Host, 4)
	if c.Agent == "" {
		c.Agent = "Troupe"
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return c
}

// Refused says that an address is not asked, whatever may be there.
type Refused struct{ Why string }

func (e *Refused) Error() string { return "egress: " + e.Why }

func refuse(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }

// ErrBusy says that too many questions wait already.
var ErrBusy = errors.New("egress: too many questions wait")

// ErrTooLong says that an answer has more bytes than are read.
var ErrTooLong = errors.New("egress: the answer is too long")

// Client asks. Its methods may be called from everywhere at once.
type Client struct {
	cfg  Config
	http *http.Transport
	gate gate
}

// New makes a client.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg.withDefaults()}
	c.gate = gate{all: make(chan struct{}, c.cfg.All), each: c.cfg.Host, most: c.cfg.Waiting, hosts: map[string]*host{}}
	c.http = &http.Transport{
		Proxy:                  nil, // a proxy would resolve names by itself, and could be named by the environment
		DialContext:            c.dial,
		TLSHandshakeTimeout:    c.cfg.Connect,
		ResponseHeaderTimeout:  c.cfg.Whole,
		MaxResponseHeaderBytes: c.cfg.Header,
		DisableCompression:     true, // unpacked here, so that what comes is bounded before and after
		DisableKeepAlives:      !c.cfg.Trusted,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
	return c
}

// Close lets go of connections that are kept for later.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// may says why an IP address is not reached on a port; nil: it is.
func (c *Client) may(ip netip.Addr, port int) error {
	if ip.Zone() != "" {
		return refuse("an address with a zone is of this machine's own networks")
	}
	ip = ip.Unmap()
	in := func(all []netip.Prefix) bool {
		return slices.ContainsFunc(all, func(p netip.Prefix) bool {
			return slices.ContainsFunc(meant(ip), p.Masked().Contains)
		})
	}
	switch {
	case in(c.cfg.Deny):
		return refuse("the address is in a network that is not to be reached")
	case slices.ContainsFunc(c.cfg.Allow, func(p netip.Prefix) bool { return p.Masked().Contains(ip) }):
		return nil
	case c.cfg.Trusted:
		if slices.ContainsFunc(meant(ip), never) {
			return refuse("the address is no server's")
		}
		return nil
	case !Public(ip):
		return refuse("the address is not of the public web")
	case !slices.Contains(c.cfg.Ports, port):
		return refuse("port %d is not asked", port)
	}
	return nil
}
