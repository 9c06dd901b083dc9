// Package gateway owns the transports: WebSocket at /ws and REST under /api/v2,
// with every limit that stands between a stranger's bytes and the actors. A
// transport's whole business is: bytes → frames → the connection's actor, and the
// actor's frames → bytes.
package gateway

import (
	"context"
	"net/netip"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Actors is what the gateway needs of the actors behind it.
type Actors interface {
	// Connect starts the actor of a new connection, which speaks through link.
	Connect(link actors.Link, remote actors.Remote) Conn
	// Ask does what one frame asks for, for a user without a connection. A refusal
	// comes back as a *protocol.Error.
	Ask(ctx context.Context, who protocol.Identity, frame *protocol.Frame) (*protocol.Frame, error)
}

// Conn is a connection's actor.
type Conn interface {
	// Tell gives it the next frame of the client.
	Tell(frame *protocol.Frame)
	// Authenticated gives it an auth frame whose token was good, and whose it is,
	// which is not changed afterwards.
	Authenticated(who *protocol.Identity, frame *protocol.Frame)
	// LoggingOut says that the client's logout is being done: it is answered even when
	// the end of the login closes the connection first.
	LoggingOut(frame *protocol.Frame)
	// Gone says, once, that the link has ended.
	Gone(reason string)
}

// OfNode makes a node's actors the gateway's.
func OfNode(n *actors.Node) Actors { return node{n} }

type node struct{ *actors.Node }

func (n node) Connect(link actors.Link, remote actors.Remote) Conn {
	return n.Node.Connect(link, remote)
}

// Authenticator knows whose a token is.
type Authenticator interface {
	// Authenticate fails with UNAUTHORIZED or TOKEN_EXPIRED where the token is no good.
	Authenticate(ctx context.Context, token string) (protocol.Identity, error)
	// Elsewhere says that another system may have to be asked about a token, which can take
	// seconds. It says so at once.
	Elsewhere(token string) bool
	// ActFor is who, a server key, speaking for user. DENIED: who is none; NOT_FOUND: there is no such user.
	ActFor(ctx context.Context, who protocol.Identity, user protocol.UserID) (protocol.Identity, error)
	// Arrived notes who has signed in on a socket, from which device.
	Arrived(who *protocol.Identity)
	// Alive fails with UNAUTHORIZED where who was authenticated, but the login has ended
	// or the user been shut out since. It is answered from memory, at once.
	Alive(who *protocol.Identity) error
	// Logout ends the login that the identity's token belongs to.
	Logout(ctx context.Context, who protocol.Identity) error
}

// Config holds the gateway's settings. A zero field means the default written beside it.
type Config struct {
	Origins       []string // web origins, like https://example.com, that may connect besides the server's own
	RequireOrigin bool     // refuse a WebSocket without an Origin header; false, as phones and bots send none

	// TrustedProxies may say in X-Forwarded-For and X-Forwarded-Proto for whom they
	// speak; they are not limited per address themselves. Default: loopback.
	TrustedProxies []netip.Prefix

	MaxConnections int // in all, REST included: 50,000
	MaxPerAddress  int // WebSockets of one address: 2,000, as a hospital sits behind one

	FirstFrame  int           // bytes of a message before auth: 4 KiB
	Frame       int           // bytes of a message after auth: 64 KiB
	Fragments   int           // of one message: 64
	AuthWithin  time.Duration // for the auth frame: 10 s
	FrameWithin time.Duration // from a message's first byte to its last, however it is split: 10 s
	Heartbeat   time.Duration // what clients are told (heartbeatMs): 30 s. After 2.5 of them in silence a connection is closed
	WriteWithin time.Duration // for a slow socket to take 32 KiB: 10 s
	Queue       int           // bytes waiting for one socket: 256 KiB, so that 10,000 stuck sockets stay under 2.5 GiB
	Compress    bool          // offer permessage-deflate
	AuthWorkers int           // goroutines that check tokens: 32, as those that make a user share a sync

	Rate      float64 // writing REST requests per second and user: 20; below 0: no limit
	RateBurst int     // of them at once: 50

	Version string // of the program, shown in the API's description
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	within := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.TrustedProxies == nil {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	def(&c.MaxConnections, 50_000)
	def(&c.MaxPerAddress, 2_000)
	def(&c.FirstFrame, 4<<10)
	def(&c.Frame, 64<<10)
	def(&c.Fragments, 64)
	def(&c.Queue, 256<<10)
	def(&c.AuthWorkers, 32)
	def(&c.RateBurst, 50)
	if c.Rate == 0 {
		c.Rate = 20
	}
	within(&c.AuthWithin, 10*time.Second)
	within(&c.FrameWithin, 10*time.Second)
	within(&c.Heartbeat, 30*time.Second)
	within(&c.WriteWithin, 10*time.Second)
	if c.Version == "" {
		c.Version = "dev"
	}
	return c
}
