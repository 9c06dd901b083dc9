package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/jail"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

const (
	startWithin = 3 * time.Second // until the handshake, and as long again until it says who it is
	killWithin  = 2 * time.Second // until a process that was told to end is killed
	goneWithin  = time.Second     // until a killed process is gone, or given up
)

// running is a bot's process with its stream, from its start to the end of the cleaning.
type running struct {
	found   *found
	scopes  []string
	as      string // what was chosen
	sight   *sight
	started time.Time
	took    time.Duration // to say who it is
	process *process
	client  *plugin.Client
	channel *channel
	about   *botv1.Describe
	dir     string       // of its sockets
	group   *jail.Cgroup // nil: none
	model   func()       // closes its model gateway
	served  chan error
	drain   context.CancelFunc // asks the desk to have it drained
	once    sync.Once
	cleaned chan struct{}
}

// grpcBot is the one plugin of a process, in go-plugin's words.
type grpcBot struct {
	plugin.NetRPCUnsupportedPlugin
}

func (grpcBot) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this side asks")
}

func (grpcBot) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return botv1.NewBotClient(conn), nil
}

// pluginEnv is all that a process finds in its environment, besides go-plugin's own.
func (h *Host) pluginEnv(dir string, memory int64) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir,
		botv1.LifelineKey + "=3",
		"GOMEMLIMIT=" + strconv.FormatInt(memory, 10),
	}
	for _, name := range []string{"LANG", "LC_ALL", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, h.cfg.Env...)
}

// launch starts a version and waits until it has said who it is. When it fails nothing
// is left of it.
func (b *bot) launch(f *found, seen *sight) (*running, error) {
	h := b.host
	r := &running{found: f, sight: seen, started: h.cfg.now(), served: make(chan error, 1), cleaned: make(chan struct{}), drain: func() {}, model: func() {}}
	spec := jail.Spec{Level: h.level, Filters: h.filters, Read: h.cfg.Readable, Files: stdFiles, Threads: stdThreads, Data: stdMemory}
	var err error
	switch {
	case f.builtIn():
		spec.Self, spec.Args, spec.Dir = true, append([]string{"troupe"}, h.cfg.SelfArgs(f.ID)...), "/"
	default:
		if err := f.approvedAs(h.lock.approval(f.ID, f.Version), &spec); err != nil {
			return nil, err
		}
		defer spec.File.Close()
	}
	memory := int64(spec.Data) * 45 / 100 // of what RLIMIT_DATA counts a Go program can use about the half
	if h.cfg.Unbounded {
		spec.Data = 0
	}
	if r.dir, err = h.socketDir(); err != nil {
		return nil, err
	}
	fail := func(err error) (*running, error) {
		r.clean()
		return nil, err
	}
	if h.groups != nil {
		if spec.Data > 0 {
			memory = int64(spec.Data) * 80 / 100
		}
		if r.group, err = h.bound(f, &spec); err != nil {
			return fail(err)
		}
		spec.Cgroup = r.group
	}
	spec.Write = []string{r.dir}
	if r.process, err = newProcess(b.journal); err != nil {
		return fail(err)
	}
	life, line, err := os.Pipe()
	if err != nil {
		r.process.closeAll()
		return fail(err)
	}
	r.process.lifeline = line
	spec.Extra = []*os.File{life}
	spec.Hide, spec.Show = h.hidden(), []string{r.dir}
	if !f.builtIn() {
		spec.Show = append(spec.Show, f.Dir)
	}
	r.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: botv1.Protocol, MagicCookieKey: botv1.CookieKey, MagicCookieValue: botv1.CookieValue},
		Plugins:          plugin.PluginSet{botv1.PluginName: grpcBot{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     startWithin,
		Logger:           hclog.NewNullLogger(),
		Stderr:           r.process.lines[1], SyncStdout: r.process.lines[0], SyncStderr: r.process.lines[1],
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: r.dir},
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(botv1.MaxMessage), grpc.MaxCallSendMsgSize(botv1.MaxMessage))},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
			defer life.Close() // the child has its own by then, or never will
			if err := os.Chown(sockets, jail.Owner(h.level), -1); err != nil {
				return nil, err
			}
			spec.Env = append(h.pluginEnv(r.dir, memory), cmd.Env...)
			c, opened, err := jail.Command(spec)
			if err != nil {
				return nil, err
			}
			r.process.cmd, r.process.opened = c, opened
			return startedAtOnce{r.process}, r.process.Start(context.Background())
		},
	})
	if err := r.connect(); err != nil {
		if r.process.ID() == "" {
			r.process.closeAll()
		}
		return fail(err)
	}
	r.took = h.cfg.now().Sub(r.started)
	return r, nil
}

// startedAtOnce is a process that is started already: what it inherits has to be open no
// longer than for that.
type startedAtOnce struct{ *process }

func (startedAtOnce) Start(context.Context) error { return nil }

// connect shakes hands, opens the stream and lets the bot say who it is.
func (r *running) connect() error {
	if _, err := r.client.Start(); err != nil {
		return fmt.Errorf("it did not start: %w", err)
	}
	timer := time.AfterFunc(startWithin, func() { _ = r.process.Kill(context.Background()) })
	defer timer.Stop()
	conn, err := r.client.Client() // waits for the process to answer
	if err != nil {
		return r.late(timer, err)
	}
	raw, err := conn.Dispense(botv1.PluginName)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := raw.(botv1.BotClient).Connect(ctx)
	if err != nil {
		cancel()
		return r.late(timer, err)
	}
	r.channel = newChannel(stream, cancel, r.sight)
	if r.about, err = r.channel.describe(); err != nil {
		return r.late(timer, fmt.Errorf("it did not say who it is: %w", err))
	}
	if !timer.Stop() {
		return r.late(timer, errors.New("it took too long to say who it is"))
	}
	return nil
}

// late says so when err is because of our own timer.
func (r *running) late(timer *time.Timer, err error) error {
	if !timer.Stop() {
		return fmt.Errorf("nothing came of it within %v", startWithin)
	}
	return err
}

// end ends the process, waits until nothing is left of it, 4 seconds at the most, and
// says whether that is so.
func (r *running) end() bool {
	r.once.Do(func() {
		go func() {
			defer close(r.cleaned)
			if r.channel != nil {
				r.channel.Close("")
			}
			r.clean()
		}()
	})
	select {
	case <-r.cleaned:
		return true
	case <-time.After(killWithin + 2*goneWithin):
		return false
	}
}

// clean tells the process to end, kills it when it does not, and takes its sockets away.
func (r *running) clean() {
	if r.process != nil && r.process.ID() != "" {
		killed := make(chan struct{})
		go func() { // it may wait for ever: go-plugin's own request has no deadline
			defer close(killed)
			r.client.Kill()
		}()
		timer := time.NewTimer(killWithin)
		select {
		case <-r.process.gone:
		case <-timer.C:
			_ = r.process.Kill(context.Background())
		}
		timer.Stop()
		select { // a process in the kernel's hands may take its time
		case <-r.process.gone:
		case <-time.After(goneWithin):
		}
		select {
		case <-killed:
		case <-time.After(goneWithin):
		}
	}
	r.model()
	r.group.End()
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}

// alive says whether the process is there.
func (r *running) alive() bool {
	select {
	case <-r.process.gone:
		return false
	default:
		return true
	}
}

func (r *running) pid() int {
	n, _ := strconv.Atoi(r.process.ID())
	return n
}

// approvedAs opens what was approved, or says what is not as it was then.
func (f *found) approvedAs(a *Approval, spec *jail.Spec) error {
	if a == nil {
		return errNeedsApproval{fmt.Errorf("version %s was not approved: troupe bot approve %s", f.Version, f.ID)}
	}
	if a.Manifest != f.Sum {
		return errNeedsApproval{fmt.Errorf("the manifest of version %s is another than the one that was approved: troupe bot approve %s", f.Version, f.ID)}
	}
	file, sum, err := f.open()
	if err != nil {
		return errBroken{err}
	}
	if sum != a.Binary {
		return errors.Join(errNeedsApproval{fmt.Errorf("the program of version %s is another than the one that was approved: troupe bot approve %s", f.Version, f.ID)}, file.Close())
	}
	b, err := f.Manifest.binary()
	if err != nil {
		return errors.Join(errBroken{err}, file.Close())
	}
	var head [2]byte
	if n, _ := file.ReadAt(head[:], 0); n == 2 && string(head[:]) == "#!" { // a script is opened again by its interpreter
		spec.Path = filepath.Join(f.Dir, b.Path)
	}
	spec.File, spec.Args, spec.Dir = file, []string{b.Path}, f.Dir
	spec.Data, spec.Files, spec.Threads = uint64(f.Manifest.Limits.Memory), uint64(f.Manifest.Limits.Files), uint64(f.Manifest.Limits.Processes)
	return nil
}

// serve gives the process to the desk, until its stream ends.
func (b *bot) serve(r *running, p desk.Plugin) {
	ctx, cancel := context.WithCancel(context.Background())
	r.drain = cancel
	go func() {
		defer cancel()
		r.served <- b.host.need.Desk.Serve(ctx, p, r.channel)
	}()
}
