// Package actors is the heart of Troupe: every connection, every user with a
// connection and every active session is an actor. Sessions put messages in
// order, the committer makes them durable, streams carry them to the nodes where
// members are, users give them to their connections.
package actors

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Config bounds what clients may do. A zero field means its written default.
type Config struct {
	Rate           float64       // writing frames per second and connection; default 20, below 0: no limit
	RateBurst      int           // default 50
	Heartbeat      time.Duration // named to clients; default 30 s
	RecallWindow   time.Duration // for one's own messages; default 2 min
	EditWindow     time.Duration // for one's own messages; default 15 min
	MaxText        int           // bytes of a message's text; default 8 KiB
	MaxMembers     int           // of one call; default 500
	MaxGroup       int           // members of a session; default 100,000
	MaxSessionName int           // characters; default 128
	ReceiptSize    int           // members of a session above which receipts and typing are off; default 200
	InFlight       int           // unanswered frames of one connection; default 1,000
	SessionIdle    time.Duration // until a session passivates; default 5 min
	UserLinger     time.Duration // until a user without a connection passivates; default 2 min
	RequestLife    time.Duration // within which a request can be answered; default 30 days
	MaxRequests    int           // of one user that wait for others; default 200
	TellBlocked    bool          // whom somebody blocked is told so: BLOCKED instead of DENIED
	Strangers      string        // who may talk in p2p sessions: "allow" (default), everybody; FriendsOnly
	PresenceBeat   time.Duration // between two changes of how a user is seen, at least; default 1 s
	PresenceLinger time.Duration // a user without a connection is seen as there for so long; default 5 s
	PresenceLease  time.Duration // of a node: so long the users of one that died are seen as there; default 15 s
	// Attendance is what several nodes share; nil: this node is alone.
	Attendance Attendance
	// Platforms says per platform ("*": any other) what a new connection does to the
	// same user's connections of other devices: "allow" (default) or "replace".
	Platforms map[string]string
	// Fatal is called once when the journal can no longer be written. It should end
	// the process. Default: panic.
	Fatal func(error)
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	defInt := func(d *int, v int) {
		if *d == 0 {
			*d = v
		}
	}
	if c.Rate == 0 {
		c.Rate = 20
	}
	defInt(&c.RateBurst, 50)
	def(&c.Heartbeat, 30*time.Second)
	def(&c.RecallWindow, 2*time.Minute)
	def(&c.EditWindow, 15*time.Minute)
	defInt(&c.MaxText, 8<<10)
	defInt(&c.MaxMembers, 500)
	defInt(&c.MaxGroup, 100_000)
	defInt(&c.MaxSessionName, 128)
	defInt(&c.ReceiptSize, 200)
	defInt(&c.InFlight, 1000)
	def(&c.SessionIdle, 5*time.Minute)
	def(&c.UserLinger, 2*time.Minute)
	def(&c.RequestLife, 30*24*time.Hour)
	defInt(&c.MaxRequests, 200)
	def(&c.PresenceBeat, time.Second)
	def(&c.PresenceLinger, 5*time.Second)
	def(&c.PresenceLease, 15*time.Second)
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	return c
}

// FriendsOnly is for Config.Strangers: people talk alone with their friends only.
const FriendsOnly = "friends"

// Node is all the actors of one process.
type Node struct {
	cfg     Config
	journal Journal
	streams Streams
	users   Users
	log     *slog.Logger

	profiles Profiles
	files    Files    // nil: not asked
	releases Releases // nil: there are none
	friends  Friends
	presence *presence
	robots   Robots // nil: there are none
	changed  func(kind, id string)
	inquired func(ctx context.Context, kind, about string, body []byte) ([]byte, error)

	cluster   atomic.Pointer[cluster] // nil: this node is alone
	system    *actor.ActorSystem
	root      *actor.RootContext
	committer *committer
	audience  audience
	sessions  registry // of Session actors by session
	people    registry // of User actors by user
	desk      desk
	guesses   guesses

	hearing Hearing      // of the streams; nil: they are never deaf
	losses  atomic.Int64 // how often events may have been lost

	applications Applications
	work         chan func()
	apartRoom    chan struct{}
	catchingUp   chan struct{}
	counting     chan struct{}
	gate         sync.RWMutex // of ended
	ended        bool
	busy         sync.WaitGroup // work under way
	stop         chan struct{}
	due          chan struct{}   // there is something due: has room for one
	life         context.Context // of work that nobody waits for: it ends with the node
	die          context.CancelFunc
	stopping     atomic.Bool
	sweeper      sync.WaitGroup

	props    *actor.Props
	spawning sync.Mutex
	newborn  actor.Actor
	box      *mailbox // the newborn's

	mu          sync.Mutex
	connections map[int64]*Connection
	nextConn    atomic.Int64

	stats Stats
}

// Stats counts what a node did since it started; read them with sync/atomic loads.
type Stats struct {
	Acked     atomic.Int64 // messages made durable and answered
	Delivered atomic.Int64 // frames queued to connections from sessions
	Panics    atomic.Int64
}

// New starts a node. Close ends it.
func New(cfg Config, journal Journal, streams Streams, users Users, log *slog.Logger) *Node {
	n := &Node{
		cfg: cfg.withDefaults(), journal: journal, streams: streams, users: users, log: log,
		work: make(chan func(), 1024), apartRoom: make(chan struct{}, apartAtOnce), catchingUp: make(chan struct{}, catchingUp), counting: make(chan struct{}, catchingUp), stop: make(chan struct{}), due: make(chan struct{}, 1), connections: map[int64]*Connection{},
	}
	n.life, n.die = context.WithCancel(context.Background())
	n.nextConn.Store(firstConnection())
	n.friends = friendsIn{journal}
	if f, ok := journal.(Friends); ok {
		n.friends = f
	}
	n.profiles = nobodyKnown{}
	if p, ok := users.(Profiles); ok {
		n.profiles = p
	}
	n.applications = nobodyAnswers{}
	if a, ok := users.(Applications); ok {
		n.applications = a
	}
	oneShard()
	n.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(quiet{log.Handler()})
	}))
	n.root = n.system.Root
	n.props = actor.PropsFromProducer(n.born, actor.WithMailbox(func() actor.Mailbox { return n.box }))
	n.committer = newCommitter(journal, log, n.cfg.Fatal)
	n.desk.start(n)
	for range 4 * runtime.GOMAXPROCS(0) {
		go n.worker()
	}
	n.presence = newPresence(n)
	n.hearing, _ = streams.(Hearing)
	streams.Start(n)
	n.sweeper.Add(2)
	if n.hearing != nil {
		n.sweeper.Add(1)
		go n.listen()
	}
	go n.sweep()
	go n.presence.run()
	return n
}

// firstConnection is the number before a node's first connection. Nodes number from
// random places, so that an event's Skip names a connection of one node alone.
func firstConnection() int64 { return 1 + rand.Int64N(1<<62) }

// spawn starts a as an actor. All actors share one Props, as one of its own per
// actor costs 600 bytes each; so a is handed over through a field.
func (n *Node) spawn(a actor.Actor) address {
	n.spawning.Lock()
	defer n.spawning.Unlock()
	n.newborn, n.box = a, &mailbox{}
	at := address{pid: n.root.Spawn(n.props), box: n.box}
	n.newborn, n.box = nil, nil
	unlist(n.system, at.pid)
	return at
}

// born is the producer of every actor. Without a newborn it is asked for a restart,
// which never happens to an actor that catches its own panics: then it stops.
func (n *Node) born() actor.Actor {
	if n.newborn != nil {
		return n.newborn
	}
	return actor.ReceiveFunc(func(c actor.Context) { c.Stop(c.Self()) })
}

// Stats gives the node's counters.
func (n *Node) Stats() *Stats { return &n.stats }

// Connections is how many sockets are open on this node.
func (n *Node) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.connections)
}

// Loaded is how many sessions and users have an actor now.
func (n *Node) Loaded() (sessions, users int) { return n.sessions.len(), n.people.len() }

// Online says whether user has a connection on this node, and when the user was last active.
func (n *Node) Online(user protocol.UserID) (bool, time.Time) {
	r := n.people.find(user)
	if r == nil {
		return false, time.Time{}
	}
	return r.connections.Load() > 0, time.UnixMilli(r.active.Load())
}

// session gives the actor of a session, which is started when there is none.
func (n *Node) session(id protocol.SessionID) address {
	return n.sessions.get(id, func(r *ref) address {
		s := &Session{node: n, ref: r, id: id, subject: SessionSubject(id)}
		at := n.spawn(s)
		s.pid = at.pid
		return at
	})
}

func (n *Node) user(id protocol.UserID) *actor.PID {
	return n.people.get(id, func(r *ref) address {
		u := &User{node: n, ref: r, id: id}
		u.at = n.spawn(u)
		u.pid = u.at.pid
		return u.at
	}).pid
}

// off runs f, which may wait, away from every mailbox. It never blocks the caller.
// After the node has ended f is dropped: the store is closed by then.
func (n *Node) off(f func()) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	if n.ended {
		return
	}
	n.busy.Add(1)
	select {
	case n.work <- f:
	default:
		go n.do(f) // all workers are busy and the queue is full: rather a goroutine than a deadlock
	}
}

// aside is off for what asks an actor and waits for its answer. The actor may need
// a worker for that, so none is held meanwhile.
func (n *Node) aside(f func()) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	if n.ended {
		return
	}
	n.busy.Add(1)
	go n.do(f)
}

// apart is off for what follows a subject before it reads. Where that means to wait for
// other nodes, or for a Redis that is silent, no worker is held: sessions need them.
func (n *Node) apart(f func()) {
	if _, ok := n.streams.(Instant); ok {
		n.off(f)
		return
	}
	n.aside(func() {
		n.apartRoom <- struct{}{}
		defer func() { <-n.apartRoom }()
		f()
	})
}

// apartAtOnce bounds how many of those ask the store at once: it has sessions' commits to do.
const apartAtOnce = 64

func (n *Node) do(f func()) {
	defer n.busy.Done()
	f()
}

func (n *Node) worker() {
	for f := range n.work {
		n.do(f)
	}
}

func (n *Node) tell(pid *actor.PID, message any) { n.root.Send(pid, message) }

// failed logs what a worker could not read. Nothing is said where the node stops, as that ends
// their work, and clients are told to come again.
func (n *Node) failed(what string, err error, about ...any) {
	if !n.stopping.Load() {
		n.log.Error(what, append(about, "err", err)...)
	}
}

// background is the context of work that nobody waits for with a deadline of their own.
func (n *Node) background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(n.life, 10*time.Second)
}

// Kick closes the connections of user that were made with login ("": all of them), of
// whichever node, as do the others.
func (n *Node) Kick(user protocol.UserID, login string, code protocol.Code, why string) {
	n.kickAll(&kick{user: user, login: login, code: code, why: why})
}

// KickDevice closes the connections of a device of user's, whatever token they were made with.
func (n *Node) KickDevice(user protocol.UserID, device string, code protocol.Code, why string) {
	n.kickAll(&kick{user: user, device: device, code: code, why: why})
}

// KickApp closes the connections of all who came by an application.
func (n *Node) KickApp(app string, code protocol.Code, why string) {
	n.kickAll(&kick{app: app, code: code, why: why})
}

func (n *Node) all() []*Connection {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*Connection, 0, len(n.connections))
	for _, c := range n.connections {
		all = append(all, c)
	}
	return all
}

// Drain tells every connection to come back in retryIn (spread by the client),
// closes them, commits what is queued and ends the node. New frames are refused. Of
// several nodes it first gives its sessions to the others and waits, as long as ctx lets
// it, until those have answered what was asked of them.
func (n *Node) Drain(ctx context.Context, retryIn time.Duration) {
	if n.stopping.Swap(true) {
		return
	}
	cluster := n.cluster.Load()
	away := protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Goaway{Goaway: &protocol.Goaway{RetryInMs: retryIn.Milliseconds()}}})
	for _, c := range n.all() {
		c.actor.tell(&goaway{frame: away})
	}
	if cluster != nil {
		cluster.leave(ctx)
	}
	n.desk.wait(ctx)
	if cluster != nil {
		cluster.quiet(ctx)
	}
	close(n.stop)
	n.die() // a slow store holds up nobody who goes
	n.sweeper.Wait()
	n.committer.close(ctx)
	for _, c := range n.all() {
		c.actor.tell(&kick{code: protocol.Code_GOAWAY, why: "the server restarts"})
	}
	if cluster != nil {
		cluster.given.Store(true) // the others give up who has quit, and may say so before this has ended
		if err := cluster.Members.Quit(ctx); err != nil {
			n.log.Warn("other nodes learn late that this one has gone", "err", err)
		}
		cluster.close()
	}
	n.gate.Lock()
	n.ended = true
	n.gate.Unlock()
	n.busy.Wait()
	close(n.work)
}
