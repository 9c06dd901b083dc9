package userctr

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// setupID is the invitation of the first admin; there is one in the life of an installation.
const setupID = "setup"

// Bounds of an invitation.
const (
	maxUses       = 10_000
	maxInviteLife = 90 * 24 * time.Hour
)

// newCode gives a code that people can type: the invitation's id and 128 random bits.
func newCode(id string) (string, [sha256.Size]byte) {
	var b [16]byte
	rand.Read(b[:])
	code := id + "-" + base32Lower.EncodeToString(b[:])
	return code, sha256.Sum256([]byte(code))
}

// SetupCode gives the code that makes the first admin, once: the next call, in this
// process or after a restart, gives "". So does one after an admin was made by CreateUser.
func (c *Center) SetupCode(ctx context.Context) (string, error) {
	code, hash := newCode(setupID)
	err := c.store.AddInvite(ctx, &Invite{ID: setupID, Hash: hash, Admin: true, Uses: 1, Created: c.now()})
	if protocol.Code_CONFLICT.Is(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("userctr: make the first admin's code: %w", err)
	}
	return code, nil
}

// closeSetup gives the invitation that the first admin uses up when it is not made
// by the code: "" when it is used up.
func (c *Center) closeSetup(ctx context.Context) (string, error) {
	if _, err := c.SetupCode(ctx); err != nil { // made, for nobody to see
		return "", err
	}
	i, err := c.store.Invite(ctx, setupID)
	if err != nil {
		return "", fmt.Errorf("userctr: the first admin's invitation: %w", err)
	}
	if i.Used >= i.Uses {
		return "", nil
	}
	return setupID, nil
}

// MakeInvite gives a code that lets uses people register within life. DENIED: by is no admin.
func (c *Center) MakeInvite(ctx context.Context, by protocol.Identity, uses int, life time.Duration) (string, *Invite, error) {
	if err := c.requireAdmin(ctx, by, access.Invites); err != nil {
		return "", nil, err
	}
	if uses < 1 || uses > maxUses || life <= 0 || life > maxInviteLife {
		return "", nil, protocol.BadRequest("an invitation has 1 to %d uses and lives at most %d days", maxUses, int(maxInviteLife.Hours()/24))
	}
	now := c.now()
	i := &Invite{ID: newID("i"), Uses: uses, By: by.User, Created: now, Expires: now.Add(life)}
	code, hash := newCode(i.ID)
	i.Hash = hash
	if err := c.store.AddInvite(ctx, i); err != nil {
		return "", nil, fmt.Errorf("userctr: add an invitation: %w", err)
	}
	if err := c.Record(ctx, Record{Action: auditInvite, By: by.User, About: i.ID}); err != nil {
		return "", nil, err
	}
	c.log.Info("an invitation was made", "user", by.User, "invite", i.ID, "uses", uses)
	return code, i, nil
}

func badCode() error {
	return protocol.Denied("the invitation code is not good, used up, or too old")
}

// admit says whether somebody with this code, "" for none, may register, and by
// which invitation. Whether it has a use left is for the store to say.
func (c *Center) admit(ctx context.Context, code string) (*Invite, error) {
	if code == "" {
		switch c.cfg.Policy {
		case Open:
			return nil, nil
		case InviteOnly:
			return nil, protocol.Denied("an invitation code is needed to register here")
		default:
			return nil, protocol.Denied("nobody can register here; ask an administrator")
		}
	}
	code = strings.ToLower(strings.TrimSpace(code))
	id, _, _ := strings.Cut(code, "-")
	if len(code) > maxID || id == "" {
		return nil, badCode()
	}
	i, err := c.store.Invite(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, badCode()
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: an invitation: %w", err)
	}
	sum := sha256.Sum256([]byte(code))
	if subtle.ConstantTimeCompare(sum[:], i.Hash[:]) != 1 || i.Used >= i.Uses || !i.Expires.IsZero() && !c.now().Before(i.Expires) {
		return nil, badCode()
	}
	if c.cfg.Policy == Closed && !i.Admin {
		return nil, protocol.Denied("nobody can register here; ask an administrator")
	}
	return i, nil
}

type operatorKey struct{}

// AsOperator says that who runs the server asks, and so may do what administrators do.
func AsOperator(ctx context.Context) context.Context {
	return context.WithValue(ctx, operatorKey{}, true)
}

// requireAdmin asks the token, as an outside one does not carry the rights of an
// admin who has a password here, and the store, as a right may have been taken away.
func (c *Center) requireAdmin(ctx context.Context, by protocol.Identity, what access.Action) error {
	if ctx.Value(operatorKey{}) != nil {
		return nil
	}
	if by.Admin {
		u, err := c.User(ctx, by.User)
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
		by.Admin = err == nil && u.Admin && !u.Disabled
	}
	err := access.Decide(what, access.Asker(&by), &by)
	if err != nil {
		c.refusals.add(refused{what.String(), by.User, ""})
	}
	return err
}
