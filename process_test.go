package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/protocol"
)

// binary is the program, built once for all tests of this package, as it is released: static.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "troupe-test-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	built := filepath.Join(dir, "troupe")
	build := exec.Command("go", "build", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return built, err
})

// binaryDir is where binary built it, "" where no test asked for it.
var binaryDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// testServer is the real program in a process of its own.
type testServer struct {
	t      *testing.T
	env    []string
	data   string // its data directory
	secret string // of outside identities
	url    string // http://127.0.0.1:PORT
	listen string // the same after a restart

	process *exec.Cmd
	printed string // standard output until it was ready
	log     *lockedBuffer
	ended   chan error
}

// startServer starts the program on a port of its own with a fresh data directory
// and waits until it is ready. Profile test, no limit of rate; env, like
// "TROUPE_RATE=20", comes on top. The test's end kills it.
func startServer(t *testing.T, env ...string) *testServer {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	s := &testServer{t: t, env: env, data: filepath.Join(t.TempDir(), "data"), secret: hex.EncodeToString(secret), listen: "127.0.0.1:0"}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	s.start()
	return s
}

// start starts it, again after kill or stop: at the same address, on the same data.
func (s *testServer) start() {
	s.t.Helper()
	built, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = exec.Command(built, "serve")
	s.process.Env = append(cleanEnv(), "TROUPE_LISTEN="+s.listen, "TROUPE_DATA="+s.data, "TROUPE_PROFILE=test",
		"TROUPE_RATE=0", "TROUPE_BOTS=off", "TROUPE_IDENTITY_SECRET="+s.secret)
	s.process.Env = append(s.process.Env, s.env...)
	s.log = new(lockedBuffer)
	s.process.Stderr = s.log
	out, err := s.process.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	s.printed = ""
	for lines.Scan() {
		s.printed += lines.Text() + "\n"
		if rest, ok := strings.CutPrefix(lines.Text(), "  address  "); ok {
			s.url = rest
		}
		if strings.HasPrefix(lines.Text(), "  users ") {
			break // greet writes all of its lines at once, and an admin line may follow
		}
	}
	process, ended := s.process, make(chan error, 1)
	var rest bytes.Buffer
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for lines.Scan() {
			rest.WriteString(lines.Text() + "\n")
		}
	}()
	go func() {
		<-reading
		ended <- process.Wait()
	}()
	s.ended = ended
	if s.url == "" {
		s.process = nil // nothing is left to be killed
		s.t.Fatalf("the server did not start: %v\n%s%s", <-ended, s.printed, s.log)
	}
	s.listen = strings.TrimPrefix(s.url, "http://")
	soon(s.t, "the server to be ready", func() bool {
		res, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill is SIGKILL, and returns when the process is gone.
func (s *testServer) kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill() // it may be gone
	<-s.ended
	s.process = nil
}

// stop is SIGTERM, and gives how the process ended and how long that took.
func (s *testServer) stop() (time.Duration, error) {
	s.t.Helper()
	began := time.Now()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	err := <-s.ended
	s.process = nil
	return time.Since(began), err
}

// token is good for user, who is made by its first use.
func (s *testServer) token(user string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	claims, err := json.Marshal(map[string]any{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "name": user})
	if err != nil {
		s.t.Fatal(err)
	}
	text := head + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// administrator makes one of that name and gives a token of its own.
func (s *testServer) administrator(name string) string {
	s.t.Helper()
	out, err := s.command("user", "add", name, "--generate", "--admin")
	_, password, ok := strings.Cut(out, "password: ")
	if err != nil || !ok {
		s.t.Fatalf("user add %s: %v\n%s", name, err, out)
	}
	password, _, _ = strings.Cut(password, "\n")
	body, err := json.Marshal(map[string]string{"name": name, "password": strings.TrimSpace(password)})
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.Post(s.url+"/api/v2/users/login", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var grant struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&grant); err != nil || grant.Token == "" {
		s.t.Fatalf("%s signs in: %s, %v", name, res.Status, err)
	}
	return grant.Token
}

// command runs a command of the program with the server's data directory.
func (s *testServer) command(args ...string) (string, error) {
	s.t.Helper()
	built, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(built, args...)
	c.Env = append(append(cleanEnv(), "TROUPE_DATA="+s.data), s.env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// get reads a REST path for user into out.
func (s *testServer) get(user, path string, out any) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token(user))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}

// cleanEnv is the environment without settings that a developer has for himself.
func cleanEnv() []string {
	var env []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "TROUPE_") && !strings.HasPrefix(line, "IM_PROFILE=") {
			env = append(env, line)
		}
	}
	return env
}

// person is one signed-in device of a user, and all it has heard.
type person struct {
	*client.Client
	t      *testing.T
	mu     sync.Mutex
	events []client.Event
}

// join signs user in as device.
func (s *testServer) join(user, device string) *person {
	s.t.Helper()
	p := &person{t: s.t}
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	c, err := client.Open(ctx, client.Config{
		URL: s.url, Token: s.token(user), Device: device, AckEvery: 10 * time.Millisecond,
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, Backlog: -1,
		Handler: func(e client.Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
		},
	})
	if err != nil {
		s.t.Fatalf("%s signs in: %v", user, err)
	}
	s.t.Cleanup(c.Close)
	p.Client = c
	return p
}

// ask sends a request that must succeed.
func (p *person) ask(f *protocol.Frame) *protocol.Frame {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := p.Request(ctx, f)
	if err != nil {
		p.t.Fatalf("%s: %v", f.Type(), err)
	}
	return answer
}

// say sends a text and gives its seq.
func (p *person) say(session protocol.SessionID, id, text string) int64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := p.Send(ctx, &protocol.MsgSend{Session: session, ClientMsgId: id, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}})
	if err != nil {
		p.t.Fatalf("send %q: %v", text, err)
	}
	return a.Seq
}

// heard gives the texts of session that arrived, in order.
func (p *person) heard(session protocol.SessionID) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var texts []string
	for _, e := range p.events {
		if entry, ok := e.(*client.Entry); ok && entry.Session == session && entry.Content != nil && entry.Content.Text != "" {
			texts = append(texts, entry.Content.Text)
		}
	}
	return texts
}

// saw says whether a frame arrived that which accepts.
func (p *person) saw(which func(f *protocol.Frame) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if f, ok := e.(*client.Frame); ok && which(f.Frame) {
			return true
		}
	}
	return false
}

// snapshot gives the newest snapshot of a sign-in.
func (p *person) snapshot() *protocol.Snapshot {
	p.t.Helper()
	var newest *protocol.Snapshot
	soon(p.t, "a snapshot", func() bool { // the client hands its events on by itself
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.events {
			if c, ok := e.(*client.Connected); ok && c.Snapshot != nil {
				newest = c.Snapshot
			}
		}
		return newest != nil
	})
	return newest
}

// patience is how long what must come may take. It is long, as it is waited out
// only by a test that fails.
const patience = 30 * time.Second

// soon waits until until is true.
func soon(t *testing.T, what string, until func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !until() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
