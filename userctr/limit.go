package userctr

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Limits bounds guessing. A zero field means its written default; every is the
// time in which one more try is earned.
type Limits struct {
	// Account is for tries at one user's password from everywhere: 20 at once, then
	// one in 10 s, which is 8,640 guesses a day.
	Account Rate
	// Address is for sign-ins and registrations from one IPv4 address or IPv6 /64
	// network: 100 at once, then one a second, as an office may stand behind one address.
	// The machine itself (loopback) is not limited: a proxy there hides who asks.
	Address Rate
	// Guests is for anonymous visitors made from one address, as Address counts it: 20 at once, then one in 10 s.
	Guests Rate
}

// Rate is a token bucket.
type Rate struct {
	Burst int
	Every time.Duration
}

// maxBuckets is per half; two halves of 20,000 buckets take about 8 MB.
const maxBuckets = 20_000

type limits struct {
	accounts, addresses, guests buckets
	questions                   buckets // for other systems that came to nothing
}

func newLimits(l Limits) *limits {
	if l.Account == (Rate{}) {
		l.Account = Rate{Burst: 20, Every: 10 * time.Second}
	}
	if l.Guests == (Rate{}) {
		l.Guests = Rate{Burst: 20, Every: 10 * time.Second}
	}
	if l.Address == (Rate{}) {
		l.Address = Rate{Burst: 100, Every: time.Second}
	}
	return &limits{
		accounts:  newBuckets(l.Account),
		addresses: newBuckets(l.Address),
		guests:    newBuckets(l.Guests),
		questions: newBuckets(l.Address),
	}
}

// account counts one try at the password of a folded name, whether there is such a user or not.
func (l *limits) account(folded string, now time.Time) error {
	return l.accounts.take(folded, now)
}

// address counts one try from "host:port" or a host. An address that is none is not limited.
func (l *limits) address(remote string, now time.Time) error {
	return takeFrom(&l.addresses, remote, now)
}

// visit counts one anonymous visitor who is made, by the address that it comes from.
func (l *limits) visit(remote string, now time.Time) error {
	return takeFrom(&l.guests, remote, now)
}

// mayAsk fails where address has had another system asked for too many tokens that were
// nobody's; asked counts one. They are apart from the sign-ins, so that a client with an
// old token keeps nobody beside it from signing in.
func (l *limits) mayAsk(remote string, now time.Time) error {
	network, err := networkOf(remote)
	if err != nil || network == "" {
		return err
	}
	return l.questions.peek(network, now)
}

func (l *limits) asked(remote string, now time.Time) {
	if network, err := networkOf(remote); err == nil && network != "" {
		l.questions.owe(network, now)
	}
}

func takeFrom(b *buckets, remote string, now time.Time) error {
	network, err := networkOf(remote)
	if err != nil || network == "" {
		return err
	}
	return b.take(network, now)
}

// networkOf is what an address is counted as; "": it is not limited.
func networkOf(remote string) (string, error) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", nil
	}
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() {
		return "", nil
	}
	if ip.Is6() {
		network, err := ip.Prefix(64)
		if err != nil {
			return "", fmt.Errorf("userctr: network of an address: %w", err)
		}
		ip = network.Addr()
	}
	return ip.String(), nil
}

// buckets holds one bucket per key in two halves, and forgets the old half when
// the young one is full. A bucket that is forgotten is a full one again.
type buckets struct {
	rate       Rate
	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

func newBuckets(r Rate) buckets { return buckets{rate: r, young: map[string]*rate.Limiter{}} }

// of gives key's bucket. The caller holds mu.
func (b *buckets) of(key string) *rate.Limiter {
	one := b.young[key]
	if one == nil {
		if one = b.old[key]; one == nil {
			one = rate.NewLimiter(rate.Every(b.rate.Every), b.rate.Burst)
		}
		if len(b.young) >= maxBuckets {
			b.old, b.young = b.young, map[string]*rate.Limiter{}
		}
		b.young[key] = one
	}
	return one
}

func (b *buckets) take(key string, now time.Time) error { return b.look(key, now, true) }

// peek fails where take would, and takes nothing.
func (b *buckets) peek(key string, now time.Time) error { return b.look(key, now, false) }

// owe takes one that may not have been earned yet: many that were let in at once wait
// the longer afterwards.
func (b *buckets) owe(key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(key).ReserveN(now, 1)
}

func (b *buckets) look(key string, now time.Time, take bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of(key).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 || !take {
		r.CancelAt(now)
	}
	if wait == 0 {
		return nil
	}
	return &protocol.Error{
		Code: protocol.Code_RATE_LIMITED, Detail: "too many tries; wait a little",
		RetryAfterMs: max(1, wait.Milliseconds()),
	}
}
