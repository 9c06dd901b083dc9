package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams"
	"github.com/troupe-im/troupe/internal/redisstreams/redistest"
)

// troupe is several nodes over one store and one Redis.
type troupe struct {
	t     *testing.T
	redis string
	store actors.Journal
	wires *wires        // nil: protoactor's remote
	wait  time.Duration // for other nodes
	log   *slog.Logger
}

// part is one of them.
type part struct {
	*stage
	streams *redisstreams.Streams
	way     *way // to Redis
	members actors.Members
	cut     atomic.Bool // nothing of it arrives any more
	outs    chan error
	ended   bool
}

func newTroupe(t *testing.T) *troupe {
	t.Helper()
	address, _ := redistest.Start(t)
	tr := &troupe{t: t, redis: address, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if testing.Verbose() {
		tr.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	tr.store = newStage(t, actors.Config{}).store // which outlives all nodes
	if underRace {                                // protoactor's remote has races of its own
		tr.wires = &wires{to: map[string]func(*peers.Envelope){}}
	}
	return tr
}

// wires bring envelopes within a process, as the remote does it between two.
type wires struct {
	mu   sync.Mutex
	last int
	to   map[string]func(*peers.Envelope)
}

func (w *wires) Send(address string, e *peers.Envelope) {
	w.mu.Lock()
	take := w.to[address]
	w.mu.Unlock()
	if take != nil {
		take(&peers.Envelope{Kind: e.Kind, Body: slices.Clone(e.Body)})
	}
}

// start adds a node.
func (tr *troupe) start(cfg actors.Config) *part {
	tr.t.Helper()
	p := &part{outs: make(chan error, 1), way: newWay(tr.t, tr.redis)}
	c, err := redisstreams.ParseURL("redis://" + p.way.Addr().String())
	if err != nil {
		tr.t.Fatal(err)
	}
	if p.streams, err = redisstreams.Open(context.Background(), c, tr.log); err != nil {
		tr.t.Fatal(err)
	}
	cfg.Rate, cfg.Attendance = -1, p.streams.Attendance()
	n := actors.New(cfg, tr.store, p.streams, anybody{}, tr.log)
	p.stage = &stage{t: tr.t, node: n}
	p.members = p.streams.Members("k")
	err = n.JoinCluster(context.Background(), actors.Cluster{Wait: tr.wait, Members: p.members, Listen: func(take func(*peers.Envelope)) (peers.Transport, string, error) {
		return tr.listen(p, take)
	}, Out: func(why error) { p.outs <- why }})
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { p.end(context.Background()) })
	return p
}

// way is a way to somewhere that can be shut.
type way struct {
	net.Listener
	to    string
	mu    sync.Mutex
	is    bool // shut
	conns map[net.Conn]bool
}

func newWay(t *testing.T, to string) *way {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{Listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); w.shut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

func (w *way) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer out.Close()
	w.mu.Lock()
	shut := w.is
	w.conns[in] = true
	w.mu.Unlock()
	if shut {
		return
	}
	go func() {
		io.Copy(out, in)
		out.Close()
	}()
	io.Copy(in, out)
}

func (w *way) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.is = true
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

func (w *way) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.is = false
}

// severed is a transport that a test can cut.
type severed struct {
	peers.Transport
	part *part
}

func (s severed) Send(address string, e *peers.Envelope) {
	if !s.part.cut.Load() {
		s.Transport.Send(address, e)
	}
}

func (s severed) Close() {
	if c, ok := s.Transport.(interface{ Close() }); ok {
		c.Close()
	}
}

func (tr *troupe) listen(p *part, take func(*peers.Envelope)) (peers.Transport, string, error) {
	some := func(e *peers.Envelope) {
		if !p.cut.Load() {
			take(e)
		}
	}
	if tr.wires != nil {
		tr.wires.mu.Lock()
		defer tr.wires.mu.Unlock()
		tr.wires.last++
		address := fmt.Sprint("wire:", tr.wires.last)
		tr.wires.to[address] = some
		return severed{tr.wires, p}, address, nil
	}
	r, err := peers.Listen(peers.RemoteConfig{Listen: "127.0.0.1:0", Log: tr.log}, some)
	if err != nil {
		return nil, "", err
	}
	return severed{r, p}, r.Address(), nil
}

// end drains the node.
func (p *part) end(ctx context.Context) {
	if p.ended {
		return
	}
	p.ended = true
	p.node.Drain(ctx, 0)
	if err := p.streams.Close(); err != nil {
		p.t.Error(err)
	}
}

// dies has the node vanish from the others' sight, as if it were cut off: it goes on, and
// does not know.
func (p *part) dies() {
	p.cut.Store(true)
	p.way.shut()
}

// together waits until all of them see each other.
func together(t *testing.T, all ...*part) {
	t.Helper()
	eventually(t, "the nodes see each other", func() bool {
		for _, p := range all {
			s, ok := p.node.ClusterState()
			if !ok || len(s.Members) != len(all) {
				return false
			}
		}
		return true
	})
}

// at gives the one of all that has a session.
func at(t *testing.T, id string, all ...*part) *part {
	t.Helper()
	var found *part
	for _, p := range all {
		if p.node.Owns(id) {
			if found != nil {
				t.Fatalf("two nodes own %s", id)
			}
			found = p
		}
	}
	if found == nil {
		t.Fatalf("nobody owns %s", id)
	}
	return found
}

// sends says that a message is taken in the end: what is BUSY is sent again, as clients do.
func (c *client) sends(session protocol.SessionID, id, what string) *protocol.MsgSendReply {
	c.t.Helper()
	for range 50 {
		a := c.ask(send(session, id, what))
		if a.Errcode == 0 {
			return a.GetMsgSendReply()
		}
		if protocol.Code(a.Errcode) != protocol.Code_BUSY {
			c.t.Fatalf("message %s: %s: %s", id, a.Code, a.Error)
		}
	}
	c.t.Fatalf("message %s is never taken", id)
	return nil
}

func TestThreeNodesShowOneOrder(t *testing.T) {
	tr := newTroupe(t)
	nodes := []*part{tr.start(actors.Config{}), tr.start(actors.Config{}), tr.start(actors.Config{})}
	together(t, nodes...)
	var people []*client
	names := []string{"ann", "bob", "cid"}
	for i, p := range nodes {
		people = append(people, p.dial(names[i], "1"))
	}
	for round := range 6 { // sessions at each of them
		session := ""
		for session == "" || at(t, session, nodes...) != nodes[round/2] {
			session = people[round%3].create(protocol.SessionType_GROUP, names...)
		}
		for _, c := range people {
			eventually(t, "the session is in everybody's list", func() bool { return c.row(session) != nil })
		}
		const each = 50
		var all sync.WaitGroup
		for _, c := range people {
			all.Go(func() {
				var ids []string
				for i := range each {
					ids = append(ids, c.post(send(session, fmt.Sprint(c.user, i), "hello")))
				}
				last := int64(0)
				for _, id := range ids {
					a := c.answer(id)
					if a.Errcode != 0 {
						t.Errorf("%s: %s: %s", c.user, a.Code, a.Error)
						return
					}
					if seq := a.GetMsgSendReply().Seq; seq <= last {
						t.Errorf("%s: seq %d comes after %d", c.user, seq, last)
					} else {
						last = seq
					}
				}
			})
		}
		all.Wait()
		want := fmt.Sprint(logOf(people[0], session))
		for _, c := range people[1:] {
			if got := fmt.Sprint(logOf(c, session)); got != want {
				t.Errorf("%s sees %s, %s sees %s", people[0].user, want, c.user, got)
			}
		}
		if n := len(logOf(people[0], session)); n != 3*each {
			t.Errorf("%d messages, want %d", n, 3*each)
		}
		for _, c := range people { // live as well
			for _, other := range names {
				if other != c.user {
					id := fmt.Sprint(other, each-1)
					c.wait("the last one of "+other, func(f *protocol.Frame) bool {
						return f.GetMsgPush().GetClientMsgId() == id && f.GetMsgPush().GetSession() == session
					})
				}
			}
		}
	}
}

// logOf is what a session says, by client message ids in order.
func logOf(c *client, session protocol.SessionID) (ids []string) {
	for _, e := range c.history(session) {
		if e.Kind == protocol.Kind_MESSAGE {
			ids = append(ids, e.ClientMsgId)
		}
	}
	return ids
}

// sessionAt makes a group that p has.
func sessionAt(t *testing.T, c *client, p *part, members ...protocol.UserID) protocol.SessionID {
	t.Helper()
	for range 100 {
		id := c.create(protocol.SessionType_GROUP, members...)
		if p.node.Owns(id) {
			return id
		}
	}
	t.Fatal("a node that owns nothing")
	return ""
}

func TestASessionOfANodeThatDiesGoesOnElsewhere(t *testing.T) {
	tr := newTroupe(t)
	one, two, three := tr.start(actors.Config{}), tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two, three)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	session := sessionAt(t, ann, three, "bob")
	for i := range 20 {
		ann.sends(session, fmt.Sprint("a", i), "before")
	}
	var pending []string
	three.dies()
	began := time.Now()
	for i := range 20 { // on their way to a node that does not answer
		pending = append(pending, ann.post(send(session, fmt.Sprint("b", i), "meanwhile")))
	}
	for i, id := range pending {
		if a := ann.answer(id); a.Errcode != 0 {
			t.Errorf("message b%d: %s: %s", i, a.Code, a.Error)
		}
	}
	t.Logf("answered again after %s", time.Since(began).Round(10*time.Millisecond))
	select {
	case <-three.outs:
	case <-time.After(time.Millisecond): // it is cut off: nobody can tell it
	}
	bob.sends(session, "c", "after")
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("a", i))
	}
	for i := range 20 {
		want = append(want, fmt.Sprint("b", i))
	}
	if got := logOf(bob, session); !slices.Equal(got, append(want, "c")) {
		t.Errorf("the log has %v", got)
	}
	eventually(t, "it is given up", func() bool { state, _ := one.node.ClusterState(); return len(state.Members) == 2 })
	three.cut.Store(false)
	three.way.open()
	select {
	case <-three.outs: // it learns that it was given up
	case <-time.After(30 * time.Second):
		t.Error("a node that was given up does not know")
	}
	three.ended = true // it would drain into a store that others have taken over
	go three.node.Drain(canceled(), 0)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestNodesThatComeAndGoLoseNothing(t *testing.T) {
	tr := newTroupe(t)
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	var sessions []protocol.SessionID
	for range 8 {
		sessions = append(sessions, ann.create(protocol.SessionType_GROUP, "bob"))
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	var longest atomic.Int64
	sent := make(map[string]int)
	for _, c := range []*client{ann, bob} {
		for _, s := range sessions {
			eventually(t, "the session is in the list", func() bool { return c.row(s) != nil })
		}
	}
	var mu sync.Mutex
	for _, c := range []*client{ann, bob} {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s := sessions[i%len(sessions)]
				began := time.Now()
				a := c.ask(send(s, fmt.Sprint(c.user, i), "hello"))
				for {
					if was := longest.Load(); int64(time.Since(began)) <= was || longest.CompareAndSwap(was, int64(time.Since(began))) {
						break
					}
				}
				if a.Errcode != 0 {
					t.Errorf("message %d of %s: %s: %s", i, c.user, a.Code, a.Error)
					return
				}
				mu.Lock()
				sent[s]++
				mu.Unlock()
			}
		})
	}
	for range 3 {
		three := tr.start(actors.Config{})
		together(t, one, two, three)
		mu.Lock()
		before := len(sent)
		mu.Unlock()
		_ = before
		three.end(context.Background())
		together(t, one, two)
	}
	close(stop)
	all.Wait()
	t.Logf("the longest answer took %s", time.Duration(longest.Load()).Round(time.Millisecond))
	total := 0
	for _, s := range sessions {
		ids := logOf(ann, s)
		total += len(ids)
		if len(ids) != sent[s] {
			t.Errorf("session %s has %d messages, %d were acknowledged", s, len(ids), sent[s])
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != sent[s] {
			t.Errorf("session %s shows a message twice", s)
		}
	}
	t.Logf("%d messages", total)
}

func TestWhatIsDoneToASessionIsDoneWhereverItIs(t *testing.T) {
	tr := newTroupe(t)
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two)
	ctx := context.Background()
	ann, bob := one.dial("ann", "1"), one.dial("bob", "1")
	session := sessionAt(t, ann, two, "bob")
	sent := ann.sends(session, "a", "to be recalled")
	if err := one.node.Recall(ctx, sent.MessagerecvId); err != nil {
		t.Errorf("recall: %v", err)
	}
	if err := one.node.Recall(ctx, protocol.MessageID(session, 99)); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("recall of nothing: %v", err)
	}
	if err := one.node.Replace(ctx, session, "bob", "dan"); err != nil {
		t.Errorf("replace: %v", err)
	}
	eventually(t, "bob is out", func() bool { return bob.row(session) == nil })
	friend := ann.must(&protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Kind: protocol.RequestKind_FRIEND_REQUEST, Target: "bob"}}})
	if friend.GetRequestSendReply().GetRequest() == nil {
		t.Errorf("a request to a friend is answered %v", friend)
	}
	link := ann.must(&protocol.Frame{Body: &protocol.Frame_LinkCreate{LinkCreate: &protocol.LinkCreate{Session: session}}}).GetLinkCreateReply().Link
	bob.must(&protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Code: link.Code}}})
	if err := one.node.Whisper(ctx, &protocol.MsgWhisper{Session: session, WhisperId: "w", Sender: "ann", Content: text("psst")}, "bob"); err != nil {
		t.Errorf("whisper: %v", err)
	}
	bob.wait("a whisper", func(f *protocol.Frame) bool { return f.GetMsgWhisper() != nil })
	if err := one.node.Dissolve(ctx, session); err != nil {
		t.Errorf("dissolve: %v", err)
	}
	eventually(t, "the session is gone", func() bool { return ann.row(session) == nil })

	eve := two.dial("eve", "1")
	one.node.Kick("eve", "", protocol.Code_UNAUTHORIZED, "out")
	eventually(t, "her connection at the other node is closed", func() bool {
		eve.mu.Lock()
		defer eve.mu.Unlock()
		return eve.closed
	})
}
