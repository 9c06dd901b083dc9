package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// stand is somebody who asks in the test of access, and how it stands to the session.
type stand struct {
	name string
	who  *protocol.Identity
	as   access.Subject // in the session; in another one it is a stranger
	in   bool           // a member
}

// stands are all kinds of subjects, some of them twice: with and without scopes.
func stands() []*stand {
	id := func(user string) *protocol.Identity { return &protocol.Identity{User: user, Device: "d-" + user} }
	of := func(user, kind string, scopes ...string) *protocol.Identity {
		return &protocol.Identity{User: user, Device: "d-" + user, Kind: kind, Scopes: scopes}
	}
	root := id("root")
	root.Admin = true
	return []*stand{
		{"nobody", &protocol.Identity{}, access.Nobody, false},
		{"a guest", of("guest", access.KindGuest), access.Guest, true},
		{"a guest elsewhere", of("guest2", access.KindGuest), access.Stranger, false},
		{"a stranger", id("stranger"), access.Stranger, false},
		{"a former member", id("former"), access.Former, false},
		{"a member", id("member"), access.Member, true},
		{"a session's admin", id("moderator"), access.Moderator, true},
		{"the owner", id("owner"), access.Owner, true},
		{"a bot without scopes", of("bot", access.KindBot), access.Bot, true},
		{"a bot with scopes", of("bot2", access.KindBot, access.Scopes...), access.Bot, true},
		{"a key without scopes", of("key", access.KindKey), access.Key, true},
		{"a key with scopes", of("key2", access.KindKey, access.Scopes...), access.Key, true},
		{"a key elsewhere", of("key3", access.KindKey, access.Scopes...), access.Key, false},
		{"an administrator", root, access.Administrator, false},
	}
}

// house is the real server, in memory, and those who ask it.
type house struct {
	t *testing.T
	*server
	all []*stand
}

func openHouse(t *testing.T) *house {
	l, err := loadConfig([]string{"--data", t.TempDir(), "--listen", "127.0.0.1:0", "--register", "open", "--rate", "0", "--bots", "off"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Store.FS = vfs.NewMem()
	l.Users.Argon2 = userctr.Argon2{Memory: 64, Passes: 1, Threads: 1}
	s, err := start(&l.Config, slog.New(slog.NewTextHandler(io.Discard, nil)), func(err error) { panic(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h := &house{t, s, stands()}
	others := []*stand{{who: &protocol.Identity{User: "friend"}}, {who: &protocol.Identity{User: "victim"}}, {who: &protocol.Identity{User: "b_writer", Kind: access.KindBot}}}
	for _, x := range append(others, h.all...) {
		if x.who.User == "" {
			continue
		}
		u := &userctr.User{ID: x.who.User, Nickname: x.who.User, Kind: userctr.Kind(x.who.Kind), Admin: x.who.Admin, Created: time.Now()}
		switch x.who.Kind {
		case "":
			u.Kind = userctr.Human
		case access.KindKey:
			u.Kind = userctr.System
		}
		if err := s.store.AddUser(t.Context(), u, ""); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *house) ask(who *protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	return h.node.Ask(ctx, *who, f)
}

func (h *house) must(who string, f *protocol.Frame) *protocol.Frame {
	h.t.Helper()
	reply, err := h.ask(&protocol.Identity{User: who}, f)
	if err != nil {
		h.t.Fatalf("%s by %s: %v", f.Type(), who, err)
	}
	return reply
}

// room is a session to try something in.
type room struct {
	session string
	own     string // a message of who asks, where it is a member
	other   string // one of somebody else's
	draft   string // what a bot is writing
}

// room makes a group in which everybody stands as the table of stands says, with a
// message of x and one of somebody else.
func (h *house) room(x *stand) room {
	var members []string
	for _, m := range append(h.all, &stand{who: &protocol.Identity{User: "friend"}, in: true}, &stand{who: &protocol.Identity{User: "b_writer"}, in: true}) {
		if m.in && m.as != access.Owner || m.as == access.Former {
			members = append(members, m.who.User)
		}
	}
	made := h.must("owner", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, Members: members}}})
	r := room{session: made.GetSessionCreateReply().Result[0]}
	role := protocol.Role_ADMIN
	h.must("owner", &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: r.session, Members: []string{"moderator"}, Role: &role}}})
	h.must("former", &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: r.session}}})
	say := func(who *protocol.Identity) string {
		reply, err := h.ask(who, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: r.session, ClientMsgId: "of " + who.User, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello"}}}})
		if err != nil {
			h.t.Fatalf("%s cannot write before it is tried: %v", who.User, err)
		}
		return reply.GetMsgSendReply().MessagerecvId
	}
	r.other = say(&protocol.Identity{User: "friend"})
	r.own = r.other
	if x.in {
		r.own = say(&protocol.Identity{User: x.who.User}) // by its person's rights: the message is there, whoever may write now
	}
	r.draft = "draft"
	h.node.Draft(&actors.Draft{Session: r.session, Bot: "b_writer", Stream: r.draft, ReplyTo: r.own, Text: "it is"})
	return r
}

// trial is one frame that does one action.
type trial struct {
	action access.Action
	frame  func(r room) *protocol.Frame
}

func ptr[T any](v T) *T { return &v }

// trials are a frame, or several, for every type of frame that a client sends.
var trials = map[string][]trial{
	"session_create": {{access.Create, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}}}
	}}},
	"session_list": {{access.Home, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{}}}
	}}},
	"session_get": {{access.Read, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: r.session}}}
	}}},
	"sync": {{access.Read, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: r.session}}}
	}}},
	"session_add_user": {{access.AddMembers, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: r.session, Members: []string{"stranger"}}}}
	}}},
	"session_remove_user": {{access.RemoveOthers, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: r.session, Members: []string{"friend"}}}}
	}}},
	"session_exit": {{access.Leave, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: r.session}}}
	}}},
	"session_set": {
		{access.Arrange, changing(func(m *protocol.SessionSet) { m.Sticky = ptr(true) })},
		{access.Rename, changing(func(m *protocol.SessionSet) { m.Name = ptr("a name") })},
		{access.Announce, changing(func(m *protocol.SessionSet) { m.Announcement = ptr("news") })},
		{access.SetPolicy, changing(func(m *protocol.SessionSet) { m.JoinPolicy = ptr(protocol.JoinPolicy_OPEN) })},
		{access.Silence, changing(func(m *protocol.SessionSet) { m.SilenceAll = ptr(true) })},
		{access.SetRoles, changing(func(m *protocol.SessionSet) { m.Role, m.Members = ptr(protocol.Role_ADMIN), []string{"friend"} })},
	},
	"session_join": {{access.Join, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Session: r.session}}}
	}}},
	"session_dissolve": {{access.Dissolve, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: r.session}}}
	}}},
	"link_create": {{access.Links, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_LinkCreate{LinkCreate: &protocol.LinkCreate{Session: r.session}}}
	}}},
	"link_list": {{access.Links, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_LinkList{LinkList: &protocol.LinkList{Session: r.session}}}
	}}},
	"link_revoke": {{access.Links, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_LinkRevoke{LinkRevoke: &protocol.LinkRevoke{Session: r.session, Link: "none"}}}
	}}},
	"link_get": {{access.Join, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_LinkGet{LinkGet: &protocol.LinkGet{Code: "none"}}}
	}}},
	"msg_send": {{access.Send, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: r.session, ClientMsgId: "tried", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hi"}}}}
	}}},
	"msg_recv": {{access.Mark, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: r.session, Seq: 1}}}
	}}},
	"msg_read": {{access.Mark, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgRead{MsgRead: &protocol.MsgRead{Session: r.session, Seq: 1}}}
	}}},
	"msg_editing": {{access.Type, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: r.session}}}
	}}},
	"msg_cancel": {
		{access.RecallOwn, func(r room) *protocol.Frame {
			return &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: r.session, MessagerecvId: r.own}}}
		}},
		{access.RecallOthers, func(r room) *protocol.Frame {
			return &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: r.session, MessagerecvId: r.other}}}
		}},
		{access.StopDraft, func(r room) *protocol.Frame {
			return &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: r.session, MessagerecvId: r.draft}}}
		}},
	},
	"msg_edit": {{access.EditOwn, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{
			Session: r.session, MessagerecvId: r.own, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "better"}}}}
	}}},
	"msg_react": {{access.React, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{Session: r.session, MessagerecvId: r.other, Reaction: "+"}}}
	}}},
	"msg_accept": {{access.React, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgAccept{MsgAccept: &protocol.MsgAccept{Session: r.session, MessagerecvId: r.other}}}
	}}},
	"msg_refuse": {{access.React, func(r room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgRefuse{MsgRefuse: &protocol.MsgRefuse{Session: r.session, MessagerecvId: r.other}}}
	}}},
	"user_get": {{access.Profiles, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_UserGet{UserGet: &protocol.UserGet{Users: []string{"friend"}}}}
	}}},
	"presence_watch": {{access.Presence, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_PresenceWatch{PresenceWatch: &protocol.PresenceWatch{Users: []string{"friend"}}}}
	}}},
	"presence_set": {{access.Presence, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_PresenceSet{PresenceSet: &protocol.PresenceSet{Status: "busy"}}}
	}}},
	"contact_list": {{access.Contacts, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{}}}
	}}},
	"contact_set": {{access.Contacts, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "moderator", Blocked: ptr(false)}}}
	}}},
	"contact_remove": {{access.Contacts, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_ContactRemove{ContactRemove: &protocol.ContactRemove{User: "moderator"}}}
	}}},
	"request_send": {{access.Requests, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Target: "friend"}}}
	}}},
	"request_answer": {{access.Requests, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{Request: "none", CallBackType: 3}}}
	}}},
	"request_list": {{access.Requests, func(room) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{}}}
	}}},
}

func changing(change func(m *protocol.SessionSet)) func(r room) *protocol.Frame {
	return func(r room) *protocol.Frame {
		m := &protocol.SessionSet{Session: r.session}
		change(m)
		return &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: m}}
	}
}

// ofConnections are frames that a connection serves itself.
var ofConnections = []string{"auth", "heartbeat", "logout"}

// expects says what the table means for x doing an action: one of these refusals, or
// none, which is that it may happen, or not, for other reasons than who asks.
func expects(a access.Action, x *stand, as access.Subject) (want []protocol.Code) {
	switch verdict, scope := access.Of(a, as); {
	case verdict == access.Sign:
		return []protocol.Code{protocol.Code_UNAUTHORIZED}
	case verdict == access.Hide:
		return []protocol.Code{protocol.Code_NOT_FOUND, protocol.Code_DENIED} // DENIED: its kind could never, whatever session it is
	case verdict == access.Deny, verdict == access.Scoped && !slices.Contains(x.who.Scopes, scope):
		want = []protocol.Code{protocol.Code_DENIED}
		if as == access.Key && !x.in { // in a session that it is not in, a key is told of no more than a stranger
			want = append(want, protocol.Code_NOT_FOUND)
		}
	}
	return want
}

func TestEveryFrameDoesForEverybodyWhatTheTableSays(t *testing.T) {
	h := openHouse(t)
	for _, typ := range access.Frames() {
		tries := trials[typ]
		if tries == nil && !slices.Contains(ofConnections, typ) {
			t.Errorf("%s is tried by nobody: add it to trials", typ)
		}
		for _, try := range tries {
			for _, x := range h.all {
				r := h.room(x)
				_, err := h.ask(x.who, try.frame(r))
				if e := verdictOf(err, expects(try.action, x, x.as)); e != "" {
					t.Errorf("%s: may %s %s? %s: %s", typ, x.name, try.action, x.as, e)
				}
			}
		}
	}
}

// verdictOf says what is wrong with an answer, "" where it is as the table says.
func verdictOf(err error, want []protocol.Code) string {
	code := protocol.Code_OK
	if err != nil {
		code = protocol.AsError(err).Code
	}
	switch {
	case len(want) > 0 && !slices.Contains(want, code):
		return fmt.Sprintf("the answer is %v, want %v", err, want)
	case len(want) == 0 && (code == protocol.Code_UNAUTHORIZED || code == protocol.Code_INTERNAL):
		return fmt.Sprintf("the answer is %v", err)
	}
	return ""
}

func TestNoFrameShowsAStrangerASession(t *testing.T) {
	h := openHouse(t)
	made := h.must("friend", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}}})
	there := room{session: made.GetSessionCreateReply().Result[0]}
	said := h.must("friend", &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: there.session, ClientMsgId: "1", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello"}}}})
	there.own = said.GetMsgSendReply().MessagerecvId
	there.other = there.own
	nowhere := room{session: protocol.NewSessionID()}
	nowhere.own = protocol.MessageID(nowhere.session, 1)
	nowhere.other = nowhere.own
	for typ, tries := range trials {
		for _, try := range tries {
			if v, _ := access.Of(try.action, access.Stranger); v != access.Hide && try.action != access.Join || typ == "link_get" {
				continue // not about a session
			}
			for _, x := range h.all {
				_, in := h.ask(x.who, try.frame(there))
				_, none := h.ask(x.who, try.frame(nowhere))
				if in == nil || none == nil {
					t.Errorf("%s by %s in another's session: %v; in none: %v", typ, x.name, in, none)
				} else if a, b := protocol.AsError(in), protocol.AsError(none); a.Code != b.Code ||
					strings.ReplaceAll(a.Detail, there.session, "S") != strings.ReplaceAll(b.Detail, nowhere.session, "S") {
					t.Errorf("%s tells %s that a session is there: %v; of none it says %v", typ, x.name, in, none)
				}
			}
		}
	}
}

// doorman says whose a token is: its text is the name of a stand.
type doorman map[string]*protocol.Identity

func (d doorman) Authenticate(_ context.Context, token string) (protocol.Identity, error) {
	if who := d[token]; who != nil && who.User != "" {
		return *who, nil
	}
	return protocol.Identity{}, protocol.Unauthorized("the token is not good here")
}

func (d doorman) ActFor(_ context.Context, who protocol.Identity, _ protocol.UserID) (protocol.Identity, error) {
	return who, nil
}

func (d doorman) Elsewhere(string) bool { return false }

func (d doorman) Arrived(*protocol.Identity) {}

func (d doorman) Alive(*protocol.Identity) error { return nil }

func (d doorman) Logout(context.Context, protocol.Identity) error { return nil }

// forms is a good body for every operation that needs one.
var forms = map[string]string{
	"create-session":          `{"sessionType":"group"}`,
	"change-session":          `{"name":"new"}`,
	"set-session-avatar":      `{"file":"f_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
	"mark-read":               `{"seq":1}`,
	"mark-received":           `{"seq":1}`,
	"send-message":            `{"clientMsgId":"c1","content":{"type":"text","text":"hi"}}`,
	"deal-message":            `{"verdict":"allow"}`,
	"edit-message":            `{"content":{"type":"text","text":"hi"}}`,
	"replace-members":         `{"add":["stranger"]}`,
	"replace-members-by-post": `{"add":["stranger"]}`,
	"add-members":             `{"members":["stranger"]}`,
	"put-member":              `{"role":"admin"}`,
	"make-key":                `{"name":"k","scopes":["read"]}`,
	"mint-user":               `{"id":"minted"}`,
	"make-app":                `{"name":"shop"}`,
	"set-app":                 `{"name":"shop"}`,
	"exchange":                `{"token":"none"}`,
	"make-release":            `{"platform":"android","version":"1","file":"none"}`,
	"set-push":                `{"kind":"fcm","token":"t"}`,
	"merge-guest":             `{"guestToken":"none"}`,
}

func TestEveryOperationDoesForEverybodyWhatTheTableSays(t *testing.T) {
	h := openHouse(t)
	door := doorman{}
	for _, x := range h.all {
		door[strings.ReplaceAll(x.name, " ", "-")] = x.who
	}
	g, err := h.plug(door)
	if err != nil {
		t.Fatal(err)
	}
	operations := g.Operations()
	known := map[string]bool{}
	for where, op := range operations {
		known[op.OperationID] = true
		actions := access.Operation(op.OperationID)
		if actions == nil {
			t.Errorf("%s (%s) has no row", op.OperationID, where)
		}
		for _, x := range h.all {
			r := h.room(x)
			path := strings.NewReplacer("{session_id}", r.session, "{message_id}", r.other, "{participant_id}", "friend", "{reaction}", "ok",
				"{id}", "victim", "{device}", "none").Replace(op.Path)
			for i := strings.IndexByte(path, '{'); i >= 0; i = strings.IndexByte(path, '{') {
				path = path[:i] + "none" + path[strings.IndexByte(path, '}')+1:]
			}
			if op.OperationID == "remove-members" {
				path += "?members=friend"
			}
			req := httptest.NewRequest(op.Method, path, strings.NewReader(forms[op.OperationID]))
			req.Header.Set("Content-Type", "application/json")
			if x.as != access.Nobody {
				req.Header.Set("Authorization", "Bearer "+strings.ReplaceAll(x.name, " ", "-"))
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, req)
			may, want := false, map[int]bool{}
			for _, a := range actions {
				codes := expects(a, x, x.as)
				may = may || len(codes) == 0
				for _, c := range codes {
					want[c.HTTPStatus()] = true
				}
			}
			switch open := len(op.Security) == 0; {
			case w.Code >= 500:
				t.Errorf("%s by %s: %d %s", op.OperationID, x.name, w.Code, w.Body)
			case open:
			case may && x.as == access.Administrator && strings.Contains(op.Path, "/admin/") && !strings.Contains(op.Path, "bots/") && w.Code == 404: // no bot is here
				t.Errorf("%s: an administrator finds nothing at %s: %s", op.OperationID, path, w.Body)
			case may && w.Code == 401, !may && !want[w.Code]:
				t.Errorf("%s (%s) by %s: %d %s; may: %v, else %v", op.OperationID, where, x.name, w.Code, w.Body, may, want)
			}
		}
	}
	for _, id := range access.Operations() {
		if !known[id] {
			t.Errorf("operations.go has %s, which there is not", id)
		}
	}
}
