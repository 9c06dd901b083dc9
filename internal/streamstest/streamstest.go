// Package streamstest is what every implementation of actors.Streams must pass.
//
// It does not ask that a slow receiver holds up nobody: in one process Publish is
// the receiver's own call, so there a receiver that waits is the bug. Between
// nodes that promise is the implementation's, and its own tests show it.
package streamstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Cluster is a fresh set of nodes that hear each other.
type Cluster struct {
	// Node adds a node. The suite starts it. Its end is the business of t.Cleanup.
	Node func(t *testing.T) actors.Streams
	// Lose makes node lose its place, so that events may be missing. Nil: this
	// implementation cannot.
	Lose func(t *testing.T, node actors.Streams)
}

// Run tests the streams that open gives.
func Run(t *testing.T, open func(t *testing.T) Cluster) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Cluster)
	}{
		{"events arrive in the order of their subject", ordered},
		{"only followed subjects arrive", onlyFollowed},
		{"interest is counted", counted},
		{"nothing arrives once an unfollow has settled", unfollowed},
		{"what is published after a follow returned arrives", followedAtOnce},
		{"what is published after a follow returned arrives, though it was published on before", followedLate},
		{"many subjects are followed at once", followedTogether},
		{"every node that follows a subject gets its events", everyNode},
		{"events say on another node what they said", keptElsewhere},
		{"whoever comes back gets what comes then", cameBack},
		{"events keep what they say", kept},
		{"many subjects at once keep their order", parallel},
		{"following and unfollowing at once count right", churn},
		{"a node that lost its place is told", lost},
		{"a node that lost its place is found again by others", foundAgain},
		{"nothing is missing without a loss that is told after it", lossesAreTold},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func ordered(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("s:a")
	const rounds = 100
	for i := range rounds {
		n.Publish("s:a", events(3*i, 3*i+1, 3*i+2), nil)
	}
	n.want("s:a", upTo(3*rounds))
}

func onlyFollowed(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("s:a")
	n.Publish("s:b", events(7), nil)
	n.Publish("u:a", events(8), nil)
	n.Publish("s:", events(9), nil)
	n.Publish("s:aa", events(10), nil)
	n.Publish("s:a", events(1), nil)
	n.want("s:a", []int{1})
	for _, other := range []string{"s:b", "u:a", "s:", "s:aa"} {
		n.want(other, nil)
	}
}

func counted(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("s:a")
	n.follow("s:a")
	n.Unfollow("s:a")
	n.Publish("s:a", events(1), nil)
	n.want("s:a", []int{1}) // once, not once per Follow
	n.Unfollow("s:a")
	n.settle()
	n.Publish("s:a", events(2), nil)
	n.settle()
	n.want("s:a", []int{1})
	n.Unfollow("s:a") // one too many: the next Follow counts all the same
	n.follow("s:a")
	n.Publish("s:a", events(3), nil)
	n.want("s:a", []int{1, 3})
}

func unfollowed(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("s:a")
	n.Publish("s:a", events(1), nil)
	n.want("s:a", []int{1})
	n.Unfollow("s:a")
	n.settle()
	for i := range 50 {
		n.Publish("s:a", events(i), nil)
	}
	n.settle()
	n.want("s:a", []int{1})
}

func followedAtOnce(t *testing.T, c Cluster) {
	publisher, reader := start(t, c), start(t, c)
	for i := range 100 {
		subject := fmt.Sprintf("s:%d", i)
		reader.follow(subject)
		publisher.Publish(subject, events(i), nil)
		reader.want(subject, []int{i})
	}
}

// followedLate has the publisher know already that nobody follows.
func followedLate(t *testing.T, c Cluster) {
	publisher, reader, other := start(t, c), start(t, c), start(t, c)
	for i := range 50 {
		subject := fmt.Sprintf("s:%d", i)
		publisher.follow(subject)
		other.follow(subject)
		publisher.Publish(subject, events(0), nil)
		other.want(subject, []int{0})
		reader.follow(subject)
		publisher.Publish(subject, events(1), nil)
		reader.want(subject, []int{1})
	}
}

func followedTogether(t *testing.T, c Cluster) {
	publisher, reader := start(t, c), start(t, c)
	subjects := make([]string, 2000)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("s:%d", i)
	}
	if err := reader.Follow(context.Background(), subjects...); err != nil {
		t.Fatal(err)
	}
	for i, subject := range subjects {
		publisher.Publish(subject, events(i), nil)
	}
	for i, subject := range subjects {
		reader.want(subject, []int{i})
	}
}

func keptElsewhere(t *testing.T, c Cluster) {
	publisher, reader := start(t, c), start(t, c)
	reader.follow("u:ann")
	publisher.Publish("u:ann", []*actors.Event{{
		Shared: shared(5), Ephemeral: true, Only: "ann", Not: "bob", Skip: 7, Hidden: map[protocol.UserID]bool{"eve": true},
	}, {Shared: shared(6)}}, nil)
	reader.want("u:ann", []int{5, 6})
	all := reader.got("u:ann")
	if e := all[0]; !e.Ephemeral || e.Only != "ann" || e.Not != "bob" || e.Skip != 7 || !e.Hidden["eve"] || len(e.Hidden) != 1 {
		t.Errorf("got %+v, want what was published", e)
	}
	if e := all[1]; e.Ephemeral || e.Only != "" || e.Not != "" || e.Skip != 0 || len(e.Hidden) > 0 {
		t.Errorf("got %+v, want nothing but the frame", e)
	}
}

func cameBack(t *testing.T, c Cluster) {
	publisher, reader := start(t, c), start(t, c)
	for i := range 100 {
		reader.follow("s:a")
		publisher.Publish("s:a", events(i), nil)
		reader.want("s:a", upTo(i+1))
		reader.Unfollow("s:a")
	}
}

func everyNode(t *testing.T, c Cluster) {
	a, b, other := start(t, c), start(t, c), start(t, c)
	a.follow("s:a")
	b.follow("s:a")
	other.follow("s:b")
	a.Publish("s:a", events(1), nil)
	b.Publish("s:a", events(2), nil)
	other.Publish("s:a", events(3), nil)
	for _, n := range []*node{a, b} {
		n.wantSet("s:a", 3) // three publishers: their order among each other is nobody's promise
	}
	other.settle()
	other.want("s:a", nil)
}

func kept(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("u:ann")
	n.Publish("u:ann", []*actors.Event{{
		Shared: shared(5), Ephemeral: true, Only: "ann", Not: "bob", Skip: 7,
	}}, nil)
	n.want("u:ann", []int{5})
	e := n.got("u:ann")[0]
	if !e.Ephemeral || e.Only != "ann" || e.Not != "bob" || e.Skip != 7 {
		t.Errorf("got %+v, want what was published", e)
	}
}

func parallel(t *testing.T, c Cluster) {
	nodes := []*node{start(t, c), start(t, c)}
	const subjects, each = 40, 50
	var wg sync.WaitGroup
	for s := range subjects {
		wg.Add(1)
		go func() {
			defer wg.Done()
			subject := fmt.Sprintf("s:%d", s)
			nodes[s%2].follow(subject)
			nodes[1-s%2].follow(subject)
			for i := range each {
				nodes[s%2].Publish(subject, events(i), nil)
			}
		}()
	}
	wg.Wait()
	for s := range subjects {
		for _, n := range nodes {
			n.want(fmt.Sprintf("s:%d", s), upTo(each))
		}
	}
}

func churn(t *testing.T, c Cluster) {
	n := start(t, c)
	n.follow("s:a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				n.follow("s:a")
				n.Unfollow("s:a")
			}
		}()
	}
	const each = 200
	for i := range each { // the first interest stands all the while: nothing may be missing
		n.Publish("s:a", events(i), nil)
	}
	wg.Wait()
	n.want("s:a", upTo(each))
	n.Unfollow("s:a")
	n.settle()
	n.Publish("s:a", events(-1), nil)
	n.settle()
	n.want("s:a", upTo(each))
}

func lost(t *testing.T, c Cluster) {
	if c.Lose == nil {
		t.Skip("these streams cannot lose their place")
	}
	n := start(t, c)
	n.follow("s:a")
	c.Lose(t, n.Streams)
	n.wait("Lost was not called", func() bool { return n.losses > 0 })
	n.Publish("s:a", events(1), nil)
	n.wait("events do not arrive after a loss", func() bool { return len(n.events["s:a"]) > 0 })
}

func foundAgain(t *testing.T, c Cluster) {
	if c.Lose == nil {
		t.Skip("these streams cannot lose their place")
	}
	publisher, reader := start(t, c), start(t, c)
	reader.follow("s:a")
	publisher.Publish("s:a", events(0), nil)
	reader.want("s:a", []int{0})
	for i := 1; i <= 3; i++ {
		c.Lose(t, reader.Streams)
		reader.wait("Lost was not called", func() bool { return reader.losses > 0 })
		reader.forget()
		publisher.Publish("s:a", events(i), nil)
		reader.want("s:a", []int{i})
		reader.forget()
	}
}

// lossesAreTold publishes while a node loses its place again and again.
func lossesAreTold(t *testing.T, c Cluster) {
	if c.Lose == nil {
		t.Skip("these streams cannot lose their place")
	}
	publisher, reader := start(t, c), start(t, c)
	reader.follow("s:a")
	published := 0
	reader.lostAt = func() int {
		reader.publishing.Lock()
		defer reader.publishing.Unlock()
		return published
	}
	publish := func() {
		reader.publishing.Lock()
		published++
		n := published
		reader.publishing.Unlock()
		publisher.Publish("s:a", events(n), nil)
	}
	for range 3 {
		for range 500 {
			publish()
		}
		before := reader.lossesSoFar()
		c.Lose(t, reader.Streams)
		deadline := time.Now().Add(patience)
		for reader.lossesSoFar() == before && time.Now().Before(deadline) {
			publish()
			reader.someTime(time.Millisecond)
		}
	}
	last := 0
	for arrived := false; !arrived; arrived = reader.has("s:a", last) { // until one comes through
		publish()
		last = published
		reader.someTime(100 * time.Millisecond)
	}
	reader.wait("something is missing, and no loss was told after it", func() bool {
		got := map[int]bool{}
		for _, e := range reader.events["s:a"] {
			got[number(e)] = true
		}
		for i := range last {
			if !got[i+1] && i+1 > reader.toldUpTo {
				return false
			}
		}
		return true
	})
	order := 0
	for _, e := range reader.got("s:a") {
		if number(e) <= order {
			t.Fatalf("event %d came behind %d", number(e), order)
		}
		order = number(e)
	}
}

// A node is streams with a receiver that remembers.
type node struct {
	actors.Streams
	t *testing.T

	mu     sync.Mutex
	events map[string][]*actors.Event
	losses int
	heard  chan struct{} // has room for one: something came

	publishing sync.Mutex
	lostAt     func() int // how much was published by now
	toldUpTo   int        // lostAt at the last loss
}

func start(t *testing.T, c Cluster) *node {
	n := &node{Streams: c.Node(t), t: t, events: map[string][]*actors.Event{}, heard: make(chan struct{}, 1)}
	n.Start(n)
	return n
}

// Receive remembers events.
func (n *node) Receive(subject string, events []*actors.Event, _ *actors.Burst) {
	n.mu.Lock()
	n.events[subject] = append(n.events[subject], events...)
	n.mu.Unlock()
	n.wake()
}

// Lost counts.
func (n *node) Lost() {
	n.mu.Lock()
	n.losses++
	if n.lostAt != nil {
		n.toldUpTo = n.lostAt()
	}
	n.mu.Unlock()
	n.wake()
}

func (n *node) lossesSoFar() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.losses
}

// forget begins anew.
func (n *node) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.events)
	n.losses = 0
}

func (n *node) has(subject string, i int) bool {
	for _, e := range n.got(subject) {
		if number(e) == i {
			return true
		}
	}
	return false
}

// someTime returns when something came, or after d.
func (n *node) someTime(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-n.heard:
	case <-timer.C:
	}
}

func (n *node) wake() {
	select {
	case n.heard <- struct{}{}:
	default:
	}
}

func (n *node) follow(subject string) {
	if err := n.Follow(context.Background(), subject); err != nil {
		n.t.Errorf("Follow(%s): %v", subject, err)
	}
}

// settle returns when what this node published, and its interest before that, has
// gone through: an event of its own on a fresh subject came back.
func (n *node) settle() {
	n.t.Helper()
	subject := fmt.Sprintf("s:settle-%p-%d", n, time.Now().UnixNano())
	n.follow(subject)
	n.Publish(subject, events(0), nil)
	n.wait("an event of its own does not come back", func() bool { return len(n.events[subject]) > 0 })
	n.Unfollow(subject)
}

func (n *node) got(subject string) []*actors.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*actors.Event(nil), n.events[subject]...)
}

// want waits for as many events of subject as numbers has, and compares.
func (n *node) want(subject string, numbers []int) {
	n.t.Helper()
	n.wait(fmt.Sprintf("fewer than %d events of %s", len(numbers), subject), func() bool {
		return len(n.events[subject]) >= len(numbers)
	})
	got := n.got(subject)
	if len(got) != len(numbers) {
		n.t.Errorf("%s brought %d events, want %d", subject, len(got), len(numbers))
		return
	}
	for i, e := range got {
		if number(e) != numbers[i] {
			n.t.Errorf("event %d of %s is number %d, want %d", i, subject, number(e), numbers[i])
			return
		}
	}
}

// wantSet waits for the events 1 to count of subject, in any order.
func (n *node) wantSet(subject string, count int) {
	n.t.Helper()
	n.wait(fmt.Sprintf("fewer than %d events of %s", count, subject), func() bool {
		return len(n.events[subject]) >= count
	})
	seen := map[int]int{}
	for _, e := range n.got(subject) {
		seen[number(e)]++
	}
	for i := 1; i <= count; i++ {
		if seen[i] != 1 {
			n.t.Errorf("event %d of %s came %d times, want once", i, subject, seen[i])
		}
	}
}

// patience is how long a test waits for what must come: it fails then, so it may be long.
const patience = 20 * time.Second

func (n *node) wait(otherwise string, until func() bool) {
	n.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		n.mu.Lock()
		ok := until()
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-n.heard:
		case <-deadline.C:
			n.t.Fatal(otherwise)
		}
	}
}

// The suite tells events apart by a seq.
func shared(i int) *protocol.Shared {
	return protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: &protocol.Entry{Seq: int64(i)}}})
}
func number(e *actors.Event) int { return int(e.Shared.Frame.GetMsgPush().GetSeq()) }

func events(numbers ...int) []*actors.Event {
	all := make([]*actors.Event, len(numbers))
	for i, n := range numbers {
		all[i] = &actors.Event{Shared: shared(n)}
	}
	return all
}

func upTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}
