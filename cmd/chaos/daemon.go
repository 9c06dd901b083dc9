package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// daemon is a program that the nodes need: it listens at one address, again and again.
type daemon struct {
	name, program string
	args          []string
	address       string
	log           string
	held          bool // its input has to stay open

	cmd    *exec.Cmd
	exited chan struct{}
}

// start starts it and waits until it listens.
func (d *daemon) start(ctx context.Context) error {
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	d.cmd = exec.Command(d.program, d.args...)
	d.cmd.Stdout, d.cmd.Stderr = out, out
	if d.held {
		if _, err := d.cmd.StdinPipe(); err != nil {
			return err
		}
	}
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(d.cmd, d.exited)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := net.DialTimeout("tcp", d.address, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended while it started, see %s", d.name, d.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", d.name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill is SIGKILL, and returns when the process is gone.
func (d *daemon) kill() {
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGKILL) // it may be gone already
	<-d.exited
}

func (d *daemon) signal(s syscall.Signal) error { return d.cmd.Process.Signal(s) }

// masterName is what the Sentinels call the master.
const masterName = "chaos"

// redis is a server that keeps nothing, or a master and a replica under three Sentinels.
type redis struct {
	servers   []*daemon
	sentinels []*daemon
}

func newRedis(dir string, sentinel bool) (*redis, error) {
	r := &redis{}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	make1 := func(name string, args ...string) (*daemon, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(address)
		home := filepath.Join(dir, name)
		args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", home, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, args...)
		return &daemon{name: name, program: program, args: args, address: address, log: home + ".log"}, os.MkdirAll(home, 0o700)
	}
	count := 1
	if sentinel {
		count = 2
	}
	for n := range count {
		d, err := make1(fmt.Sprintf("redis%d", n+1))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			host, port, _ := net.SplitHostPort(r.servers[0].address)
			d.args = append(d.args, "--replicaof", host+" "+port)
		}
		r.servers = append(r.servers, d)
	}
	if !sentinel {
		return r, nil
	}
	watch, err := exec.LookPath("redis-sentinel")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(r.servers[0].address)
	for n := range 3 {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		_, own, _ := net.SplitHostPort(address)
		file := filepath.Join(dir, fmt.Sprintf("sentinel%d.conf", n+1))
		conf := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n",
			own, dir, masterName, host, port, masterName, masterName)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		r.sentinels = append(r.sentinels, &daemon{name: fmt.Sprintf("sentinel%d", n+1), program: watch, args: []string{file}, address: address, log: file + ".log"})
	}
	return r, nil
}

// address is what a link may lead to; "" with Sentinels, which name addresses themselves.
func (r *redis) address() string {
	if len(r.sentinels) > 0 {
		return ""
	}
	return r.servers[0].address
}

// url is what nodes are told, by way of a link.
func (r *redis) url(link string) string {
	if len(r.sentinels) == 0 {
		return "redis://" + link
	}
	var all []string
	for _, s := range r.sentinels {
		all = append(all, s.address)
	}
	return "redis-sentinel://" + strings.Join(all, ",") + "/" + masterName
}

func (r *redis) start(ctx context.Context) error {
	for _, d := range append(append([]*daemon{}, r.servers...), r.sentinels...) {
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	if len(r.sentinels) == 0 {
		return nil
	}
	// A failover needs a replica that the Sentinels know of.
	deadline := time.Now().Add(startTimeout)
	for {
		known := 0
		for _, s := range r.sentinels {
			if got, err := ask(s.address, "SENTINEL", "REPLICAS", masterName); err == nil && len(got) > 0 {
				known++
			}
		}
		if known == len(r.sentinels) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the Sentinels do not find the replica")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *redis) kill() {
	for _, d := range append(append([]*daemon{}, r.sentinels...), r.servers...) {
		if d.cmd != nil {
			_ = d.signal(syscall.SIGCONT)
		}
		d.kill()
	}
}

// master is the server that takes writes now.
func (r *redis) master() *daemon {
	for _, s := range r.sentinels {
		if got, err := ask(s.address, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName); err == nil && len(got) == 2 {
			for _, d := range r.servers {
				if d.address == net.JoinHostPort(got[0], got[1]) {
					return d
				}
			}
		}
	}
	return r.servers[0]
}

func (r *redis) flush() error {
	_, err := ask(r.master().address, "FLUSHALL")
	return err
}

// ask sends one command to a Redis and gives its answer, a list flattened.
func ask(address string, command ...string) ([]string, error) {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return nil, err
	}
	return answerOf(bufio.NewReader(c))
}

func answerOf(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return []string{rest}, nil
	case '-':
		return nil, errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return nil, err
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(r, text)
		return []string{string(text[:n])}, err
	}
	var all []string
	for range n {
		part, err := answerOf(r)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}
