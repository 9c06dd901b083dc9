package actors

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Limits of a session's settings.
const (
	maxAvatar       = 1024                      // bytes of a link or a file id
	maxAnnouncement = 2000                      // characters
	maxUntil        = 10 * 365 * 24 * time.Hour // how far ahead a temporary session may end
)

// checkSettings checks what can be checked of a session_set without the session.
func (n *Node) checkSettings(m *protocol.SessionSet) error {
	if m.Name != nil {
		if err := n.checkName(*m.Name); err != nil {
			return err
		}
	}
	if m.Announcement != nil && utf8.RuneCountInString(*m.Announcement) > maxAnnouncement {
		return protocol.TooLarge("announcement: %d characters at most", maxAnnouncement)
	}
	switch {
	case m.Role != nil && m.SilencedUntil != nil:
		return protocol.BadRequest("session_set: role and silencedUntil are set one after the other")
	case (m.Role != nil || m.SilencedUntil != nil) && len(m.Members) == 0:
		return protocol.BadRequest("session_set.members: whose is it to be?")
	case m.Role != nil && *m.Role != protocol.Role_ADMIN && *m.Role != protocol.Role_MEMBER:
		return protocol.BadRequest("session_set.role: admin or member, for the users in members; owner makes an owner")
	case m.SilencedUntil != nil && (*m.SilencedUntil < 0 || *m.SilencedUntil > Forever):
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "session_set.silencedUntil: 0 to %d is allowed", int64(Forever))
	}
	if err := n.checkMembers(m.Members, 0); err != nil {
		return err
	}
	return checkGroup(m.GetAvatar(), m.GetJoinPolicy(), m.GetInvitePolicy(), m.GetUntil())
}

// checkGroup checks what session_create and session_set have in common.
func checkGroup(avatar string, join protocol.JoinPolicy, invite protocol.InvitePolicy, until int64) error {
	switch now := time.Now(); {
	case len(avatar) > maxAvatar:
		return protocol.TooLarge("avatar: %d bytes at most", maxAvatar)
	case strings.ContainsFunc(avatar, unicode.IsControl) || !webLink(avatar):
		return protocol.BadRequest("avatar: a file id, a path, or a link that begins with https or http")
	case join < protocol.JoinPolicy_INVITE_ONLY || join > protocol.JoinPolicy_OPEN:
		return protocol.BadRequest("joinPolicy: invite, ask or open is needed")
	case invite < protocol.InvitePolicy_MEMBERS_INVITE || invite > protocol.InvitePolicy_ADMINS_INVITE:
		return protocol.BadRequest("invitePolicy: members or admins is needed")
	case until != 0 && (until <= now.UnixMilli() || until > now.Add(maxUntil).UnixMilli()):
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "until: a time to come is needed, within ten years; or 0")
	}
	return nil
}

// webLink takes what names no scheme, or that of a page.
func webLink(s string) bool {
	scheme, _, found := strings.Cut(s, ":")
	return !found || strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")
}

// set changes what is said in the frame: settings and roles for everybody, sticky
// and muted for the member itself. What is so already is no change.
func (s *Session) set(r *request, me *MemberRow, m *protocol.SessionSet) {
	if err := s.maySet(r, me, m); err != nil {
		s.fail(r, err)
		return
	}
	if s.node.drawsAvatar(m.GetAvatar()) {
		s.draw(r, *m.Avatar, func(path string, err error) {
			if err != nil {
				s.fail(r, protocol.AsError(err))
				return
			}
			s.request(drawn(r, path))
		})
		return
	}
	if m.Avatar != nil && !r.drawn {
		kept, err := protocol.KeptAvatar(s.info.Avatar, *m.Avatar)
		if err != nil {
			s.fail(r, err)
			return
		}
		m = proto.CloneOf(m)
		m.Avatar = &kept
	}
	reply := &protocol.SessionSetReply{Session: s.id}
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_SessionSetReply{SessionSetReply: reply}}}
	s.setMine(p, me, m)
	e := &protocol.Entry{Kind: protocol.Kind_CHANGE, Sender: me.User}
	info := proto.CloneOf(s.info)
	said := s.setSession(info, e, me.User, m)
	said = s.setMembers(p, info, e, m) || said
	switch {
	case said:
		s.info, p.Info = info, info
		s.appendEntry(p, e)
		reply.Seq = p.entry.Seq
	case len(p.Members) > 0:
		s.append(p)
	default:
		s.reply(r, p.answer)
	}
}

// setMine sets what a session is to one member alone.
func (s *Session) setMine(p *pending, me *MemberRow, m *protocol.SessionSet) {
	mine := *me
	if m.Sticky != nil {
		mine.Sticky = *m.Sticky
	}
	if m.Muted != nil {
		mine.Muted = *m.Muted
	}
	if mine != *me {
		s.put(p, &mine)
		p.after = func(b *Burst) { s.touch(b, mine.User) }
	}
}

// differs says that want is said, and is not what is.
func differs[T comparable](is T, want *T) bool { return want != nil && *want != is }

// setSession changes info, and says in e what changed.
func (s *Session) setSession(info *protocol.SessionInfo, e *protocol.Entry, me protocol.UserID, m *protocol.SessionSet) bool {
	said := false
	if differs(info.Name, m.Name) {
		info.Name, e.Name, said = *m.Name, *m.Name, true
	}
	c := &protocol.SessionChange{}
	if differs(info.Avatar, m.Avatar) {
		info.Avatar, c.Avatar = *m.Avatar, m.Avatar
	}
	if differs(info.Announcement, m.Announcement) {
		info.Announcement, c.Announcement = *m.Announcement, m.Announcement
		info.AnnouncedBy, info.AnnouncedAt = me, max(s.last, time.Now().UnixMilli())
		if info.Announcement == "" {
			info.AnnouncedBy, info.AnnouncedAt = "", 0
		}
	}
	if differs(info.JoinPolicy, m.JoinPolicy) {
		info.JoinPolicy, c.JoinPolicy = *m.JoinPolicy, m.JoinPolicy
	}
	if differs(info.InvitePolicy, m.InvitePolicy) {
		info.InvitePolicy, c.InvitePolicy = *m.InvitePolicy, m.InvitePolicy
	}
	if differs(info.SilenceAll, m.SilenceAll) {
		info.SilenceAll, c.SilenceAll = *m.SilenceAll, m.SilenceAll
	}
	if differs(info.ReadOnly, m.ReadOnly) {
		info.ReadOnly, c.ReadOnly = *m.ReadOnly, m.ReadOnly
	}
	if differs(info.Until, m.Until) {
		info.Until, info.Temporary, c.Until = *m.Until, *m.Until != 0, m.Until
	}
	if proto.Size(c) > 0 {
		e.Change, said = c, true
	}
	return said
}

// setMembers changes members' roles, the owner, or how long members are silenced.
func (s *Session) setMembers(p *pending, info *protocol.SessionInfo, e *protocol.Entry, m *protocol.SessionSet) bool {
	said := false
	switch {
	case m.Role != nil:
		e.Members, e.Role, said = m.Members, *m.Role, true
		for _, u := range m.Members {
			s.promote(p, u, *m.Role)
		}
	case m.SilencedUntil != nil:
		for _, u := range m.Members {
			if row := *s.members[u]; row.SilencedUntil != *m.SilencedUntil {
				row.SilencedUntil = *m.SilencedUntil
				s.put(p, &row)
				e.Members, said = append(e.Members, u), true
			}
		}
		if said {
			if e.Change == nil {
				e.Change = &protocol.SessionChange{}
			}
			e.Change.SilencedUntil = m.SilencedUntil
		}
	}
	if differs(info.Owner, m.Owner) {
		s.promote(p, info.Owner, protocol.Role_ADMIN)
		s.promote(p, *m.Owner, protocol.Role_OWNER)
		info.Owner, e.Owner, said = *m.Owner, *m.Owner, true
	}
	return said
}

// promote gives a member a role. Nobody silences an owner.
func (s *Session) promote(p *pending, user protocol.UserID, role protocol.Role) {
	row := *s.members[user]
	row.Role = role
	if role == protocol.Role_OWNER {
		row.SilencedUntil = 0
	}
	s.put(p, &row)
}

// put makes row the member's, and a part of what p commits.
func (s *Session) put(p *pending, row *MemberRow) {
	s.replace(row)
	p.Members = slices.DeleteFunc(p.Members, func(m *MemberRow) bool { return m.User == row.User })
	p.Members = append(p.Members, row)
}

// replace puts a changed copy of a member's row in the old one's place: rows that
// were given to the committer are not changed any more.
func (s *Session) replace(row *MemberRow) {
	s.members[row.User] = row
	s.order.replace(row)
}
