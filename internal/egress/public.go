package egress

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// special are the networks that are not the public web, by IANA's registries of special
// addresses (RFC 6890 and what came after), with those that stand for an IPv4 address:
// what those stand for is looked at besides.
var special = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carrier-grade NAT; also Alibaba's and Tailscale's inner addresses
	"127.0.0.0/8",       // loopback
	"169.254.0.0/16",    // link-local, clouds' metadata
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments; Oracle's metadata
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"168.63.129.16/32",  // Azure's inner services
	"::/128",            // unspecified
	"::1/128",           // loopback
	"64:ff9b:1::/48",    // local NAT64
	"100::/64",          // discard
	"100:0:0:1::/64",    // dummy
	"2001::/23",         // protocol assignments, Teredo (2001::/32), ORCHID
	"2001:db8::/32",     // documentation
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
	"5f00::/16",         // segment routing
	"fc00::/7",          // unique local; fd00:ec2::254 is AWS's metadata
	"fe80::/10",         // link-local
	"fec0::/10",         // site-local
	"ff00::/8",          // multicast
)

// global is where IANA gives out addresses; besides, only the well-known NAT64 prefix is
// reached, for what it stands for.
var (
	global    = netip.MustParsePrefix("2000::/3")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	localNAT  = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour = netip.MustParsePrefix("2002::/16")
	teredo    = netip.MustParsePrefix("2001::/32")
	compat    = netip.MustParsePrefix("::/96")
	translate = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765
)

func prefixes(all ...string) (p []netip.Prefix) {
	for _, one := range all {
		p = append(p, netip.MustParsePrefix(one))
	}
	return p
}

// Public says whether an address is one of the public web, and so is the IPv4 address
// that it may stand for.
func Public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	all := meant(ip)
	for i, a := range all {
		if slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return false
		}
		if i == 0 && a.Is6() && !global.Contains(a) && !nat64.Contains(a) {
			return false
		}
	}
	return true
}

// meant are the addresses that are reached by ip: itself, and the IPv4 addresses that
// gateways on the way would make of it.
func meant(ip netip.Addr) []netip.Addr {
	ip = ip.Unmap().WithZone("")
	all := []netip.Addr{ip}
	if ip.Is4() {
		return all
	}
	b := ip.As16()
	four := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	switch {
	case nat64.Contains(ip), compat.Contains(ip), translate.Contains(ip):
		all = append(all, four(12))
	case localNAT.Contains(ip): // a /96 below it, as most have it
		all = append(all, four(12))
	case sixToFour.Contains(ip):
		all = append(all, four(2))
	case teredo.Contains(ip): // the server, and the client with its bits turned
		client := ^binary.BigEndian.Uint32(b[12:])
		all = append(all, four(4), netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, client))))
	}
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // ISATAP, RFC 5214
		all = append(all, four(12))
	}
	return all
}

// never says of an address that not even an operator means it: nobody's, everybody's, or
// link-local, where clouds tell their secrets.
func never(ip netip.Addr) bool {
	return !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip.Is4() && ip.As4()[0] >= 240 ||
		ip == netip.MustParseAddr("fd00:ec2::254") || ip == netip.MustParseAddr("192.0.0.192") || ip == netip.MustParseAddr("100.100.100.200")
}
