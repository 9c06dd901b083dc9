// Package userctr is the user centre: who people are, how they prove it, and
// when that proof ends. docs/identity.md tells the same story to operators.
//
// A login is one sign-in of one user on one device. It hands out short access
// tokens, which are checked without the store, and a chain of refresh tokens,
// each good for one use. A login that is revoked takes all of them with it.
package userctr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Kind says what a user is.
type Kind string

const (
	Human  Kind = "human"
	Bot    Kind = "bot"
	Guest  Kind = "guest"
	Device Kind = "device" // a thing that speaks, like a handheld radio
	System Kind = "system"
)

// User is one member of the installation.
type User struct {
	ID       protocol.UserID
	Version  int64  // of this row, for UpdateUser; the first is 1
	Name     string // to sign in with, as written; "" for a user of an outside system
	Folded   string // Name as compared, unique where it is not ""
	Nickname string // as shown
	Avatar   string // a link, or the path of a picture; "": none was chosen, see protocol.ShownAvatar
	Kind     Kind
	Admin    bool
	Disabled bool
	Gone     bool // erased: nobody is behind it any more
	Created  time.Time
	Password string // Argon2id as a PHC string, "": cannot sign in with one
	Outside  string // the name that an outside system last gave

	Fields   map[string]string // whatever else is shown
	Findable Findable          // "" is everyone
	App      string            // the application by which it first came, "": none
}

// Login is one sign-in: a family of refresh tokens on one device.
type Login struct {
	ID       string
	User     protocol.UserID
	Device   string
	Platform string
	Version  string // of the client
	Created  time.Time
	Expires  time.Time // whatever is done with it until then
	Revoked  time.Time // zero: it lives
}

// Hash is the SHA-256 of a refresh token. The token itself is nowhere kept.
type Hash = [sha256.Size]byte

// Refresh is one refresh token of a login. It is spent when another names it as its Parent.
type Refresh struct {
	Hash   Hash
	Parent Hash // zero: the login's first
	Login  string
	Nonce  []byte // from which, with the parent's text, this token's text is made
	Issued time.Time
}

// DeviceRow is one device that a user has signed in on.
type DeviceRow struct {
	User     protocol.UserID
	Device   string
	Name     string // as people know it, like "Ann's phone"
	Platform string
	Version  string
	Created  time.Time
	LastSeen time.Time
}

// Invite lets people in: Uses of them until Expires.
type Invite struct {
	ID      string
	Hash    [sha256.Size]byte // of the code
	Admin   bool              // who uses it becomes an admin
	Uses    int
	Used    int
	By      protocol.UserID
	Created time.Time
	Expires time.Time // zero: never
}

// Store is where users are kept. Whatever a method is to write is durable when it
// returns. A row that isn't there is a protocol.NotFound error.
type Store interface {
	AuditStore
	AdminStore
	EraseStore
	ProfileStore
	SubjectStore
	KeyStore
	AppStore
	GuestStore
	MergeStore
	DeviceStore

	// AddUser keeps a new user and, when invite is not "", counts one use of it in the
	// same step. A taken id or name is a protocol.Conflict error, an invite without
	// a use left ErrSpent; then nothing was written.
	AddUser(ctx context.Context, u *User, invite string) error
	User(ctx context.Context, id protocol.UserID) (*User, error)
	UserByName(ctx context.Context, folded string) (*User, error)
	// UpdateUser replaces the row that has u's id and Version and counts u.Version up.
	// Another Version is ErrChanged. ID, Name, Folded and Created never change.
	UpdateUser(ctx context.Context, u *User) error
	// Missing gives those of ids that no user has.
	Missing(ctx context.Context, ids []protocol.UserID) ([]protocol.UserID, error)

	// AddInvite keeps a new invite. A taken id is a protocol.Conflict error.
	AddInvite(ctx context.Context, i *Invite) error
	Invite(ctx context.Context, id string) (*Invite, error)

	// AddLogin keeps a new login, its first refresh token and the row of its
	// device in one step; the row's Created stays as it was if there was one.
	AddLogin(ctx context.Context, l *Login, first *Refresh, d *DeviceRow) error
	Login(ctx context.Context, id string) (*Login, error)
	// Logins gives a user's logins that are not revoked, oldest first.
	Logins(ctx context.Context, user protocol.UserID) ([]*Login, error)
	// RevokeLogin sets Revoked where it is zero. No such login, or one
	// that was revoked before, is no error.
	RevokeLogin(ctx context.Context, id string, at time.Time) error
	// RevokedSince gives the ids of logins that were revoked at or after since, with the time.
	RevokedSince(ctx context.Context, since time.Time) (map[string]time.Time, error)

	// Refresh gives a refresh token of a login and the one that followed it, nil: it is not spent.
	Refresh(ctx context.Context, login string, hash Hash) (token, child *Refresh, err error)
	// AddRefresh inserts child, unless its Parent has one already, and gives the
	// child that Parent now has. A Parent that is not there is protocol.NotFound.
	AddRefresh(ctx context.Context, child *Refresh) (*Refresh, error)

	// Devices gives a user's devices, the last seen first.
	Devices(ctx context.Context, user protocol.UserID) ([]*DeviceRow, error)
	// SeenDevice moves LastSeen forward, which need not be durable at once. No row: no error.
	SeenDevice(ctx context.Context, user protocol.UserID, device string, at time.Time) error
	RemoveDevice(ctx context.Context, user protocol.UserID, device string) error

	// Sweep removes logins that expired or were revoked before ended, with their
	// tokens, of the others each token whose child is older than spent, and
	// invitations that expired before ended.
	Sweep(ctx context.Context, ended, spent time.Time) error
}

// What a Store says besides protocol.NotFound and protocol.Conflict.
var (
	ErrChanged = errors.New("the user's row was changed by somebody else")
	ErrSpent   = errors.New("the invitation has no use left")
)

// Policy says who may register.
type Policy string

const (
	Open       Policy = "open"   // anybody
	InviteOnly Policy = "invite" // who has a code
	Closed     Policy = "closed" // nobody but the first admin
)

// What a new login does to the user's others on the same platform.
const (
	Allow   = "allow"
	Replace = "replace" // ends them with protocol.Code_REPLACED
)

// Config is what an operator may set. A zero field means its written default.
type Config struct {
	Data     string            // the directory of the secrets; it has to be given
	Secrets  string            // the file of the secrets, where it is another one and there
	Turn     func() bool       // of several nodes: whether it is this one that sweeps; nil: it is
	Policy   Policy            // InviteOnly
	Platform map[string]string // platform → Allow or Replace; "*" is for the others, and Allow by default

	// IdentitySecret is shared with an outside system that signs HS256 tokens for its
	// own users: at least 32 bytes (RFC 7518 section 3.2), "": there is none.
	IdentitySecret Secret
	Issuers        []Issuer      // outside systems besides: see CheckIssuers
	Egress         egress.Config // how they are asked: Deny and Resolver count

	Audience  string            // of access tokens: "troupe"
	Addresses map[string]string // told at login: {"ws": "/ws"}

	Access  time.Duration // an access token's life: 10 minutes
	Idle    time.Duration // a refresh token's life when not used: 7 days
	Session time.Duration // a login's life: 30 days

	AuditKeep time.Duration // how long rows of the audit log are kept: for ever
	GuestLife time.Duration // a guest without a session is forgotten when it was not seen for this long: 30 days

	Argon2 Argon2 // OWASP's figures
	Limits Limits
}

// Secret is a text that is not to be seen in logs.
type Secret string

func (Secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }
func (Secret) String() string       { return "(hidden)" }
func (Secret) GoString() string     { return "(hidden)" }

// minSecret is in bytes: as long as the HMAC's output (RFC 7518 section 3.2).
const minSecret = 32

// Activity is what the centre asks about who talks with whom. FollowActivity gives it one.
type Activity interface {
	// LastTogether is when a message last passed between a and b in a session of the two, zero: never.
	LastTogether(ctx context.Context, a, b protocol.UserID) (time.Time, error)
	// BlockedBy gives those of ids who have blocked user.
	BlockedBy(ctx context.Context, user protocol.UserID, ids []protocol.UserID) ([]protocol.UserID, error)
}

// Center is the user centre. Its methods may be called from everywhere at once.
type Center struct {
	cfg     Config
	store   Store
	now     func() time.Time
	log     *slog.Logger
	keys    *secrets
	tokens  *verifier
	hasher  *hasher
	limits  *limits
	revoked *revoked
	people  *people

	refusals refusals
	looks    *looks
	avatars  Avatars // nil: no files are kept

	profileRate buckets // of changes of one's own profile
	searchRate  buckets // of searches for people

	apps     apps
	arrivals halves[uint64, int64] // of devices of outside systems' users, in Unix seconds
	seed     maphash.Seed          // of their keys

	sightings sightings
	onDevice  atomic.Pointer[func(protocol.UserID, string, protocol.Code)]
	sessions  atomic.Pointer[Sessions]
	issuers   *issuers
	subjects  halves[string, protocol.UserID]

	unmaking sync.Mutex // held while an administrator is made, unmade or disabled

	mu       sync.Mutex
	onRevoke func(user protocol.UserID, login string, code protocol.Code)
	activity atomic.Pointer[Activity]

	releases  atomic.Pointer[Releases]
	onApp     atomic.Pointer[func(app string)]
	onApps    atomic.Pointer[func()]
	onProfile atomic.Pointer[func(*protocol.Profile)]
}

// New loads the secrets of cfg.Data, or makes them when there are none, and
// learns from store which logins were revoked of late.
func New(cfg Config, store Store, now func() time.Time, log *slog.Logger) (*Center, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	keys, err := loadSecrets(cfg.Data, cfg.Secrets)
	if err != nil {
		return nil, err
	}
	c := &Center{
		cfg: cfg, store: store, now: now, log: log, keys: keys,
		tokens:  newVerifier(cfg, keys, now),
		hasher:  newHasher(cfg.Argon2),
		limits:  newLimits(cfg.Limits),
		revoked: newRevoked(cfg.Access + 2*leeway),
		people:  newPeople(),
		looks:   newLooks(),

		profileRate: newBuckets(Rate{Burst: 10, Every: 6 * time.Second}), // 10 a minute
		searchRate:  newBuckets(Rate{Burst: 30, Every: time.Second}),

		issuers:  newIssuers(cfg.Issuers, cfg.Egress, now, log),
		subjects: halves[string, protocol.UserID]{max: maxSubjects},
		arrivals: halves[uint64, int64]{max: maxSeen}, seed: maphash.MakeSeed(),
	}
	if err := c.loadApps(context.Background()); err != nil {
		return nil, err
	}
	ended, err := store.RevokedSince(context.Background(), now().Add(-cfg.Access-2*leeway))
	if err != nil {
		return nil, fmt.Errorf("userctr: revoked logins: %w", err)
	}
	for login, at := range ended {
		c.revoked.add(login, at)
	}
	return c, nil
}

func (cfg Config) complete() (Config, error) {
	if cfg.Data == "" {
		return cfg, errors.New("userctr: no data directory was given")
	}
	if n := len(cfg.IdentitySecret); n > 0 && n < minSecret {
		return cfg, fmt.Errorf("userctr: the identity secret has %d bytes, and less than %d can be guessed", n, minSecret)
	}
	if err := CheckIssuers(cfg.Issuers, cfg.IdentitySecret != ""); err != nil {
		return cfg, fmt.Errorf("userctr: %w", err)
	}
	switch cfg.Policy {
	case "":
		cfg.Policy = InviteOnly
	case Open, InviteOnly, Closed:
	default:
		return cfg, fmt.Errorf("userctr: the policy %q is none of open, invite, closed", cfg.Policy)
	}
	cfg.Platform = maps.Clone(cfg.Platform)
	for platform, policy := range cfg.Platform {
		if policy != Allow && policy != Replace {
			return cfg, fmt.Errorf("userctr: the policy %q of platform %q is none of allow, replace", policy, platform)
		}
	}
	if cfg.Audience == "" {
		cfg.Audience = "troupe"
	}
	if cfg.Addresses == nil {
		cfg.Addresses = map[string]string{"ws": "/ws"}
	}
	for d, standard := range map[*time.Duration]time.Duration{
		&cfg.GuestLife: 30 * 24 * time.Hour, &cfg.Access: 10 * time.Minute, &cfg.Idle: 7 * 24 * time.Hour, &cfg.Session: 30 * 24 * time.Hour,
	} {
		if *d == 0 {
			*d = standard
		}
		if *d < 0 {
			return cfg, fmt.Errorf("userctr: a life of %v is none", *d)
		}
	}
	return cfg, nil
}

// Policy says what a new connection on platform does to the user's others there: Allow or Replace.
func (c *Center) Policy(platform string) string {
	if p, ok := c.cfg.Platform[platform]; ok {
		return p
	}
	if p, ok := c.cfg.Platform["*"]; ok {
		return p
	}
	return Allow
}

// OnRevoke names who is told that a login has ended, so that its sockets are
// closed; code says why: UNAUTHORIZED or REPLACED. A login "" means all that the user has.
func (c *Center) OnRevoke(told func(user protocol.UserID, login string, code protocol.Code)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onRevoke = told
}

// FollowActivity names who knows. Before that nobody ever talked.
func (c *Center) FollowActivity(a Activity) { c.activity.Store(&a) }

// Run keeps house until ctx ends: it forgets what has expired.
func (c *Center) Run(ctx context.Context) error {
	tick, often := time.NewTicker(time.Hour), time.NewTicker(refusalsEvery)
	defer tick.Stop()
	defer often.Stop()
	if err := c.FinishMerges(ctx); err != nil && ctx.Err() == nil {
		c.log.Error("a guest's place is not taken yet", "err", err)
	}
	for {
		select {
		case <-ctx.Done():
			c.writeRefusals(context.WithoutCancel(ctx))
			return c.sightings.kept(context.WithoutCancel(ctx))
		case <-often.C:
			c.writeRefusals(ctx)
		case <-tick.C:
			if c.cfg.Turn != nil && !c.cfg.Turn() { // another node's
				c.revoked.prune(c.now())
				continue
			}
			if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("user centre could not sweep", "err", err)
			}
		}
	}
}

// spentKept is how long a spent refresh token is kept. Later than that its use is
// still seen as a reuse, as its tag shows that it is one of ours.
const spentKept = time.Hour

// Sweep removes logins and tokens that nothing can be done with any more.
func (c *Center) Sweep(ctx context.Context) error {
	now := c.now()
	c.revoked.prune(now)
	if err := c.store.Sweep(ctx, now.Add(-c.cfg.Access-2*leeway), now.Add(-spentKept)); err != nil {
		return fmt.Errorf("userctr: sweep: %w", err)
	}
	if err := c.store.SweepSpent(ctx, now); err != nil {
		return fmt.Errorf("userctr: sweep: %w", err)
	}
	if err := c.sweepGuests(ctx); err != nil {
		return fmt.Errorf("userctr: sweep guests: %w", err)
	}
	return errors.Join(c.FinishMerges(ctx), c.PruneAudit(ctx, c.cfg.AuditKeep))
}
