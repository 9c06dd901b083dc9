package actors

import (
	"cmp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Connection is a transport's handle on the actor of one socket.
type Connection struct{ actor connection }

// Remote is what a transport knows of the other side.
type Remote struct {
	Address   string // as seen by the server
	Transport string // ws, sse, …
}

// Connect starts the actor of a new socket. The transport gives it frames by
// Tell, an identity by Authenticated, and ends it by Gone.
func (n *Node) Connect(link Link, remote Remote) *Connection {
	c := &Connection{connection{node: n, id: n.nextConn.Add(1), link: link}}
	c.actor.address = n.spawn(&c.actor)
	n.mu.Lock()
	n.connections[c.actor.id] = c
	n.mu.Unlock()
	return c
}

// Tell gives a frame that was read. It does not block, and keeps the frame.
func (c *Connection) Tell(f *protocol.Frame) { c.actor.tell(f) }

// Authenticated says that the token in an auth frame is good, and whose it is. who
// is kept, and not to be changed any more.
func (c *Connection) Authenticated(who *protocol.Identity, f *protocol.Frame) {
	c.actor.tell(&authenticated{who: who, frame: f})
}

// LoggingOut says that f, a logout, is being done: its answer goes out before the
// connection is closed, whichever of the login's end and Tell comes first.
func (c *Connection) LoggingOut(f *protocol.Frame) { c.actor.tell(&loggingOut{frame: f}) }

// Gone says that the socket is closed. Nothing may be told afterwards.
func (c *Connection) Gone(why string) { c.actor.tell(&gone{why: why}) }

type authenticated struct {
	who   *protocol.Identity
	frame *protocol.Frame
}

type loggingOut struct{ frame *protocol.Frame }

type gone struct{ why string }

// lapse asks a connection to look at its token's time.
type lapse struct{ now time.Time }

// connection is the actor of one socket: who speaks on it, how fast it may, what
// it has not been answered yet. Frames from sessions do not pass it: the User puts
// them into the link's queue at once.
type connection struct {
	node *Node
	id   int64
	address
	link Link

	who      *protocol.Identity // nil: not authenticated
	user     *actor.PID
	seen     *atomic.Int64 // when the user gave a sign of life
	inFlight int
	logout   *protocol.Frame // under way
	writes   bucket
	others   bucket
	closed   bool
}

func (c *connection) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *protocol.Frame:
		c.frame(m)
	case *answers:
		c.answers(m)
	case *authenticated:
		c.authenticated(m)
	case *settled:
		c.inFlight--
		c.user, c.seen = m.user, m.seen
	case *lapse:
		c.lapse(m)
	case *kick:
		c.kick(m)
	case *loggingOut:
		c.logout = m.frame
	case *goaway:
		if c.who != nil {
			c.link.Deliver([]Outgoing{{Shared: m.frame}}, nil)
		}
	case *gone:
		c.gone(ctx)
	}
}

// frame serves one frame of the client. A panic is a bug: it answers the request
// and touches nobody else.
func (c *connection) frame(f *protocol.Frame) {
	defer func() {
		if r := recover(); r != nil {
			c.node.panicked("connection", r)
			c.fail(f, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
		}
	}()
	switch {
	case c.closed:
		return
	case c.who == nil:
		c.fail(f, protocol.Unauthorized("the first frame must be auth"))
		c.close(protocol.Code_UNAUTHORIZED, "not authenticated")
		return
	case c.node.stopping.Load():
		c.fail(f, protocol.Errorf(protocol.Code_GOAWAY, "the server restarts, come again"))
		return
	case c.inFlight >= c.node.cfg.InFlight:
		e := protocol.Errorf(protocol.Code_BUSY, "%d frames of this connection have no answer yet", c.inFlight)
		e.RetryAfterMs = 100
		c.fail(f, e)
		return
	}
	if wait := c.limit(f); wait > 0 {
		e := protocol.Errorf(protocol.Code_RATE_LIMITED, "too many frames, slow down")
		e.RetryAfterMs = max(1, wait.Milliseconds())
		c.fail(f, e)
		return
	}
	if f.GetLogout() != nil {
		c.logout = f
		c.close(protocol.Code_OK, "logged out")
		return
	}
	if c.seen != nil {
		c.seen.Store(time.Now().UnixMilli())
	}
	c.inFlight++
	r := &request{from: c.address, conn: c.id, who: c.who, frame: f}
	if err := c.node.route(r); err != nil {
		c.inFlight--
		c.fail(f, err)
	}
}

// limit takes a token for f, or says how long the client should wait.
func (c *connection) limit(f *protocol.Frame) time.Duration {
	rate, burst := c.node.cfg.Rate, float64(c.node.cfg.RateBurst)
	if rate < 0 {
		return 0
	}
	if writes(f) {
		return c.writes.take(rate, burst)
	}
	return c.others.take(10*rate, 10*burst)
}

// writes says that f makes others see something.
func writes(f *protocol.Frame) bool {
	switch f.Body.(type) {
	case *protocol.Frame_MsgRecv, *protocol.Frame_MsgRead, *protocol.Frame_Heartbeat, *protocol.Frame_Sync,
		*protocol.Frame_SessionList, *protocol.Frame_SessionGet, *protocol.Frame_UserGet, *protocol.Frame_LinkList, *protocol.Frame_LinkGet,
		*protocol.Frame_RequestList, *protocol.Frame_ContactList:
		return false
	}
	return true
}

// bucket is a token bucket; its zero value is full.
type bucket struct {
	spent float64 // tokens missing
	at    int64   // Unix nanoseconds
}

func (b *bucket) take(rate, burst float64) time.Duration { return b.takeN(1, rate, burst) }

// takeN takes n tokens, or says how long to wait for them.
func (b *bucket) takeN(n, rate, burst float64) time.Duration {
	now := time.Now().UnixNano()
	if b.at != 0 {
		b.spent = max(0, b.spent-float64(now-b.at)*rate/1e9)
	}
	b.at = now
	if b.spent+n > burst {
		return time.Duration((b.spent + n - burst) / rate * 1e9)
	}
	b.spent += n
	return 0
}

func (c *connection) answers(m *answers) {
	c.inFlight -= len(m.frames) + m.silent
	if c.closed || len(m.frames) == 0 {
		return
	}
	out := m.room[:0]
	for _, f := range m.frames {
		out = append(out, Outgoing{Frame: f})
	}
	c.link.Deliver(out, m.burst)
}

// authenticated signs the connection in, or renews its token.
func (c *connection) authenticated(m *authenticated) {
	if c.closed {
		return
	}
	if c.who != nil && c.who.User != m.who.User {
		c.fail(m.frame, protocol.Denied("this connection is %s's", c.who.User))
		return
	}
	renewed := c.who != nil
	c.who = m.who
	if renewed {
		c.inFlight++
		c.node.tell(c.user, &renew{from: c.pid, welcome: c.welcome(m.frame, true)})
		return
	}
	c.user = c.node.user(m.who.User)
	c.inFlight++
	c.node.tell(c.user, &attach{conn: c.id, pid: c.pid, link: c.link, who: c.who, frame: m.frame, welcome: c.welcome(m.frame, false)})
}

// welcome makes the answer to auth, as far as the connection knows it.
func (c *connection) welcome(f *protocol.Frame, renewed bool) *protocol.Frame {
	reply := &protocol.AuthReply{
		UserId:      c.who.User,
		Connection:  strconv.FormatInt(c.id, 36),
		ServerTime:  time.Now().UnixMilli(),
		HeartbeatMs: c.node.cfg.Heartbeat.Milliseconds(),
		Resumed:     renewed,
	}
	if !c.who.Expires.IsZero() {
		reply.ExpiresAt = c.who.Expires.UnixMilli()
	}
	if a := f.GetAuth(); c.node.releases != nil {
		reply.Release = c.node.releases.Newer(c.who.App, cmp.Or(a.GetPlatform(), c.who.Platform), a.GetChannel(), cmp.Or(a.GetVersion(), c.who.Version))
	}
	return &protocol.Frame{Id: f.Id, Body: &protocol.Frame_AuthReply{AuthReply: reply}}
}

// lapse closes the connection when its token's time is over, clocks that differ
// allowed for.
func (c *connection) lapse(m *lapse) {
	if c.who != nil && !c.who.Expires.IsZero() && m.now.After(c.who.Expires.Add(c.who.Leeway)) {
		c.close(protocol.Code_TOKEN_EXPIRED, "the token has expired")
	}
}

func (c *connection) kick(m *kick) {
	if (m.user != "" || m.app != "") && c.who == nil || m.user != "" && c.who.User != m.user || m.app != "" && c.who.App != m.app || m.login != "" && c.who.Login != m.login || m.device != "" && c.who.Device != m.device {
		return
	}
	if c.logout != nil {
		m = &kick{code: protocol.Code_OK, why: "logged out"}
	}
	c.close(m.code, m.why)
}

func (c *connection) fail(f *protocol.Frame, err error) {
	c.link.Deliver([]Outgoing{{Frame: protocol.Fail(f, err)}}, nil)
}

func (c *connection) close(code protocol.Code, why string) {
	if !c.closed {
		c.closed = true
		if c.logout != nil {
			c.link.Deliver([]Outgoing{{Frame: &protocol.Frame{Id: c.logout.Id, Body: &protocol.Frame_LogoutReply{LogoutReply: &protocol.LogoutReply{}}}}}, nil)
		}
		c.link.Close(code.CloseCode(), why)
	}
}

func (c *connection) gone(ctx actor.Context) {
	c.closed = true
	if c.user != nil {
		c.node.tell(c.user, &detach{conn: c.id})
	}
	c.node.mu.Lock()
	delete(c.node.connections, c.id)
	c.node.mu.Unlock()
	ctx.Stop(ctx.Self())
}
