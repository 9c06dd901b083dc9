package desk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
	"github.com/troupe-im/troupe/pushctr"
)

// stage is a desk beside a real node over a real store in memory.
type stage struct {
	t     testing.TB
	store *pebblestore.Store
	node  *actors.Node
	desks *desk.Desks
	told  *told
	now   func() time.Time
}

// told is what a node was told besides frames.
type told struct {
	*actors.Node
	mu       sync.Mutex
	drafts   []*actors.Draft
	whispers []*protocol.MsgWhisper
	seen     map[protocol.UserID]string
}

func (n *told) Draft(d *actors.Draft) {
	n.mu.Lock()
	n.drafts = append(n.drafts, d)
	n.mu.Unlock()
	n.Node.Draft(d)
}

func (n *told) Whisper(ctx context.Context, w *protocol.MsgWhisper, to protocol.UserID) error {
	err := n.Node.Whisper(ctx, w, to)
	if err == nil {
		n.mu.Lock()
		n.whispers = append(n.whispers, w)
		n.mu.Unlock()
	}
	return err
}

func (n *told) Attend(user protocol.UserID, status string) {
	n.mu.Lock()
	n.seen[user] = status
	n.mu.Unlock()
	n.Node.Attend(user, status)
}

func (n *told) whispered() (texts []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.whispers {
		texts = append(texts, w.Content.Text)
	}
	return texts
}

// crowd is everybody: a user's name is its id.
type crowd struct{}

func (crowd) Unknown(context.Context, []protocol.UserID) ([]protocol.UserID, error) { return nil, nil }
func (crowd) EnsureBot(context.Context, desk.Persona) error                         { return nil }
func (crowd) Profiles(_ context.Context, ids []protocol.UserID) (all []*protocol.Profile, _ error) {
	for _, id := range ids {
		kind := "human"
		if protocol.IsBot(id) {
			kind = "bot"
		}
		p := &protocol.Profile{UserId: id, Nickname: id, Kind: kind}
		if id == "yan" {
			p.Fields = map[string]string{"locale": "zh-TW"}
		}
		all = append(all, p)
	}
	return all, nil
}

// quick are the settings of most tests: nothing is waited for.
var quick = desk.Config{SessionRate: -1, Retry: time.Millisecond, Flush: 20 * time.Millisecond}

func newStage(t testing.TB, cfg desk.Config) *stage {
	s := &stage{t: t}
	fs := vfs.NewMem()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var err error
	if s.store, err = pebblestore.Open("data", pebblestore.Options{FS: fs, Log: log}); err != nil {
		t.Fatal(err)
	}
	s.node = actors.New(actors.Config{Rate: -1}, s.store, pushctr.NewLocal(), crowd{}, log)
	s.told = &told{Node: s.node, seen: map[protocol.UserID]string{}}
	s.desks = desk.New(cfg, desk.Needs{Actors: s.told, Users: crowd{}, Store: s.store, Log: log, Now: s.now})
	s.node.UseRobots(s.desks)
	t.Cleanup(func() {
		s.node.Drain(context.Background(), 0)
		s.desks.Close()
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// eventually waits until ok, which nothing but a fault keeps from coming.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// as does a frame for a person.
func (s *stage) as(user protocol.UserID, f *protocol.Frame) (*protocol.Frame, error) {
	return s.node.Ask(context.Background(), protocol.Identity{User: user, Device: "d"}, f)
}

func (s *stage) must(user protocol.UserID, f *protocol.Frame) *protocol.Frame {
	s.t.Helper()
	a, err := s.as(user, f)
	if err != nil {
		s.t.Fatalf("%s: %s: %v", user, f.Type(), err)
	}
	return a
}

// create makes a session of ann's.
func (s *stage) create(typ protocol.SessionType, members ...string) protocol.SessionID {
	s.t.Helper()
	a := s.must("ann", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: typ, Members: members, Name: "x"}}})
	return a.GetSessionCreateReply().Result[0]
}

func (s *stage) p2p(bot string) protocol.SessionID {
	s.t.Helper()
	return s.create(protocol.SessionType_P2P, bot)
}

var sent struct {
	sync.Mutex
	n int
}

func (s *stage) say(user, session, text string, change ...func(*protocol.MsgSend)) *protocol.MsgSendReply {
	s.t.Helper()
	sent.Lock()
	sent.n++
	id := fmt.Sprint("m", sent.n)
	sent.Unlock()
	m := &protocol.MsgSend{Session: session, ClientMsgId: id, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}}
	for _, f := range change {
		f(m)
	}
	return s.must(user, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: m}}).GetMsgSendReply()
}

func mention(users ...string) func(*protocol.MsgSend) {
	return func(m *protocol.MsgSend) { m.Mentions = users }
}

func answering(message string) func(*protocol.MsgSend) {
	return func(m *protocol.MsgSend) { m.ReplyTo = message }
}

func data(typ protocol.ContentType, data string) func(*protocol.MsgSend) {
	return func(m *protocol.MsgSend) { m.Content.Type, m.Content.Data = typ, data }
}

// log reads all of a session as ann.
func (s *stage) log(session string) (all []*protocol.Entry) {
	s.t.Helper()
	for after := int64(0); ; {
		r := s.must("ann", &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, AfterSeq: &after}}}).GetSyncReply()
		if len(r.Messages) == 0 {
			return all
		}
		all = append(all, r.Messages...)
		after = all[len(all)-1].Seq
	}
}

// texts are what somebody said in a session.
func (s *stage) texts(session, user string) (texts []string) {
	s.t.Helper()
	for _, e := range s.log(session) {
		if e.Kind == protocol.Kind_MESSAGE && e.Sender == user {
			texts = append(texts, e.Content.GetText())
		}
	}
	return texts
}

func (s *stage) saysInTheEnd(session, user string, want ...string) {
	s.t.Helper()
	var got []string
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s said %q, want %q", user, got, want)
		}
	}()
	eventually(s.t, fmt.Sprintf("%s says %q", user, want), func() bool { got = s.texts(session, user); return slices.Equal(got, want) })
}

// wire is a channel whose bot's end is a test's. cut ends it as a crash does.
type wire struct {
	down chan *botv1.HostFrame // to the bot
	up   chan *botv1.BotFrame
	cut  chan struct{}
	once sync.Once
}

func newWire() *wire {
	return &wire{down: make(chan *botv1.HostFrame, 16), up: make(chan *botv1.BotFrame, 16), cut: make(chan struct{})}
}

var errCut = errors.New("the channel was cut")

func (w *wire) Send(ctx context.Context, f *botv1.HostFrame) error {
	select {
	case <-w.cut:
		return errCut
	default:
	}
	select {
	case w.down <- f:
		return nil
	case <-w.cut:
		return errCut
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *wire) Recv() (*botv1.BotFrame, error) {
	select {
	case <-w.cut:
		return nil, errCut
	default:
	}
	select {
	case f := <-w.up:
		return f, nil
	case <-w.cut:
		return nil, errCut
	}
}

func (w *wire) Close(string) { w.once.Do(func() { close(w.cut) }) }

// send says something as the bot; false: the channel is cut.
func (w *wire) send(f *botv1.BotFrame) bool {
	select {
	case <-w.cut:
		return false
	default:
	}
	select {
	case w.up <- f:
		return true
	case <-w.cut:
		return false
	}
}

func (w *wire) ack(a *botv1.Ack) bool {
	return w.send(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: a}})
}
func (w *wire) call(c *botv1.Call) bool {
	return w.send(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: c}})
}

func post(event string, n uint32, text string) *botv1.Call {
	return &botv1.Call{Event: event, Do: &botv1.Call_Post{Post: &botv1.Post{N: n, Text: text}}}
}

// robot is a bot as a test has it: what it does with each frame.
type robot struct {
	says   *botv1.Describe
	plugin desk.Plugin
	on     func(w *wire, e *botv1.Event) // nil: it acknowledges
	frame  func(w *wire, f *botv1.HostFrame) bool
}

// all are the scopes that a test's bot has.
var all = []string{"write", "kv", "history", "members", "files", "schedule", "handoff", "tools", "model", "moderate", "read.all", "invite", "bots.read", "hooks"}

func aBot(id string, scopes ...string) *robot {
	if scopes == nil {
		scopes = []string{"write", "kv", "history", "members", "schedule", "handoff", "tools"}
	}
	return &robot{
		says:   &botv1.Describe{Protocol: 1, Id: id, Version: "1", Scopes: scopes},
		plugin: desk.Plugin{ID: id, Scopes: scopes},
	}
}

// visit is one channel of a robot's at the desk.
type visit struct {
	*wire
	welcome chan *botv1.Welcome
	done    chan struct{}
	err     error
	stop    context.CancelFunc
}

// serve lets the robot in, and works for it until its channel ends.
func (s *stage) serve(r *robot) *visit {
	v := &visit{wire: newWire(), welcome: make(chan *botv1.Welcome, 1), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	go func() {
		v.err = s.desks.Serve(ctx, r.plugin, v.wire)
		close(v.done)
	}()
	go r.run(v)
	s.t.Cleanup(func() {
		v.Close("the test is over")
		<-v.done
	})
	return v
}

// enter is serve, once the bot was let in.
func (s *stage) enter(r *robot) *visit {
	s.t.Helper()
	v := s.serve(r)
	select {
	case <-v.welcome:
	case <-v.done:
		s.t.Fatalf("the bot was not let in: %v", v.err)
	}
	return v
}

func (r *robot) run(v *visit) {
	v.send(&botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: r.says}})
	for {
		var f *botv1.HostFrame
		select {
		case f = <-v.down:
		case <-v.cut:
			return
		}
		if r.frame != nil && r.frame(v.wire, f) {
			continue
		}
		switch m := f.Body.(type) {
		case *botv1.HostFrame_Welcome:
			v.welcome <- m.Welcome
		case *botv1.HostFrame_Ping:
			v.send(&botv1.BotFrame{Body: &botv1.BotFrame_Pong{Pong: &botv1.Pong{N: m.Ping.N}}})
		case *botv1.HostFrame_Drain:
			v.send(&botv1.BotFrame{Body: &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}})
		case *botv1.HostFrame_Event:
			if r.on == nil {
				v.ack(&botv1.Ack{Event: m.Event.Id})
			} else {
				r.on(v.wire, m.Event)
			}
		}
	}
}

// echo says what it hears.
func echo(w *wire, e *botv1.Event) {
	if e.Kind == "message" {
		w.call(post(e.Id, 1, "echo "+e.Text))
	}
	w.ack(&botv1.Ack{Event: e.Id})
}
