package gateway

import (
	"io"
	"sync"
)

// intake is where what a socket has sent waits to be taken by gws. A guard borrows one
// only while there is something in it: an idle connection has no read buffer.
type intake struct {
	buf  [4 << 10]byte
	rest []byte // of buf, not taken yet
	err  error  // of the last read
}

var intakes = sync.Pool{New: func() any { return new(intake) }}

// receive gives what is there, or waits for what comes.
func (g *guard) receive(p []byte) (int, error) {
	if g.in == nil {
		g.arm()
		if g.sock.leaving() { // looked at after the deadline is set: whoever closes sets one that is over
			return 0, errWeAreGoing
		}
		if g.raw == nil || len(p) >= len(intake{}.buf) {
			n, err := g.Conn.Read(p)
			g.heard = g.limits.now()
			return n, err
		}
		// try is called now, and again when there is something to read.
		if err := g.raw.Read(g.try); err != nil {
			return 0, err
		}
		g.heard = g.limits.now()
	}
	in := g.in
	n := copy(p, in.rest)
	if in.rest = in.rest[n:]; len(in.rest) > 0 {
		return n, nil
	}
	err := in.err
	g.in, in.err, in.rest = nil, nil, nil
	intakes.Put(in)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}
