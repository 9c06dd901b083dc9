package actors

import (
	"slices"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Applications knows who answers the visitors of an application. Users that fill it too let guests make a session.
type Applications interface {
	// AppMembers gives them, at once. Nobody changes the slice.
	AppMembers(app string) []protocol.UserID
}

// nobodyAnswers is the Applications of a node whose Users have none.
type nobodyAnswers struct{}

func (nobodyAnswers) AppMembers(string) []protocol.UserID { return nil }

// visit makes a guest's session_create the one that a guest may make: of type muc, with all who answer for its
// application and nobody else, and one in a guest's life.
func (n *Node) visit(who *protocol.Identity, m *protocol.SessionCreate) error {
	answer := n.applications.AppMembers(who.App)
	switch {
	case m.SessionType != protocol.SessionType_MUC:
		return protocol.Denied("a guest makes a session of type muc, with those who answer for the page")
	case len(answer) == 0:
		return protocol.Denied("nobody answers for this page")
	}
	for _, u := range m.Members {
		if u != who.User && !slices.Contains(answer, u) {
			return protocol.Denied("a guest makes a session with those who answer for the page, and with nobody else")
		}
	}
	*m = protocol.SessionCreate{
		SessionType: protocol.SessionType_MUC, Members: slices.Clone(answer), Name: m.Name, ClientMsgId: "visit " + who.App, BusinessType: m.BusinessType,
	}
	return nil
}

// hosted gives a guest's session to those who answer: the first who is no bot is its owner, the others are admins.
func hosted(info *protocol.SessionInfo, rows []*MemberRow) {
	owner := 1 + slices.IndexFunc(rows[1:], func(row *MemberRow) bool { return !protocol.IsBot(row.User) })
	for i, row := range rows {
		switch i {
		case 0:
			row.Role = protocol.Role_MEMBER
		case max(1, owner):
			row.Role = protocol.Role_OWNER
			info.Owner = row.User
		default:
			row.Role = protocol.Role_ADMIN
		}
	}
}

// mayKnow leaves of ids those that a guest may know of: itself, and who answer for its application. Everybody else may know of all.
func (n *Node) mayKnow(who *protocol.Identity, ids []protocol.UserID) []protocol.UserID {
	if who.Kind != access.KindGuest {
		return ids
	}
	answer := n.applications.AppMembers(who.App)
	var known []protocol.UserID
	for _, id := range ids {
		if id == who.User || slices.Contains(answer, id) {
			known = append(known, id)
		}
	}
	return known
}
