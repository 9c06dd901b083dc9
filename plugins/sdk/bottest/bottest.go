// Package bottest runs a bot inside a test, with a host that keeps everything in memory
// and whose clock is turned by hand:
//
//	func TestItGreets(t *testing.T) {
//		h := bottest.New(t, bot())
//		h.Say("hi").Expect("Hello Ann")
//	}
//
// What one does with a Host is given to the bot as the real host would give it; the
// answer, a Turn, has what the bot said until it acknowledged the event. A test takes a
// few milliseconds, and passes the race detector.
package bottest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Start is what the clock says when a test begins: a Monday.
var Start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Config is how the installation is. Zero fields mean what is written beside them.
type Config struct {
	Locale  string            // en
	Scopes  []string          // granted; nil: all that the bot asks for
	Config  string            // JSON of the bot's settings
	Secrets map[string]string // what Ctx.Secret finds
	Model   http.Handler      // what Ctx.Model reaches; nil: none
	Web     http.Handler      // what Ctx.Fetch reaches, whatever the address; nil: nothing
	Tools   []Tool            // commands of other bots
	Log     io.Writer         // where the bot's log goes; nil: the test's
}

// Tool is a command of another bot.
type Tool struct {
	Name        string // BOT__COMMAND
	Help        string
	Schema      string
	Destructive bool
	Run         func(args string) string
}

// Host is the host of one bot, seen by one person in one session: Ann, who talks to the
// bot alone. In and By give other views of the same.
type Host struct {
	*world
	session string
	who     string
}

// New starts a bot.
func New(t testing.TB, b *sdk.Bot) *Host {
	return Config{}.New(t, b)
}

// New starts a bot in an installation like that.
func (c Config) New(t testing.TB, b *sdk.Bot) *Host {
	t.Helper()
	w := &world{
		t: t, bot: b, config: c, now: Start, sessions: map[string]*session{}, kv: map[string]map[string]*item{},
		schedules: map[string]*botv1.Schedule{}, files: map[string]*botv1.FileData{}, hooks: map[string][]*botv1.Hook{}, posts: map[string]*Message{},
		turns: map[string]*Turn{}, verdicts: map[uint64]chan *botv1.Verdict{},
	}
	if c.Model != nil {
		w.socket = serveModel(t, c.Model)
	}
	w.start()
	t.Cleanup(w.stop)
	return &Host{world: w, session: "ann", who: "ann"}
}

// In is the host seen from a session. A session comes to be when it is named: one named
// like a person is that person's with the bot, all others are groups with Ann and Bob.
func (h *Host) In(session string) *Host {
	v := *h
	v.session = session
	return &v
}

// By is the host seen by a person. In a group named before, that one is a member from now on.
func (h *Host) By(who string) *Host {
	v := *h
	v.who = who
	if v.session == h.who {
		v.session = who
	}
	return &v
}

// serveModel has handler answer on a unix socket.
func serveModel(t testing.TB, handler http.Handler) string {
	dir, err := os.MkdirTemp("", "bot") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/model")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return dir + "/model"
}

// conn is the bot's way to the world: every frame is marshalled, as on a wire.
type conn struct {
	w   *world
	mu  sync.Mutex
	in  []*botv1.HostFrame
	at  *sync.Cond
	eof bool
}

func (c *conn) Recv() (*botv1.HostFrame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.in) == 0 && !c.eof {
		c.at.Wait()
	}
	if c.eof {
		return nil, io.EOF
	}
	f := c.in[0]
	c.in = c.in[1:]
	return f, nil
}

func (c *conn) Send(f *botv1.BotFrame) error {
	g := new(botv1.BotFrame)
	if err := copyFrame(f, g); err != nil {
		return err
	}
	c.mu.Lock()
	eof := c.eof
	c.mu.Unlock()
	if eof {
		return io.EOF
	}
	c.w.frame(c, g)
	return nil
}

func (c *conn) give(f *botv1.HostFrame) {
	g := new(botv1.HostFrame)
	if err := copyFrame(f, g); err != nil {
		c.w.t.Errorf("the host's frame can't be sent: %v", err)
		return
	}
	c.mu.Lock()
	c.in = append(c.in, g)
	c.mu.Unlock()
	c.at.Signal()
}

func (c *conn) end() {
	c.mu.Lock()
	c.eof = true
	c.mu.Unlock()
	c.at.Signal()
}

func copyFrame(from, to proto.Message) error {
	b, err := proto.Marshal(from)
	if err != nil {
		return err
	}
	return proto.Unmarshal(b, to)
}

// start runs the bot and waits until it has introduced itself.
func (w *world) start() {
	c := &conn{w: w}
	c.at = sync.NewCond(&c.mu)
	var log io.Writer = w.config.Log
	if log == nil {
		log = testLog{w.t}
	}
	ended := make(chan error, 1)
	w.mu.Lock()
	w.conn, w.ended, w.welcomed = c, ended, make(chan struct{})
	welcomed := w.welcomed
	w.mu.Unlock()
	go func() {
		ended <- sdk.Runner{
			Bot: w.bot, Clock: w.clock,
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}.Run(context.Background(), c)
		close(ended)
	}()
	select {
	case <-welcomed:
	case err := <-ended:
		w.t.Fatalf("the bot did not start: %v", err)
	case <-time.After(patience):
		w.t.Fatal("the bot did not introduce itself")
	}
}

// stop ends the connection, and with it the bot.
func (w *world) stop() {
	w.mu.Lock()
	c, ended := w.conn, w.ended
	w.mu.Unlock()
	c.end()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, io.EOF) {
			w.t.Errorf("the bot ended with %v", err)
		}
	case <-time.After(patience):
		w.t.Error("a function of the bot's goes on although its context has ended")
	}
}

// patience is how long a test waits for a bot that does nothing.
const patience = 10 * time.Second

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// welcome answers the bot's introduction.
func (w *world) welcome(c *conn, d *botv1.Describe) {
	w.describe = d
	scopes := w.config.Scopes
	if scopes == nil {
		scopes = append([]string{"write"}, d.Scopes...) // which every bot asks for
	}
	w.scopes = scopes
	welcome := &botv1.Welcome{
		Protocol: 1, Config: w.config.Config, Scopes: scopes, ModelSocket: w.socket, ModelToken: "token",
		Locale: cmp.Or(w.config.Locale, "en"), HostVersion: "bottest",
	}
	for _, p := range d.Personas {
		user := "b_" + d.Id
		if p.Handle != "" {
			user += "." + p.Handle
		}
		welcome.Selves = append(welcome.Selves, &botv1.Self{Handle: p.Handle, User: user, Name: p.Name})
	}
	w.selves = welcome.Selves
	c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: welcome}})
	close(w.welcomed)
}

// Describe is what the bot said of itself.
func (h *Host) Describe() *botv1.Describe { return h.describe }

// Now is what the clock says.
func (h *Host) Now() time.Time { return h.clock() }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func user(who string) string {
	if strings.HasPrefix(who, "b_") || strings.HasPrefix(who, "u_") {
		return who
	}
	return "u_" + who
}

// name is a person as others see them: Ann for ann.
func name(who string) string {
	who = strings.TrimPrefix(who, "u_")
	if who == "" {
		return ""
	}
	return strings.ToUpper(who[:1]) + who[1:]
}

func id(kind string, n int) string { return fmt.Sprintf("%s%d", kind, n) }
