package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A guard stands between a socket and gws and reads the frame headers that go by,
// since gws v1.8.9 trusts them: a 64-bit length with the top bit set panics in it,
// an announced length is allocated before a byte has arrived, reserved bits are not
// looked at once compression is on, and nothing is ever late. It also sets every
// read deadline, so an idle connection needs no timer and no goroutine but its reader's.
//
// Only the connection's reader uses it, but for authed.
type guard struct {
	net.Conn
	sock   *socket
	limits *limits
	in     *intake         // what came and was not taken yet, as with the handshake; nil: nothing
	raw    syscall.RawConn // nil: Conn is read
	try    func(fd uintptr) bool

	head   [14]byte // of the frame that is being read
	have   uint8    // bytes of head seen
	need   uint8    // bytes of head there will be, 0: not known yet
	final  bool     // FIN of the frame that is being read
	isData bool
	open   bool  // a fragmented message has begun
	parts  int32 // frames of the message so far
	size   int64 // bytes of the message so far, announced ones too
	left   int64 // payload bytes of this frame still to come

	deflate bool // permessage-deflate was agreed
	raised  bool // speaking WebSocket; before that gws writes the handshake
	authed  atomic.Bool

	since    time.Duration // when the connection began, on the limits' clock
	heard    time.Duration // when anything was last read
	begun    time.Duration // when the incomplete message began to arrive, 0: none
	deadline time.Duration // the one in force
	refused  error         // of a header that was seen behind good frames
}

// limits is what every guard needs to know, once for all of them.
type limits struct {
	first, later int64
	fragments    int32
	auth         time.Duration
	frame        time.Duration
	idle         time.Duration
	start        time.Time // times are kept as durations since then, to keep connections small
}

func (l *limits) now() time.Duration { return time.Since(l.start) }

// A refusal is what a peer did wrong, and the close code it gets for that.
type refusal struct {
	code   int
	reason string
}

func (r *refusal) Error() string { return r.reason }

var (
	errReserved   = &refusal{1002, "reserved bits are set"}
	errOpcode     = &refusal{1002, "unknown opcode"}
	errControl    = &refusal{1002, "a control frame is whole and at most 125 bytes"}
	errSequence   = &refusal{1002, "a fragment out of turn"}
	errUnmasked   = &refusal{1002, "a client's frame is masked"}
	errLength     = &refusal{1002, "a length is written in the shortest form"}
	errTooLarge   = &refusal{1009, "message too large"}
	errFragments  = &refusal{1008, "too many fragments"}
	errLate       = &refusal{4408, "a message took too long to arrive"}
	errIdle       = &refusal{4408, "no sign of life"}
	errNoAuth     = &refusal{4408, "no auth frame in time"}
	errWeAreGoing = errors.New("closing")
)

// Read gives what has arrived, up to the first frame that must not be.
func (g *guard) Read(p []byte) (int, error) {
	if g.refused != nil {
		return 0, g.refuse(g.refused)
	}
	n, err := g.receive(p)
	if err != nil {
		return 0, g.failed(err)
	}
	good, wrong := g.follow(p[:n])
	if wrong != nil {
		if good == 0 {
			return 0, g.refuse(wrong)
		}
		g.refused = wrong // after what stands before it
		return good, nil
	}
	switch busy := g.have > 0 || g.open; {
	case !busy:
		g.begun = 0
	case g.begun == 0:
		g.begun = g.heard
	}
	return n, nil
}

// arm sets the deadline of the next read. That of an idle connection is moved only
// when it is a tenth short, which saves a call per read.
func (g *guard) arm() {
	var until time.Duration
	switch {
	case g.begun > 0:
		until = g.begun + g.limits.frame
	case g.authed.Load():
		until = g.heard + g.limits.idle
		if g.deadline <= until && until-g.deadline < g.limits.idle/10 {
			return
		}
	default:
		until = g.since + g.limits.auth
	}
	if !g.authed.Load() {
		until = min(until, g.since+g.limits.auth)
	}
	if until != g.deadline {
		g.deadline = until
		g.Conn.SetReadDeadline(g.limits.start.Add(until))
	}
}

// failed turns a read's error into what is told to the peer.
func (g *guard) failed(err error) error {
	switch {
	case g.sock.leaving():
		return errWeAreGoing
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case !g.authed.Load() && g.limits.now() >= g.since+g.limits.auth:
		return g.refuse(errNoAuth)
	case g.begun > 0:
		return g.refuse(errLate)
	}
	return g.refuse(errIdle)
}

func (g *guard) refuse(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		g.sock.Close(r.code, r.reason)
	}
	return err
}

// follow looks at the headers in b, and gives how many bytes stand before the first
// header that is refused.
func (g *guard) follow(b []byte) (int, error) {
	start := 0 // of the frame that is being read, if it began in b
	for i := 0; i < len(b); {
		if g.have > 0 && g.have == g.need { // within a payload
			k := min(g.left, int64(len(b)-i))
			i += int(k)
			if g.left -= k; g.left == 0 {
				g.ended()
			}
			continue
		}
		if g.have == 0 {
			start = i
		}
		g.head[g.have] = b[i]
		g.have++
		i++
		var err error
		switch {
		case g.have == 1:
			err = g.first(g.head[0])
		case g.have == 2:
			err = g.second(g.head[1])
		case g.have == g.need:
			err = g.length()
		}
		if err != nil {
			return start, err
		}
	}
	return len(b), nil
}

// first looks at FIN, the reserved bits and the opcode.
func (g *guard) first(b byte) error {
	op := b & 0x0f
	g.final, g.isData = b&0x80 != 0, op <= 2
	if b&0x30 != 0 || b&0x40 != 0 && (!g.deflate || op != 1 && op != 2) {
		return errReserved
	}
	switch {
	case op > 2 && op < 8 || op > 10:
		return errOpcode
	case !g.isData && !g.final:
		return errControl
	case g.isData && (op == 0) != g.open:
		return errSequence
	}
	return nil
}

// second looks at the mask bit and the short length.
func (g *guard) second(b byte) error {
	n := b & 0x7f
	switch {
	case b&0x80 == 0:
		return errUnmasked
	case !g.isData && n > 125:
		return errControl
	case n == 126:
		g.need = 8
	case n == 127:
		g.need = 14
	default:
		g.need = 6
	}
	return nil
}

// length looks at what the complete header announces, before anything is allocated for it.
func (g *guard) length() error {
	var n uint64
	switch g.need {
	case 6:
		n = uint64(g.head[1] & 0x7f)
	case 8:
		if n = uint64(g.head[2])<<8 | uint64(g.head[3]); n < 126 {
			return errLength
		}
	default:
		for _, b := range g.head[2:10] {
			n = n<<8 | uint64(b)
		}
		if n>>63 != 0 || n < 1<<16 {
			return errLength
		}
	}
	if g.isData {
		limit := g.limits.first
		if g.authed.Load() {
			limit = g.limits.later
		}
		if n > uint64(limit-g.size) {
			return errTooLarge
		}
		g.size += int64(n)
		if g.parts++; g.parts > g.limits.fragments {
			return errFragments
		}
		g.open = true
	}
	if g.left = int64(n); n == 0 {
		g.ended()
	}
	return nil
}

// ended is the end of a frame, and with the last fragment of a message.
func (g *guard) ended() {
	g.have, g.need = 0, 0
	if !g.isData {
		if !g.open {
			g.begun = 0
		}
		return
	}
	if g.final {
		g.open, g.parts, g.size, g.begun = false, 0, 0, 0
	}
}

// Write takes what gws writes. After the handshake that is a close frame only, its
// answer to the peer's or to an error: it goes through the outbox like all else, so
// that it cannot stand inside a frame of ours.
func (g *guard) Write(p []byte) (int, error) {
	if !g.raised {
		return g.Conn.Write(p)
	}
	if len(p) < 2 || p[0]&0x0f != 8 {
		return 0, io.ErrClosedPipe
	}
	code, reason := 0, ""
	if len(p) >= 4 {
		code, reason = int(p[2])<<8|int(p[3]), string(p[4:])
	}
	g.sock.closedByGws(code, reason)
	return len(p), nil
}

// Close is gws's; the socket is closed by its reader once the last frame is out.
func (g *guard) Close() error {
	if !g.raised {
		return g.Conn.Close()
	}
	return nil
}
