package desk_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams"
	"github.com/troupe-im/troupe/internal/redisstreams/redistest"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// wires bring what nodes say to each other within the test. One of them may be cut.
type wires struct {
	mu   sync.Mutex
	to   map[string]func(*peers.Envelope)
	lost map[string]bool
}

func (w *wires) Send(address string, e *peers.Envelope) {
	w.mu.Lock()
	take := w.to[address]
	if w.lost[address] {
		take = nil
	}
	w.mu.Unlock()
	if take != nil {
		take(&peers.Envelope{Kind: e.Kind, Body: slices.Clone(e.Body)})
	}
}

func (w *wires) cut(address string, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost[address] = is
}

// counting counts how often it is looked what is due.
type counting struct {
	desk.Store
	due, late atomic.Int64
}

func (c *counting) DueBotSchedules(ctx context.Context, plugin string, now time.Time, limit int) ([]*desk.Schedule, int64, error) {
	c.due.Add(1)
	return c.Store.DueBotSchedules(ctx, plugin, now, limit)
}

func (c *counting) LateBotSchedules(ctx context.Context, now time.Time, limit int) ([]*desk.Schedule, error) {
	c.late.Add(1)
	return c.Store.LateBotSchedules(ctx, now, limit)
}

// newStages gives desks beside the nodes of one installation, over one store and a real Redis.
func newStages(t *testing.T, n int, cfg desk.Config) (all []*stage, between *wires) {
	t.Helper()
	address, _ := redistest.Start(t)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	between = &wires{to: map[string]func(*peers.Envelope){}, lost: map[string]bool{}}
	for i := range n {
		c, err := redisstreams.ParseURL("redis://" + address)
		if err != nil {
			t.Fatal(err)
		}
		streams, err := redisstreams.Open(t.Context(), c, log)
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{t: t, store: store}
		s.node = actors.New(actors.Config{Rate: -1, Attendance: streams.Attendance()}, store, streams, crowd{}, log)
		s.told = &told{Node: s.node, seen: map[protocol.UserID]string{}}
		s.desks = desk.New(cfg, desk.Needs{Actors: s.told, Users: crowd{}, Store: store, Log: log, Owns: s.node.Owns, Nodes: s.node})
		s.node.UseRobots(s.desks)
		s.node.OnChanged(s.desks.Heard)
		s.node.OnInquiry(s.desks.Inquired)
		err = s.node.JoinCluster(t.Context(), actors.Cluster{
			Members: streams.Members("k"), Out: func(why error) { t.Log("a node is given up:", why) },
			Listen: func(take func(*peers.Envelope)) (peers.Transport, string, error) {
				between.mu.Lock()
				defer between.mu.Unlock()
				between.to[wireTo(i)] = take
				return between, wireTo(i), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.node.Drain(context.Background(), 0)
			s.desks.Close()
			if err := streams.Close(); err != nil {
				t.Error(err)
			}
		})
		all = append(all, s)
	}
	eventually(t, "the nodes see each other", func() bool {
		return !slices.ContainsFunc(all, func(s *stage) bool { state, _ := s.node.ClusterState(); return len(state.Members) != n })
	})
	return all, between
}

func wireTo(node int) string { return fmt.Sprint("wire:", node) }

// createAt makes a session of ann's that falls to this stage's node.
func (s *stage) createAt(typ protocol.SessionType, members ...string) protocol.SessionID {
	s.t.Helper()
	for range 1000 {
		if id := s.create(typ, members...); s.node.Owns(id) {
			return id
		}
	}
	s.t.Fatal("no session falls to the node")
	return ""
}

// withAt makes a session of two, which falls to this stage's node, of somebody with a bot.
func (s *stage) withAt(bot string) (user string, session protocol.SessionID) {
	s.t.Helper()
	for i := range 1000 {
		user := fmt.Sprint("ann", i)
		if session := protocol.P2PSessionID(user, bot); s.node.Owns(session) {
			s.must(user, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{bot}}}})
			return user, session
		}
	}
	s.t.Fatal("no session falls to the node")
	return "", ""
}

// censor moderates by the first word, and says what it was asked about.
func censor(asked chan<- string) *robot {
	bot := aBot("mod", "write", "moderate")
	bot.says.Moderates, bot.plugin.Remote, bot.plugin.Single = true, true, true
	bot.frame = func(w *wire, f *botv1.HostFrame) bool {
		m := f.GetModerate()
		if m == nil {
			return false
		}
		asked <- m.Text
		word, rest, _ := strings.Cut(m.Text, " ")
		v := &botv1.Verdict{Id: m.Id, Verdict: "allow", Reason: "rude"}
		if slices.Contains([]string{"hold", "reject", "rewrite"}, word) {
			v.Verdict, v.Text = word, "*** "+rest
		}
		if word == "silence" {
			return true
		}
		return w.send(&botv1.BotFrame{Body: &botv1.BotFrame_Verdict{Verdict: v}})
	}
	return bot
}

// judged is how often plugins ruled and did not, as a desk counts.
func (s *stage) judged(plugin string) (judged, unjudged int64) {
	for _, d := range s.desks.Status() {
		if d.Plugin == plugin {
			return d.Judged, d.Unjudged
		}
	}
	return 0, 0
}

// reached waits until all desks know that a bot is at so many nodes.
func reached(t *testing.T, all []*stage, plugin string, nodes int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is reached at %d nodes, as all know", plugin, nodes), func() bool {
		return !slices.ContainsFunc(all, func(s *stage) bool { return len(s.desks.ReachedAt(plugin)) != nodes })
	})
}

// A moderator's answer has its time, which on a slow machine is no short one here.
var patient = desk.Config{SessionRate: -1, Retry: time.Millisecond, Flush: 20 * time.Millisecond, Moderate: time.Minute}

func TestABotAtOneNodeModeratesSessionsOfAnother(t *testing.T) {
	all, _ := newStages(t, 2, patient)
	here, far := all[0], all[1]
	asked := make(chan string, 100)
	visit := here.enter(censor(asked))
	reached(t, all, "mod", 1)
	user, talk := far.withAt("b_mod")
	for said, want := range map[string]string{"fine": "", "hold it": "held", "reject it": "rejected", "rewrite it": "rewritten"} {
		got := far.say(user, talk, said)
		if <-asked != said || got.Deal.GetState() != want || want != "" && (got.Deal.By != "b_mod" || got.Deal.Reason != "rude") {
			t.Errorf("%q becomes %v", said, got)
		}
	}
	judged, _ := here.judged("mod")
	if _, unjudged := far.judged("mod"); judged != 4 || unjudged != 0 {
		t.Errorf("%d were judged, %d not", judged, unjudged)
	}

	// A group's consent is known at the session's node, wherever it was given.
	group := far.createAt(protocol.SessionType_GROUP, "bob", "b_mod")
	if got := far.say("bob", group, "hold this without consent"); got.Deal != nil {
		t.Errorf("a group that did not allow it is moderated: %v", got)
	}
	far.click("ann", group, far.card(group, "b_mod", "troupe.consent.allow").MessagerecvId, "troupe.consent.allow")
	far.card(group, "b_mod", `"done"`)
	n := 0
	eventually(t, "it moderates the group", func() bool {
		n++
		return far.say("bob", group, fmt.Sprint("hold ", n)).Deal.GetState() == "held"
	})
	far.say("ann", group, "/consent mod off")
	eventually(t, "it does no more", func() bool {
		n++
		return far.say("bob", group, fmt.Sprint("hold ", n)).Deal == nil
	})

	// It goes, and is absent everywhere.
	visit.Close("it goes")
	reached(t, all, "mod", 0)
	if got := far.say(user, talk, "reject it now"); got.Deal != nil {
		t.Errorf("a bot that has gone rules: %v", got)
	}
}

func TestAModeratorWhoseNodeIsNotReachedIsAbsent(t *testing.T) {
	for _, closed := range []bool{false, true} {
		cfg := quick
		cfg.FailClosed = closed
		all, between := newStages(t, 2, cfg)
		here, far := all[0], all[1]
		asked := make(chan string, 100)
		here.enter(censor(asked))
		reached(t, all, "mod", 1)
		user, talk := far.withAt("b_mod")
		send := func(text string) (*protocol.Deal, error) {
			a, err := far.as(user, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
				Session: talk, ClientMsgId: text, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text},
			}}})
			return a.GetMsgSendReply().GetDeal(), err
		}
		between.cut(wireTo(0), true)
		_, before := far.judged("mod")
		deal, err := send("reject it")
		if closed != protocol.Code_BUSY.Is(err) || deal != nil || !closed && err != nil {
			t.Errorf("closed %v: %v, %v", closed, deal, err)
		}
		if _, after := far.judged("mod"); after != before+1 {
			t.Errorf("%d messages were not judged", after-before)
		}
		between.cut(wireTo(0), false)
		n := 0
		eventually(t, "it rules again", func() bool {
			n++
			deal, err := send(fmt.Sprint("hold ", n))
			return err == nil && deal.GetState() == "held"
		})
	}
}

func TestADraftIsLookedAtByModeratorsOfItsGroupAtOtherNodes(t *testing.T) {
	all, _ := newStages(t, 2, patient)
	here, far := all[0], all[1]
	asked := make(chan string, 100)
	here.enter(censor(asked))
	writer := aBot("echo")
	writer.plugin.Remote, writer.plugin.Single = true, true
	c := far.caller(writer)
	reached(t, all, "mod", 1)
	reached(t, all, "echo", 1)
	group := far.createAt(protocol.SessionType_GROUP, "bob", "b_mod", "b_echo")
	far.click("ann", group, far.card(group, "b_mod", "troupe.consent.allow").MessagerecvId, "troupe.consent.allow")
	far.card(group, "b_mod", `"done"`)
	n := 0
	eventually(t, "it moderates the group", func() bool {
		n++
		return far.say("bob", group, fmt.Sprint("hold ", n)).Deal.GetState() == "held"
	})
	far.say("bob", group, "@echo go on", mention("b_echo"))
	e := c.event("message")
	c.ok(delta(e.Id, 0, "reject "+strings.Repeat("it ", 100)))
	if f := c.frame(); f.GetCancel().GetEvent() != e.Id {
		t.Errorf("the writer is told %v", f)
	}
	c.done(e)

	// What a bot writes to somebody in private is no other bot's business, wherever that is.
	far.enter(censor(asked))
	reached(t, all, "mod", 2)
	user, talk := far.withAt("b_echo")
	for len(asked) > 0 {
		<-asked
	}
	far.say(user, talk, "and to me?")
	e = c.event("message")
	c.ok(delta(e.Id, 0, strings.Repeat("in private ", 50)))
	c.ok(end(e.Id, "in private", "stop"))
	c.done(e)
	far.say("bob", group, "the last word")
	if text := <-asked; text != "the last word" {
		t.Errorf("the moderator was asked about %q", text)
	}
}

func TestWhatCameFromOutsideIsKnownAtANodeThatDidNotGiveIt(t *testing.T) {
	all, _ := newStages(t, 2, quick)
	here, far := all[0], all[1]
	webhook := func() *robot {
		bot := aBot("hooked", "write", "schedule")
		bot.plugin.Remote = true
		return bot
	}
	other, giver := here.caller(webhook()), far.caller(webhook())
	user, talk := far.withAt("b_hooked")
	far.say(user, talk, "hello")
	giver.done(giver.event("message"))
	if err := here.desks.Incoming(t.Context(), desk.Incoming{Plugin: "hooked", Bot: "b_hooked", Session: talk, ID: "x", Body: "built"}); err != nil {
		t.Fatal(err)
	}
	e := giver.event("webhook") // the node of its session gives it
	if e.Body != "built" || e.Session != talk {
		t.Errorf("it is %v", e)
	}
	say := func() *botv1.Call { return post(e.Id, 1, "it was built") }
	if r := other.do(say()); r.Code == "" {
		t.Errorf("a node that knows nothing of it does %v", r)
	}
	if err := here.desks.Recall(t.Context(), "hooked", e.Id); err != nil {
		t.Fatal(err)
	}
	other.ok(say())
	giver.done(e)
	eventually(t, "it is done", func() bool {
		due, _, err := here.store.DueBotSchedules(t.Context(), "hooked", time.Now().Add(time.Hour), 9)
		return err == nil && len(due) == 0
	})
	if err := here.desks.Recall(t.Context(), "hooked", "hook.nothing"); err != nil {
		t.Errorf("what is nothing: %v", err)
	}
}

func TestTheStoreIsAskedWhatIsDueWhenSomethingIs(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().UnixMilli())
	s := newStage(t, quick)
	s.now = func() time.Time { return time.UnixMilli(clock.Load()) }
	store := &counting{Store: s.store}
	s.anew(quick, store, s.told)
	c := s.caller(aBot("rem", "write", "schedule"))
	id := s.p2p("b_rem")
	s.say("ann", id, "hello")
	e := c.event("message")
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Schedule{Schedule: &botv1.Schedule{Id: "tea", At: clock.Load() + 60_000, Body: "tea"}}})
	c.done(e)
	late := store.late.Load()
	eventually(t, "some time goes by", func() bool { return store.late.Load() >= late+3 }) // 30 flushes or more
	if n := store.due.Load(); n > 3 {
		t.Errorf("the store was asked %d times what is due", n)
	}
	clock.Add(60_000)
	if e := c.event("schedule"); e.Body != "tea" {
		t.Errorf("due is %v", e)
	} else {
		c.done(e)
	}
}
