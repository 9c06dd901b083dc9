package actors

import (
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// route checks what can be checked of a request without anybody's state and tells
// the actor that serves it. An error is the answer.
func (n *Node) route(r *request) error {
	if err := access.MayAsk(r.frame.Type(), r.who); err != nil {
		return err
	}
	switch m := r.frame.Body.(type) {
	case *protocol.Frame_MsgSend:
		if err := n.checkSend(m.MsgSend); err != nil {
			return err
		}
		return n.toSession(m.MsgSend.Session, r)
	case *protocol.Frame_MsgRead:
		return n.toSession(m.MsgRead.Session, r)
	case *protocol.Frame_MsgRecv:
		return n.toSession(m.MsgRecv.Session, r)
	case *protocol.Frame_MsgEditing:
		return n.toSession(m.MsgEditing.Session, r)
	case *protocol.Frame_MsgCancel:
		return n.toSession(m.MsgCancel.Session, r)
	case *protocol.Frame_MsgEdit:
		if err := n.checkContent(m.MsgEdit.Content); err != nil {
			return err
		}
		return n.toSession(m.MsgEdit.Session, r)
	case *protocol.Frame_MsgReact:
		if l := len(m.MsgReact.Reaction); l == 0 || l > 64 {
			return protocol.BadRequest("msg_react.reaction: 1 to 64 bytes are allowed")
		}
		return n.toSession(m.MsgReact.Session, r)
	case *protocol.Frame_MsgAccept:
		return n.toSession(m.MsgAccept.Session, r)
	case *protocol.Frame_MsgRefuse:
		return n.toSession(m.MsgRefuse.Session, r)
	case *protocol.Frame_Sync:
		return n.toSession(m.Sync.Session, r)
	case *protocol.Frame_SessionCreate:
		return n.createSession(r, m.SessionCreate)
	case *protocol.Frame_SessionAddUser:
		if err := n.checkMembers(m.SessionAddUser.Members, 1); err != nil {
			return err
		}
		return n.toSession(m.SessionAddUser.Session, r)
	case *protocol.Frame_SessionRemoveUser:
		if err := n.checkMembers(m.SessionRemoveUser.Members, 1); err != nil {
			return err
		}
		return n.toSession(m.SessionRemoveUser.Session, r)
	case *protocol.Frame_SessionExit:
		return n.toSession(m.SessionExit.Session, r)
	case *protocol.Frame_SessionDissolve:
		return n.toSession(m.SessionDissolve.Session, r)
	case *protocol.Frame_SessionJoin:
		if m.SessionJoin.Code != "" {
			return n.byCode(r, m.SessionJoin.Code)
		}
		if m.SessionJoin.Session == "" {
			return protocol.BadRequest("session_join: session or code is needed")
		}
		return n.toSession(m.SessionJoin.Session, r)
	case *protocol.Frame_LinkGet:
		return n.byCode(r, m.LinkGet.Code)
	case *protocol.Frame_LinkCreate:
		if err := checkLink(m.LinkCreate); err != nil {
			return err
		}
		return n.toSession(m.LinkCreate.Session, r)
	case *protocol.Frame_LinkList:
		return n.toSession(m.LinkList.Session, r)
	case *protocol.Frame_LinkRevoke:
		return n.toSession(m.LinkRevoke.Session, r)
	case *protocol.Frame_SessionGet:
		return n.toSession(m.SessionGet.Session, r)
	case *protocol.Frame_SessionSet:
		if err := n.checkSettings(m.SessionSet); err != nil {
			return err
		}
		return n.toSession(m.SessionSet.Session, r)
	case *protocol.Frame_SessionList, *protocol.Frame_Heartbeat:
		n.tell(n.user(r.who.User), r)
		return nil
	case *protocol.Frame_UserGet:
		return n.userGet(r, m.UserGet)
	case *protocol.Frame_RequestSend, *protocol.Frame_RequestAnswer, *protocol.Frame_RequestList,
		*protocol.Frame_ContactList, *protocol.Frame_ContactSet, *protocol.Frame_ContactRemove:
		return n.routeContacts(r)
	case *protocol.Frame_PresenceWatch:
		if err := n.checkWatch(m.PresenceWatch); err != nil {
			return err
		}
		n.tell(n.user(r.who.User), r)
		return nil
	case *protocol.Frame_PresenceSet:
		if err := n.checkStatus(m.PresenceSet); err != nil {
			return err
		}
		n.tell(n.user(r.who.User), r)
		return nil
	}
	return protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "clients do not send %s", r.frame.Type())
}

func (n *Node) toSession(id protocol.SessionID, r *request) error {
	if _, err := protocol.ParseSessionID(id); err != nil {
		return protocol.NotFound("session %.64q", id)
	}
	n.tellSession(id, r)
	return nil
}

// createSession finds the id, and with it the actor, of a session to be made: a
// p2p session's comes from its two people, a repeated request's from its clientMsgId.
func (n *Node) createSession(r *request, m *protocol.SessionCreate) error {
	err := access.DecideBy(access.Create, access.Asker(r.who), r.who, func() error { return n.visit(r.who, m) })
	if err != nil {
		return err
	}
	if err := n.checkMembers(m.Members, 0); err != nil {
		return err
	}
	if err := n.checkName(m.Name); err != nil {
		return err
	}
	if err := checkGroup(m.Avatar, m.JoinPolicy, m.InvitePolicy, m.Until); err != nil {
		return err
	}
	if m.History != "" && m.History != "all" && m.History != "joined" {
		return protocol.BadRequest("session_create.history: all or joined is needed")
	}
	var id protocol.SessionID
	switch m.SessionType {
	case protocol.SessionType_P2P:
		others := m.Members[:0:0]
		for _, u := range m.Members {
			if u != r.who.User {
				others = append(others, u)
			}
		}
		if len(others) != 1 {
			return protocol.BadRequest("session_create.members: a p2p session is made with one other person")
		}
		m.Members = others
		id = protocol.P2PSessionID(r.who.User, others[0])
	case protocol.SessionType_GROUP, protocol.SessionType_MUC:
		id = protocol.NewSessionID()
		if m.ClientMsgId != "" {
			id = protocol.NamedSessionID(r.who.User, m.ClientMsgId)
		}
	default:
		return protocol.Denied("only the server makes system sessions")
	}
	n.tellSession(id, r)
	return nil
}

func (n *Node) checkMembers(ids []protocol.UserID, least int) error {
	if len(ids) < least {
		return protocol.BadRequest("members: at least one user id is needed")
	}
	if len(ids) > n.cfg.MaxMembers {
		return protocol.Errorf(protocol.Code_TOO_MANY, "members: %d at most in one call", n.cfg.MaxMembers)
	}
	for _, id := range ids {
		if _, err := protocol.ParseUserID(id); err != nil {
			return protocol.BadRequest("members: %.64q is no user id", id)
		}
	}
	return nil
}

func (n *Node) checkName(name string) error {
	if utf8.RuneCountInString(name) > n.cfg.MaxSessionName {
		return protocol.TooLarge("name: %d characters at most", n.cfg.MaxSessionName)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return protocol.BadRequest("name: no control characters, and none that turn the text around")
	}
	return nil
}

// limits of a message that are not settings.
const (
	maxClientMsgID = 128
	maxMentions    = 500
	maxForwarded   = 20
	maxFiles       = 100
	maxExpire      = 10 * 365 * 24 * 3600 // seconds
)

func (n *Node) checkSend(m *protocol.MsgSend) error {
	switch {
	case m.ClientMsgId == "" || len(m.ClientMsgId) > maxClientMsgID:
		return protocol.BadRequest("msg_send.clientMsgId: 1 to %d bytes are needed", maxClientMsgID)
	case m.Expire < 0 || m.Expire > maxExpire:
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "msg_send.expire: 0 to %d seconds are allowed", maxExpire)
	case len(m.Mentions) > maxMentions:
		return protocol.Errorf(protocol.Code_TOO_MANY, "msg_send.mentions: %d at most", maxMentions)
	}
	return n.checkContent(m.Content)
}

// checkContent refuses content that its type does not allow or that says nothing.
func (n *Node) checkContent(c *protocol.Content) error {
	if c == nil {
		return protocol.BadRequest("content is needed")
	}
	if len(c.Text) > n.cfg.MaxText {
		return protocol.TooLarge("content.text: %d bytes at most", n.cfg.MaxText)
	}
	if len(c.Files) > maxFiles {
		return protocol.Errorf(protocol.Code_TOO_MANY, "content.files: %d at most", maxFiles)
	}
	if len(c.Forwarded) > maxForwarded {
		return protocol.Errorf(protocol.Code_TOO_MANY, "content.forwarded: %d at most", maxForwarded)
	}
	if c.Size < 0 || c.Width < 0 || c.Height < 0 || c.Duration < 0 {
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "content: size, width, height and duration are not negative")
	}
	var said bool
	var needs string
	switch c.Type {
	case protocol.ContentType_SYSTEM, protocol.ContentType_RESERVED_11, protocol.ContentType_RESERVED_13:
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "content.type: clients do not send type %d", c.Type)
	case protocol.ContentType_TEXT, protocol.ContentType_TOPIC_NOTE, protocol.ContentType_REFERENCE:
		said, needs = c.Text != "", "text"
	case protocol.ContentType_IMAGE, protocol.ContentType_VOICE, protocol.ContentType_VIDEO, protocol.ContentType_FILE:
		said, needs = c.File != "" || len(c.Files) > 0 || c.Url != "", "file, files or url"
	case protocol.ContentType_ARTICLE, protocol.ContentType_JUMP, protocol.ContentType_SHARE, protocol.ContentType_LINK:
		said, needs = c.Url != "" || c.Title != "" || c.Text != "" || c.Data != "", "url, title, text or data"
	case protocol.ContentType_FORWARD, protocol.ContentType_FORWARD_IMAGE:
		said, needs = len(c.Forwarded) > 0 || c.Text != "" || c.File != "" || c.Url != "", "forwarded, text, file or url"
	case protocol.ContentType_CARD:
		said, needs = c.Data != "" || c.Title != "" || c.Text != "", "data, title or text"
	case protocol.ContentType_TOPIC_START, protocol.ContentType_TOPIC_END,
		protocol.ContentType_LIVEAUDIO, protocol.ContentType_LIVEVIDEO:
		said = true
	default:
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "content.type: there is no type %d", c.Type)
	}
	if !said {
		return protocol.BadRequest("content: a message of this type needs %s", needs)
	}
	return nil
}

func (n *Node) panicked(who string, r any) {
	n.stats.Panics.Add(1)
	n.log.Error("a handler panicked", "actor", who, "panic", r, "stack", string(debug.Stack()))
}

// sweep passivates what is idle, expires messages and looks at tokens' times.
func (n *Node) sweep() {
	defer n.sweeper.Done()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	alone := rand.IntN(dueEvery) // nodes that were started together look at different times
	for beat := 1; ; beat++ {
		select {
		case <-n.stop:
			return
		case <-n.due:
			n.expireDue(time.Now())
		case now := <-second.C:
			if n.Owns(workDue) || beat%dueEvery == alone {
				n.expireDue(now)
			}
			if beat%10 == 0 {
				n.passivateIdle(now)
				n.guesses.forget(now)
				for _, c := range n.all() {
					c.actor.tell(&lapse{now: now})
				}
			}
		}
	}
}

// passivateIdle asks idle actors to leave, and ends those that left a round ago:
// by now everybody who had their address has told what they had to tell.
func (n *Node) passivateIdle(now time.Time) {
	n.moved()
	sessions := now.Add(-n.cfg.SessionIdle).UnixMilli()
	n.sessions.each(func(_ string, r *ref) {
		if r.active.Load() < sessions {
			n.tell(r.pid, &passivate{})
		}
	})
	users := now.Add(-n.cfg.UserLinger).UnixMilli()
	n.people.each(func(_ string, r *ref) {
		if r.connections.Load() == 0 && r.active.Load() < users {
			n.tell(r.pid, &passivate{})
		}
	})
}
