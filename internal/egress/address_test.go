package egress

import (
	"net/netip"
	"strings"
	"testing"
)

// notPublic are addresses that are not the public web, in every way they may be written.
var notPublic = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254",
	"169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
	"198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
	"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1", "::127.0.0.1", "::7f00:1", "::ffff:93.184.216.34%eth0",
	"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.1.2.3", "64:ff9b:1::1", "64:ff9b:1::93.184.216.34",
	"2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::", "2001::1", "2001:0:7f00:1::", "2001:0:5db8:d822::80ff:fffe", "2001:db8::1", "2001:10::1", "2001:20::1",
	"fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "100::1", "3fff::1", "5f00::1", "4000::1", "8000::1",
	"2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:10.0.0.1",
}

var public = []string{
	"1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "11.0.0.1", "128.0.0.1",
	"2606:4700::1111", "2a00:1450:4001::200e", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34", "2002:5db8:d822::1", "2001:4860:4860::8888", "2400::1",
}

func TestOnlyAddressesOfThePublicWebArePublic(t *testing.T) {
	for _, text := range notPublic {
		if Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is public", text)
		}
	}
	for _, text := range public {
		if !Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is not public", text)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestAnAddressIsReadInOneWayOnly(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.com":                               "https://example.com",
		"HTTPS://EXAMPLE.com/a?b=c#part":                    "https://example.com/a?b=c",
		"http://example.com.:8080/":                         "http://example.com:8080/",
		"http://münchen.de/":                                "http://xn--mnchen-3ya.de/",
		"http://例え。jp/":                                     "http://xn--r8jz45g.jp/",
		"http://a_b.example.com/":                           "http://a_b.example.com/",
		"http://93.184.216.34/":                             "http://93.184.216.34/",
		"http://[2606:4700:0:0::1111]/":                     "http://[2606:4700::1111]/",
		"http://[::ffff:127.0.0.1]:80/":                     "http://[::ffff:127.0.0.1]:80/", // looked at when it is dialled
		"http://１２７。０。０。１/":                                 "http://127.0.0.1/",
		"http://①②⑦.0.0.1/":                                 "http://127.0.0.1/",
		"http://user@example.com":                           "",
		"http://user:word@example.com":                      "",
		"http://example.com@127.0.0.1/":                     "",
		"ftp://example.com/":                                "",
		"file:///etc/passwd":                                "",
		"gopher://example.com/":                             "",
		"javascript:alert(1)":                               "",
		"data:text/html,x":                                  "",
		"//example.com":                                     "",
		"example.com":                                       "",
		"https:example.com":                                 "",
		"https://":                                          "",
		"https:///path":                                     "",
		"":                                                  "",
		"http://2130706433/":                                "", // 127.0.0.1 as one number
		"http://0x7f000001/":                                "",
		"http://0x7f.0.0.1/":                                "",
		"http://0177.0.0.1/":                                "",
		"http://127.1/":                                     "",
		"http://127.0.1":                                    "",
		"http://0/":                                         "",
		"http://1.2.3.4.5/":                                 "",
		"http://256.1.1.1/":                                 "",
		"http://127.0.0.01/":                                "",
		"http://example.0x7f/":                              "",
		"http://example.7/":                                 "",
		"http://127.0.0.1\u3002/":                           "http://127.0.0.1/",
		"http://[::1%25lo]/":                                "",
		"http://[fe80::1%25eth0]/":                          "",
		"http://[127.0.0.1]/":                               "",
		"http://[::g]/":                                     "",
		"http://::1/":                                       "",
		"http://a..b/":                                      "",
		"http://.com/":                                      "",
		"http://exam ple.com/":                              "",
		"http://example.com\\@127.0.0.1/":                   "",
		"http://example.com\r\nHost: x/":                    "",
		"http://example.com/\x00":                           "",
		"http://%31%32%37.0.0.1/":                           "",
		"http://127.0.0.1%2f.example.com/":                  "",
		"http://example.com:0/":                             "",
		"http://example.com:65536/":                         "",
		"http://example.com:+80/":                           "",
		"http://example.com:http/":                          "",
		"http://example.com:/":                              "",
		"http://" + strings.Repeat("a", 64) + ".com":        "",
		"http://example.com/" + strings.Repeat("a", maxURL): "",
	} {
		u, err := Parse(in)
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("Parse(%q) = %v, %v, want %q", in, u, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"https://example.com/a?b", "http://127.0.0.1", "http://[::1]:80", "http://0x7f.1", "http://①②⑦.0.0.1/", "http://a@b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(u.String())
		if err != nil || again.Host != u.Host || again.Scheme != u.Scheme {
			t.Fatalf("%q is %q, and that is %v, %v", text, u, again, err)
		}
		host := u.Hostname()
		if _, err := netip.ParseAddr(host); err != nil {
			labels := strings.Split(host, ".")
			if numeric(labels[len(labels)-1]) {
				t.Fatalf("%q has the host %q, which some read as a number", text, host)
			}
		}
		if u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Fatalf("%q is %q", text, u)
		}
	})
}
