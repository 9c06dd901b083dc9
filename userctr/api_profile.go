package userctr

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Profile is what everybody who has signed in may know of a user.
type Profile struct {
	UserID   string `json:"userId"`
	Name     string `json:"name,omitempty" doc:"To find the user by; none for a user of an outside system"`
	Nickname string `json:"nickname"`
	Avatar   string `json:"avatar,omitempty"`
	Kind     Kind   `json:"kind" enum:"human,bot,guest,device,system"`
}

func profileOf(u *User) Profile {
	return Profile{UserID: u.ID, Name: u.Name, Nickname: u.Nickname, Avatar: u.Avatar, Kind: u.Kind}
}

type profileAnswer struct{ Body Profile }

// me is what a user may know of itself besides.
type me struct {
	Profile
	Admin     bool      `json:"admin"`
	CreatedAt time.Time `json:"createdAt"`
}

type meAnswer struct{ Body me }

func meOf(u *User) *meAnswer {
	return &meAnswer{me{Profile: profileOf(u), Admin: u.Admin, CreatedAt: u.Created}}
}

func (c *Center) getMe(ctx context.Context, _ *struct{}) (*meAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.User(ctx, id.User)
	if err != nil {
		return nil, err
	}
	return meOf(u), nil
}

func (c *Center) putMe(ctx context.Context, in *struct {
	Body struct {
		Nickname *string `json:"nickname,omitempty" maxLength:"64"`
		Avatar   *string `json:"avatar,omitempty" maxLength:"1024" doc:"An http or https link, or a file id"`
	}
}) (*meAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.Profile(ctx, id.User, in.Body.Nickname, in.Body.Avatar)
	if err != nil {
		return nil, err
	}
	return meOf(u), nil
}

// byID is the user that a path names.
type byID struct {
	ID string `path:"id" maxLength:"128"`
}

func (c *Center) getUser(ctx context.Context, in *byID) (*profileAnswer, error) {
	if _, err := caller(ctx); err != nil {
		return nil, err
	}
	u, err := c.User(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &profileAnswer{profileOf(u)}, nil
}

type usersAnswer struct {
	Body struct {
		Items []Profile `json:"items"`
		Next  string    `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) findUsers(ctx context.Context, in *struct {
	Name string `query:"name" maxLength:"64" doc:"The exact name"`
	Kind Kind   `query:"kind" enum:"human,bot,guest,device,system" doc:"Only users of this kind"`
	Paged
}) (*usersAnswer, error) {
	if _, err := caller(ctx); err != nil {
		return nil, err
	}
	if in.Cursor != "" { // one user at most has a name, so there is no next page
		return nil, badCursor()
	}
	out := &usersAnswer{}
	out.Body.Items = []Profile{}
	if in.Name == "" {
		if in.Kind != Bot { // nobody reads the whole directory
			return nil, protocol.BadRequest("say a name, or kind=bot")
		}
		return out, nil
	}
	u, err := c.Named(ctx, in.Name)
	if protocol.Code_NOT_FOUND.Is(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	if !u.Disabled && (in.Kind == "" || in.Kind == u.Kind) {
		out.Body.Items = append(out.Body.Items, profileOf(u))
	}
	return out, nil
}

type statusAnswer struct {
	Body struct {
		UserID       string     `json:"userId"`
		Status       string     `json:"status" enum:"online,busy,away,offline"`
		LastActiveAt *time.Time `json:"lastActiveAt,omitempty"`
	}
}

func (c *Center) getStatus(ctx context.Context, in *byID) (*statusAnswer, error) {
	if _, err := caller(ctx); err != nil {
		return nil, err
	}
	if _, err := c.User(ctx, in.ID); err != nil {
		return nil, err
	}
	out := &statusAnswer{}
	out.Body.UserID, out.Body.Status = in.ID, "offline"
	if a := c.activity.Load(); a != nil {
		status, at, err := (*a).Status(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		out.Body.Status, out.Body.LastActiveAt = status, known(at)
	}
	return out, nil
}

type timeAnswer struct {
	Body struct {
		UserID string     `json:"userId"`
		Time   *time.Time `json:"time,omitempty" doc:"None when they never did"`
	}
}

func (c *Center) getConsultTime(ctx context.Context, in *byID) (*timeAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.User(ctx, in.ID); err != nil {
		return nil, err
	}
	out := &timeAnswer{}
	out.Body.UserID = in.ID
	if a := c.activity.Load(); a != nil {
		at, err := (*a).LastTogether(ctx, id.User, in.ID)
		if err != nil {
			return nil, err
		}
		out.Body.Time = known(at)
	}
	return out, nil
}

// known is nil for a time that is not.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
