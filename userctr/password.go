package userctr

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Argon2 is the cost of one password. The default is the least that OWASP's
// Password Storage Cheat Sheet names: 19 MiB, 2 passes, 1 lane.
type Argon2 struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

var owasp = Argon2{Memory: 19 * 1024, Passes: 2, Threads: 1}

const (
	saltSize = 16 // bytes; RFC 9106 section 3.1
	hashSize = 32 // bytes
	// maxWaiting passwords wait for their turn: about 10 s of work on two cores.
	maxWaiting = 512
)

// hasher makes and checks passwords, a few at a time: half the cores, so that
// neither memory (19 MiB each) nor the chat gives way to a flood of logins.
type hasher struct {
	cost    Argon2
	turn    chan struct{}
	waiting atomic.Int32
	dummy   string // checked in place of a user who is not there
}

func newHasher(cost Argon2) *hasher {
	if cost == (Argon2{}) {
		cost = owasp
	}
	h := &hasher{cost: cost, turn: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	// A hash that no password is known for.
	var salt, sum [hashSize]byte
	rand.Read(salt[:])
	rand.Read(sum[:])
	h.dummy = phc(cost, salt[:saltSize], sum[:])
	return h
}

// hash gives a PHC string. BUSY when too many wait.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.wait(ctx); err != nil {
		return "", err
	}
	defer h.done()
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return phc(h.cost, salt, h.key(password, salt, h.cost, hashSize)), nil
}

// verify says whether password is the one of the PHC string. With "" it takes
// as long as with a string and says no.
func (h *hasher) verify(ctx context.Context, stored, password string) (bool, error) {
	absent := stored == ""
	if absent {
		stored = h.dummy
	}
	cost, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	if err := h.wait(ctx); err != nil {
		return false, err
	}
	defer h.done()
	got := h.key(password, salt, cost, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && !absent, nil
}

// weak says whether a PHC string cost less than one of today would. The cost is
// memory times passes: by that OWASP's figures of equal strength are near each other.
func (h *hasher) weak(stored string) bool {
	cost, _, _, err := parsePHC(stored)
	return err == nil && cost.work() < h.cost.work()
}

func (a Argon2) work() uint64 { return uint64(a.Memory) * uint64(a.Passes) }

func (h *hasher) key(password string, salt []byte, cost Argon2, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, cost.Passes, cost.Memory, cost.Threads, size)
}

func (h *hasher) wait(ctx context.Context) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return &protocol.Error{Code: protocol.Code_BUSY, Detail: "too many people sign in at once", RetryAfterMs: 2000}
	}
	defer h.waiting.Add(-1)
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) done() { <-h.turn }

var b64 = base64.RawStdEncoding

func phc(c Argon2, salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		c.Memory, c.Passes, c.Threads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// parsePHC reads what phc writes. A row that says more than 1 GiB or 64 passes is
// not one of ours and is refused, as it would stop the server.
func parsePHC(s string) (cost Argon2, salt, sum []byte, err error) {
	bad := fmt.Errorf("userctr: a stored password is no Argon2id PHC string")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost, nil, nil, bad
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.Memory, &cost.Passes, &cost.Threads); err != nil {
		return cost, nil, nil, bad
	}
	if cost.Memory > 1<<20 || cost.Passes < 1 || cost.Passes > 64 || cost.Threads < 1 {
		return cost, nil, nil, bad
	}
	salt, err1 := b64.DecodeString(parts[4])
	sum, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) < 16 {
		return cost, nil, nil, bad
	}
	return cost, salt, sum, nil
}
