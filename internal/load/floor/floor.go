// Package floor is the least that a durable relay can do on this machine: gws
// sockets, opaque frames with a fixed binary header, one append-only log that is
// synced before anything is answered. It knows no users, no members, no history
// and no JSON. `troupe load --floor` measures Troupe against it in the same run,
// as a ratio travels between machines and a figure does not.
//
// Frames are binary messages, numbers big-endian:
//
//	client  'H' user(4)                   this connection is user; answered 'H'
//	client  'J' group(4)                  and a member of group; answered 'J'
//	client  'S' to(4) id(4) body          to a user, or with the top bit set to a group
//	server  'A' id(4) seq(8)              stored, as entry seq of the destination
//	server  'P' to(4) from(4) seq(8) body what somebody else sent to you or your group
package floor

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/lxzan/gws"
)

// The kinds of frames, and the bit that makes a destination a group.
const (
	Hello = 'H'
	Join  = 'J'
	Send  = 'S'
	Ack   = 'A'
	Push  = 'P'

	Group = 1 << 31
)

// readBuffer is what gws holds per connection: 1 KiB was the best of 1 and 4 KiB
// in the prototype, and is what Troupe's gateway uses.
const readBuffer = 1 << 10

// Serve answers on l until ctx ends, with its log in dir. The end of ctx is no
// error. A bare relay writes each frame to its socket by itself; coalesce gathers
// what one commit has for a socket into one write, which is what a server can do at
// best: a third of the cost where 10 messages of a pair are in flight.
func Serve(ctx context.Context, l net.Listener, dir string, coalesce bool) error {
	file, err := os.OpenFile(filepath.Join(dir, "floor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	defer file.Close()

	r := &relay{coalesce: coalesce, users: map[uint32]*peer{}, groups: map[uint32]*group{}}
	r.log = startLog(file, r.deliver)
	defer r.log.stop()
	s := gws.NewServer(r, &gws.ServerOption{
		ReadBufferSize:     readBuffer,
		ReadMaxPayloadSize: 1 << 16,
		Logger:             quiet{},
	})
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		r.closeAll()
	})
	defer stop()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("floor: accept: %w", err)
		}
		go serve(s, c)
	}
}

func serve(s *gws.Server, c net.Conn) {
	br := bufio.NewReaderSize(c, readBuffer)
	req, err := http.ReadRequest(br)
	if err != nil {
		c.Close()
		return
	}
	socket, err := s.GetUpgrader().UpgradeFromConn(c, br, req)
	if err != nil {
		c.Close()
		return
	}
	socket.ReadLoop()
}

// relay is gws' event handler: who is connected, and who is in which group.
type relay struct {
	gws.BuiltinEventHandler
	log      *log
	coalesce bool

	mu     sync.RWMutex
	users  map[uint32]*peer
	groups map[uint32]*group
}

// group is written by the log's goroutine alone, but for members.
type group struct {
	seq     uint64
	members []*peer
}

const peerKey = "peer"

func (r *relay) OnMessage(socket *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := m.Bytes()
	if len(b) < 5 {
		socket.WriteClose(1002, nil)
		return
	}
	n := binary.BigEndian.Uint32(b[1:])
	if b[0] == Hello {
		p := newPeer(n, socket)
		socket.Session().Store(peerKey, p)
		r.mu.Lock()
		r.users[n] = p
		r.mu.Unlock()
		p.queueFrame([]byte{Hello})
		p.flush()
		return
	}
	v, ok := socket.Session().Load(peerKey)
	if !ok {
		socket.WriteClose(1002, nil)
		return
	}
	p := v.(*peer)
	switch {
	case b[0] == Join:
		r.mu.Lock()
		g := r.groups[n]
		if g == nil {
			g = &group{}
			r.groups[n] = g
		}
		g.members = append(g.members, p)
		r.mu.Unlock()
		p.queueFrame([]byte{Join})
		p.flush()
	case b[0] == Send && len(b) >= 9:
		// gws takes the buffer back, so the body is copied: the one copy of a message.
		r.log.append(&record{from: p, to: n, id: binary.BigEndian.Uint32(b[5:]), body: append([]byte(nil), b[9:]...)})
	default:
		socket.WriteClose(1002, nil)
	}
}

func (r *relay) OnClose(socket *gws.Conn, _ error) {
	v, ok := socket.Session().Load(peerKey)
	if !ok {
		return
	}
	p := v.(*peer)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users[p.user] == p {
		delete(r.users, p.user)
	}
	for _, g := range r.groups {
		for i, m := range g.members {
			if m == p {
				g.members = append(append([]*peer(nil), g.members[:i]...), g.members[i+1:]...)
				break
			}
		}
	}
}

func (r *relay) closeAll() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, p := range r.users {
		p.conn.Close()
	}
}

// deliver answers and relays what is durable. The log calls it, one batch at a time.
func (r *relay) deliver(batch []*record) {
	var touched []*peer
	touch := func(p *peer) {
		if !r.coalesce {
			p.flush()
			return
		}
		if !p.touched {
			p.touched = true
			touched = append(touched, p)
		}
	}
	var frame []byte
	r.mu.RLock()
	for _, rec := range batch {
		var to []*peer
		var one [1]*peer
		var seq uint64
		if rec.to&Group != 0 {
			if g := r.groups[rec.to&^Group]; g != nil {
				g.seq++
				seq, to = g.seq, g.members
			}
		} else if p := r.users[rec.to]; p != nil {
			p.seq++
			seq, one[0] = p.seq, p
			to = one[:]
		}

		var ack [13]byte
		ack[0] = Ack
		binary.BigEndian.PutUint32(ack[1:], rec.id)
		binary.BigEndian.PutUint64(ack[5:], seq)
		rec.from.queueFrame(ack[:])
		touch(rec.from)

		frame = append(frame[:0], Push)
		frame = binary.BigEndian.AppendUint32(frame, rec.to)
		frame = binary.BigEndian.AppendUint32(frame, rec.from.user)
		frame = binary.BigEndian.AppendUint64(frame, seq)
		frame = append(frame, rec.body...)
		for _, p := range to {
			if p != rec.from {
				p.queueFrame(frame)
				touch(p)
			}
		}
	}
	r.mu.RUnlock()
	for _, p := range touched {
		p.touched = false
		p.flush()
	}
}

// quiet drops what gws would print of each lost connection.
type quiet struct{}

func (quiet) Error(...any) {}

// Main is the child process that `troupe load --floor` starts: it prints the
// address it listens on, and ends with ctx.
func Main(ctx context.Context, dir string, coalesce bool, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	return Serve(ctx, l, dir, coalesce)
}
