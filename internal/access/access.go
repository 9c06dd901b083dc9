// Package access says who may do what: one table of (action × subject), which every
// frame, every REST operation and every bot passes. What is not in it is denied.
//
// It is asked twice. MayAsk, where a frame or a request comes in, knows only what
// kind of user asks, and turns away whoever could never do it. Decide, where a
// session is about to commit, knows how the asker stands in that session.
package access

import (
	"maps"
	"slices"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Subject is how somebody stands to what is asked for.
type Subject uint8

const (
	Nobody        Subject = iota // without a token
	Guest                        // an anonymous visitor, in a session of its own
	Stranger                     // a person who is not in the session, or where there is none
	Former                       // a person who was in the session
	Member                       // a person in the session
	Moderator                    // a member whose role is admin
	Owner                        // the session's
	Bot                          // a program that is a member
	Key                          // a server key: another back end
	Administrator                // of this installation, who is not in the session
	subjects
)

// Kinds of an Identity that the table knows. Every other is a person.
const (
	KindGuest = "guest"
	KindBot   = "bot"
	KindKey   = "key"
)

// Scopes that bots and server keys are given. Without one they may only do what
// the table allows them outright.
const (
	ScopeSend     = "send"     // a bot: write in the sessions it is in
	ScopeModerate = "moderate" // a bot: recall, silence and remove; a key: decide on files
	ScopeInvite   = "invite"   // a bot: take members in
	ScopeUsers    = "users"    // a key: make and read users, and tokens for them
	ScopeSessions = "sessions" // a key: make and change sessions
	ScopeMessages = "messages" // a key: write messages
	ScopeRead     = "read"     // a key: read sessions and messages
	ScopeNotice   = "notice"   // a key: send notices
)

// Scopes are all of them, as a key's or bot's maker may name them.
var Scopes = []string{ScopeSend, ScopeModerate, ScopeInvite, ScopeUsers, ScopeSessions, ScopeMessages, ScopeRead, ScopeNotice}

// Verdict is one cell of the table.
type Verdict uint8

const (
	Deny   Verdict = iota // DENIED
	Hide                  // NOT_FOUND: the subject may not know that it is there
	Sign                  // UNAUTHORIZED: sign in first
	Allow                 // yes
	Policy                // as the session, or the installation, has set it: the caller asks that
	Scoped                // with a scope
)

// Of gives a cell, and the scope that goes with Scoped.
func Of(a Action, s Subject) (Verdict, string) {
	if int(a) >= len(table) || s >= subjects || table[a].word == "" {
		return Deny, ""
	}
	c := table[a].cells[s]
	return c.verdict, c.scope
}

// Asker is what can be said of who without a session. nil is nobody.
func Asker(who *protocol.Identity) Subject {
	switch {
	case who == nil || who.User == "" && who.Kind != KindKey:
		return Nobody
	case who.Kind == KindGuest:
		return Guest
	case who.Kind == KindBot:
		return Bot
	case who.Kind == KindKey:
		return Key
	case who.Admin:
		return Administrator
	}
	return Stranger
}

// Standing is how who, who is in a session with role, stands to it. Who is not in
// it is a Stranger, whatever kind of user it is; only a Key stands above that.
func Standing(who *protocol.Identity, member bool, role protocol.Role) Subject {
	s := Asker(who)
	switch {
	case s == Nobody, s == Key:
		return s
	case !member:
		return Stranger
	case s == Guest, s == Bot:
		return s
	case role == protocol.Role_OWNER:
		return Owner
	case role == protocol.Role_ADMIN:
		return Moderator
	}
	return Member
}

// Decide says whether who may do a, standing as s: nil, DENIED, NOT_FOUND or
// UNAUTHORIZED. A cell that is left to a policy is denied here; see DecideBy.
func Decide(a Action, s Subject, who *protocol.Identity) error {
	return DecideBy(a, s, who, nil)
}

// DecideBy is Decide where the table may leave it to a policy, which says nil or why not.
func DecideBy(a Action, s Subject, who *protocol.Identity, policy func() error) error {
	verdict, scope := Of(a, s)
	switch verdict {
	case Allow:
		return nil
	case Hide:
		return protocol.NotFound("nothing is here")
	case Sign:
		return protocol.Unauthorized("sign in first")
	case Policy:
		if policy != nil {
			return policy()
		}
	case Scoped:
		if who != nil && slices.Contains(who.Scopes, scope) {
			return nil
		}
		return protocol.Denied("the scope %q is needed to %s", scope, a)
	}
	if s == Stranger && int(a) < len(table) && !table[a].session {
		return protocol.Denied("this user may not %s", a)
	}
	return protocol.Denied("%s may not %s", s, a)
}

// mayEver says whether a kind of user may do a in whatever standing: what can be
// known before a session is looked at.
func mayEver(a Action, who *protocol.Identity) error {
	s := Asker(who)
	if s == Stranger || s == Administrator {
		for _, as := range [...]Subject{s, Stranger, Member, Moderator, Owner} {
			switch v, _ := Of(a, as); {
			case v == Allow, v == Policy:
				return nil
			case v == Hide && !table[a].session: // the action itself is not to be known of
				return Decide(a, s, who)
			}
		}
		return Decide(a, s, who)
	}
	return DecideBy(a, s, who, func() error { return nil })
}

// mayAny is mayEver of several actions: one that is allowed is enough.
func mayAny(actions []Action, who *protocol.Identity) (err error) {
	for _, a := range actions {
		e := mayEver(a, who)
		if e == nil {
			return nil
		}
		if err == nil {
			err = e
		}
	}
	return err
}

// MayAsk says whether a kind of user may send this type of frame at all.
func MayAsk(frame string, who *protocol.Identity) error {
	actions, ok := frames[frame]
	if !ok {
		return protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "clients do not send %s", frame)
	}
	return mayAny(actions, who)
}

// MayCall says whether a kind of user may call this REST operation at all.
func MayCall(operation string, who *protocol.Identity) error {
	actions, ok := operations[operation]
	if !ok {
		return protocol.Denied("the operation %s is in no row of the table of access", operation)
	}
	return mayAny(actions, who)
}

// Frame gives the actions of a type of frame; none: it has no row.
func Frame(typ string) []Action { return frames[typ] }

// Operation gives the actions of a REST operation; none: it has no row.
func Operation(id string) []Action { return operations[id] }

// Route says whether a path that is no operation (pages, probes) has a row: all of
// them are open to everybody, or ask for a token themselves.
func Route(pattern string) bool { return slices.Contains(routes, pattern) }

// Frames gives the types of frames that have a row, Operations the ids of operations.
func Frames() []string     { return slices.Sorted(maps.Keys(frames)) }
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }
