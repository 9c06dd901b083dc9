package gateway

import (
	"sync"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// A writer is the buffer of one turn of writing, and what is not yet in it.
type writer struct {
	buf    []byte // encoded, not yet taken by the socket
	size   int    // what the frames in buf were counted as
	queue  *queue // taken from the socket, nil: all of it is encoded
	at     int    // the first one of queue that is not encoded
	last   bool   // buf ends with a close frame
	waited bool

	acks, pushes, frames int // in buf, for the metrics

	try func(fd uintptr) // writes buf once; made once, as a new one per write would be garbage
	n   int              // bytes that it wrote
	err error
}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 64 << 10

var writers = sync.Pool{New: func() any {
	w := &writer{buf: make([]byte, 0, 16<<10)}
	w.try = w.write
	return w
}}

func (w *writer) free() {
	if w.queue != nil {
		w.queue.free()
	}
	buf := w.buf[:0]
	if cap(buf) > keepBuffer {
		buf = make([]byte, 0, 16<<10)
	}
	*w = writer{buf: buf, try: w.try}
	writers.Put(w)
}

func (w *writer) count(o *actors.Outgoing) {
	w.frames++
	f := o.Frame
	if o.Shared != nil {
		f = o.Shared.Frame
	}
	switch f.GetBody().(type) {
	case *protocol.Frame_MsgPush:
		w.pushes++
	case *protocol.Frame_MsgSendReply:
		w.acks++
	}
}
