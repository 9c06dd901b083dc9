package actors_test

import (
	"context"
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
	"github.com/troupe-im/troupe/pushctr"
)

// stage is a node over a real store in memory, and what a test does with it.
type stage struct {
	t     *testing.T
	fs    vfs.FS
	cfg   actors.Config
	store *pebblestore.Store
	node  *actors.Node
	wrap  func(actors.Journal) actors.Journal
	users actors.Users // nil: anybody
}

// anybody says that every id but those that begin with "nobody" is a user's.
type anybody struct{}

func (anybody) Unknown(_ context.Context, ids []protocol.UserID) (unknown []protocol.UserID, _ error) {
	for _, id := range ids {
		if len(id) >= 6 && id[:6] == "nobody" {
			unknown = append(unknown, id)
		}
	}
	return unknown, nil
}

func newStage(t *testing.T, cfg actors.Config) *stage {
	return wrappedStage(t, cfg, nil)
}

func wrappedStage(t *testing.T, cfg actors.Config, wrap func(actors.Journal) actors.Journal) *stage {
	s := &stage{t: t, cfg: cfg, wrap: wrap}
	s.begin()
	return s
}

// begin starts a stage that has what a test wants of it.
func (s *stage) begin() {
	s.fs = vfs.NewMem()
	if s.cfg.Rate == 0 {
		s.cfg.Rate = -1
	}
	s.start()
	s.t.Cleanup(s.stop)
}

func (s *stage) start() {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	}
	store, err := pebblestore.Open("data", pebblestore.Options{FS: s.fs, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	s.store = store
	var journal actors.Journal = store
	if s.wrap != nil {
		journal = s.wrap(journal)
	}
	users := s.users
	if users == nil {
		users = anybody{}
	}
	s.node = actors.New(s.cfg, journal, pushctr.NewLocal(), users, log)
}

func (s *stage) stop() {
	if s.node == nil {
		return
	}
	s.node.Drain(context.Background(), 0)
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	s.node = nil
}

// restart ends the node and starts another over the same store.
func (s *stage) restart() {
	s.stop()
	s.start()
}

// client is a connection with an eager other side: it keeps every frame.
type client struct {
	t      testing.TB
	user   protocol.UserID
	conn   *actors.Connection
	nextID int

	mu     sync.Mutex
	frames []*protocol.Frame
	kept   []*protocol.Frame // those that were waited for as well
	news   chan struct{}
	code   int
	closed bool
}

func (c *client) Deliver(frames []actors.Outgoing, _ *actors.Burst) {
	c.mu.Lock()
	for _, o := range frames {
		f := o.Frame
		if o.Shared != nil {
			var err error
			if f, err = protocol.DecodeJSON(o.Shared.AppendJSON(nil, o.To, o.Offset)); err != nil {
				c.t.Errorf("a frame that cannot be read: %v", err)
				continue
			}
		}
		c.frames, c.kept = append(c.frames, f), append(c.kept, f)
	}
	c.mu.Unlock()
	c.wake()
}

func (c *client) Close(code int, _ string) {
	c.mu.Lock()
	c.code, c.closed = code, true
	c.mu.Unlock()
	c.wake()
}

func (c *client) wake() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (s *stage) dial(user protocol.UserID, device string) *client {
	s.t.Helper()
	c := s.connect(user, device, nil)
	if r := c.welcome(); r.Errcode != 0 {
		s.t.Fatalf("auth: %v", r)
	}
	return c
}

func (s *stage) connect(user protocol.UserID, device string, resume *protocol.Resume) *client {
	c := &client{t: s.t, user: user, news: make(chan struct{}, 1)}
	c.conn = s.node.Connect(c, actors.Remote{Transport: "test"})
	c.conn.Authenticated(&protocol.Identity{User: user, Device: device, Login: "login-" + device, Platform: "web"},
		&protocol.Frame{Id: "auth", Body: &protocol.Frame_Auth{Auth: &protocol.Auth{Token: "t", Resume: resume}}})
	return c
}

// wait takes the next frame that is as match says; the others stay.
func (c *client) wait(what string, match func(*protocol.Frame) bool) *protocol.Frame {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		c.mu.Lock()
		if i := slices.IndexFunc(c.frames, match); i >= 0 {
			f := c.frames[i]
			c.frames = slices.Delete(c.frames, i, i+1)
			c.mu.Unlock()
			return f
		}
		c.mu.Unlock()
		select {
		case <-c.news:
		case <-deadline:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("%s waited for %s in vain; it has %v", c.user, what, c.frames)
		}
	}
}

func (c *client) welcome() *protocol.Frame {
	c.t.Helper()
	return c.wait("the answer to auth", func(f *protocol.Frame) bool { return f.GetAuthReply() != nil })
}

func (c *client) push(seq int64) *protocol.Entry {
	c.t.Helper()
	return c.wait(fmt.Sprint("push of seq ", seq), func(f *protocol.Frame) bool {
		return f.GetMsgPush() != nil && f.GetMsgPush().Seq == seq
	}).GetMsgPush()
}

// ask sends a request and gives its answer.
func (c *client) ask(f *protocol.Frame) *protocol.Frame {
	c.t.Helper()
	return c.answer(c.post(f))
}

func (c *client) post(f *protocol.Frame) string {
	c.nextID++
	f.Id = fmt.Sprint(c.nextID)
	c.conn.Tell(f)
	return f.Id
}

func (c *client) answer(id string) *protocol.Frame {
	c.t.Helper()
	return c.wait("the answer to "+id, func(f *protocol.Frame) bool { return f.Id == id })
}

func (c *client) must(f *protocol.Frame) *protocol.Frame {
	c.t.Helper()
	a := c.ask(f)
	if a.Errcode != 0 {
		c.t.Fatalf("%s: %s: %s", f.Type(), a.Code, a.Error)
	}
	return a
}

func (c *client) refused(f *protocol.Frame, code protocol.Code) {
	c.t.Helper()
	if a := c.ask(f); a.Errcode != int32(code) {
		c.t.Errorf("%s is answered %s %q, want %s", f.Type(), a.Code, a.Error, code.Word())
	}
}

// pushes are those that have come and nobody asked for.
func (c *client) pushes() (seqs []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		if p := f.GetMsgPush(); p != nil {
			seqs = append(seqs, p.Seq)
		}
	}
	return seqs
}

func (c *client) hangUp() { c.conn.Gone("test") }

func (c *client) p2p(with protocol.UserID) protocol.SessionID {
	c.t.Helper()
	return c.create(protocol.SessionType_P2P, with)
}

func (c *client) create(typ protocol.SessionType, members ...protocol.UserID) protocol.SessionID {
	c.t.Helper()
	a := c.must(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: typ, Members: members}}})
	return a.GetSessionCreateReply().Result[0]
}

func text(s string) *protocol.Content {
	return &protocol.Content{Type: protocol.ContentType_TEXT, Text: s}
}

func send(session protocol.SessionID, id, what string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: session, ClientMsgId: id, Content: text(what)}}}
}

func (c *client) send(session protocol.SessionID, id, what string) *protocol.MsgSendReply {
	c.t.Helper()
	return c.must(send(session, id, what)).GetMsgSendReply()
}

func read(session protocol.SessionID, seq int64) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgRead{MsgRead: &protocol.MsgRead{Session: session, Seq: seq}}}
}

func (c *client) history(session protocol.SessionID) []*protocol.Entry {
	c.t.Helper()
	var all []*protocol.Entry
	after := int64(0)
	for {
		a := c.must(&protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, AfterSeq: &after, Limit: 50}}}).GetSyncReply()
		all = append(all, a.Messages...)
		if !a.HasMore {
			return all
		}
		after = all[len(all)-1].Seq
	}
}

// row is the user's row of a session in the home list, nil: none.
func (c *client) row(session protocol.SessionID) *protocol.SessionHead {
	c.t.Helper()
	a := c.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Limit: 200}}}).GetSessionListReply()
	i := slices.IndexFunc(a.Sessions, func(h *protocol.SessionHead) bool { return h.Session == session })
	if i < 0 {
		return nil
	}
	return a.Sessions[i]
}

// eventually polls until ok says so: what is asserted is reached by actors that nobody can wait for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
