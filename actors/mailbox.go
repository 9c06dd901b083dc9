package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox runs an idle actor in the goroutine that tells it: no wake-up, and an
// actor with nothing to do holds no queue. An actor told while it runs only
// queues, so its messages stay one after the other (docs/decisions/0003).
//
// What this asks of us: no handler blocks, and nobody tells while holding a lock.
type mailbox struct {
	mu        sync.Mutex
	running   bool
	suspended bool
	*queues   // nil: nothing is queued
	invoker   actor.MessageInvoker
}

// queues are made when there is something to queue: most actors rest.
type queues struct{ user, system []any }

// queue gives the queues; mu is held.
func (m *mailbox) queue() *queues {
	if m.queues == nil {
		m.queues = &queues{}
	}
	return m.queues
}

// turn is how many messages a teller serves for others before it hands over to a
// goroutine of the actor's own.
const turn = 64

// address is an actor of this process: its PID, and its mailbox, which is the
// shorter way to it where the same message goes to hundreds (looking a PID's
// process up costs as much as the rest of a tell).
type address struct {
	pid *actor.PID
	box *mailbox
}

func (a address) tell(message any) { a.box.PostUserMessage(message) }

func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

func (m *mailbox) Start() {}

func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queues == nil {
		return 0
	}
	return len(m.user)
}

func (m *mailbox) PostUserMessage(v any) {
	m.mu.Lock()
	if m.running || m.suspended {
		q := m.queue()
		q.user = append(q.user, v)
		m.mu.Unlock()
		return
	}
	m.running = true
	m.mu.Unlock()
	m.invoke(v)
	m.work(turn)
}

func (m *mailbox) PostSystemMessage(v any) {
	m.mu.Lock()
	q := m.queue()
	q.system = append(q.system, v)
	idle := !m.running
	m.running = true
	m.mu.Unlock()
	if idle {
		m.work(turn)
	}
}

// work serves what is queued, system messages first, until there is nothing left
// or most messages were served; then it hands over.
func (m *mailbox) work(most int) {
	var batch []any
	for {
		m.mu.Lock()
		switch {
		case m.queues == nil:
			m.running = false
			m.mu.Unlock()
			return
		case len(m.system) > 0:
			batch, m.system = m.system, nil
			m.mu.Unlock()
			for _, v := range batch {
				m.invokeSystem(v)
			}
			continue
		case len(m.user) == 0 || m.suspended:
			if len(m.user) == 0 {
				m.queues = nil
			}
			m.running = false
			m.mu.Unlock()
			return
		case most <= 0:
			m.mu.Unlock()
			go m.work(1 << 20)
			return
		}
		batch, m.user = m.user, nil
		m.mu.Unlock()
		for i, v := range batch {
			if i > 0 && m.interrupted(batch[i:]) {
				break
			}
			m.invoke(v)
		}
		most -= len(batch)
	}
}

// interrupted puts the rest of a batch back in front when a system message came
// in between, as that goes first.
func (m *mailbox) interrupted(rest []any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queues == nil || len(m.system) == 0 && !m.suspended {
		return false
	}
	m.user = append(append(make([]any, 0, len(rest)+len(m.user)), rest...), m.user...)
	return true
}

func (m *mailbox) invoke(v any) {
	defer m.rescue(v)
	m.invoker.InvokeUserMessage(v)
}

func (m *mailbox) invokeSystem(v any) {
	defer m.rescue(v)
	switch v.(type) {
	case *actor.SuspendMailbox:
		m.setSuspended(true)
	case *actor.ResumeMailbox:
		m.setSuspended(false)
	default:
		m.invoker.InvokeSystemMessage(v)
	}
}

func (m *mailbox) setSuspended(to bool) {
	m.mu.Lock()
	m.suspended = to
	m.mu.Unlock()
}

func (m *mailbox) rescue(v any) {
	if r := recover(); r != nil {
		m.invoker.EscalateFailure(r, v)
	}
}
