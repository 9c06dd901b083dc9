package actors

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Limits of contacts and requests that are not settings, in characters.
const (
	maxNote   = 200
	maxRemark = 64
	maxTags   = 20
	maxTag    = 32
)

// routeContacts is route for frames about contacts and requests. Those between two
// people go to the session of the two, which need not exist; what one may know or
// have asked already is looked at by the one's User first.
func (n *Node) routeContacts(r *request) error {
	switch m := r.frame.Body.(type) {
	case *protocol.Frame_RequestSend:
		if err := checkRequest(r.who.User, m.RequestSend); err != nil {
			return err
		}
	case *protocol.Frame_RequestAnswer:
		if m.RequestAnswer.Request == "" || len(m.RequestAnswer.Request) > 64 {
			return protocol.NotFound("request %.64s", m.RequestAnswer.Request)
		}
	case *protocol.Frame_RequestList:
		if m.RequestList.Session != "" {
			return n.toSession(m.RequestList.Session, r)
		}
	case *protocol.Frame_ContactSet:
		if err := checkContact(m.ContactSet); err != nil {
			return err
		}
		return n.toPair(r, m.ContactSet.User)
	case *protocol.Frame_ContactRemove:
		return n.toPair(r, m.ContactRemove.User)
	}
	n.tell(n.user(r.who.User), r)
	return nil
}

func (n *Node) toPair(r *request, other protocol.UserID) error {
	if err := checkOther(r.who.User, other); err != nil {
		return err
	}
	n.tellSession(protocol.P2PSessionID(r.who.User, other), &petition{r: r, other: other})
	return nil
}

// checkOther refuses who cannot be another user.
func checkOther(me, other protocol.UserID) error {
	if _, err := protocol.ParseUserID(other); err != nil || other == "*" {
		return protocol.NotFound("user %.64q", other)
	}
	if me == other {
		return protocol.BadRequest("that is yourself")
	}
	return nil
}

func checkRequest(me protocol.UserID, m *protocol.RequestSend) error {
	if utf8.RuneCountInString(m.Note) > maxNote {
		return protocol.TooLarge("request_send.note: %d characters at most", maxNote)
	}
	if protocol.IsBot(m.User) || m.Kind == protocol.RequestKind_FRIEND_REQUEST && protocol.IsBot(m.Target) {
		return protocol.Denied("a bot answers no requests: talk to it, or add it to a group")
	}
	switch m.Kind {
	case protocol.RequestKind_FRIEND_REQUEST:
		if m.User != "" {
			return protocol.BadRequest("request_send.user: only of a GROUP request")
		}
		return checkOther(me, m.Target)
	case protocol.RequestKind_GROUP_REQUEST:
		if _, err := protocol.ParseSessionID(m.Target); err != nil || protocol.IsP2P(m.Target) {
			return protocol.NotFound("session %.64q", m.Target)
		}
		if m.User != "" {
			return checkOther(me, m.User)
		}
		return nil
	}
	return protocol.BadRequest("request_send.kind: FRIEND or GROUP")
}

// checkContact refuses what no contact can be, and takes tags in the order given,
// each once.
func checkContact(m *protocol.ContactSet) error {
	if m.Remark == nil && m.Blocked == nil && !m.GetSetTags() && len(m.Tags) == 0 {
		return protocol.BadRequest("contact_set: remark, tags or blocked is needed")
	}
	if remark := m.GetRemark(); utf8.RuneCountInString(remark) > maxRemark {
		return protocol.TooLarge("contact_set.remark: %d characters at most", maxRemark)
	} else if strings.ContainsFunc(remark, unicode.IsControl) {
		return protocol.BadRequest("contact_set.remark: no control characters")
	}
	if len(m.Tags) > maxTags {
		return protocol.Errorf(protocol.Code_TOO_MANY, "contact_set.tags: %d at most", maxTags)
	}
	var tags []string
	for _, tag := range m.Tags {
		switch {
		case tag == "" || strings.ContainsFunc(tag, unicode.IsControl):
			return protocol.BadRequest("contact_set.tags: a tag is 1 to %d characters, none of them a control character", maxTag)
		case utf8.RuneCountInString(tag) > maxTag:
			return protocol.TooLarge("contact_set.tags: %d characters a tag at most", maxTag)
		case !slices.Contains(tags, tag):
			tags = append(tags, tag)
		}
	}
	m.Tags = tags
	return nil
}
