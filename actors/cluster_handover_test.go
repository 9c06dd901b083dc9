package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// handing is a store of several nodes in which a commit of a session's waits until another node wants
// to have it: it reads the session, or asks whether it may.
type handing struct {
	actors.Journal
	room    atomic.Value
	commits chan struct{} // the commit waits
	wanted  chan struct{}
	once    sync.Once
	done    chan struct{} // the commit is durable
	patient atomic.Bool   // to read it is not enough
	loads   atomic.Int32
	refused atomic.Int32
}

func newHanding(t *testing.T) *handing {
	j := &handing{Journal: newStage(t, actors.Config{}).store, commits: make(chan struct{}), wanted: make(chan struct{}), done: make(chan struct{})}
	j.room.Store("")
	return j
}

func (j *handing) want() { j.once.Do(func() { close(j.wanted) }) }

func (j *handing) of(batch []*actors.Append) bool {
	for _, a := range batch {
		if a.Session == j.room.Load() {
			return true
		}
	}
	return false
}

func (j *handing) Commit(batch []*actors.Append) error {
	if j.of(batch) {
		select {
		case j.commits <- struct{}{}: // the first one
			<-j.wanted
			defer close(j.done)
		case <-j.done:
		}
	}
	err := j.Journal.Commit(batch)
	for _, a := range batch {
		if errors.Is(a.Err, actors.ErrStale) || errors.Is(a.Err, actors.ErrTaken) {
			j.refused.Add(1)
		}
	}
	return err
}

func (j *handing) Load(ctx context.Context, room protocol.SessionID) (*actors.Stored, error) {
	stored, err := j.Journal.Load(ctx, room)
	if room == j.room.Load() {
		j.loads.Add(1)
		if !j.patient.Load() {
			j.want()
		}
		<-j.done // behind what was read
	}
	return stored, err
}

// whenAsked has told called when the node asks another one whether a session has gone.
func (r *ruled) whenAsked(told func()) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	r.out.asks = told
}

// elsewhere makes a group that n does not have.
func elsewhere(c *client, n *ruled) (room protocol.SessionID) {
	for room == "" || n.node.Owns(room) {
		room = c.create(protocol.SessionType_GROUP, "bob")
	}
	return room
}

func TestASessionIsReadWhenTheNodeThatHadItHasLetGoOfIt(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	j := newHanding(t)
	one, two := rule(t, j, w, "one"), rule(t, j, w, "two")
	a, b := one.members.self, two.members.self
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	room := elsewhere(ann, one)
	eventually(t, "bob is in it", func() bool { return bob.ask(send(room, "0", "hello")).Errcode == 0 })
	j.room.Store(room)
	one.whenAsked(j.want)

	ids := []string{bob.post(send(room, "1", "hello"))}
	<-j.commits
	leaving := b
	leaving.Leaving = true
	one.sees(2, a, leaving)
	two.sees(2, a, leaving)
	j.goesOn(bob, room, ids, 2)
}

// goesOn has somebody send three more messages than ids, which are answered in their order
// from seq on, by a session that was read once and of which nothing was refused.
func (j *handing) goesOn(c *client, room protocol.SessionID, ids []string, seq int64) {
	c.t.Helper()
	for range 3 {
		ids = append(ids, c.post(send(room, fmt.Sprint(len(ids)+1), "hello")))
	}
	for i, id := range ids {
		if f := c.answer(id); f.Errcode != 0 || f.GetMsgSendReply().GetSeq() != seq+int64(i) {
			c.t.Errorf("message %d is answered %v", i+1, f)
		}
	}
	if n, refused := j.loads.Load(), j.refused.Load(); n != 1 || refused != 0 {
		c.t.Errorf("the session was read %d times, and %d appends were refused", n, refused)
	}
}

func TestANodeThatDoesNotSayWhetherASessionHasGoneIsAskedOnce(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	store := newStage(t, actors.Config{}).store
	one, two := rule(t, store, w, "one"), rule(t, store, w, "two")
	a, b := one.members.self, two.members.self
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann := one.dial("ann", "1")
	first, second, third := elsewhere(ann, one), elsewhere(ann, one), elsewhere(ann, one)
	var asked atomic.Int32
	one.whenAsked(func() { asked.Add(1) })
	two.out.set(true) // it hangs
	leaving := b
	leaving.Leaving = true
	one.sees(2, a, leaving)
	ann.sends(first, "1", "hello")
	n := asked.Load()
	if n == 0 {
		t.Error("it was not asked")
	}
	ann.sends(second, "1", "hello")
	if asked.Load() != n {
		t.Error("it was asked once more")
	}
	one.sees(3, a) // it was given up
	ann.sends(third, "1", "hello")
	if asked.Load() != n {
		t.Error("one that has gone was asked")
	}
}

func TestANodeThatHasJustComeAsksThoseThatWereThere(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	j := newHanding(t)
	one := rule(t, j, w, "one")
	a := one.members.self
	ann := one.dial("ann", "1")
	var rooms []protocol.SessionID
	for range 30 {
		rooms = append(rooms, ann.create(protocol.SessionType_GROUP, "bob"))
	}
	two := rule(t, j, w, "two")
	b := two.members.self
	two.sees(2, a, b)
	room := ""
	for _, r := range rooms {
		if two.node.Owns(r) {
			room = r
		}
	}
	j.room.Store(room)
	two.whenAsked(j.want)
	ids := []string{ann.post(send(room, "1", "hello"))}
	<-j.commits
	one.sees(2, a, b)
	j.goesOn(ann, room, ids, 1)
}

func TestAMessageThatTwoNodesHaveOnTheWayIsStoredOnce(t *testing.T) {
	w := &wires{to: map[string]func(*peers.Envelope){}}
	j := newHanding(t)
	one, two := rule(t, j, w, "one"), rule(t, j, w, "two")
	a, b := one.members.self, two.members.self
	one.sees(1, a, b)
	two.sees(1, a, b)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	room := elsewhere(ann, one)
	eventually(t, "bob is in it", func() bool { return bob.ask(send(room, "0", "hello")).Errcode == 0 })
	again := one.dial("bob", "2")
	j.room.Store(room)
	j.patient.Store(true)
	first := bob.post(send(room, "m", "hello"))
	<-j.commits
	one.sees(2, a) // it was given up, and does not know
	other, second := ann.post(send(room, "x", "hello")), again.post(send(room, "m", "hello"))
	eventually(t, "the session is read", func() bool { return j.loads.Load() > 0 })
	j.want() // now it writes, and is quicker
	seq := bob.answer(first).GetMsgSendReply().GetSeq()
	if f := again.answer(second); f.GetMsgSendReply().GetSeq() != seq {
		t.Errorf("it is at %d, and then answered %v", seq, f)
	}
	if f := ann.answer(other); f.Errcode != 0 {
		t.Errorf("another's is answered %v", f)
	}
	if got := logOf(ann, room); len(got) != 3 {
		t.Errorf("the log has %v", got)
	}
}
