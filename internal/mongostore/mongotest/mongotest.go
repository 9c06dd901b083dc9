// Package mongotest gives tests a database: the one that TROUPE_TEST_MONGO names, else
// a real FerretDB v1.24.2 that is built from the module in internal/mongostore/ferret.
package mongotest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// URI gives a database of its own to a test. All tests of a program share one server,
// which ends with it.
func URI(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv("TROUPE_TEST_MONGO"); uri != "" {
		return Database(uri)
	}
	server, err := shared()
	if err != nil {
		missing(t, err)
	}
	return server.URI()
}

// Database is uri with a new database's name as its path.
func Database(uri string) string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	name := "troupe_test_" + hex.EncodeToString(b[:])
	before, options, found := strings.Cut(uri, "?")
	scheme, hosts, _ := strings.Cut(before, "://")
	hosts, _, _ = strings.Cut(hosts, "/")
	uri = scheme + "://" + hosts + "/" + name
	if found {
		uri += "?" + options
	}
	return uri
}

// missing skips a test for which there is no FerretDB, unless TROUPE_TEST_NEED names it.
func missing(t testing.TB, err error) {
	t.Helper()
	if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "ferretdb") {
		t.Fatalf("there is no FerretDB, and TROUPE_TEST_NEED says that it is needed: %v", err)
	}
	t.Skipf("there is no FerretDB: %v", err)
}

var shared = sync.OnceValues(func() (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	return s, s.start()
})

// Start gives a test a FerretDB of its own, which it may kill.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := prepare()
	if err != nil {
		missing(t, err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Program gives the path of FerretDB's program, which it builds where it has to: that
// takes minutes once, and a second from then on.
var Program = sync.OnceValues(func() (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("where this file is cannot be told")
	}
	cmd := exec.Command("go", "tool", "-n", "ferret")
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "ferret")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go tool ferret: %w: %s", err, told.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// Server is one FerretDB with its data in a folder of its own.
type Server struct {
	Addr string // host:port, the same after every Again

	program string
	dir     string
	cmd     *exec.Cmd
	stdin   io.Closer // its end ends the server
	ended   chan error
}

func prepare() (*Server, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "troupe-ferretdb-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &Server{Addr: l.Addr().String(), program: program, dir: dir}, nil
}

func (s *Server) start() error {
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	s.cmd = exec.Command(s.program, s.Addr, s.dir)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	s.ended = ended
	for {
		c, err := net.DialTimeout("tcp", s.Addr, time.Second)
		if err == nil {
			return c.Close()
		}
		retry := time.NewTimer(5 * time.Millisecond)
		select {
		case err := <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("FerretDB does not start: %w: %s", err, text)
		case <-retry.C:
		}
	}
}

// Kill ends the server at once; what it has written stays.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
	_ = s.stdin.Close()
}

// Again starts a server that was killed, with its data and at its address.
func (s *Server) Again(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// URI gives a new database on the server.
func (s *Server) URI() string { return Database("mongodb://" + s.Addr + "/") }
