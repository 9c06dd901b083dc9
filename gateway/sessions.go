package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Home reads what no frame asks for.
type Home interface {
	// HomeOf gives one session of one user's home list; NOT_FOUND: the user is not in it.
	HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error)
}

// Profiles knows what people look like.
type Profiles interface {
	// Avatars gives the avatars (paths or links) of those of ids that are users.
	Avatars(ctx context.Context, ids []protocol.UserID) (map[protocol.UserID]string, error)
}

// sessions is REST for sessions: each operation is a frame, and decides nothing.
type sessions struct {
	actors   Actors
	home     Home
	profiles Profiles
	searcher Searcher
}

func newSessions(n Needs) *sessions { return &sessions{n.Actors, n.Home, n.Profiles, n.Search} }

// answerWithin is how long a request may take; the message path takes milliseconds.
const answerWithin = 10 * time.Second

// ask does a frame for the one who makes the request.
func (s *sessions) ask(ctx context.Context, f *protocol.Frame) (*protocol.Frame, error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.actors.Ask(ctx, who, f)
}

// mine reads the asker's row of a session.
func (s *sessions) mine(ctx context.Context, session string) (*actors.HomeRow, error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	if _, err := protocol.ParseSessionID(session); err != nil {
		return nil, protocol.NotFound("session %.64q", session)
	}
	return s.home.HomeOf(ctx, who.User, session, who.Device)
}

// operation is what all of them have in common; may are the codes that it can be
// answered with besides those that every operation can.
func operation(id, method, path, summary string, may ...protocol.Code) huma.Operation {
	if strings.Contains(path, "{session_id}") {
		may = append(may, protocol.Code_NOT_FOUND)
	}
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"sessions"},
		Security: []map[string][]string{{"bearer": {}}}, MaxBodyBytes: maxBody + 1, DefaultStatus: http.StatusOK,
		Errors: []int{http.StatusUnauthorized}, Metadata: map[string]any{codesKey: may},
	}
}

// register adds every path of the sessions API. Where a static segment and a
// parameter both match, the static one is taken.
func (s *sessions) register(api huma.API) {
	s.registerPresence(api)
	const one = "/sessions/{session_id}"
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const (
		notFound, denied, conflict, tooLate = protocol.Code_NOT_FOUND, protocol.Code_DENIED, protocol.Code_CONFLICT, protocol.Code_WINDOW_OVER
		outOfRange, tooLarge, tooMany       = protocol.Code_OUT_OF_RANGE, protocol.Code_TOO_LARGE, protocol.Code_TOO_MANY
		unsupported, silenced               = protocol.Code_UNSUPPORTED, protocol.Code_SILENCED
	)

	huma.Register(api, operation("badge-no", get, "/application/badge_no", "Read the number for the application's badge"), s.badge)

	create := operation("create-session", post, "/sessions", "Make a session; the same two people always get the same p2p session",
		notFound, denied, conflict, outOfRange, tooLarge, tooMany, unsupported)
	create.DefaultStatus = http.StatusCreated
	huma.Register(api, create, s.create)
	huma.Register(api, operation("recent-sessions", get, "/sessions/recent", "List one's sessions, pinned ones first, then by activity"), s.recent)
	huma.Register(api, operation("unread-total", get, "/sessions/unread_message_count", "Count the unread messages of all sessions"), s.unreadTotal)

	huma.Register(api, operation("get-session", get, one+"/session", "Read a session"), s.get)
	huma.Register(api, operation("session-status", get, one+"/status", "Read whether a session has an active topic"), s.status)
	huma.Register(api, operation("pin-session", put, one+"/sticky", "Pin a session"), s.flag(func(f *protocol.SessionSet) { f.Sticky = ptr(true) }))
	huma.Register(api, operation("unpin-session", del, one+"/sticky", "Unpin a session"), s.flag(func(f *protocol.SessionSet) { f.Sticky = ptr(false) }))
	huma.Register(api, operation("mute-session", put, one+"/mute", "Mute a session"), s.flag(func(f *protocol.SessionSet) { f.Muted = ptr(true) }))
	huma.Register(api, operation("unmute-session", del, one+"/mute", "Unmute a session"), s.flag(func(f *protocol.SessionSet) { f.Muted = ptr(false) }))
	huma.Register(api, operation("unread-of-session", get, one+"/unread_message_count", "Count the unread messages of a session"), s.unread)
	huma.Register(api, operation("mark-read", put, one+"/read", "Move the read mark, by default to the newest entry", outOfRange), s.read)
	huma.Register(api, operation("mark-received", put, one+"/recv", "Say that this device has everything up to an entry", outOfRange), s.recv)
	huma.Register(api, operation("exit-session", post, one+"/exit", "Leave a session", denied), s.exit)

	huma.Register(api, operation("list-messages", get, one+"/messages", "Read the log: its end, or what is before or after a seq; always in order", outOfRange), s.messages)
	send := operation("send-message", post, one+"/messages", "Send a message; the same clientMsgId again gets the first answer back",
		denied, silenced, conflict, outOfRange, tooLarge, tooMany, unsupported)
	send.DefaultStatus = http.StatusCreated
	send.Metadata[againKey] = "OK: it had been sent before, and this is the first answer"
	huma.Register(api, send, s.send)
	huma.Register(api, operation("list-unread", get, one+"/messages/unread", "Read the unread messages, oldest first"), s.unreadMessages)
	huma.Register(api, operation("get-message", get, one+"/messages/{message_id}", "Read one message as it now stands"), s.message)
	huma.Register(api, operation("edit-message", put, one+"/messages/{message_id}", "Edit one's own message",
		denied, silenced, conflict, tooLate, outOfRange, tooLarge, tooMany, unsupported), s.edit)
	huma.Register(api, operation("recall-message", del, one+"/messages/{message_id}", "Recall a message", denied, tooLate), s.recall)
	huma.Register(api, operation("react", put, one+"/messages/{message_id}/reactions/{reaction}", "React to a message", denied, silenced, conflict, tooMany), s.react(false))
	huma.Register(api, operation("unreact", del, one+"/messages/{message_id}/reactions/{reaction}", "Take a reaction back", conflict), s.react(true))

	for _, m := range []string{put, post} {
		id := map[string]string{put: "replace-members", post: "replace-members-by-post"}[m]
		huma.Register(api, operation(id, m, one+"/participant/update", "Take members out and others in", denied, tooMany), s.replace)
	}
	huma.Register(api, operation("list-members", get, one+"/participants", "List the members in order of joining"), s.members)
	huma.Register(api, operation("add-members", post, one+"/participants", "Take users in", denied, tooMany), s.addMembers)
	huma.Register(api, operation("remove-members", del, one+"/participants", "Take members out", denied, tooMany), s.removeMembers)
	huma.Register(api, operation("list-avatars", get, one+"/participants/avatars", "List the members' avatars"), s.avatars)
	huma.Register(api, operation("get-member", get, one+"/participants/{participant_id}", "Read one member"), s.member)
	huma.Register(api, operation("put-member", put, one+"/participants/{participant_id}", "Take a user in, change a member's role, or silence one", denied, outOfRange, tooMany), s.putMember)
	huma.Register(api, operation("remove-member", del, one+"/participants/{participant_id}", "Take a member out", denied), s.removeMember)
	huma.Register(api, operation("get-avatar", get, one+"/participants/{participant_id}/avatars", "Read one member's avatar"), s.avatar)
	s.registerGroups(api)
	s.registerSearch(api)
}

func ptr[T any](v T) *T { return &v }

// answer is a response with a body.
type answer[T any] struct{ Body T }

// List is one page of anything.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent: this was the last"`
}

// InSession is embedded by every input that names a session.
type InSession struct {
	Session string `path:"session_id" maxLength:"64"`
}

// Paged is embedded by every input that pages.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"256" doc:"What next said"`
}
