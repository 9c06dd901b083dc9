package plugins

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// process is a bot's process as go-plugin sees it. It is ours to start, to end and to
// reap: go-plugin waits for pipes that a grandchild may hold open for ever.
type process struct {
	cmd            *exec.Cmd
	opened         func()        // closes what was open for the start
	stdout, stderr io.ReadCloser // as go-plugin reads them
	pipes          []*os.File    // our ends of both
	theirs         []*os.File    // the ends that the process gets
	gone           chan struct{} // closed when it is reaped
	err            error         // how it ended, once it is gone
	lifeline       *os.File      // our end: its closing ends the process
	lines          []*liner
	mu             sync.Mutex
	pid            int
}

var _ runner.Runner = (*process)(nil)

func newProcess(j *journal) (*process, error) {
	p := &process{gone: make(chan struct{})}
	pace := newPace(p.gone)
	for range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			p.closeAll()
			return nil, err
		}
		p.pipes, p.theirs = append(p.pipes, r), append(p.theirs, w)
	}
	out, errs := &liner{journal: j, pace: pace}, &liner{journal: j, pace: pace}
	p.stdout, p.stderr, p.lines = &firstLine{from: p.pipes[0], rest: out}, p.pipes[1], []*liner{out, errs}
	return p, nil
}

func (p *process) closeAll() {
	for _, f := range append(p.pipes, p.theirs...) {
		f.Close()
	}
	if p.lifeline != nil {
		p.lifeline.Close()
	}
}

// Start starts it. From then on somebody waits for its end.
func (p *process) Start(context.Context) error {
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = nil, p.theirs[0], p.theirs[1]
	err := p.cmd.Start()
	p.opened()
	for _, f := range p.theirs {
		f.Close()
	}
	if err != nil {
		p.closeAll()
		p.err = err
		close(p.gone)
		return err
	}
	p.mu.Lock()
	p.pid = p.cmd.Process.Pid
	p.mu.Unlock()
	go p.reap()
	return nil
}

// lastWords is how long what a dead process wrote is read, when somebody else still
// holds its pipes.
const lastWords = 100 * time.Millisecond

func (p *process) reap() {
	awaitEnd(p.pid)
	killGroup(p.pid) // its children too, as long as its number is not given to another
	state, err := p.cmd.Process.Wait()
	p.lifeline.Close()
	if err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	p.err = err
	close(p.gone)
	for _, r := range p.pipes {
		_ = r.SetReadDeadline(time.Now().Add(lastWords))
	}
}

// Wait is go-plugin's. It has read both pipes to their ends then.
func (p *process) Wait(context.Context) error {
	<-p.gone
	for _, l := range p.lines {
		l.flush()
		l.journal.over()
	}
	for _, r := range p.pipes {
		r.Close()
	}
	return p.err
}

// Kill ends it and its children at once.
func (p *process) Kill(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gone:
	default:
		if p.pid != 0 {
			killGroup(p.pid)
			_ = p.cmd.Process.Kill()
		}
	}
	return nil
}

func (p *process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return ""
	}
	return strconv.Itoa(p.pid)
}

func (p *process) Stdout() io.ReadCloser           { return p.stdout }
func (p *process) Stderr() io.ReadCloser           { return p.stderr }
func (p *process) Name() string                    { return "bot" }
func (p *process) Diagnose(context.Context) string { return "" }

func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
