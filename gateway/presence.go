package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// registerPresence adds how users are seen.
func (s *sessions) registerPresence(api huma.API) {
	const path = "/users/{id}/status"
	get := operation("get-user-status", http.MethodGet, path, "Read how a user is seen: of oneself, friends, bots, and those in a session with oneself that is small enough", protocol.Code_NOT_FOUND)
	set := operation("set-user-status", http.MethodPut, path, "Say how others are to see oneself while one is connected", protocol.Code_DENIED)
	for _, op := range []*huma.Operation{&get, &set} {
		op.Tags = []string{"users"}
	}
	huma.Register(api, get, s.getStatus)
	huma.Register(api, set, s.setStatus)
}

type presenceView struct {
	UserID       string     `json:"userId"`
	Status       string     `json:"status" enum:"online,busy,away,offline"`
	LastActiveAt *time.Time `json:"lastActiveAt,omitempty" doc:"Of the last sign of life; absent: it is not known"`
}

// OfUser is embedded by every input that names a user.
type OfUser struct {
	ID string `path:"id" maxLength:"128" doc:"A user id, or me"`
}

// user is the id that a path means. UNAUTHORIZED: nobody asks.
func (in OfUser) user(ctx context.Context) (id, asks string, err error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return "", "", protocol.Unauthorized("sign in first")
	}
	if in.ID == "me" {
		return who.User, who.User, nil
	}
	return in.ID, who.User, nil
}

func (s *sessions) getStatus(ctx context.Context, in *OfUser) (*answer[presenceView], error) {
	id, _, err := in.user(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_PresenceWatch{PresenceWatch: &protocol.PresenceWatch{Users: []string{id}}}})
	if err != nil {
		return nil, err
	}
	seen := f.GetPresenceWatchReply().GetUsers()
	if len(seen) == 0 { // not there, or not for the asker to know
		return nil, protocol.NotFound("user %.64q", id)
	}
	return &answer[presenceView]{presenceView{id, seen[0].Status, when(seen[0].LastActiveAt)}}, nil
}

type statusInput struct {
	OfUser
	Body struct {
		Status string `json:"status" enum:"online,busy,away,offline" doc:"offline: not to be seen"`
	}
}

func (s *sessions) setStatus(ctx context.Context, in *statusInput) (*answer[presenceView], error) {
	id, asks, err := in.user(ctx)
	if err != nil {
		return nil, err
	}
	if id != asks {
		return nil, protocol.Denied("one says only of oneself how one is seen")
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_PresenceSet{PresenceSet: &protocol.PresenceSet{Status: in.Body.Status}}})
	if err != nil {
		return nil, err
	}
	return &answer[presenceView]{presenceView{UserID: id, Status: f.GetPresenceSetReply().GetStatus()}}, nil
}
