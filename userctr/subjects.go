package userctr

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Subject is somebody by the name that an outside system has for them.
type Subject struct {
	Realm string // "iss:" and an issuer, or "app:" and an application
	Sub   string // 1 to 255 bytes (OpenID Connect Core, section 2)
}

func ofIssuer(iss string) string { return "iss:" + iss }
func ofApp(app string) string    { return "app:" + app }

// maxSub is in bytes (OpenID Connect Core, section 2: 255).
const maxSub = 255

// SubjectStore keeps which user an outside system's subject is. It never changes.
type SubjectStore interface {
	// Subject gives a subject's user. None yet: protocol.NotFound.
	Subject(ctx context.Context, s Subject) (protocol.UserID, error)
	// AddSubject keeps u, who is new, as the subject's user in one step, and gives u's id. Where
	// the subject has a user already, that one's is given and nothing is written.
	AddSubject(ctx context.Context, s Subject, u *User) (protocol.UserID, error)
	// SubjectsOf gives the subjects that are this user.
	SubjectsOf(ctx context.Context, user protocol.UserID) ([]Subject, error)
	// RemoveSubjects forgets the subjects that are this user: their next sign-in makes another.
	RemoveSubjects(ctx context.Context, user protocol.UserID) error
}

// maxSubjects is per half; two halves of 50,000 at about 150 bytes are some 15 MB.
const maxSubjects = 50_000

func (s Subject) check() error {
	if s.Sub == "" || len(s.Sub) > maxSub || !utf8.ValidString(s.Sub) || !printable(s.Sub) {
		return protocol.Unauthorized("the token's subject has 1 to %d bytes and no control characters", maxSub)
	}
	return nil
}

// userOf gives the user of a subject, and makes one like as at first sight.
func (c *Center) userOf(ctx context.Context, s Subject, as User) (protocol.UserID, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	key := s.Realm + "\x00" + s.Sub
	if id, ok := c.subjects.get(key); ok {
		return id, nil
	}
	id, err := c.store.Subject(ctx, s)
	if protocol.Code_NOT_FOUND.Is(err) {
		as.ID, as.Created = protocol.NewUserID(), c.now()
		if as.Nickname == "" {
			as.Nickname = firstRunes(s.Sub, maxNickname)
		}
		id, err = c.store.AddSubject(ctx, s, &as)
		if err == nil && id == as.ID {
			c.log.Info("a user of an outside system was seen for the first time", "user", id, "realm", s.Realm)
		}
	}
	if err != nil {
		return "", fmt.Errorf("userctr: the user of a subject of %s: %w", s.Realm, err)
	}
	c.subjects.put(key, id)
	return id, nil
}

// ForgetSubjects ends what outside systems' subjects say of a user that is erased: their next
// sign-in makes another user.
func (c *Center) ForgetSubjects(ctx context.Context, user protocol.UserID) error {
	all, err := c.store.SubjectsOf(ctx, user)
	if err != nil {
		return fmt.Errorf("userctr: subjects of %s: %w", user, err)
	}
	if err := c.store.RemoveSubjects(ctx, user); err != nil {
		return fmt.Errorf("userctr: subjects of %s: %w", user, err)
	}
	for _, s := range all {
		c.subjects.drop(s.Realm + "\x00" + s.Sub)
	}
	return nil
}
