package peers_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"io"
	"log/slog"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/peers"
)

var update = flag.Bool("update", false, "write the fixtures of a new release")

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// lossy brings envelopes within the test, but for some, and now and then in the wrong order.
type lossy struct {
	mu   sync.Mutex
	rand *mrand.Rand
	lose int // of ten
	to   map[string]*peers.Peers
	late *peers.Envelope
	last string
}

func (l *lossy) Send(address string, e *peers.Envelope) {
	e = &peers.Envelope{Kind: e.Kind, Body: bytes.Clone(e.Body)}
	l.mu.Lock()
	to, late, last := l.to[address], l.late, l.to[l.last]
	l.late = nil
	if l.rand.IntN(10) < l.lose {
		to = nil
		if l.rand.IntN(2) == 0 {
			l.late, l.last = e, address
		}
	}
	l.mu.Unlock()
	if to != nil {
		to.Take(e)
	}
	if late != nil && last != nil {
		last.Take(late)
	}
}

// heard is what a node got.
type heard struct {
	mu  sync.Mutex
	all []uint64
}

func (h *heard) take(_ string, record []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, binary.BigEndian.Uint64(record))
}

func (h *heard) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
	}
}

func TestRecordsComeInOrderAndOnceOverAWayThatLosesThem(t *testing.T) {
	way := &lossy{rand: mrand.New(mrand.NewPCG(1, 2)), lose: 3, to: map[string]*peers.Peers{}}
	var left, right heard
	make := func(id string, h *heard) *peers.Peers {
		p := peers.New(peers.Config{ID: id, Address: "at " + id, Receive: h.take, Log: quiet(), Parcel: 200, Patience: 20 * time.Millisecond}, way)
		way.mu.Lock()
		way.to["at "+id] = p
		way.mu.Unlock()
		t.Cleanup(p.Close)
		return p
	}
	one, two := make("one", &left), make("two", &right)
	one.Meet("two", "at two")
	two.Meet("one", "at one")
	const n = 3000
	var all sync.WaitGroup
	for _, p := range []struct {
		from *peers.Peers
		to   string
	}{{one, "two"}, {two, "one"}} {
		all.Go(func() {
			for i := range uint64(n) {
				if !p.from.Send(p.to, binary.BigEndian.AppendUint64(nil, i), true) {
					t.Errorf("record %d is not taken", i)
				}
			}
		})
	}
	all.Wait()
	eventually(t, "all records come", func() bool { return left.len() >= n && right.len() >= n })
	for _, h := range []*heard{&left, &right} {
		for i, got := range h.all {
			if got != uint64(i) {
				t.Fatalf("record %d comes in place %d", got, i)
			}
		}
	}
}

func TestWhatWaitsForANodeIsBounded(t *testing.T) {
	way := &lossy{rand: mrand.New(mrand.NewPCG(1, 2)), lose: 10, to: map[string]*peers.Peers{}}
	p := peers.New(peers.Config{ID: "one", Address: "at one", Receive: func(string, []byte) {}, Log: quiet(), Backlog: 1000}, way)
	t.Cleanup(p.Close)
	if p.Send("two", make([]byte, 10), true) {
		t.Error("something is taken for a node that nobody knows")
	}
	p.Meet("two", "at two")
	taken := 0
	for range 1000 {
		if p.Send("two", make([]byte, 100), false) {
			taken++
		}
	}
	if taken != 10 {
		t.Errorf("%d records of 100 bytes wait, of 1000 bytes that may", taken)
	}
	p.Part("two")
	p.Meet("two", "at two") // an id never comes back
	if p.Send("two", make([]byte, 10), true) {
		t.Error("something is taken for a node that has gone")
	}
}

// The bytes of an envelope and of what is in it are what nodes of other versions read. The
// fixture is of the first release with several nodes: it stays as it is.
func TestAnEnvelopeIsWhatItWasInTheFirstRelease(t *testing.T) {
	var sent []*peers.Envelope
	var mu sync.Mutex
	p := peers.New(peers.Config{ID: "one", Address: "10.0.0.1:7400", Receive: func(string, []byte) {}, Log: quiet(), Patience: time.Hour}, sink(func(e *peers.Envelope) {
		mu.Lock()
		sent = append(sent, e)
		mu.Unlock()
	}))
	t.Cleanup(p.Close)
	p.Say("10.0.0.2:7400", []byte("word"))
	p.Meet("two", "10.0.0.2:7400")
	p.Send("two", []byte("first"), true)
	eventually(t, "both are sent", func() bool { mu.Lock(); defer mu.Unlock(); return len(sent) == 2 })
	var got strings.Builder
	for _, e := range sent {
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(hex.EncodeToString(b) + "\n")
	}
	file := "testdata/envelopes.hex"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("envelopes are\n%swant\n%s", got.String(), want)
	}
}

type sink func(*peers.Envelope)

func (s sink) Send(_ string, e *peers.Envelope) { s(e) }

func FuzzEnvelope(f *testing.F) {
	for line := range strings.Lines(read(f, "testdata/envelopes.hex")) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{8, 99, 18, 1, 0}) // an unknown kind
	f.Fuzz(func(t *testing.T, b []byte) {
		e := new(peers.Envelope)
		if proto.Unmarshal(b, e) != nil {
			return
		}
		p := peers.New(peers.Config{ID: "two", Address: "a", Receive: func(string, []byte) {}, Heard: func(string, []byte) {}, Log: quiet(), Patience: time.Hour}, sink(func(*peers.Envelope) {}))
		p.Take(e)
		p.Close()
	})
}

func read(t testing.TB, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, dir: t.TempDir(), key: key}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// node makes a certificate for name.
func (a *authority) node(name string) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", private)
}

func TestOnlyWhoHasACertificateOfTheNodesIsHeard(t *testing.T) {
	if underRace {
		t.Skip("protoactor's remote has races of its own")
	}
	ours, others := newAuthority(t), newAuthority(t)
	ca := filepath.Join(ours.dir, "ca.pem")
	cert, key := ours.node(peers.NodeName)
	config, err := peers.LoadTLS(cert, key, ca)
	if err != nil {
		t.Fatal(err)
	}
	if c, k := ours.node("example.com"); true {
		if _, err := peers.LoadTLS(c, k, ca); err == nil {
			t.Error("a certificate for another name is taken")
		}
	}
	c, k := others.node(peers.NodeName)
	if _, err := peers.LoadTLS(c, k, ca); err == nil {
		t.Error("a certificate of another authority is taken")
	}
	strange, err := peers.LoadTLS(c, k, filepath.Join(others.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 100)
	listen := func(cfg peers.RemoteConfig) *peers.Remote {
		cfg.Listen, cfg.Log = "127.0.0.1:0", quiet()
		r, err := peers.Listen(cfg, func(e *peers.Envelope) { got <- string(e.Body) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	here := listen(peers.RemoteConfig{TLS: config})
	say := func(r *peers.Remote, what string) {
		r.Send(here.Address(), &peers.Envelope{Kind: 2, Body: []byte(what)})
	}
	open, foreign := listen(peers.RemoteConfig{}), listen(peers.RemoteConfig{TLS: strange})
	say(open, "in the clear")
	say(foreign, "by somebody else")
	say(listen(peers.RemoteConfig{TLS: config}), "by a node")
	if what := <-got; what != "by a node" {
		t.Errorf("heard what was said %s", what)
	}
	select {
	case what := <-got:
		t.Errorf("heard what was said %s", what)
	default:
	}
	conn, err := net.Dial("tcp", here.Address()) // and what is no TLS at all does no harm
	if err == nil {
		io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\n")
		conn.Close()
	}
	if _, err := peers.Listen(peers.RemoteConfig{Listen: here.Address(), Log: quiet()}, func(*peers.Envelope) {}); err == nil {
		t.Error("two nodes listen at one address")
	}
}

func TestANodeThatIsProbedIsHeardAndAsksForNothingMoreWhileItIsNot(t *testing.T) {
	way := &lossy{rand: mrand.New(mrand.NewPCG(1, 2)), lose: 10, to: map[string]*peers.Peers{}}
	var got heard
	for _, id := range []string{"one", "two"} {
		p := peers.New(peers.Config{ID: id, Address: "at " + id, Receive: got.take, Log: quiet(), Patience: 20 * time.Millisecond}, way)
		way.to["at "+id] = p
		t.Cleanup(p.Close)
	}
	one := way.to["at one"]
	if at := one.Heard("two"); !at.IsZero() {
		t.Errorf("a node that was never met was heard at %v", at)
	}
	one.Meet("two", "at two")
	met := one.Heard("two")
	for i := range uint64(100) {
		one.Probe("two", binary.BigEndian.AppendUint64(nil, i))
	}
	way.mu.Lock()
	way.lose = 0
	way.mu.Unlock()
	eventually(t, "the other one is heard", func() bool { return one.Heard("two").After(met) })
	eventually(t, "it has the record", func() bool { return got.len() > 0 })
	if n := got.len(); n != 1 {
		t.Errorf("%d records came of a hundred probes in a row, want 1", n)
	}
}
