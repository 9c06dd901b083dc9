package userctr

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Profile is what everybody who has signed in may know of a user.
type Profile struct {
	UserID   string            `json:"userId"`
	Name     string            `json:"name,omitempty" doc:"To find the user by; none for a user of an outside system"`
	Nickname string            `json:"nickname"`
	Avatar   string            `json:"avatar,omitempty" doc:"A path of this server, or a link, for <img>"`
	Kind     Kind              `json:"kind" enum:"human,bot,guest,device,system"`
	Fields   map[string]string `json:"fields,omitempty" doc:"Whatever else is shown"`
	Version  int64             `json:"version" doc:"Rises with every change: the higher one is the newer one"`
	Gone     bool              `json:"gone,omitempty" doc:"Erased: nobody is behind it any more"`
}

func profileOf(u *User) Profile { return viewOf(shown(u)) }

func viewOf(p *protocol.Profile) Profile {
	return Profile{
		UserID: p.UserId, Name: p.Name, Nickname: p.Nickname, Avatar: p.Avatar, Kind: Kind(p.Kind),
		Fields: p.Fields, Version: p.Version, Gone: p.Gone,
	}
}

type profileAnswer struct{ Body Profile }

// me is what a user may know of itself besides.
type me struct {
	Profile
	Admin     bool      `json:"admin"`
	CreatedAt time.Time `json:"createdAt"`
	Findable  Findable  `json:"findable" enum:"everyone,exact,nobody" doc:"Who finds this user"`
}

type meAnswer struct{ Body me }

func meOf(u *User) *meAnswer {
	return &meAnswer{me{Profile: profileOf(u), Admin: u.Admin, CreatedAt: u.Created, Findable: cmp.Or(u.Findable, FindableByAll)}}
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
		Avatar   *string `json:"avatar,omitempty" maxLength:"1024" doc:"The id of an uploaded picture, an http or https link, or what it is; empty: none"`

		Findable *Findable `json:"findable,omitempty" enum:"everyone,exact,nobody" doc:"Who finds this user: by parts of its names, by its exact name alone, or nobody"`

		Fields map[string]string `json:"fields,omitempty" doc:"All of them: 20 at most, keys of 32 and values of 256 characters; absent: as they are"`
	}
}) (*meAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.SetProfile(ctx, id.User, Looks{Nickname: in.Body.Nickname, Avatar: in.Body.Avatar, Fields: in.Body.Fields, Findable: in.Body.Findable})
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
	u, err := c.knownUser(ctx, in.ID)
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
	Text string `query:"search" maxLength:"64" doc:"Parts of names and nicknames: beginnings of words; of Chinese and the like any characters in a row. 50 users a page, and a page may come with less and a next one"`
	IDs  string `query:"ids" maxLength:"13000" doc:"User ids with commas between them, 100 at most: their profiles, unknown ones left out"`
	Paged
}) (*usersAnswer, error) {
	asker, err := caller(ctx)
	switch {
	case err != nil:
		return nil, err
	case in.IDs != "":
		return c.theseUsers(ctx, strings.Split(in.IDs, ","))
	case in.Text != "":
		return c.searchUsers(ctx, asker.User, in.Text, in.Kind, in.Paged)
	}
	out := &usersAnswer{}
	out.Body.Items = []Profile{}
	if in.Name == "" {
		if in.Kind != Bot { // nobody reads the whole directory
			return nil, protocol.BadRequest("say search, name, ids, or kind=bot")
		}
		bots, err := c.Bots(ctx, in.Cursor, in.Limit+1)
		if err != nil {
			return nil, err
		}
		for _, u := range bots[:min(len(bots), in.Limit)] {
			out.Body.Items = append(out.Body.Items, profileOf(u))
		}
		if len(bots) > in.Limit {
			out.Body.Next = bots[in.Limit-1].ID
		}
		return out, nil
	}
	if in.Cursor != "" { // one user at most has a name, so there is no next page
		return nil, badCursor()
	}
	u, err := c.FindExact(ctx, asker.User, in.Name)
	if protocol.Code_NOT_FOUND.Is(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	if in.Kind == "" || in.Kind == u.Kind {
		out.Body.Items = append(out.Body.Items, profileOf(u))
	}
	return out, nil
}

func (c *Center) searchUsers(ctx context.Context, asker protocol.UserID, text string, kind Kind, page Paged) (*usersAnswer, error) {
	found, next, err := c.Find(ctx, asker, text, page.Cursor, page.Limit)
	if err != nil {
		return nil, err
	}
	out := &usersAnswer{}
	out.Body.Items, out.Body.Next = []Profile{}, next
	for _, u := range found {
		if kind == "" || kind == u.Kind {
			out.Body.Items = append(out.Body.Items, profileOf(u))
		}
	}
	return out, nil
}

// maxIDs is how many profiles one call gives, as user_get does.
const maxIDs = 100

func (c *Center) theseUsers(ctx context.Context, ids []string) (*usersAnswer, error) {
	if len(ids) > maxIDs {
		return nil, protocol.Errorf(protocol.Code_TOO_MANY, "ids: %d at most", maxIDs)
	}
	found, err := c.Profiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *protocol.Profile) int { return strings.Compare(a.UserId, b.UserId) })
	out := &usersAnswer{}
	out.Body.Items = make([]Profile, 0, len(found))
	for _, p := range found {
		out.Body.Items = append(out.Body.Items, viewOf(p))
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
	if _, err := c.knownUser(ctx, in.ID); err != nil {
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
