package floor

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"syscall"

	"github.com/lxzan/gws"
)

// maxQueued is what a slow reader may leave unread before it is cut off, in bytes.
const maxQueued = 1 << 20

// peer is one connection's write side: frames gather in out and leave in one
// write that does not wait; what the socket did not take goes to a goroutine.
type peer struct {
	user uint32
	conn net.Conn
	raw  syscall.RawConn

	seq     uint64 // of what was sent to this user; the reporter's alone
	touched bool   // the reporter's alone

	mu      sync.Mutex
	out     []byte
	writing bool // a goroutine drains out
}

// outs lends write buffers, so that an idle connection holds none.
var outs = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

func newPeer(user uint32, socket *gws.Conn) *peer {
	p := &peer{user: user, conn: socket.NetConn()}
	if t, ok := p.conn.(syscall.Conn); ok {
		p.raw, _ = t.SyscallConn()
	}
	return p
}

// queueFrame queues b as one binary message.
func (p *peer) queueFrame(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil {
		p.out = (*outs.Get().(*[]byte))[:0]
	}
	if len(b) < 126 {
		p.out = append(p.out, 0x82, byte(len(b)))
	} else {
		p.out = append(p.out, 0x82, 126)
		p.out = binary.BigEndian.AppendUint16(p.out, uint16(len(b)))
	}
	p.out = append(p.out, b...)
	if len(p.out) > maxQueued {
		p.conn.Close()
	}
}

func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing || len(p.out) == 0 {
		return
	}
	n := p.writeNow(p.out)
	if n < len(p.out) {
		p.writing = true
		rest := append([]byte(nil), p.out[n:]...)
		go p.drain(rest)
	}
	if cap(p.out) <= 64<<10 {
		b := p.out[:0]
		outs.Put(&b)
	}
	p.out = nil
}

// writeNow writes what the socket takes at once.
func (p *peer) writeNow(b []byte) (n int) {
	if p.raw == nil {
		return 0
	}
	p.raw.Write(func(fd uintptr) bool {
		for {
			var err error
			n, err = syscall.Write(int(fd), b)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			return true
		}
	})
	return max(n, 0)
}

// drain writes rest and what is queued meanwhile, waiting for the reader.
func (p *peer) drain(rest []byte) {
	for {
		if _, err := p.conn.Write(rest); err != nil {
			p.conn.Close()
			return // writing stays set: nothing more goes out
		}
		p.mu.Lock()
		if len(p.out) == 0 {
			p.writing = false
			p.mu.Unlock()
			return
		}
		rest, p.out = p.out, nil
		p.mu.Unlock()
	}
}
