package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

type row struct {
	name  string
	send  []byte
	want  int
	pongs int
}

// Rows of RFC 6455 as a client can break or keep it, over a raw socket that has
// signed in. want is the close code; 0 means that the connection lives, and pongs
// that many pongs came before it answered a heartbeat.
var conformance = []row{
	{name: "a text frame", send: text(beat)},
	{name: "a 16-bit length", send: text(beat + strings.Repeat(" ", 200))},
	{name: "a message of exactly the cap", send: text(beat + strings.Repeat(" ", 64<<10-len(beat)))},
	{name: "a message of one byte more", send: text(beat + strings.Repeat(" ", 64<<10-len(beat)+1)), want: 1009},
	{name: "an empty ping", send: frameBytes(0x89, nil), pongs: 1},
	{name: "a ping of 125 bytes", send: frameBytes(0x89, bytes.Repeat([]byte("p"), 125)), pongs: 1},
	{name: "a ping of 126 bytes", send: frameBytes(0x89, bytes.Repeat([]byte("p"), 126)), want: 1002},
	{name: "a ping in fragments", send: frameBytes(0x09, nil), want: 1002},
	{name: "a pong that nobody asked for", send: frameBytes(0x8a, []byte("x"))},
	{name: "a message in two fragments", send: join(frameBytes(0x01, []byte(beat[:5])), frameBytes(0x80, []byte(beat[5:])))},
	{name: "a message in fragments with an empty one", send: join(frameBytes(0x01, []byte(beat)), frameBytes(0x00, nil), frameBytes(0x80, nil))},
	{name: "a ping between fragments", send: join(frameBytes(0x01, []byte(beat[:5])), frameBytes(0x89, []byte("x")), frameBytes(0x80, []byte(beat[5:]))), pongs: 1},
	{name: "a continuation of nothing", send: frameBytes(0x80, []byte(beat)), want: 1002},
	{name: "an unfinished continuation of nothing", send: frameBytes(0x00, []byte(beat)), want: 1002},
	{name: "a new message within one", send: join(frameBytes(0x01, []byte(beat)), text(beat)), want: 1002},
	{name: "64 fragments", send: join(frameBytes(0x01, []byte(beat)), bytes.Repeat(frameBytes(0x00, nil), 62), frameBytes(0x80, nil))},
	{name: "65 fragments", send: join(frameBytes(0x01, []byte(beat)), bytes.Repeat(frameBytes(0x00, nil), 64)), want: 1008},
	{name: "fragments over the cap together", send: join(frameBytes(0x01, spaces(40<<10)), frameBytes(0x80, spaces(40<<10))), want: 1009},
	{name: "RSV1 without compression", send: frameBytes(0xc1, []byte(beat)), want: 1002},
	{name: "RSV2", send: frameBytes(0xa1, []byte(beat)), want: 1002},
	{name: "RSV3", send: frameBytes(0x91, []byte(beat)), want: 1002},
	{name: "RSV1 on a ping", send: frameBytes(0xc9, nil), want: 1002},
	{name: "no mask", send: append([]byte{0x81, byte(len(beat))}, beat...), want: 1002},
	{name: "a ping without mask", send: []byte{0x89, 0}, want: 1002},
	{name: "a short length in 16 bits", send: []byte{0x81, 0x80 | 126, 0, 125, 1, 2, 3, 4}, want: 1002},
	{name: "a 16-bit length in 64 bits", send: []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}, want: 1002},
	{name: "a 64-bit length with its top bit set", send: []byte{0x81, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, want: 1002},
	{name: "the smallest such length", send: []byte{0x82, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, want: 1002},
	{name: "the largest length there is", send: []byte{0x81, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, want: 1009},
	{name: "a length over the cap, its bytes never sent", send: []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4}, want: 1009},
	{name: "text that is no UTF-8", send: frameBytes(0x81, []byte("{\"type\":\"\xff\"}")), want: 1007},
	{name: "text that is no UTF-8 over two fragments", send: join(frameBytes(0x01, []byte("\xe6\xb1")), frameBytes(0x80, []byte("\x28"))), want: 1007},
	{name: "a letter cut by a fragment", send: join(frameBytes(0x01, []byte(`{"type":"heartbeat","x":"`+"\xe6\xb1")), frameBytes(0x80, []byte("\x89\"}")))},
	{name: "an empty text", send: text(""), pongs: 0},
	{name: "a close without code", send: frameBytes(0x88, nil), want: 1000},
	{name: "a close with 1000", send: frameBytes(0x88, []byte{0x03, 0xe8}), want: 1000},
	{name: "a close with 1001 and a reason", send: frameBytes(0x88, []byte("\x03\xe9bye")), want: 1000},
	{name: "a close with half a code", send: frameBytes(0x88, []byte{3}), want: 1002},
	{name: "a close whose reason is no UTF-8", send: frameBytes(0x88, []byte("\x03\xe8\xff")), want: 1007},
	{name: "a close of 126 bytes", send: frameBytes(0x88, append([]byte{3, 0xe8}, spaces(124)...)), want: 1002},
	{name: "data behind a close", send: join(frameBytes(0x88, []byte{0x03, 0xe8}), text(beat)), want: 1000},
}

const beat = `{"type":"heartbeat","id":"b"}`

func join(b ...[]byte) []byte { return bytes.Join(b, nil) }
func spaces(n int) []byte     { return bytes.Repeat([]byte(" "), n) }

// more are the rows that differ by a number only: unknown opcodes, with and without
// FIN and a payload; reserved bits on every opcode; close codes; lengths in a form
// that is longer than they need.
func more() (rows []row) {
	add := func(want int, send []byte, name string, args ...any) {
		rows = append(rows, row{name: fmt.Sprintf(name, args...), send: send, want: want})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(1002, frameBytes(final|op, nil), "opcode %d", op)
		add(1002, frameBytes(final|op, []byte("x")), "opcode %d with a payload", op)
		add(1002, frameBytes(op, nil), "opcode %d in fragments", op)
	}
	for _, op := range []byte{0, opText, opBinary, opClose, opPing, opPong} {
		for _, bits := range []byte{0x10, 0x20, 0x30, 0x40, 0x70} {
			add(1002, frameBytes(final|bits|op, nil), "reserved bits %#x on opcode %d", bits, op)
		}
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(1002, frameBytes(final|opClose, binary.BigEndian.AppendUint16(nil, uint16(code))), "a close with %d", code)
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011} {
		add(1000, frameBytes(final|opClose, binary.BigEndian.AppendUint16(nil, uint16(code))), "a close with %d", code)
	}
	for _, code := range []int{3000, 3999, 4000, 4321, 4999} {
		add(code, frameBytes(final|opClose, binary.BigEndian.AppendUint16(nil, uint16(code))), "a close with %d", code)
	}
	for _, n := range []byte{0, 1, 100, 125} {
		add(1002, []byte{0x81, 0x80 | 126, 0, n, 1, 2, 3, 4}, "length %d in 16 bits", n)
		add(1002, []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, n, 1, 2, 3, 4}, "length %d in 64 bits", n)
	}
	for _, op := range []byte{opClose, opPing, opPong} {
		add(1002, []byte{final | op, 0x80 | 126, 0, 200, 1, 2, 3, 4}, "opcode %d with a 16-bit length", op)
		add(1002, []byte{final | op, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, "opcode %d with a 64-bit length", op)
		add(1002, frameBytes(op, nil), "opcode %d in fragments", op)
		add(1002, []byte{final | op, 0}, "opcode %d without mask", op)
	}
	for _, bad := range []string{"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "abc\xe6\xb1"} {
		add(1007, text(bad), "text of % x", bad)
		add(1007, frameBytes(final|opClose, append([]byte{3, 0xe8}, bad...)), "a close for the reason % x", bad)
	}
	return rows
}

func TestWebSocketKeepsToRFC6455(t *testing.T) {
	r := newRig(t, Config{})
	for _, row := range append(conformance, more()...) {
		t.Run(row.name, func(t *testing.T) {
			w := r.signedIn()
			w.t = t
			w.send(row.send)
			if row.want != 0 {
				if code, reason := w.closedWith(); code != row.want {
					t.Errorf("close = %d %q, want %d", code, reason, row.want)
				}
				return
			}
			w.say(`{"type":"heartbeat","id":"last"}`)
			pongs := 0
			for {
				first, b, err := w.next()
				if err != nil {
					t.Fatal(err)
				}
				if first == final|opPong {
					pongs++
				}
				if first == final|opClose {
					t.Fatalf("closed: %q", b)
				}
				if first == final|opText && bytes.Contains(b, []byte(`"last"`)) {
					break
				}
			}
			if pongs != row.pongs {
				t.Errorf("%d pongs, want %d", pongs, row.pongs)
			}
		})
	}
}

// The same bytes one by one: a guard must not depend on how TCP cuts them.
func TestFramesMayArriveByteByByte(t *testing.T) {
	r := newRig(t, Config{})
	w := r.signedIn()
	for _, b := range join(text(beat), frameBytes(0x01, []byte(beat[:3])), frameBytes(0x89, []byte("x")), frameBytes(0x80, []byte(beat[3:]))) {
		w.send([]byte{b})
	}
	for range 2 {
		first, _, err := w.next()
		for first == final|opPong {
			first, _, err = w.next()
		}
		if err != nil || first != final|opText {
			t.Fatalf("answer = %#x, %v", first, err)
		}
	}
	for _, b := range []byte{0x81, 0x80 | 127, 0x80, 0, 0, 0, 0, 0} {
		w.send([]byte{b})
	}
	w.send([]byte{0, 0, 1, 2, 3, 4})
	if code, _ := w.closedWith(); code != 1002 {
		t.Errorf("close = %d, want 1002", code)
	}
}
