package conformance_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
	"github.com/troupe-im/troupe/plugins/sdk/conformance"
)

// The test's binary, started as a plugin, is the conformance bot.
func TestMain(m *testing.M) {
	if os.Getenv(botv1.CookieKey) == botv1.CookieValue {
		sdk.Serve(conformance.Bot())
	}
	os.Exit(m.Run())
}

func goBot(t testing.TB) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(self)
}

func TestTheGoSDKAsAProcess(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Channel { return start(t, goBot(t)) })
	endings(t, goBot)
}

// endings checks when a bot's process ends, and when it does not.
func endings(t *testing.T, command func(testing.TB) *exec.Cmd) {
	t.Run("It_ends_with_its_stream", func(t *testing.T) {
		p := start(t, command(t))
		p.meet(t)
		p.cancel()
		p.gone(t)
	})
	t.Run("It_ends_with_its_lifeline", func(t *testing.T) {
		p := start(t, command(t))
		p.meet(t)
		_ = p.lifeline.Close()
		p.gone(t)
	})
	t.Run("It_does_not_end_by_an_interrupt", func(t *testing.T) {
		p := start(t, command(t))
		p.meet(t)
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := p.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Ping{Ping: &botv1.Ping{N: 7}}}); err != nil {
			t.Fatal(err)
		}
		if f, err := p.Recv(); err != nil || f.GetPong().GetN() != 7 {
			t.Errorf("after an interrupt: %v, %v", f, err)
		}
	})
	t.Run("Without_the_cookie_it_says_what_it_is", func(t *testing.T) {
		if len(command(t).Args) == 1 {
			t.Skip("it is this test then")
		}
		cmd := command(t)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "troupe bot dev") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// process is a bot's process as a Channel.
type process struct {
	sending  sync.Mutex // put
	cmd      *exec.Cmd
	client   *plugin.Client
	stream   botv1.Bot_ConnectClient
	cancel   context.CancelFunc
	lifeline io.Closer
	stderr   *tail
}

// start starts a bot's process as the host does.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "bot")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{r}
	cmd.Env = append(os.Environ(), botv1.LifelineKey+"=3", "PLUGIN_UNIX_SOCKET_DIR="+dir)
	p := &process{cmd: cmd, lifeline: w, stderr: &tail{}, cancel: func() {}}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: sdk.Handshake, Plugins: sdk.Plugins(), Cmd: cmd, AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger: hclog.NewNullLogger(), SyncStdout: io.Discard, SyncStderr: io.Discard, Stderr: p.stderr, StartTimeout: 30 * time.Second,
	})
	t.Cleanup(func() {
		p.Close("the test is over")
		_ = w.Close()
		if cmd.Process != nil {
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
		p.client.Kill()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("the bot's log: %s", p.stderr)
		}
	})
	rpc, err := p.client.Client()
	_ = r.Close()
	if err != nil {
		t.Fatalf("the bot does not start: %v\n%s", err, p.stderr)
	}
	if err := rpc.Ping(); err != nil {
		t.Fatalf("the bot has no health: %v", err)
	}
	bot, err := rpc.Dispense(botv1.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	if p.stream, err = bot.(botv1.BotClient).Connect(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// meet does the handshake.
func (p *process) meet(t testing.TB) {
	t.Helper()
	if f, err := p.Recv(); err != nil || f.GetDescribe() == nil {
		t.Fatalf("instead of Describe: %v, %v", f, err)
	}
	if err := p.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{Protocol: 1}}}); err != nil {
		t.Fatal(err)
	}
}

// gone waits until the process has ended by itself.
func (p *process) gone(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !p.client.Exited(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the process does not end")
		}
	}
}

func (p *process) Send(_ context.Context, f *botv1.HostFrame) error { return p.stream.Send(f) }
func (p *process) Recv() (*botv1.BotFrame, error)                   { return p.stream.Recv() }
func (p *process) Close(string)                                     { p.cancel() }

// tail is the last of what a process logs.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b.Len() > 1<<20 {
		t.b.Reset()
	}
	return t.b.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
