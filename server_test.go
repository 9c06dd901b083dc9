package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds the program once for all tests that run it as users do.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "troupe-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "troupe")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// server is the real program, serving.
type server struct {
	address string
	data    string
}

const testSecret = "what only this test and its server know"

// startServer runs `troupe serve` in a data directory of its own until the test
// ends, with more settings as NAME=VALUE, and waits until it is ready.
func startServer(t *testing.T, env ...string) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real server")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String(), data: t.TempDir()}
	l.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve")
	cmd.Env = append(append(os.Environ(), "TROUPE_LISTEN="+s.address, "TROUPE_DATA="+s.data, "TROUPE_PROFILE=test",
		"TROUPE_IDENTITY_SECRET="+testSecret, "TROUPE_RATE=0"), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("the server said:\n%s", said)
		}
		log.Close()
	})
	for end := time.Now().Add(30 * time.Second); ; {
		resp, err := http.Get("http://" + s.address + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		select {
		case <-ended:
			t.Fatal("the server ended while it started")
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("the server is not ready")
		}
	}
}

// token is what a trusted outside system would give user.
func (s *server) token(user string, life time.Duration) string { return sign(testSecret, user, life) }

func sign(secret, user string, life time.Duration) string {
	b64 := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"exp":%d}`, user, time.Now().Add(life).Unix())
	signed := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}
