package gateway

import (
	"compress/flate"
	"encoding/binary"
	"sync"
	"unicode/utf8"
)

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10

	final      = 0x80
	compressed = 0x40 // RSV1, on a whole message only
)

// deflateOver is in bytes: what is shorter gains too little for the work.
const deflateOver = 1 << 10

// beginFrame leaves room for the head of a frame, which is as long as its body's
// length makes it: 4 bytes fit nearly all of ours.
func beginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// endFrame fills in the head of the frame that began at at, its body being the rest of b.
func endFrame(b []byte, at int, first byte) []byte {
	body := b[at+4:]
	n := len(body)
	switch {
	case n <= 125:
		b[at], b[at+1] = first, byte(n)
		copy(b[at+2:], body)
		return b[:len(b)-2]
	case n <= 0xffff:
		b[at], b[at+1] = first, 126
		binary.BigEndian.PutUint16(b[at+2:], uint16(n))
		return b
	}
	b = append(b, 0, 0, 0, 0, 0, 0)
	copy(b[at+10:], b[at+4:at+4+n])
	b[at], b[at+1] = first, 127
	binary.BigEndian.PutUint64(b[at+2:], uint64(n))
	return b
}

// appendClose appends a close frame. The reason is cut to the 123 bytes there is room for.
func appendClose(b []byte, code int, reason string) []byte {
	at := len(b)
	b = append(beginFrame(b), byte(code>>8), byte(code))
	if len(reason) > 123 {
		reason = reason[:123]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	return endFrame(append(b, reason...), at, final|opClose)
}

// A deflater compresses one message at a time, without a memory of the last one:
// what is kept for thousands of connections are the few that are at work.
type deflater struct {
	w   *flate.Writer
	out []byte
}

func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.w, _ = flate.NewWriter(d, flate.BestSpeed)
	return d
}}

// deflate replaces the body that begins at from by its compressed form (RFC 7692
// 7.2.1), and says whether it did, which is where that is shorter.
func deflate(b []byte, from int) ([]byte, bool) {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out = d.out[:0]
	d.w.Reset(d)
	if _, err := d.w.Write(b[from:]); err != nil {
		return b, false
	}
	if err := d.w.Flush(); err != nil {
		return b, false
	}
	short := len(d.out) - 4 // a flush ends with 00 00 ff ff, which the peer knows
	if short >= len(b)-from {
		return b, false
	}
	return append(b[:from], d.out[:short]...), true
}
