package load

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/internal/load/floor"
)

// floorWire speaks the floor's frames; a session there is a number.
type floorWire struct {
	payload int
}

func (w *floorWire) path() string { return "/" }
func (w *floorWire) opcode() byte { return opBinary }

func (w *floorWire) hello(c *conn) error { return w.tell(c, floor.Hello, uint32(c.user)) }

// tell sends a frame of a kind and a number, and waits for its echo.
func (w *floorWire) tell(c *conn, kind byte, n uint32) error {
	c.nc.SetDeadline(time.Now().Add(answerTimeout))
	defer c.nc.SetDeadline(time.Time{})
	if err := c.write(opBinary, binary.BigEndian.AppendUint32([]byte{kind}, n)); err != nil {
		return err
	}
	answer, err := c.receive()
	if err != nil {
		return err
	}
	if len(answer) != 1 || answer[0] != kind {
		return fmt.Errorf("floor: answer %q to %q", answer, kind)
	}
	return nil
}

func (w *floorWire) open(members []*conn, group bool) (string, error) {
	if !group {
		return fmt.Sprint(members[1].user), nil
	}
	n := uint32(members[0].user) // the first member's number is the group's
	for _, m := range members {
		if err := w.tell(m, floor.Join, n); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(n | floor.Group), nil
}

func (w *floorWire) beat() []byte { return nil }

func (w *floorWire) template(f *flow) {
	b := binary.BigEndian.AppendUint32([]byte{floor.Send}, uint32(number([]byte(f.session))))
	f.idAt = len(b)
	b = append(b, 0, 0, 0, 0)
	f.textAt = len(b)
	f.message = append(b, newText(f.sender, w.payload)...)
}

func (w *floorWire) stamp(f *flow, n uint32, sent int64) {
	binary.BigEndian.PutUint32(f.message[f.idAt:], n)
	stampText(f.message[f.textAt:], n, sent)
}

func (w *floorWire) read(payload []byte, e *event) error {
	switch {
	case len(payload) == 13 && payload[0] == floor.Ack:
		e.kind = ackEvent
		e.n = binary.BigEndian.Uint32(payload[1:])
		e.seq = int64(binary.BigEndian.Uint64(payload[5:]))
	case len(payload) > 17 && payload[0] == floor.Push:
		e.kind = pushEvent
		e.seq = int64(binary.BigEndian.Uint64(payload[9:]))
		e.text = payload[17:]
	default:
		return fmt.Errorf("floor: frame of %d bytes", len(payload))
	}
	return nil
}
