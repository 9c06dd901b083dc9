package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/lxzan/gws"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// A socket is one WebSocket: gws reads it behind the guard, the outbox writes it.
type socket struct {
	outbox
	guard   guard
	ws      *WS
	raw     syscall.RawConn // nil: writing may wait
	actor   Conn
	who     *protocol.Identity // since auth; the reader's
	addr    netip.Addr
	counted bool // addr is one that connections are counted for
	binary  bool // frames go out as protobuf
	begun   bool // the handshake is done; under WS.mu
}

// hijacker gives gws the guard instead of the connection.
type hijacker struct {
	http.ResponseWriter
	s *socket
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.s.behind(conn, rw.Reader)
	return &h.s.guard, rw, nil
}

// behind puts the guard before a connection; in has what was sent together with the handshake,
// which gws would lose.
func (s *socket) behind(conn net.Conn, in *bufio.Reader) {
	s.guard.Conn = conn
	if n := in.Buffered(); n > 0 {
		early, _ := in.Peek(n)
		s.guard.in = intakes.Get().(*intake)
		s.guard.in.rest = s.guard.in.buf[:copy(s.guard.in.buf[:], early)] // as large as what it was read into
	}
}

// opener is hijacker for a connection that is nobody else's. It writes nothing: there is
// nothing to write but what gws does by itself.
type opener struct {
	s    *socket
	conn net.Conn
	in   *bufio.Reader
}

func (o opener) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	o.s.behind(o.conn, o.in)
	return &o.s.guard, nil, nil
}

func (opener) Header() http.Header         { return nil }
func (opener) Write(b []byte) (int, error) { return 0, http.ErrHijacked }
func (opener) WriteHeader(int)             {}

// read is the connection's one goroutine, from the handshake to the end.
func (s *socket) read(c *gws.Conn) {
	reason := "closed"
	defer func() {
		s.actor.Gone(reason)
		s.linger()
		s.ws.leave(s)
	}()
	defer func() {
		if p := recover(); p != nil { // gws's own: ours are caught where they happen
			s.ws.panicked("reader", p)
			s.Close(1011, "internal error")
			reason = "panic"
		}
	}()
	c.ReadLoop()
}

// events is gws's side of a socket. It has no state: the guard knows whose it is.
type events struct{}

func of(c *gws.Conn) *socket { return c.NetConn().(*guard).sock }

func (events) OnOpen(*gws.Conn)                   {}
func (events) OnClose(*gws.Conn, error)           {}
func (events) OnPong(*gws.Conn, []byte)           {}
func (events) OnPing(c *gws.Conn, payload []byte) { of(c).pong(string(payload)) }

func (events) OnMessage(c *gws.Conn, m *gws.Message) {
	s := of(c)
	if s.leaving() {
		m.Close()
		return
	}
	var frame *protocol.Frame
	defer func() {
		if p := recover(); p != nil {
			s.ws.panicked("frame", p)
			s.answer(frame, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
		}
	}()
	binary := m.Opcode == gws.OpcodeBinary
	if m.Data.Len() > s.ws.cfg.FirstFrame && s.who == nil { // inflated: the guard saw less of it
		m.Close()
		s.Close(errTooLarge.code, errTooLarge.reason)
		return
	}
	var err error
	switch {
	case !binary:
		frame, err = protocol.DecodeJSON(m.Bytes())
	case s.binary:
		frame, err = protocol.DecodeBinary(m.Bytes())
	default:
		err = protocol.Errorf(protocol.Code_UNSUPPORTED, "binary frames need the subprotocol %s", subBinary)
	}
	m.Close() // nothing of frame points into it
	s.ws.metrics.frame(frame)
	if err != nil {
		s.answer(frame, err)
		return
	}
	s.handle(frame)
}

// handle passes a frame on. What needs a token checked or ended, and what a resting
// connection says, is done by another goroutine while this one waits: frames keep
// their order, and the reader its small stack (a heartbeat through the actors made
// it grow from 4 to 8 KB, for good).
func (s *socket) handle(frame *protocol.Frame) {
	_, auth := frame.Body.(*protocol.Frame_Auth)
	if s.who == nil && !auth {
		s.stranger(frame)
		return
	}
	switch frame.Body.(type) {
	case *protocol.Frame_Auth, *protocol.Frame_Logout, *protocol.Frame_Heartbeat:
		s.ask(frame)
	default:
		s.actor.Tell(frame)
	}
}

// stranger refuses what comes before auth.
func (s *socket) stranger(frame *protocol.Frame) {
	err := protocol.Unauthorized("auth comes first")
	s.answer(frame, err)
	s.Close(err.Code.CloseCode(), err.Detail)
}

func (s *socket) answer(frame *protocol.Frame, err error) {
	s.Deliver([]actors.Outgoing{{Frame: protocol.Fail(frame, err)}}, nil)
}

// A check is one frame that another goroutine handles.
type check struct {
	s     *socket
	frame *protocol.Frame
	done  chan struct{}
}

// ask has a frame handled by another goroutine and waits for it.
func (s *socket) ask(frame *protocol.Frame) {
	c := check{s, frame, make(chan struct{})}
	select {
	case s.ws.checks <- c: // mostly one of them is free
		<-c.done
		return
	default:
	}
	late := time.NewTimer(s.ws.cfg.AuthWithin)
	defer late.Stop()
	select {
	case s.ws.checks <- c:
		<-c.done
	case <-s.ws.stopped:
	case <-late.C:
		s.answer(frame, &protocol.Error{Code: protocol.Code_BUSY, Detail: "too many ask at once", RetryAfterMs: 2000})
	}
}

// check is the work of the goroutines that wait for the Authenticator, and have the
// stacks for what is asked.
func (g *WS) check() {
	for {
		select {
		case c := <-g.checks:
			c.do()
		case <-g.stopped:
			return
		}
	}
}

// maxElsewhere is how many tokens are checked at once about which another system may have
// to be asked; as many as the user centre has wait there.
const maxElsewhere = 512

// do handles a frame. What waits for another system does not keep a worker: whoever
// sends such tokens, good or not, holds up nobody but others who do.
func (c check) do() {
	ws := c.s.ws
	if a := c.frame.GetAuth(); a == nil || !ws.auth.Elsewhere(a.Token) {
		c.run()
		return
	}
	select {
	case ws.elsewhere <- struct{}{}:
		go func() {
			defer func() { <-ws.elsewhere }()
			c.run()
		}()
	default:
		c.s.answer(c.frame, &protocol.Error{Code: protocol.Code_BUSY, Detail: "too many ask at once", RetryAfterMs: 2000})
		close(c.done)
	}
}

func (c check) run() {
	s := c.s
	defer close(c.done)
	defer func() {
		if p := recover(); p != nil {
			s.ws.panicked("auth", p)
			s.answer(c.frame, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), s.ws.cfg.AuthWithin)
	defer cancel()
	switch m := c.frame.Body.(type) {
	case *protocol.Frame_Auth:
		s.signIn(ctx, c.frame, m.Auth)
		return
	case *protocol.Frame_Logout:
		s.actor.LoggingOut(c.frame)
		if err := s.ws.auth.Logout(ctx, *s.who); err != nil {
			s.refused(c.frame, err)
			return
		}
	}
	s.actor.Tell(c.frame)
}

func (s *socket) signIn(ctx context.Context, frame *protocol.Frame, auth *protocol.Auth) {
	for _, said := range []string{auth.Device, auth.Platform, auth.Version} {
		if len(said) > 128 || strings.ContainsFunc(said, unicode.IsControl) {
			s.answer(frame, protocol.BadRequest("auth: device, platform and version have at most 128 bytes and no control characters"))
			return
		}
	}
	who, err := s.ws.auth.Authenticate(protocol.WithAddress(ctx, s.addr.String()), auth.Token)
	if err != nil {
		s.refused(frame, err)
		return
	}
	// One Identity serves the socket and its actor: an own one each is 110 bytes a connection.
	fill := func(field *string, said string) {
		if *field == "" {
			*field = said
		}
	}
	fill(&who.Device, auth.Device)
	fill(&who.Platform, auth.Platform)
	fill(&who.Version, auth.Version)
	if s.who == nil {
		s.who = &who
		s.guard.authed.Store(true)
	} else if s.who.User == who.User {
		s.who = &who // another user's is refused by the actor
	}
	s.ws.auth.Arrived(&who)
	s.actor.Authenticated(&who, frame)
	// A login that ended since the check above closed the connections it knew of. This
	// one is among them now, or the login's end is seen here.
	if err := s.ws.auth.Alive(&who); err != nil {
		if e := protocol.AsError(err); e.Code.CloseCode() != 0 {
			s.Close(e.Code.CloseCode(), e.Detail)
		}
	}
}

// refused answers with a failure, and closes where its code says so.
func (s *socket) refused(frame *protocol.Frame, err error) {
	e := protocol.AsError(err)
	switch {
	case e.Code == protocol.Code_INTERNAL && errors.Is(err, context.DeadlineExceeded): // nothing is broken: it takes too long
		s.ws.log.Warn("a token could not be checked in time", "address", s.addr, "err", err)
		e = &protocol.Error{Code: protocol.Code_BUSY, Detail: "the token cannot be checked now", RetryAfterMs: 2000}
	case e.Code == protocol.Code_INTERNAL:
		s.ws.log.Error("a token could not be checked", "address", s.addr, "err", err)
	}
	s.answer(frame, e)
	if code := e.Code.CloseCode(); code != 0 {
		s.Close(code, e.Detail)
	}
}

// closedByGws is the close frame that gws would have written.
func (s *socket) closedByGws(code int, reason string) {
	reason = strings.TrimPrefix(reason, "gws: ")
	switch {
	case code == 1011 && reason == "message too large": // while inflating
		code = 1009
	case code == 1011: // what came does not inflate
		code, reason = 1007, "invalid compressed data"
	case reason == "":
		s.mu.Lock()
		s.peerSaid = true // this answers the peer's
		s.mu.Unlock()
	case code == 1000: // an error of reading
		reason = ""
	}
	s.Close(code, reason)
}
