package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxTried is how many addresses of one name are tried.
const maxTried = 4

// dial connects to an address of a host that may be reached. Where one of a name's
// addresses may not, none is: a name of the public web has no such one.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, refuse("%.80q is no address", address)
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return nil, refuse("%.20q is no port", service)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Connect)
	defer cancel()
	ips, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		if err := c.may(ip, port); err != nil {
			return nil, err
		}
	}
	ips = tried(ips)
	var failed []error
	for i, ip := range ips {
		conn, err := c.connect(ctx, netip.AddrPortFrom(ip, uint16(port)), len(ips)-i)
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// resolve gives the addresses of a host, as they are asked.
func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	name := host
	if !c.cfg.Trusted {
		if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, also where a resolver does not know
			return nil, refuse("%s is this machine", host)
		}
		name += "." // of the web, and not of a search list's domain
	}
	ips, err := c.cfg.Resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, nil
}

// tried are the addresses to try, of both families in turn.
func tried(ips []netip.Addr) (all []netip.Addr) {
	var fours, others []netip.Addr
	for _, ip := range ips {
		if ip.Is4() {
			fours = append(fours, ip)
		} else {
			others = append(others, ip)
		}
	}
	for len(all) < maxTried && len(fours)+len(others) > 0 {
		if len(fours) > 0 {
			all, fours = append(all, fours[0]), fours[1:]
		}
		if len(others) > 0 {
			all, others = append(all, others[0]), others[1:]
		}
	}
	return all
}

// connect dials one address, with its share of the time where others are left.
func (c *Client) connect(ctx context.Context, to netip.AddrPort, left int) (net.Conn, error) {
	within := c.cfg.Connect
	if end, ok := ctx.Deadline(); ok {
		within = time.Until(end) / time.Duration(left)
	}
	d := net.Dialer{Timeout: within, KeepAlive: -1, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return refuse("%.80q is no address", address)
		}
		return c.may(at.Addr(), int(at.Port()))
	}}
	return d.DialContext(ctx, "tcp", to.String())
}
