package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// contacts is REST for friends, blocks and requests: each operation is a frame, and
// decides nothing.
type contacts struct{ *sessions }

func (c *contacts) register(api huma.API) {
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const (
		notFound, denied, conflict = protocol.Code_NOT_FOUND, protocol.Code_DENIED, protocol.Code_CONFLICT
		blocked, expired           = protocol.Code_BLOCKED, protocol.Code_EXPIRED
		tooLarge, tooMany          = protocol.Code_TOO_LARGE, protocol.Code_TOO_MANY
		friends, blocks, requests  = "/users/friends", "/users/blocks", "/users/requests"
	)
	op := func(id, method, path, summary string, may ...protocol.Code) huma.Operation {
		o := operation(id, method, path, summary, append(may, denied)...)
		o.Tags = []string{"contacts"}
		return o
	}
	huma.Register(api, op("list-friends", get, friends, "List one's friends in order of their ids"), c.list("friends"))
	huma.Register(api, op("set-friend", put, friends+"/{user_id}", "Give a friend a remark and tags", notFound, tooLarge, tooMany), c.setFriend)
	unfriend := op("unfriend", del, friends+"/{user_id}", "End a friendship, for both", notFound)
	unfriend.DefaultStatus = http.StatusNoContent
	huma.Register(api, unfriend, c.unfriend)
	huma.Register(api, op("list-blocks", get, blocks, "List whom one has blocked, in order of their ids"), c.list("blocked"))
	huma.Register(api, op("block", put, blocks+"/{user_id}", "Block a user: what it writes to oneself alone is refused", notFound), c.block(true))
	huma.Register(api, op("unblock", del, blocks+"/{user_id}", "Lift a block", notFound), c.block(false))

	huma.Register(api, op("list-requests", get, requests, "List the requests from and to oneself, or into a session one administers, the newest first", notFound), c.requests)
	send := op("send-request", post, requests, "Ask a user to be a friend, to be let into a group, or a user into a group; asked again while it waits, the same request is given",
		notFound, conflict, blocked, tooLarge)
	send.DefaultStatus = http.StatusCreated
	huma.Register(api, send, c.send)
	huma.Register(api, op("answer-request", put, requests+"/{request_id}", "Accept, refuse or take back a request; the same answer again gets the first one back",
		notFound, conflict, expired, tooMany), c.answer)
}

type contactView struct {
	User    string     `json:"user"`
	Friend  bool       `json:"friend"`
	Blocked bool       `json:"blocked"`
	Remark  string     `json:"remark,omitempty" doc:"One's own name for the friend"`
	Tags    []string   `json:"tags,omitempty"`
	Since   *time.Time `json:"since,omitempty" doc:"Of the friendship"`
	Session string     `json:"session,omitempty" doc:"The p2p session of the two, when they are friends"`
	Profile *faceView  `json:"profile,omitempty"`
}

// faceView is what a user looks like.
type faceView struct {
	ID       string `json:"userId"`
	Nickname string `json:"nickname"`
	Avatar   string `json:"avatar,omitempty"`
	Kind     string `json:"kind"`
	Name     string `json:"name,omitempty"`
	Version  int64  `json:"version,omitempty" doc:"Rises with every change"`
	Gone     bool   `json:"gone,omitempty" doc:"Erased: nobody is behind it any more"`
}

func viewContact(c *protocol.Contact) contactView {
	v := contactView{User: c.User, Friend: c.Friend, Blocked: c.Blocked, Remark: c.Remark, Tags: c.Tags, Since: when(c.Since), Session: c.Session}
	if p := c.Profile; p != nil {
		v.Profile = &faceView{ID: p.UserId, Nickname: p.Nickname, Avatar: p.Avatar, Kind: p.Kind, Name: p.Name, Version: p.Version, Gone: p.Gone}
	}
	return v
}

type requestView struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind" enum:"FRIEND,GROUP"`
	From         string     `json:"from"`
	Target       string     `json:"target" doc:"A user, or with GROUP a session"`
	User         string     `json:"user,omitempty" doc:"GROUP: who is invited; absent: from asks to be let in"`
	Note         string     `json:"note,omitempty"`
	CallBackType int64      `json:"callBackType" doc:"1 waiting, 2 accepted, 3 refused, 4 taken back"`
	State        bool       `json:"state" doc:"True once it was accepted"`
	CreateTime   *time.Time `json:"createTime"`
	UpdateTime   *time.Time `json:"updateTime"`
	ExpireTime   *time.Time `json:"expireTime,omitempty" doc:"It cannot be answered after that"`
	AnsweredBy   string     `json:"answeredBy,omitempty"`
	Session      string     `json:"session,omitempty" doc:"Accepted: the session it led to"`
	TargetName   string     `json:"targetName,omitempty"`
	TargetIcon   string     `json:"targetIcon,omitempty"`
	UserName     string     `json:"userName,omitempty" doc:"Of from"`
	UserIcon     string     `json:"userIcon,omitempty"`
}

func viewRequest(r *protocol.Request) requestView {
	return requestView{
		ID: r.Id, Kind: word(r.Kind), From: r.From, Target: r.Target, User: r.User, Note: r.Note, CallBackType: r.CallBackType, State: r.State,
		CreateTime: when(r.CreateTime), UpdateTime: when(r.UpdateTime), ExpireTime: when(r.ExpireTime), AnsweredBy: r.AnsweredBy, Session: r.Session,
		TargetName: r.TargetName, TargetIcon: r.TargetIcon, UserName: r.UserName, UserIcon: r.UserIcon,
	}
}

// list gives friends or blocked users.
func (c *contacts) list(only string) func(context.Context, *Paged) (*answer[List[contactView]], error) {
	return func(ctx context.Context, in *Paged) (*answer[List[contactView]], error) {
		f, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{
			Cursor: in.Cursor, Limit: int64(in.Limit), Only: only,
		}}})
		if err != nil {
			return nil, err
		}
		r := f.GetContactListReply()
		out := List[contactView]{Items: []contactView{}, Next: r.Next}
		for _, x := range r.Contacts {
			out.Items = append(out.Items, viewContact(x))
		}
		return &answer[List[contactView]]{out}, nil
	}
}

// InUser is embedded by every input that names another user.
type InUser struct {
	User string `path:"user_id" maxLength:"128"`
}

type friendInput struct {
	InUser
	Body struct {
		Remark *string   `json:"remark,omitempty" doc:"64 characters at most; empty takes it away"`
		Tags   *[]string `json:"tags,omitempty" doc:"20 at most of 32 characters; an empty list takes them away"`
	}
}

func (c *contacts) setFriend(ctx context.Context, in *friendInput) (*answer[contactView], error) {
	set := &protocol.ContactSet{User: in.User, Remark: in.Body.Remark}
	if in.Body.Tags != nil {
		set.Tags, set.SetTags = *in.Body.Tags, ptr(true)
	}
	return c.set(ctx, set)
}

func (c *contacts) block(yes bool) func(context.Context, *InUser) (*answer[contactView], error) {
	return func(ctx context.Context, in *InUser) (*answer[contactView], error) {
		return c.set(ctx, &protocol.ContactSet{User: in.User, Blocked: &yes})
	}
}

func (c *contacts) set(ctx context.Context, m *protocol.ContactSet) (*answer[contactView], error) {
	f, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: m}})
	if err != nil {
		return nil, err
	}
	return &answer[contactView]{viewContact(f.GetContactSetReply().Contact)}, nil
}

func (c *contacts) unfriend(ctx context.Context, in *InUser) (*struct{}, error) {
	_, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_ContactRemove{ContactRemove: &protocol.ContactRemove{User: in.User}}})
	return nil, err
}

type requestsInput struct {
	Paged
	Waiting bool   `query:"waiting" doc:"Only those that wait for an answer"`
	Session string `query:"session" maxLength:"64" doc:"Who asks to be let into this session, for its owner and admins"`
}

func (c *contacts) requests(ctx context.Context, in *requestsInput) (*answer[List[requestView]], error) {
	f, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{
		Cursor: in.Cursor, Limit: int64(in.Limit), Waiting: in.Waiting, Session: in.Session,
	}}})
	if err != nil {
		return nil, err
	}
	r := f.GetRequestListReply()
	out := List[requestView]{Items: []requestView{}, Next: r.Next}
	for _, x := range r.Requests {
		out.Items = append(out.Items, viewRequest(x))
	}
	return &answer[List[requestView]]{out}, nil
}

type sendRequestInput struct {
	Body struct {
		Kind   string `json:"kind,omitempty" enum:"FRIEND,GROUP" default:"FRIEND"`
		Target string `json:"target" minLength:"1" maxLength:"128" doc:"A user, or with GROUP a session"`
		Note   string `json:"note,omitempty" doc:"200 characters at most"`
		User   string `json:"user,omitempty" maxLength:"128" doc:"GROUP: the one to be invited into target; absent: ask to be let in"`
	}
}

func (c *contacts) send(ctx context.Context, in *sendRequestInput) (*answer[requestView], error) {
	m := &protocol.RequestSend{Target: in.Body.Target, Note: in.Body.Note, User: in.Body.User}
	if in.Body.Kind == "GROUP" {
		m.Kind = protocol.RequestKind_GROUP_REQUEST
	}
	f, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: m}})
	if err != nil {
		return nil, err
	}
	return &answer[requestView]{viewRequest(f.GetRequestSendReply().Request)}, nil
}

type answerInput struct {
	Request string `path:"request_id" maxLength:"64"`
	Body    struct {
		CallBackType int64 `json:"callBackType" minimum:"2" maximum:"4" doc:"2 accepts, 3 refuses; 4 takes one's own request back"`
	}
}

func (c *contacts) answer(ctx context.Context, in *answerInput) (*answer[requestView], error) {
	f, err := c.ask(ctx, &protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{
		Request: in.Request, CallBackType: in.Body.CallBackType,
	}}})
	if err != nil {
		return nil, err
	}
	return &answer[requestView]{viewRequest(f.GetRequestAnswerReply().Request)}, nil
}
