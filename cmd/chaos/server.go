package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// server is the real binary in a data directory of its own, started again and
// again at one address.
type server struct {
	name   string // of a node; "": there is one alone
	binary string
	dir    string // data
	listen string
	env    []string
	log    *os.File
	run    *run

	cmd    *exec.Cmd
	exited chan struct{}
}

// newServer makes one that keeps its data in dir, with a log beside it.
func newServer(r *run, name, binary, dir string, more ...string) (*server, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(r.Dir, "server"+name+".log"))
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "TROUPE_LISTEN="+listen, "TROUPE_DATA="+dir, "TROUPE_PROFILE=test",
		"TROUPE_IDENTITY_SECRET="+r.secret, "TROUPE_RATE=0", "TROUPE_BOTS=off")
	return &server{name: name, binary: binary, dir: dir, listen: listen, env: append(env, more...), log: log, run: r}, nil
}

// freeAddress is a loopback address that nobody listens at now. It is below the ports that connections begin
// at (ip_local_port_range, from 32768 on): one of those would take it while its server is away.
func freeAddress() (address string, err error) {
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// start starts the process and does not wait.
func (s *server) start() error {
	s.cmd = exec.Command(s.binary, "serve")
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.env, s.log, s.log
	s.run.nemesis(history.Start, s.name)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		cmd.Wait() // how it ended is in its log
		close(exited)
	}(s.cmd, s.exited)
	return nil
}

// startTimeout is far over what a start may take; the checker is stricter.
const startTimeout = 30 * time.Second

// ready waits until the server says that it serves.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if ok, err := s.run.get(ctx, s.listen, "", "/readyz", nil); err == nil && ok {
			s.run.nemesis(history.Ready, s.name)
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the server ended while it started, see %s", s.log.Name())
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill is SIGKILL, and returns when the process is gone.
func (s *server) kill() error {
	s.run.nemesis(history.Kill, s.name)
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// stop ends what runs, politely for some seconds.
func (s *server) stop() { s.end(syscall.SIGTERM) }

// explain ends what runs with the stacks of all its goroutines.
func (s *server) explain() { s.end(syscall.SIGQUIT) }

func (s *server) end(with os.Signal) {
	if s == nil || s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(with) // it may be gone already
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.kill()
	}
}

var client = &http.Client{Timeout: 20 * time.Second}

// get reads a REST path of the node at an address as user ("": nobody) and gives the answer to take; false
// with no error is any other status than 200.
func (r *run) get(ctx context.Context, at, user, path string, take func(status int, body []byte) error) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return false, err
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+token(r.secret, user))
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && take != nil {
		err = take(resp.StatusCode, body)
	}
	return resp.StatusCode == http.StatusOK, err
}

// copyTo copies the files of the data directory of a server that does not run; its
// socket stays behind.
func (s *server) copyTo(dir string) error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		switch to := filepath.Join(dir, name); {
		case d.IsDir():
			return os.MkdirAll(to, 0o700)
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, data, 0o600)
		}
		return nil
	})
}
