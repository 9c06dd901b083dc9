package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

// origins is the list of web origins that may open a WebSocket. Any page in the
// world may try to, with the visitor's browser: the Origin header is what tells.
type origins struct {
	allowed map[string]bool // as browsers write them
	need    bool
	apps    Origins // nil: there are no applications
}

func newOrigins(c Config) (*origins, error) {
	o := &origins{allowed: map[string]bool{}, need: c.RequireOrigin}
	for _, s := range c.Origins {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, protocol.BadRequest("%q is no web origin: write scheme://host or scheme://host:port", s)
		}
		o.allowed[serialized(u.Scheme, u.Host)] = true
	}
	return o, nil
}

// serialized is the origin as a browser writes it: lower case, no default port.
func serialized(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "http", "ws":
		host = strings.TrimSuffix(host, ":80")
	case "https", "wss":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

// check refuses a request from a page that may not connect. scheme is the one that
// the client used. What browsers send is compared byte by byte: no other way of
// writing an origin is accepted.
func (o *origins) check(r *http.Request, scheme string) error { return o.checkFor("", r, scheme) }

// checkFor is check for what is one application's; app "" is for the pages of all.
func (o *origins) checkFor(app string, r *http.Request, scheme string) error {
	said := r.Header.Values("Origin")
	if len(said) == 0 {
		if o.need {
			return protocol.Errorf(protocol.Code_ORIGIN_REFUSED, "an Origin header is needed here")
		}
		return nil
	}
	if len(said) == 1 && (o.allowed[said[0]] || said[0] == serialized(scheme, r.Host) || o.apps != nil && o.apps.Origin(app, said[0])) {
		return nil
	}
	return protocol.Errorf(protocol.Code_ORIGIN_REFUSED, "this web origin may not connect")
}

// client finds out for whom a request came: the address, the scheme that was used,
// and whether the address is one that counts are kept for. What a stranger says in
// a header is not listened to.
func client(r *http.Request, trusted []netip.Prefix) (addr netip.Addr, scheme string, counted bool) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, scheme, true
	}
	addr = ap.Addr().Unmap()
	if !inAny(addr, trusted) {
		return addr, scheme, true
	}
	if p := r.Header.Get("X-Forwarded-Proto"); p == "https" || p == "http" {
		scheme = p
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
		if !inAny(addr, trusted) {
			return addr, scheme, true
		}
	}
	return addr, scheme, false
}

func inAny(a netip.Addr, all []netip.Prefix) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
