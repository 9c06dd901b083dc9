package redisstreams

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
)

// server is a real redis-server in a folder of its own.
type server struct {
	t    testing.TB
	port string
	dir  string
	args []string
	cmd  *exec.Cmd
	*redis.Client
}

// program finds one of Redis' programs. A test skips without it, unless
// TROUPE_TEST_NEED names redis.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "redis") {
			t.Fatalf("there is no %s, and TROUPE_TEST_NEED says that it is needed", name)
		}
		t.Skipf("there is no %s on the PATH", name)
	}
	return path
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// redisServer starts one that keeps nothing on disk.
func redisServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, port: freePort(t), dir: t.TempDir(), args: args}
	s.start()
	t.Cleanup(s.kill)
	s.Client = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(func() { s.Close() })
	s.ready()
	return s
}

func (s *server) addr() string { return "127.0.0.1:" + s.port }

func (s *server) start() {
	s.t.Helper()
	path := program(s.t, "redis-server")
	args := append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, s.args...)
	s.cmd = exec.Command(path, args...)
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) ready() {
	s.t.Helper()
	eventually(s.t, "redis-server does not start", func() bool { return s.Ping(context.Background()).Err() == nil })
}

// kill ends it as a power cut would.
func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
}

func (s *server) again() {
	s.kill()
	s.start()
	s.ready()
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) config() Config { return Config{Addrs: []string{s.addr()}} }

// patience is how long a test waits for what must come: it fails then, so it may be long.
const patience = 30 * time.Second

func eventually(t testing.TB, otherwise string, until func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !until() {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
		tick := time.NewTimer(2 * time.Millisecond)
		<-tick.C
	}
}

// quick has a node look at Redis often. What bounds how long is waited stays as it is,
// as a machine may be slow.
func quick(c Config) Config {
	c.beat = 100 * time.Millisecond
	return c
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open gives the streams of one node. Whoever gets them starts them.
func open(t testing.TB, c Config) *Streams {
	t.Helper()
	log := quiet()
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(writer{t}, nil))
	}
	s, err := Open(context.Background(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type writer struct{ t testing.TB }

func (w writer) Write(b []byte) (int, error) {
	fmt.Fprintf(os.Stderr, "%s: %s", w.t.Name(), b)
	return len(b), nil
}

var _ actors.Streams = (*Streams)(nil)
