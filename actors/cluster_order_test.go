package actors_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// dictated is who is there, as a test says it.
type dictated struct {
	self actors.Member
	seen func(actors.View)
	saw  func(actors.Sight)
	miss func(nodes string)
	lost atomic.Bool
}

func (d *dictated) Join(self actors.Member, seen func(actors.View), _ func(error)) error {
	d.self, d.seen = self, seen
	seen(actors.View{Members: []actors.Member{self}})
	return nil
}
func (d *dictated) Look()                       {}
func (d *dictated) Leave(context.Context) error { return nil }
func (d *dictated) Miss(_ context.Context, nodes string) error {
	if d.miss != nil {
		d.miss(nodes)
	}
	return nil
}
func (d *dictated) See(_ context.Context, sight actors.Sight) error {
	if d.saw != nil {
		d.saw(sight)
	}
	return nil
}
func (d *dictated) Quit(context.Context) error { return nil }
func (d *dictated) Lost() bool                 { return d.lost.Load() }

// valve holds back what goes through it while it is shut.
type valve struct {
	*wires
	mu   sync.Mutex
	shut bool
	held []func()
	asks func()          // told when it is asked whether a session has gone
	to   map[string]bool // what goes there is lost
}

func (v *valve) lose(address string, is bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.to[address] = is
}

func (v *valve) Send(address string, e *peers.Envelope) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.to[address] {
		return
	}
	if v.asks != nil && bytes.Contains(e.Body, []byte("\x12\x05given")) {
		v.asks()
	}
	pass := func() { v.wires.Send(address, e) }
	if v.shut {
		v.held = append(v.held, pass)
		return
	}
	pass()
}

func (v *valve) set(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shut = shut; !shut {
		for _, pass := range v.held {
			pass()
		}
		v.held = nil
	}
}

// ruled is a node of which a test says what it sees and what comes from it.
type ruled struct {
	*stage
	members *dictated
	out     *valve
}

func rule(t *testing.T, store actors.Journal, w *wires, address string) *ruled {
	n := actors.New(actors.Config{Rate: -1}, store, pushctr.NewLocal(), anybody{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r := &ruled{stage: &stage{t: t, node: n}, members: &dictated{}, out: &valve{wires: w}}
	t.Cleanup(func() { n.Drain(canceled(), 0) })
	if err := n.JoinCluster(t.Context(), actors.Cluster{Members: r.members, Listen: func(take func(*peers.Envelope)) (peers.Transport, string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.to[address] = take
		return r.out, address, nil
	}}); err != nil {
		t.Fatal(err)
	}
	return r
}

// sees gives the node a view.
func (r *ruled) sees(version int64, all ...actors.Member) {
	r.members.seen(actors.View{Version: version, Members: all})
}

func (r *ruled) served() int64 {
	s, _ := r.node.ClusterState()
	return s.Served
}

func TestWhatWasSentBehindARequestThatIsGivenBackDoesNotOvertakeIt(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	store := newStage(t, actors.Config{}).store
	one, two := rule(t, store, w, "one"), rule(t, store, w, "two")
	a, b := one.members.self, two.members.self
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann := one.dial("ann", "1")
	room := ""
	for room == "" || one.node.Owns(room) {
		room = ann.create(protocol.SessionType_GROUP, "bob")
	}
	ann.send(room, "0", "hello")
	leaving := b
	leaving.Leaving = true
	before := two.served()
	two.sees(2, a, leaving) // the session is not its own for a moment
	two.out.set(true)
	var asked []string
	asked = append(asked, ann.post(send(room, "1", "hello")))
	eventually(t, "the first was given back", func() bool { return two.served() == before+1 })
	two.sees(3, a, b)
	for _, id := range []string{"2", "3"} {
		asked = append(asked, ann.post(send(room, id, "hello")))
	}
	eventually(t, "the others came", func() bool { return two.served() == before+3 })
	two.out.set(false)
	last := int64(0)
	for i, id := range asked {
		f := ann.answer(id)
		if seq := f.GetMsgSendReply().GetSeq(); f.Errcode != 0 || seq <= last {
			t.Errorf("message %d is answered %v, the one before has seq %d", i+1, f, last)
		} else {
			last = seq
		}
	}
}

// hidden is a journal that its node loses sight of: what is committed waits until it yields.
type hidden struct {
	actors.Journal
	is             atomic.Bool
	waits, yielded chan struct{}
}

func (j *hidden) Silent() time.Duration {
	if !j.is.Load() {
		return 0
	}
	return time.Hour
}
func (j *hidden) Yield() { close(j.yielded) }

func (j *hidden) Commit(batch []*actors.Append) error {
	if !j.is.Load() {
		return j.Journal.Commit(batch)
	}
	select {
	case j.waits <- struct{}{}:
	default:
	}
	<-j.yielded
	for _, a := range batch {
		a.Err = protocol.Errorf(protocol.Code_BUSY, "away")
	}
	return nil
}

func TestTheSessionsOfANodeThatDoesNotReachTheStoreAreServedByThoseThatDo(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	store := newStage(t, actors.Config{}).store
	j := &hidden{Journal: store, waits: make(chan struct{}, 1), yielded: make(chan struct{})}
	one, two := rule(t, store, w, "one"), rule(t, j, w, "two")
	a, b := one.members.self, two.members.self
	blind := b
	blind.Sight = actors.Blind
	two.members.saw = func(sight actors.Sight) { // which is said by itself
		if sight == actors.Blind {
			one.sees(2, a, blind)
			two.sees(2, a, blind)
		}
	}
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	room := ""
	for room == "" || one.node.Owns(room) {
		room = ann.create(protocol.SessionType_GROUP, "bob")
	}
	ann.send(room, "0", "hello")
	j.is.Store(true)
	for i, c := range []*client{ann, bob} { // from elsewhere, and from the node itself
		id := c.post(send(room, fmt.Sprint(i+1), "hello"))
		if f := c.answer(id); f.Errcode != 0 {
			t.Errorf("%s is answered %v", c.user, f)
		}
	}
	if !one.node.Owns(room) || two.node.Owns(room) {
		t.Error("the session is where the store is not")
	}
	a.Sight, b.Sight = actors.Blind, actors.Blind
	one.sees(3, a, b)
	two.sees(3, a, b)
	if one.node.Owns(room) || !two.node.Owns(room) {
		t.Error("where nobody reaches the store something moves")
	}
}

func TestARequestThatComesHomeFromANodeThatMayHaveDoneItIsNotSaidToBeUndone(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	store := newStage(t, actors.Config{}).store
	j := &blinded{Journal: store}
	one, two := rule(t, j, w, "one"), rule(t, store, w, "two")
	a, b := one.members.self, two.members.self
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann := one.dial("ann", "1")
	room := ""
	for room == "" || one.node.Owns(room) {
		room = ann.create(protocol.SessionType_GROUP, "bob")
	}
	ann.send(room, "0", "hello")
	two.out.set(true) // it does it, and nobody hears of that
	id := ann.post(send(room, "1", "hello"))
	eventually(t, "it is stored", func() bool {
		stored, err := store.Load(t.Context(), room)
		return err == nil && stored.Head == 2
	})
	j.unread.Store(1)
	one.sees(2, a)
	if f := ann.answer(id); f.Errcode != 0 || f.GetMsgSendReply().GetSeq() != 2 {
		t.Errorf("it is answered %v, and is stored at 2", f)
	}
}

// slow is a journal that does not give one session.
type slow struct {
	actors.Journal
	room   atomic.Value
	asked  chan struct{}
	answer chan struct{}
}

func (j *slow) Load(ctx context.Context, room protocol.SessionID) (*actors.Stored, error) {
	if room == j.room.Load() {
		j.asked <- struct{}{}
		<-j.answer
	}
	return j.Journal.Load(ctx, room)
}

func TestWhatWaitsForAStoreThatIsSlowIsNotOvertakenWhenItsSessionMoves(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	store := newStage(t, actors.Config{}).store
	j := &slow{Journal: store, asked: make(chan struct{}, 1), answer: make(chan struct{})}
	one, two := rule(t, store, w, "one"), rule(t, j, w, "two")
	t.Cleanup(func() { close(j.answer) })
	a, b := one.members.self, two.members.self
	leaving := b
	leaving.Leaving = true
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	room, version := "", int64(0)
	for room == "" || one.node.Owns(room) { // made at the one, and then the other's
		version++
		one.sees(version, a, leaving)
		two.sees(version, a, leaving)
		room = ann.create(protocol.SessionType_GROUP, "bob")
		version++
		one.sees(version, a, b)
	}
	j.room.Store(room)
	two.sees(version, a, b)
	ids := []string{bob.post(send(room, "1", "hello"))}
	<-j.asked
	one.sees(version+1, a, leaving)
	two.sees(version+1, a, leaving)
	ids = append(ids, bob.post(send(room, "2", "hello")))
	for i, id := range ids {
		if f := bob.answer(id); f.Errcode != 0 || f.GetMsgSendReply().GetSeq() != int64(i+1) {
			t.Errorf("message %d is answered %v", i+1, f)
		}
	}
}

// halted is a journal that lets nothing be written to one session.
type halted struct {
	actors.Journal
	room  atomic.Value
	asked chan struct{}
	free  chan struct{}
}

func (j *halted) Commit(batch []*actors.Append) error {
	for _, a := range batch {
		if a.Session == j.room.Load() {
			j.room.Store("")
			j.asked <- struct{}{}
			<-j.free
		}
	}
	return j.Journal.Commit(batch)
}

func TestASessionThatWasAnotherNodesForAMomentGoesOn(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	j := &halted{Journal: newStage(t, actors.Config{}).store, asked: make(chan struct{}, 1), free: make(chan struct{})}
	one, two := rule(t, j, w, "one"), rule(t, j, w, "two")
	a, b := one.members.self, two.members.self
	leaving := b
	leaving.Leaving = true
	one.sees(1, a, leaving)
	two.sees(1, a, b)
	ann := one.dial("ann", "1")
	room := ""
	for room == "" || !two.node.Owns(room) {
		room = ann.create(protocol.SessionType_GROUP, "bob")
	}
	j.room.Store(room)
	first := ann.post(send(room, "1", "hello"))
	<-j.asked
	one.sees(2, a, b)
	one.sees(3, a, leaving)
	close(j.free)
	if f := ann.answer(first); f.GetMsgSendReply().GetSeq() != 1 {
		t.Errorf("the first is answered %v", f)
	}
	if f := ann.ask(send(room, "2", "hello")); f.GetMsgSendReply().GetSeq() != 2 {
		t.Errorf("the second is answered %v", f)
	}
}
