package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is a server to measure: one that runs already, or a child of ours.
type target struct {
	name   string // troupe or floor
	addr   string // host:port
	pid    int    // 0: not on this machine, so no CPU and no memory
	secret string
	others []*target // further nodes of the same installation

	child *exec.Cmd
	dir   string // the child's data, ours to remove
	args  []string
	env   []string
}

// at is where connection i goes.
func (t *target) at(i int) string {
	if i %= 1 + len(t.others); i > 0 {
		return t.others[i-1].addr
	}
	return t.addr
}

// sum adds up what of finds of the process of each node.
func (t *target) sum(of func(pid int) int64) (n int64) {
	for _, node := range append([]*target{t}, t.others...) {
		if node.pid != 0 {
			n += of(node.pid)
		}
	}
	return n
}

func (t *target) cpu() time.Duration {
	return time.Duration(t.sum(func(pid int) int64 {
		d, _ := cpuTime(pid)
		return int64(d)
	}))
}

func (t *target) pss() int64 {
	return t.sum(func(pid int) int64 {
		n, _, _ := memory(pid)
		return n
	})
}

// own is pss without what is mapped of files.
func (t *target) own() int64 {
	return t.sum(func(pid int) int64 {
		_, n, _ := memory(pid)
		return n
	})
}

// running are the servers at o.url.
func running(o *options) (*target, error) {
	var first *target
	for i, address := range strings.Split(o.url, ",") {
		t, err := runningAt(o, address)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = t
		} else {
			first.others = append(first.others, t)
		}
	}
	return first, nil
}

func runningAt(o *options, address string) (*target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	if u.Scheme != "ws" && u.Scheme != "http" {
		return nil, fmt.Errorf("--url %s: ws:// or http:// (the generator speaks no TLS: it would measure two TLS stacks)", address)
	}
	if o.secret == "" {
		return nil, errors.New("--identity-secret (or TROUPE_IDENTITY_SECRET) is needed: the server's, to make users")
	}
	t := &target{name: "troupe", addr: u.Host, pid: o.pid, secret: o.secret}
	if u.Port() == "" {
		t.addr = net.JoinHostPort(u.Hostname(), "80")
	}
	if t.pid == 0 {
		t.pid, _ = listener(t.addr)
	}
	return t, nil
}

const startTimeout = 20 * time.Second

// spawn starts a server of this very program, with a data directory of its own.
func spawn(ctx context.Context, o *options) (*target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	dir, err := os.MkdirTemp(o.data, "troupe-load-")
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	t := &target{name: "troupe", addr: addr, secret: hex.EncodeToString(secret), dir: dir, args: []string{"serve"}}
	t.env = []string{
		"TROUPE_LISTEN=" + addr, "TROUPE_DATA=" + filepath.Join(dir, "data"), "TROUPE_PROFILE=dev",
		"TROUPE_RATE=0", "TROUPE_BOTS=off", "TROUPE_IDENTITY_SECRET=" + t.secret,
	}
	t.env = append(t.env, o.serverEnv...)
	if err := t.start(ctx); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// start runs the child and waits until it is ready.
func (t *target) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(t.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	t.child = exec.Command(self, t.args...)
	t.child.Env = append(os.Environ(), t.env...)
	t.child.Stdout, t.child.Stderr = log, log
	if err := t.child.Start(); err != nil {
		return err
	}
	t.pid = t.child.Process.Pid
	gone := make(chan error, 1)
	child := t.child
	go func() { gone <- child.Wait() }()
	deadline := time.After(startTimeout)
	for {
		res, err := http.Get("http://" + t.addr + "/readyz")
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				http.DefaultClient.CloseIdleConnections()
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-gone:
			t.child = nil
			return fmt.Errorf("the server ended at once: %w\n%s", err, t.tail())
		case <-deadline:
			return fmt.Errorf("the server is not ready after %s\n%s", startTimeout, t.tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (t *target) tail() string {
	b, _ := os.ReadFile(filepath.Join(t.dir, "log"))
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

// spawnFloor starts the floor as a child.
func spawnFloor(o *options) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.data, "troupe-floor-")
	if err != nil {
		return nil, err
	}
	t := &target{name: "floor", dir: dir}
	t.child = exec.Command(self, "load", floorCommand, dir, strconv.FormatBool(o.floorCoalesce))
	t.child.Stderr = os.Stderr
	out, err := t.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := t.child.Start(); err != nil {
		return nil, err
	}
	child := t.child
	line, err := bufio.NewReader(out).ReadString('\n')
	go child.Wait()
	if err != nil {
		t.stop()
		return nil, fmt.Errorf("the floor did not start: %w", err)
	}
	t.pid, t.addr = child.Process.Pid, strings.TrimSpace(line)
	return t, nil
}

// halt ends the child as an operator would, and by force after a while.
func (t *target) halt() {
	if t.child == nil {
		return
	}
	t.child.Process.Signal(syscall.SIGTERM)
	for end := time.Now().Add(10 * time.Second); alive(t.pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.child.Process.Kill()
		}
	}
	t.child = nil
}

// alive: a child that was waited for is no process any more.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// stop ends a child and removes its data; a server that ran before goes on.
func (t *target) stop() {
	t.halt()
	if t.dir != "" {
		os.RemoveAll(t.dir)
	}
}
