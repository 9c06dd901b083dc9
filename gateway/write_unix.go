//go:build unix

package gateway

import (
	"net"
	"os"
	"syscall"
)

// rawConn gives the way past net.Conn's Write, which waits, and past its Read, which wants
// a buffer to wait with; nil where there is none.
func rawConn(c net.Conn) syscall.RawConn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// attempt writes w.buf as far as the socket takes it without waiting, and sets w.n.
// Control is enough, as nobody else writes meanwhile and nothing is waited for:
// RawConn.Write would lock the descriptor and prepare its poller each time.
func (w *writer) attempt(raw syscall.RawConn) error {
	w.n, w.err = 0, nil
	if err := raw.Control(w.try); err != nil {
		return err
	}
	return w.err
}

func (w *writer) write(fd uintptr) {
	for {
		n, err := syscall.Write(int(fd), w.buf)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return // not now
		}
		w.n, w.err = max(n, 0), err
		return
	}
}

// take reads what the socket has into an intake. False: it has nothing.
func (g *guard) take(fd uintptr) bool {
	in := intakes.Get().(*intake)
	for {
		n, err := syscall.Read(int(fd), in.buf[:])
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			intakes.Put(in)
			return false
		case nil:
		default:
			err = os.NewSyscallError("read", err)
		}
		in.rest, in.err = in.buf[:max(n, 0)], err
		g.in = in
		return true
	}
}
