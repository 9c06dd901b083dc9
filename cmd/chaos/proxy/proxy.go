// Package proxy is a piece of network that can be made to fail: a TCP link that is
// cut, goes silent, loses answers, or is slow. It knows nothing of what passes.
package proxy

import (
	"net"
	"sync"
	"time"
)

// Mode is what a link does with what comes to it.
type Mode int

const (
	Open    Mode = iota
	Cut          // connections are ended, and new ones at once: the far end is seen to be away
	Silent       // nothing passes and nobody is told; what was on its way passes once it is open again
	Mute         // as Silent, but only what comes back
	Swallow      // what is asked passes; instead of an answer the connection ends
	Slow         // everything comes late, in small pieces
)

// lag and piece are of Slow.
const (
	lag   = 20 * time.Millisecond
	piece = 1 << 10
)

// Link listens at an address of its own and leads to another.
type Link struct {
	Target   string
	listener net.Listener

	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed when mode changes
	pairs   map[*pair]bool
	ended   bool
	passing sync.WaitGroup
}

// pair is one connection and its other half, which there is once something passes.
type pair struct {
	near, far net.Conn
}

func (p *pair) close() {
	p.near.Close()
	if p.far != nil {
		p.far.Close()
	}
}

// New starts a link to target, open.
func New(target string) (*Link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &Link{Target: target, listener: l, changed: make(chan struct{}), pairs: map[*pair]bool{}}
	k.passing.Go(k.accept)
	return k, nil
}

// Addr is where it listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Set changes what it does.
func (l *Link) Set(m Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = m
	close(l.changed)
	l.changed = make(chan struct{})
	if m == Cut {
		l.drop()
	}
}

// Close ends it and all that goes over it.
func (l *Link) Close() error {
	l.mu.Lock()
	l.ended = true
	close(l.changed)
	l.changed = make(chan struct{})
	l.drop()
	l.mu.Unlock()
	err := l.listener.Close()
	l.passing.Wait()
	return err
}

// drop ends all connections. l is locked.
func (l *Link) drop() {
	for p := range l.pairs {
		p.close()
		delete(l.pairs, p)
	}
}

func (l *Link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.passing.Go(func() { l.connect(c) })
	}
}

// connect dials the far end once anything may pass, and passes both ways.
func (l *Link) connect(near net.Conn) {
	p := &pair{near: near}
	l.mu.Lock()
	if l.ended || l.mode == Cut {
		l.mu.Unlock()
		near.Close()
		return
	}
	l.pairs[p] = true
	l.mu.Unlock()
	if !l.passes(p, true) {
		return
	}
	far, err := net.Dial("tcp", l.Target)
	l.mu.Lock()
	if err != nil || !l.pairs[p] {
		delete(l.pairs, p)
		l.mu.Unlock()
		near.Close()
		if far != nil {
			far.Close()
		}
		return
	}
	p.far = far
	l.mu.Unlock()
	l.passing.Go(func() { l.pump(p, far, near, false) })
	l.pump(p, near, far, true)
}

// passes waits until something may pass in a direction; false: the connection has ended.
func (l *Link) passes(p *pair, forth bool) bool {
	for {
		l.mu.Lock()
		mode, changed, here := l.mode, l.changed, l.pairs[p]
		l.mu.Unlock()
		switch {
		case !here:
			return false
		case mode == Silent, mode == Mute && !forth:
			<-changed
		case mode == Swallow && !forth:
			return false
		case mode == Slow:
			select {
			case <-changed:
			case <-time.After(lag):
			}
			return true
		default:
			return true
		}
	}
}

func (l *Link) pump(p *pair, from, to net.Conn, forth bool) {
	defer func() {
		l.mu.Lock()
		delete(l.pairs, p)
		l.mu.Unlock()
		p.close()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			if !l.passes(p, forth) {
				return
			}
			part := rest
			if l.is(Slow) {
				part = rest[:min(len(rest), piece)]
			}
			if _, err := to.Write(part); err != nil {
				return
			}
			rest = rest[len(part):]
		}
		if err != nil {
			return
		}
	}
}

func (l *Link) is(m Mode) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode == m
}
