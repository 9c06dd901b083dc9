package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// registerAdmin adds to api what administrators do to more than users: export, erase,
// sessions. What is done is the operator's.
func (s *server) registerAdmin(api huma.API) {
	op := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary + " (administrators)", Tags: []string{"administration"}, DefaultStatus: http.StatusOK,
			Errors:   append(errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound),
			Security: []map[string][]string{{"bearer": {}}}, MaxBodyBytes: 16 << 10,
		}
	}
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	huma.Register(api, op("admin-export-user", get, "/admin/users/{id}/export", "Read all that is kept of a user, as a ZIP"), s.adminExport)
	erase := op("admin-erase-user", post, "/admin/users/{id}/erase", "Erase a user, for good; it goes on behind the answer, also over a restart", http.StatusConflict)
	erase.DefaultStatus = http.StatusAccepted
	huma.Register(api, erase, s.adminErase)
	huma.Register(api, op("admin-user-sessions", get, "/admin/users/{id}/sessions", "List the sessions that a user is in"), s.adminSessions)
	huma.Register(api, op("admin-get-session", get, "/admin/sessions/{session_id}", "Read a session with its members, not what is said in it"), s.adminGetSession)
	dissolve := op("admin-dissolve-session", del, "/admin/sessions/{session_id}", "End a group for all of its members")
	dissolve.DefaultStatus = http.StatusNoContent
	huma.Register(api, dissolve, s.adminDissolve)
	recall := op("admin-recall-message", del, "/admin/messages/{message_id}", "Take a message away")
	recall.DefaultStatus = http.StatusNoContent
	huma.Register(api, recall, s.adminRecall)
}

// InUser is embedded by every input that names a user: exported, as what reads
// inputs passes over other embedded ones.
type InUser struct {
	ID string `path:"id" maxLength:"128"`
}

// InSession is embedded by every input that names a session.
type InSession struct {
	Session string `path:"session_id" maxLength:"64"`
}

func (s *server) adminExport(ctx context.Context, in *InUser) (*huma.StreamResponse, error) {
	by, err := s.users.Administer(ctx, access.Export)
	if err != nil {
		return nil, err
	}
	if err := s.operator().mayExport(ctx, by, in.ID); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/zip")
		c.SetHeader("Content-Disposition", `attachment; filename="export.zip"`)
		if err := s.operator().export(c.Context(), in.ID, taking(c)); err != nil {
			s.log.Error("an export broke off", "user", in.ID, "err", err)
			panic(http.ErrAbortHandler) // the client must not take what it has for all
		}
	}}, nil
}

// taking is what writes a long answer: it may take long, as long as it is taken.
func taking(c huma.Context) io.Writer {
	_, w := humachi.Unwrap(c)
	control := http.NewResponseController(w)
	var set time.Time
	return writerFunc(func(b []byte) (int, error) {
		if now := time.Now(); now.Sub(set) > time.Second {
			set = now
			_ = control.SetWriteDeadline(now.Add(time.Minute)) // where there is none to set there is none
		}
		return c.BodyWriter().Write(b)
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

type adminEraseAnswer struct {
	Body struct {
		UserID   string `json:"userId"`
		Messages string `json:"messages" doc:"What becomes of them"`
	}
}

func (s *server) adminErase(ctx context.Context, in *struct {
	InUser
	Body *struct {
		Messages string `json:"messages,omitempty" enum:"tombstone,keep" doc:"By default as the setting erase-messages says"`
	}
}) (*adminEraseAnswer, error) {
	by, err := s.users.Administer(ctx, access.Erase)
	if err != nil {
		return nil, err
	}
	o, messages := s.operator(), s.cfg.EraseMessages
	if in.Body != nil && in.Body.Messages != "" {
		messages = in.Body.Messages
	}
	e, err := s.users.BeginErasure(ctx, by, in.ID, messages)
	if err != nil {
		return nil, err
	}
	s.later(func(ctx context.Context) {
		if err := o.goOn(ctx, e); err != nil && ctx.Err() == nil {
			s.log.Error("an erasure is not finished", "user", e.User, "err", err)
		}
	})
	out := &adminEraseAnswer{}
	out.Body.UserID, out.Body.Messages = e.User, e.Messages
	return out, nil
}

type adminSessionsAnswer struct {
	Body struct {
		Items []*adminSession `json:"items"`
		Next  string          `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (s *server) adminSessions(ctx context.Context, in *struct {
	InUser
	userctr.Paged
}) (*adminSessionsAnswer, error) {
	if _, err := s.users.Administer(ctx, access.AdminSessions); err != nil {
		return nil, err
	}
	u, err := s.users.Identify(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from := 0
	if in.Cursor != "" {
		if from, err = strconv.Atoi(in.Cursor); err != nil || from < 0 {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
	}
	list, more, err := s.operator().sessionsOf(ctx, u.ID, from, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &adminSessionsAnswer{}
	out.Body.Items = append([]*adminSession{}, list...)
	if more {
		out.Body.Next = strconv.Itoa(from + in.Limit)
	}
	return out, nil
}

func (s *server) adminGetSession(ctx context.Context, in *struct {
	InSession
	userctr.Paged
}) (*struct{ Body *adminSession }, error) {
	if _, err := s.users.Administer(ctx, access.AdminSessions); err != nil {
		return nil, err
	}
	v, err := s.operator().session(ctx, in.Session, in.Cursor, in.Limit)
	return &struct{ Body *adminSession }{v}, err
}

func (s *server) adminDissolve(ctx context.Context, in *InSession) (*struct{}, error) {
	by, err := s.users.Administer(ctx, access.AdminSessions)
	if err != nil {
		return nil, err
	}
	return nil, s.operator().dissolve(ctx, by, in.Session)
}

func (s *server) adminRecall(ctx context.Context, in *struct {
	Message string `path:"message_id" maxLength:"128"`
}) (*struct{}, error) {
	by, err := s.users.Administer(ctx, access.AdminSessions)
	if err != nil {
		return nil, err
	}
	return nil, s.operator().recall(ctx, by, in.Message)
}
