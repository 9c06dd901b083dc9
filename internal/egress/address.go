package egress

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is in bytes.
const maxURL = 2048

// Parse reads an address as it is asked: http or https, a host that can be read in one
// way only, no name and password. Its host is as name servers know it. Everything else is
// a *Refused.
func Parse(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, refuse("an address has at most %d bytes", maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return nil, refuse("an address has no spaces, control characters and backslashes")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, refuse("it is no address")
	}
	return u, check(u)
}

// check is Parse of an address that was read already. It puts the host right.
func check(u *url.URL) error {
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("an address begins with https:// or http://")
	case u.Opaque != "" || u.Host == "":
		return refuse("an address has a host")
	case u.User != nil:
		return refuse("an address has no name and password in it")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || p[0] == '+' {
			return refuse("%.20q is no port", p)
		}
	}
	name, err := hostname(u.Hostname(), strings.HasPrefix(u.Host, "["))
	if err != nil {
		return err
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if u.Port() != "" {
		name += ":" + u.Port()
	}
	u.Host, u.Fragment, u.RawFragment = name, "", ""
	return nil
}

// port is what is dialled of an address.
func port(u *url.URL) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// hostname gives a host as it is asked for: an IP address in its one proper form, or a
// name in ASCII. What resolvers could read as a number in another way (octal, hex, with
// fewer dots) is refused.
func hostname(host string, bracketed bool) (string, error) {
	if bracketed {
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", refuse("between brackets stands an IPv6 address")
		}
		return ip.String(), nil
	}
	name := host
	if strings.ContainsFunc(host, func(r rune) bool { return r > 0x7e }) {
		var err error
		if name, err = idna.Lookup.ToASCII(host); err != nil { // also makes one dot of all dots, and digits of all digits
			return "", refuse("%.80q is no name of a host", host)
		}
	}
	if name == "" || len(name) > 253 {
		return "", refuse("%.80q is no name of a host", host)
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ip, err := netip.ParseAddr(name); err == nil {
		if !ip.Is4() {
			return "", refuse("an IPv6 address stands between brackets")
		}
		return ip.String(), nil
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", refuse("%.80q is no name of a host", host)
		}
	}
	if last := labels[len(labels)-1]; numeric(last) {
		return "", refuse("%.80q is a number, and no name of a host", host)
	}
	return name, nil
}

// numeric says whether a name that ends so is an IPv4 address to some (WHATWG URL, "ends in a number").
func numeric(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(label, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}
