package actors

import (
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Who may do what in a session is the table of access. Here is what it leaves to the
// group's settings and to who the other one is; docs/groups.md has it in words.

// Forever is a silence's end that does not come by itself: 2^53-1.
const Forever = 1<<53 - 1

// leads says that the member is the owner or an admin.
func leads(me *MemberRow) bool { return me.Role != protocol.Role_MEMBER }

// grouped says that a session has what a group has: people who come and go, roles, settings.
func grouped(info *protocol.SessionInfo) bool {
	return info.SessionType == protocol.SessionType_GROUP || info.SessionType == protocol.SessionType_MUC
}

// mayWrite refuses one who may not send or edit now: SILENCED for the time being, else DENIED.
func mayWrite(info *protocol.SessionInfo, me *MemberRow, now time.Time) error {
	switch {
	case info.SessionType == protocol.SessionType_SYSTEM_SESSION:
		return protocol.Denied("only the server writes in session %s", info.Session)
	case info.ReadOnly && !leads(me):
		return protocol.Denied("only the owner and admins write in session %s", info.Session)
	}
	return mayReact(info, me, now)
}

// mayReact is mayWrite for reactions and typing, which a broadcast allows to everybody.
func mayReact(info *protocol.SessionInfo, me *MemberRow, now time.Time) error {
	switch left := me.SilencedUntil - now.UnixMilli(); {
	case info.SessionType == protocol.SessionType_SYSTEM_SESSION:
		return protocol.Denied("only the server writes in session %s", info.Session)
	case left > 0:
		e := protocol.Errorf(protocol.Code_SILENCED, "%s may not write in session %s for now", me.User, info.Session)
		if me.SilencedUntil < Forever {
			e.RetryAfterMs = left
		}
		return e
	case info.SilenceAll && !leads(me):
		return protocol.Errorf(protocol.Code_SILENCED, "only the owner and admins write in session %s for now", info.Session)
	}
	return nil
}

// mayInvite says whose links let people in: those of one who may take others in.
func mayInvite(info *protocol.SessionInfo, me *MemberRow) bool {
	return grouped(info) && (info.InvitePolicy == protocol.InvitePolicy_MEMBERS_INVITE || leads(me))
}

// maySilence: the owner silences anyone else, others only those who lead nothing.
func maySilence(me, other *MemberRow) bool {
	return other.User != me.User && (me.Role == protocol.Role_OWNER || other.Role == protocol.Role_MEMBER)
}

// maySet checks a whole session_set before anything of it is done.
func (s *Session) maySet(r *request, me *MemberRow, m *protocol.SessionSet) error {
	said, forAll := false, false
	for _, x := range []struct {
		asked bool
		what  access.Action
	}{
		{m.Sticky != nil || m.Muted != nil, access.Arrange},
		{m.Name != nil || m.Avatar != nil, access.Rename},
		{m.Announcement != nil, access.Announce},
		{m.JoinPolicy != nil || m.InvitePolicy != nil || m.ReadOnly != nil || m.Until != nil, access.SetPolicy},
		{m.SilenceAll != nil || m.SilencedUntil != nil, access.Silence},
		{m.Owner != nil || m.Role != nil, access.SetRoles},
	} {
		if !x.asked {
			continue
		}
		said, forAll = true, forAll || x.what != access.Arrange
		if err := s.may(r, x.what, nil); err != nil {
			return err
		}
	}
	switch {
	case !said:
		return protocol.BadRequest("session_set: nothing is said that is to be set")
	case forAll && !grouped(s.info):
		return protocol.Denied("only groups have a name, an owner and settings")
	case m.Owner != nil && s.members[*m.Owner] == nil:
		return protocol.NotFound("user %.64q in session %s", *m.Owner, s.id)
	case m.Owner != nil && protocol.IsBot(*m.Owner):
		return protocol.Denied("a bot owns no session")
	case m.Role == nil && m.SilencedUntil == nil:
		return nil
	}
	for _, u := range m.Members {
		other := s.members[u]
		switch {
		case other == nil:
			return protocol.NotFound("user %.64q in session %s", u, s.id)
		case m.Role != nil && u == s.info.Owner:
			return protocol.Denied("the owner's role changes when there is a new owner")
		case m.SilencedUntil != nil && !maySilence(me, other):
			return protocol.Denied("%s may not silence %s", me.User, u)
		}
	}
	return nil
}
