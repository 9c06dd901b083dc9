package load

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The opcodes that a server may send.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// dialTimeout bounds one TCP connect and WebSocket handshake. At thousands of
// connects at once on two cores a second is normal.
const dialTimeout = 20 * time.Second

// dial opens a WebSocket. The load generator speaks the protocol itself, as it
// shares the machine with what it measures: a general client costs more per frame
// than the server does.
func dial(ctx context.Context, addr, path string, local net.Addr) (*net.TCPConn, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: local, KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	tcp := c.(*net.TCPConn)
	// A reset instead of a farewell: no port is left in TIME_WAIT for the next run.
	tcp.SetLinger(0)
	deadline, _ := ctx.Deadline()
	tcp.SetDeadline(deadline)
	rest, err := handshake(tcp, addr, path)
	if err != nil {
		tcp.Close()
		return nil, nil, err
	}
	tcp.SetDeadline(time.Time{})
	return tcp, rest, nil
}

// handshake asks for a WebSocket and gives what the server sent behind its answer.
func handshake(c net.Conn, addr, path string) ([]byte, error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", path, addr, key); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(c, 1024)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("handshake: %s", res.Status)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, errors.New("handshake: wrong Sec-WebSocket-Accept")
	}
	rest, _ := br.Peek(br.Buffered())
	return append([]byte(nil), rest...), nil
}

// appendHead appends the head of a client's frame of n bytes. The mask key is
// zero, which leaves the payload as it is: a mask protects proxies from hostile
// pages, and here it would only cost the measured machine time.
func appendHead(b []byte, op byte, n int) []byte {
	b = append(b, 0x80|op)
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, 0, 0, 0, 0)
}

// maxFrame is the longest frame taken from a server: a page of 200 entries of 8 KiB.
const maxFrame = 4 << 20

// nextFrame takes one whole frame off b. need > 0 says that so many bytes must be
// in b before there is one.
func nextFrame(b []byte) (op byte, payload, rest []byte, need int, err error) {
	if len(b) < 2 {
		return 0, nil, b, 2, nil
	}
	if b[0]&0xf0 != 0x80 {
		return 0, nil, b, 0, fmt.Errorf("frame head %#x: fragments and extensions were not asked for", b[0])
	}
	if b[1]&0x80 != 0 {
		return 0, nil, b, 0, errors.New("the server masked a frame")
	}
	head, n := 2, uint64(b[1])
	switch n {
	case 126:
		if head = 4; len(b) < head {
			return 0, nil, b, head, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return 0, nil, b, head, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > maxFrame {
		return 0, nil, b, 0, fmt.Errorf("frame of %d bytes", n)
	}
	end := head + int(n)
	if len(b) < end {
		return 0, nil, b, end, nil
	}
	return b[0] & 0x0f, b[head:end], b[end:], 0, nil
}

// closed is what a close frame says.
type closed struct {
	code   int
	reason string
}

func (c closed) Error() string { return fmt.Sprintf("closed by the server: %d %s", c.code, c.reason) }

func parseClose(payload []byte) closed {
	if len(payload) < 2 {
		return closed{code: 1005}
	}
	return closed{code: int(binary.BigEndian.Uint16(payload)), reason: string(payload[2:])}
}
