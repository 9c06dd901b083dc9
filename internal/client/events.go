package client

import "sync"

// events is the queue between the reader and the handler. It has no bound: a
// handler that waits must not stop the reader, as it may be waiting for an answer.
// The server bounds it in effect, by what it sends to one device.
type events struct {
	mu     sync.Mutex
	wake   sync.Cond
	queue  []Event
	closed bool
	ended  chan struct{}
}

func newEvents() *events {
	e := &events{ended: make(chan struct{})}
	e.wake.L = &e.mu
	return e
}

func (e *events) put(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, v)
	e.wake.Signal()
}

// close lets run end once the queue is empty.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.wake.Signal()
}

func (e *events) wait() { <-e.ended }

func (e *events) run(handle func(Event)) {
	defer close(e.ended)
	for {
		e.mu.Lock()
		for len(e.queue) == 0 && !e.closed {
			e.wake.Wait()
		}
		batch := e.queue
		e.queue = nil
		e.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, v := range batch {
			handle(v)
		}
	}
}
