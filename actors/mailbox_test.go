package actors

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// listener is an actor's inside: it notes what it is given, and by how many at once.
type listener struct {
	t        *testing.T
	box      *mailbox
	inside   atomic.Int32
	got      []string
	failures int
	hook     func(string)
}

func (l *listener) InvokeSystemMessage(m any) { l.InvokeUserMessage(m) }

func (l *listener) InvokeUserMessage(m any) {
	if l.inside.Add(1) > 1 {
		l.t.Error("two messages at once")
	}
	defer l.inside.Add(-1)
	if s, ok := m.(string); ok {
		l.got = append(l.got, s)
		if l.hook != nil {
			l.hook(s)
		}
	}
}

func (l *listener) EscalateFailure(any, any) { l.failures++ }

func newListener(t *testing.T) *listener {
	l := &listener{t: t, box: &mailbox{}}
	l.box.RegisterHandlers(l, nil)
	return l
}

func TestAMailboxGivesOneMessageAtATimeInEachTellersOrder(t *testing.T) {
	l := newListener(t)
	var all sync.WaitGroup
	const tellers, each = 8, 2000
	var last atomic.Int32
	done := make(chan struct{})
	l.hook = func(string) {
		if last.Add(1) == tellers*each {
			close(done)
		}
	}
	for i := range tellers {
		all.Go(func() {
			for j := range each {
				l.box.PostUserMessage(fmt.Sprintf("%d %d", i, j))
			}
		})
	}
	all.Wait()
	<-done
	next := map[int]int{}
	for _, s := range l.got {
		var i, j int
		fmt.Sscanf(s, "%d %d", &i, &j)
		if j != next[i] {
			t.Fatalf("teller %d's message %d came when %d was due", i, j, next[i])
		}
		next[i]++
	}
}

func TestAnActorToldWhileItRunsOnlyQueues(t *testing.T) {
	l := newListener(t)
	l.hook = func(s string) {
		if s == "first" {
			l.box.PostUserMessage("second")
			l.box.PostSystemMessage("system")
			if len(l.got) != 1 {
				t.Error("a message was served inside another")
			}
		}
	}
	l.box.PostUserMessage("first")
	if want := "[first system second]"; fmt.Sprint(l.got) != want {
		t.Errorf("got %v, want %v", l.got, want)
	}
	if l.box.queues != nil {
		t.Error("an idle mailbox holds a queue")
	}
}

func TestASuspendedMailboxKeepsItsMessages(t *testing.T) {
	l := newListener(t)
	l.hook = func(s string) {
		if s == "bad" {
			panic(s)
		}
	}
	l.box.PostUserMessage("bad")
	if l.failures != 1 {
		t.Errorf("%d failures were escalated", l.failures)
	}
	l.box.PostSystemMessage(&actor.SuspendMailbox{})
	l.box.PostUserMessage("later")
	if n := l.box.UserMessageCount(); n != 1 || len(l.got) != 1 {
		t.Errorf("%d wait, got %v", n, l.got)
	}
	l.box.PostSystemMessage(&actor.ResumeMailbox{})
	if want := "[bad later]"; fmt.Sprint(l.got) != want {
		t.Errorf("got %v, want %v", l.got, want)
	}
}
