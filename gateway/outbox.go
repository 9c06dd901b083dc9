package gateway

import (
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// An item waits for a socket: a frame not yet encoded, so that it costs no bytes of
// its own, or a control frame.
type item struct {
	out  actors.Outgoing // To holds a pong's payload and a close's reason, Offset a close's code
	size int32           // estimated bytes
	op   uint8           // 0: a frame, else opPong or opClose
}

// queue is what waits for one socket. It is there only while something waits.
type queue struct {
	items []item
	bytes int
}

var queues = sync.Pool{New: func() any { return &queue{items: make([]item, 0, 8)} }}

func (q *queue) free() {
	clear(q.items)
	q.items, q.bytes = q.items[:0], 0
	if cap(q.items) <= 512 {
		queues.Put(q)
	}
}

// The life of a socket's sending side.
const (
	open    uint8 = iota
	closing       // the close frame is queued, nothing comes after it
	sent          // the close frame is out
	dead          // the connection is closed
)

// outbox is the sending half of a socket: counted bytes, filled by Deliver and
// emptied by whoever delivered, without waiting. What the socket does not take goes
// to a goroutine that lives as long as the socket is slow.
type outbox struct {
	mu        sync.Mutex
	queue     *queue
	bytes     int // not yet taken by the socket, estimated
	large     int // of them, one frame above the bound that was let into an empty queue
	state     uint8
	scheduled bool // a burst will flush
	draining  bool // somebody writes, and takes what is queued meanwhile
	dropped   bool // what was queued before the close frame is not sent
	peerSaid  bool // the peer has sent its close frame: it need not be waited for
	sentAt    time.Time
}

// Deliver queues frames. It is actors.Link's.
func (s *socket) Deliver(frames []actors.Outgoing, burst *actors.Burst) {
	s.mu.Lock()
	for i := range frames {
		size := s.estimate(&frames[i])
		if s.full(size) && !s.draining {
			s.mu.Unlock() // not slow, just much at once: write what there is
			s.Flush()
			s.mu.Lock()
		}
		if s.state != open {
			s.mu.Unlock()
			return
		}
		if s.full(size) {
			s.mu.Unlock()
			s.close(protocol.Code_TOO_SLOW.CloseCode(), "too slow: read on, and catch up by sync", true)
			return
		}
		if s.bytes == 0 && size > s.ws.cfg.Queue {
			s.large = size
		}
		s.push(item{out: frames[i], size: int32(size)})
	}
	first := s.queue != nil && !s.scheduled && !s.draining
	s.scheduled = s.scheduled || first
	s.mu.Unlock()
	if first && !burst.Add(s) {
		s.Flush()
	}
}

// full says that size bytes more are too much. One frame is always let in, and one
// above the bound does not count against what follows it: a home list of long
// messages is no slowness of the client's.
func (s *socket) full(size int) bool { return s.bytes > 0 && s.bytes+size > s.ws.cfg.Queue+s.large }

func (s *socket) push(it item) {
	if s.queue == nil {
		s.queue = queues.Get().(*queue)
	}
	s.queue.items = append(s.queue.items, it)
	s.queue.bytes += int(it.size)
	s.bytes += int(it.size)
}

// pong answers a ping. Of several that wait the last is enough (RFC 6455 5.5.3).
func (s *socket) pong(payload string) {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	it := item{op: opPong, size: int32(len(payload) + 2), out: actors.Outgoing{To: payload}}
	if q := s.queue; q != nil && q.items[len(q.items)-1].op == opPong {
		q.items[len(q.items)-1].out = it.out
	} else {
		s.push(it)
	}
	first := !s.scheduled && !s.draining
	s.mu.Unlock()
	if first {
		s.Flush()
	}
}

// Close sends what is queued, then a close frame. It is actors.Link's.
func (s *socket) Close(code int, reason string) { s.close(code, reason, false) }

func (s *socket) close(code int, reason string, drop bool) {
	if code == 0 {
		code = 1000
	}
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	s.state = closing
	if drop {
		s.dropped = true
		if s.queue != nil {
			s.bytes -= s.queue.bytes
			s.queue.free()
			s.queue = nil
		}
	}
	s.push(item{op: opClose, size: int32(len(reason) + 4), out: actors.Outgoing{To: reason, Offset: int64(code)}})
	s.mu.Unlock()
	s.ws.metrics.closed(code)
	s.guard.Conn.SetReadDeadline(past) // the reader comes, says Gone and sees the rest through
	s.Flush()
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

func (s *socket) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != open
}

// Flush writes what is queued, as far as the socket takes it at once.
func (s *socket) Flush() {
	s.mu.Lock()
	s.scheduled = false
	if s.draining || s.queue == nil || s.state >= sent {
		s.mu.Unlock()
		return
	}
	s.draining = true
	s.mu.Unlock()
	w := writers.Get().(*writer)
	if s.raw == nil { // TLS: there is no writing without perhaps waiting
		go s.drain(w, true)
		return
	}
	s.drain(w, false)
}

// drain writes until nothing is queued. Only one goroutine does at a time. The one
// that must not wait leaves the rest, and the turn, to one that may.
func (s *socket) drain(w *writer, wait bool) {
	defer func() {
		if p := recover(); p != nil {
			s.ws.panicked("outbox", p)
			s.broken()
		}
	}()
	for s.next(w) {
		var err error
		if wait {
			w.waited = true
			s.guard.Conn.SetWriteDeadline(time.Now().Add(s.ws.cfg.WriteWithin))
			_, err = s.guard.Conn.Write(w.buf)
		} else {
			err = w.attempt(s.raw)
			if err == nil && w.n < len(w.buf) {
				w.buf = w.buf[:copy(w.buf, w.buf[w.n:])]
				go s.drain(w, true)
				return
			}
		}
		if err != nil {
			s.broken()
			w.free()
			return
		}
		s.written(w)
	}
	w.free()
}

// next fills w with the next bytes to write, if it is empty. When nothing is left to
// write the turn is given back.
func (s *socket) next(w *writer) bool {
	if len(w.buf) > 0 {
		return true
	}
	s.mu.Lock()
	if w.queue == nil {
		if s.queue == nil || s.state >= sent {
			if w.waited && s.state < sent {
				s.guard.Conn.SetWriteDeadline(time.Time{})
			}
			s.draining = false
			s.mu.Unlock()
			return false
		}
		w.queue, w.at, s.queue = s.queue, 0, nil
	}
	dropped := s.dropped
	s.mu.Unlock()
	s.encode(w, dropped)
	return true
}

// encode appends waiting frames to w.buf until that is a good write, 32 KiB; dropped:
// no more than the close frame.
func (s *socket) encode(w *writer, dropped bool) {
	for w.at < len(w.queue.items) && len(w.buf) < 32<<10 {
		it := &w.queue.items[w.at]
		w.at++
		w.size += int(it.size)
		if !dropped || it.op == opClose {
			s.append(w, it)
		}
	}
	if w.at == len(w.queue.items) {
		w.queue.free()
		w.queue = nil
	}
}

func (s *socket) append(w *writer, it *item) {
	at := len(w.buf)
	switch it.op {
	case opPong:
		w.buf = endFrame(append(beginFrame(w.buf), it.out.To...), at, final|opPong)
		return
	case opClose:
		w.buf = appendClose(w.buf, int(it.out.Offset), it.out.To)
		w.last = true
		return
	}
	first := byte(final | opText)
	b := beginFrame(w.buf)
	switch o := &it.out; {
	case s.binary && o.Shared != nil:
		first, b = final|opBinary, o.Shared.AppendBinary(b, o.To, o.Offset)
	case s.binary:
		first, b = final|opBinary, protocol.AppendBinary(b, o.Frame)
	case o.Shared != nil:
		b = o.Shared.AppendJSON(b, o.To, o.Offset)
	default:
		b = protocol.AppendJSON(b, o.Frame)
	}
	if s.guard.deflate && len(b)-at-4 > deflateOver {
		var did bool
		if b, did = deflate(b, at+4); did {
			first |= compressed
		}
	}
	w.buf = endFrame(b, at, first)
	w.count(&it.out)
}

// written takes what the socket took off the count.
func (s *socket) written(w *writer) {
	s.mu.Lock()
	if s.bytes -= w.size; s.bytes <= s.ws.cfg.Queue {
		s.large = 0
	}
	if w.last && s.state == closing {
		s.state, s.sentAt = sent, time.Now()
	}
	s.mu.Unlock()
	s.ws.metrics.sent(w.acks, w.pushes, w.frames)
	if w.last {
		if c, ok := s.guard.Conn.(interface{ CloseWrite() error }); ok {
			c.CloseWrite()
		}
		s.guard.Conn.SetReadDeadline(past) // the reader looks how long it still waits
	}
	w.buf = w.buf[:0]
	w.size, w.acks, w.pushes, w.frames, w.last = 0, 0, 0, 0, false
}

// broken ends a connection that can't be written to.
func (s *socket) broken() {
	s.mu.Lock()
	if s.state == open {
		s.ws.metrics.closed(1006)
	}
	s.state, s.draining = dead, false
	if s.queue != nil {
		s.queue.free()
		s.queue = nil
	}
	s.mu.Unlock()
	s.guard.Conn.Close()
}

// estimate is about how many bytes a frame takes.
func (s *socket) estimate(o *actors.Outgoing) int {
	if o.Shared != nil {
		if s.binary {
			return o.Shared.Size() + len(o.To) + 48
		}
		return o.Shared.Size()*3/2 + len(o.To) + 200
	}
	if r := o.Frame.GetMsgSendReply(); r != nil {
		return 160 + len(o.Frame.Id) + len(r.Session)*2 + len(r.ClientMsgId)
	}
	return 96 + proto.Size(o.Frame)*3/2
}

// linger waits for the close frame to be out and for the peer to read it: closing a
// socket with unread bytes in it would tear the frame away from the peer. It is
// called by the reader, when nothing is read any more.
func (s *socket) linger() {
	var scrap [512]byte
	end := time.Now().Add(s.ws.cfg.WriteWithin + lingerFor)
	for {
		s.mu.Lock()
		if s.state == sent {
			if until := s.sentAt.Add(lingerFor); until.Before(end) {
				end = until
			}
		}
		over := s.state == open || s.state == dead || s.state == sent && s.peerSaid || !time.Now().Before(end)
		if !over {
			s.guard.Conn.SetReadDeadline(end)
		}
		s.mu.Unlock()
		if over {
			break
		}
		if _, err := s.guard.Conn.Read(scrap[:]); err != nil {
			if e, ok := err.(net.Error); !ok || !e.Timeout() {
				break
			}
		}
	}
	s.broken()
}

// lingerFor is how long a peer may take to answer a close frame.
const lingerFor = 2 * time.Second
