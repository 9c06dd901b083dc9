package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a real name server on this machine. Each name has answers that are given in
// turn, the last one again and again.
type names struct {
	net.PacketConn
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int
}

func startNames(t *testing.T, answers map[string][][]string) *names {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{PacketConn: conn, answers: answers, asked: map[string]int{}}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() { defer close(done); n.serve() }()
	return n
}

func (n *names) serve() {
	buf := make([]byte, 4096)
	for {
		size, from, err := n.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		name := strings.TrimSuffix(q.Name.String(), ".")
		n.mu.Lock()
		all, known := n.answers[name]
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		} else if q.Type == dnsmessage.TypeA {
			turn := n.asked[name]
			n.asked[name]++
			for _, ip := range all[min(turn, len(all)-1)] {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()},
				})
			}
		}
		n.mu.Unlock()
		if answer, err := m.Pack(); err == nil {
			n.WriteTo(answer, from)
		}
	}
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.LocalAddr().String())
	}}
}

// good is an address that these tests allow, bad one that they do not: both are this
// machine's own, as 127.0.0.0/8 is on Linux.
const good, bad = "127.0.0.1", "127.0.0.2"

// serve answers on both addresses at one port, and counts what comes to bad.
func serve(t *testing.T, h http.Handler) (port string, harmed *atomic.Int64) {
	t.Helper()
	harmed = new(atomic.Int64)
	for range 50 {
		first, err := net.Listen("tcp", good+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(first.Addr().String())
		second, err := net.Listen("tcp", bad+":"+port)
		if err != nil { // the port is taken there
			first.Close()
			continue
		}
		for _, l := range []net.Listener{first, second} {
			s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if l == second {
					harmed.Add(1)
				}
				h.ServeHTTP(w, r)
			})}}
			s.Start()
			t.Cleanup(s.Close)
		}
		return port, harmed
	}
	t.Fatal("no port is free on both addresses")
	return "", nil
}

var onlyGood = []netip.Prefix{netip.MustParsePrefix(good + "/32")}

// ask gives the body of an answer.
func (c *Client) ask(t *testing.T, url string) (string, error) {
	t.Helper()
	a, err := c.Do(t.Context(), Question{URL: url})
	if err != nil {
		return "", err
	}
	body, err := a.All()
	return string(body), err
}

func wantRefused(t *testing.T, says string, err error) {
	t.Helper()
	var no *Refused
	if !errors.As(err, &no) {
		t.Errorf("%s: %v, want it refused", says, err)
	}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

func TestNothingButThePublicWebIsReached(t *testing.T) {
	port, harmed := serve(t, hello)
	c := New(Config{})
	for _, url := range []string{
		"http://" + good + ":" + port, "http://localhost:" + port, "http://[::ffff:7f00:1]:" + port, "http://[::1]:" + port,
		"http://１２７。０。０。１:" + port, "http://[64:ff9b::7f00:1]:" + port, "http://[::]:" + port, "http://0.0.0.0:" + port,
	} {
		_, err := c.ask(t, url)
		wantRefused(t, url, err)
	}
	for _, text := range notPublic {
		ip := netip.MustParseAddr(text)
		wantRefused(t, text, c.may(ip, 80))
		d := &Client{cfg: c.cfg}
		if _, err := d.connect(t.Context(), netip.AddrPortFrom(ip, 80), 1); err == nil {
			t.Errorf("the socket itself goes to %s", text)
		}
	}
	wantRefused(t, "another port", c.may(netip.MustParseAddr("93.184.216.34"), 25))
	if err := c.may(netip.MustParseAddr("93.184.216.34"), 443); err != nil {
		t.Error(err)
	}
	if harmed.Load() != 0 {
		t.Error("the inner server was reached")
	}
}

func TestTheSocketIsLookedAtOnceMore(t *testing.T) {
	port, _ := serve(t, hello)
	n, _ := strconv.Atoi(port)
	_, err := New(Config{Allow: onlyGood}).connect(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(bad), uint16(n)), 1)
	wantRefused(t, "a socket to another address", err)
}

func TestNetworksAreAllowedAndDenied(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	port, _ := serve(t, hello)
	if got, err := New(Config{Allow: []netip.Prefix{loopback}}).ask(t, "http://"+bad+":"+port); got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := New(Config{Allow: []netip.Prefix{loopback}, Deny: []netip.Prefix{netip.MustParsePrefix(bad + "/32")}}).ask(t, "http://[::ffff:"+bad+"]:"+port)
	wantRefused(t, "a denied network", err)
	if got, err := New(Config{Trusted: true}).ask(t, "http://"+bad+":"+port); got != "hello" {
		t.Errorf("what an operator wrote: %q, %v", got, err)
	}
	trusted := New(Config{Trusted: true, Deny: []netip.Prefix{loopback}})
	_, err = trusted.ask(t, "http://"+bad+":"+port)
	wantRefused(t, "what an operator wrote, and denied", err)
	for _, ip := range []string{"169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "255.255.255.255"} {
		wantRefused(t, ip, New(Config{Trusted: true}).may(netip.MustParseAddr(ip), 80))
	}
}

func TestANameThatChangesItsMindReachesNothingInside(t *testing.T) {
	port, harmed := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			http.Redirect(w, r, "/", http.StatusFound)
		}
		io.WriteString(w, "hello")
	}))
	names := startNames(t, map[string][][]string{
		"turns.example.com": {{good}, {bad}},
		"mixed.example.com": {{good, bad}},
		"inner.example.com": {{bad}},
		"nat.example.com":   {{good}, {good}, {bad}},
	})
	c := New(Config{Allow: onlyGood, Resolver: names.resolver()})
	if got, err := c.ask(t, "http://turns.example.com:"+port); got != "hello" {
		t.Errorf("the first time: %q, %v", got, err)
	}
	for range 5 {
		_, err := c.ask(t, "http://turns.example.com:"+port)
		wantRefused(t, "later", err)
	}
	_, err := c.ask(t, "http://mixed.example.com:"+port)
	wantRefused(t, "one address of both kinds", err)
	_, err = c.ask(t, "http://inner.example.com:"+port)
	wantRefused(t, "an inner address", err)
	if got, err := c.ask(t, "http://nat.example.com:"+port+"/again"); got != "hello" {
		t.Errorf("two hops: %q, %v", got, err)
	}
	_, err = c.ask(t, "http://nat.example.com:"+port+"/again")
	wantRefused(t, "after two hops", err)
	if _, err = c.ask(t, "http://nobody.example.com:"+port); err == nil {
		t.Error("a name that nobody has was asked")
	}
	if n := harmed.Load(); n != 0 {
		t.Errorf("the inner server was reached %d times", n)
	}
}

func TestEachHopOfARedirectIsLookedAt(t *testing.T) {
	var port string
	port, harmed := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hops, _ := strconv.Atoi(r.URL.Query().Get("hops"))
		switch {
		case r.URL.Query().Has("to"):
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		case hops > 0:
			http.Redirect(w, r, fmt.Sprintf("/?hops=%d", hops-1), http.StatusMovedPermanently)
		default:
			fmt.Fprint(w, "hello "+r.Header.Get("Authorization"))
		}
	}))
	c := New(Config{Allow: onlyGood})
	base := "http://" + good + ":" + port
	if got, err := c.ask(t, base+"?hops=3"); got != "hello " {
		t.Errorf("three hops: %q, %v", got, err)
	}
	_, err := c.ask(t, base+"?hops=4")
	wantRefused(t, "four hops", err)
	for _, to := range []string{
		"http://" + bad + ":" + port, "//" + bad + ":" + port, "http://[::ffff:" + bad + "]:" + port, "http://169.254.169.254/latest/meta-data/",
		"file:///etc/passwd", "gopher://" + good, "http://user:word@" + good + ":" + port, "http://2130706434:" + port, "javascript:1", "http://[fe80::1%25lo]/",
	} {
		_, err := c.ask(t, base+"?to="+to)
		wantRefused(t, "to "+to, err)
	}
	if harmed.Load() != 0 {
		t.Error("the inner server was reached")
	}
	a, err := New(Config{Allow: onlyGood, Hops: -1}).Do(t.Context(), Question{URL: base + "?hops=1"})
	if err != nil || a.Status != http.StatusMovedPermanently {
		t.Errorf("without hops: %+v, %v", a, err)
	} else {
		a.Close()
	}
	a, err = c.Do(t.Context(), Question{Method: http.MethodPost, URL: base + "?hops=1"})
	if err != nil || a.Status != http.StatusMovedPermanently {
		t.Errorf("a POST is not sent on: %+v, %v", a, err)
	} else {
		a.Close()
	}
}

func TestARedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/", http.StatusFound)
	}))
	defer s.Close()
	c := New(Config{Allow: onlyGood})
	c.http.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	_, err := c.ask(t, s.URL)
	wantRefused(t, "from https to http", err)
}

func TestAnAnswerIsBounded(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	var empty bytes.Buffer // gzip that never says anything: members with nothing in them
	for empty.Len() < 2<<20 {
		z.Reset(&empty)
		z.Close()
	}
	port, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		case "/slow":
			for {
				w.Write([]byte("."))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(time.Millisecond):
				}
			}
		case "/silent":
			<-r.Context().Done()
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
		case "/nothing":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(empty.Bytes())
		case "/brotli":
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte("x"))
		case "/headers":
			w.Header().Set("X-Long", strings.Repeat("a", 64<<10))
		case "/packed":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, "hello")
			z.Close()
		case "/most":
			w.Write(zeros)
		}
	}))
	base := "http://" + good + ":" + port
	c := New(Config{Allow: onlyGood})
	for path, want := range map[string]error{"/endless": ErrTooLong, "/bomb": ErrTooLong, "/nothing": nil, "/brotli": nil, "/headers": nil} {
		if _, err := c.ask(t, base+path); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if got, err := c.ask(t, base+"/packed"); got != "hello" {
		t.Errorf("packed: %q, %v", got, err)
	}
	if got, err := c.ask(t, base+"/most"); len(got) != 1<<20 {
		t.Errorf("as much as is read: %d bytes, %v", len(got), err)
	}
	a, err := c.Do(t.Context(), Question{URL: base + "/endless"})
	if err != nil {
		t.Fatal(err)
	}
	if body, cut, err := a.Read(1000); len(body) != 1000 || !cut || err != nil {
		t.Errorf("the first bytes: %d, %v, %v", len(body), cut, err)
	}
	brief := New(Config{Allow: onlyGood, Whole: 200 * time.Millisecond})
	for _, path := range []string{"/slow", "/silent"} {
		if _, err := brief.ask(t, base+path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want that its time is over", path, err)
		}
	}
}

func TestAnAnswerInAnotherProtocolHoldsNoPlace(t *testing.T) {
	end := make(chan struct{})
	port, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: troupe\r\n\r\nhello")
		<-end
	}))
	defer close(end)
	c := New(Config{Allow: onlyGood, Whole: time.Second})
	done := make(chan error, 1)
	go func() {
		_, err := c.ask(t, "http://"+good+":"+port)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was taken")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it is being read for ever")
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if len(c.gate.hosts) != 0 || len(c.gate.all) != 0 {
		t.Errorf("what is left behind: %d hosts, %d places", len(c.gate.hosts), len(c.gate.all))
	}
}

func TestOneHostIsAskedByAFewAtOnceAndKeepsNobodyFromOthers(t *testing.T) {
	var now, most atomic.Int64
	let := make(chan struct{})
	arrived := make(chan struct{}, 100)
	port, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host[:1] == "q" {
			return
		}
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		arrived <- struct{}{}
		<-let
	}))
	names := startNames(t, map[string][][]string{"slow.example.com": {{good}}, "quick.example.com": {{good}}})
	c := New(Config{Allow: onlyGood, Resolver: names.resolver(), Waiting: 12, Whole: time.Minute})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := c.ask(t, "http://slow.example.com:"+port); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-arrived
	}
	for { // until the rest waits
		c.gate.mu.Lock()
		waiting := c.gate.waiting
		c.gate.mu.Unlock()
		if waiting == 12 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := c.ask(t, "http://quick.example.com:"+port); !errors.Is(err, ErrBusy) {
		t.Errorf("with too many waiting: %v, want ErrBusy", err)
	}
	c.gate.mu.Lock()
	c.gate.most = 20
	c.gate.mu.Unlock()
	if _, err := c.ask(t, "http://quick.example.com:"+port); err != nil {
		t.Errorf("another host: %v", err)
	}
	close(let)
	wg.Wait()
	if n := most.Load(); n != 4 {
		t.Errorf("the host was asked by %d at once, want 4", n)
	}
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	if len(c.gate.hosts) != 0 || c.gate.waiting != 0 || len(c.gate.all) != 0 {
		t.Errorf("what is left behind: %d hosts, %d waiting, %d places", len(c.gate.hosts), c.gate.waiting, len(c.gate.all))
	}
}

func TestTheServerSaysWhoItIsAndUsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.2:1")
	t.Setenv("http_proxy", "http://127.0.0.2:1")
	port, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.UserAgent(), r.Header.Get("Cookie"), r.Header.Get("Referer"))
	}))
	c := New(Config{Allow: onlyGood, Agent: "Troupe/1 (link preview)"})
	if got, err := c.ask(t, "http://"+good+":"+port); got != "Troupe/1 (link preview)||" {
		t.Errorf("%q, %v", got, err)
	}
}
