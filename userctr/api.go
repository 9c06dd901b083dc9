package userctr

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Register adds the user centre's operations to api, whose paths begin with
// /api/v2. Whoever checks tokens says who asks by protocol.WithIdentity.
func (c *Center) Register(api huma.API) {
	open := func(id, method, path, summary string, status int, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"users"}, DefaultStatus: status,
			Errors: errors, MaxBodyBytes: 16 << 10,
		}
	}
	signed := func(id, method, path, summary string, errors ...int) huma.Operation {
		status := http.StatusOK
		if method == http.MethodDelete {
			status = http.StatusNoContent
		}
		op := open(id, method, path, summary, status, append(errors, http.StatusUnauthorized)...)
		op.Security = []map[string][]string{{"bearer": {}}}
		return op
	}
	huma.Register(api, open("register", http.MethodPost, "/users", "Register a user and sign in", http.StatusCreated,
		http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable), c.postUser)
	huma.Register(api, open("login", http.MethodPost, "/users/login", "Sign in with name and password", http.StatusOK,
		http.StatusUnauthorized, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable), c.postLogin)
	huma.Register(api, open("refresh", http.MethodPost, "/users/refresh", "Trade a refresh token for new tokens", http.StatusOK,
		http.StatusUnauthorized), c.postRefresh)
	logout := signed("logout", http.MethodPost, "/users/logout", "End the login of the token that is used")
	logout.DefaultStatus = http.StatusNoContent
	huma.Register(api, logout, c.postLogout)

	huma.Register(api, signed("get-me", http.MethodGet, "/users/me", "Read one's own user"), c.getMe)
	setMe := signed("set-me", http.MethodPut, "/users/me", "Change nickname, avatar and fields, which everybody who sees this user is told", http.StatusTooManyRequests)
	setMe.Metadata = map[string]any{"codes": ofPictures}
	huma.Register(api, setMe, c.putMe)
	c.registerAvatar(api, signed)
	huma.Register(api, signed("set-password", http.MethodPut, "/users/me/password",
		"Change the password, which ends every login, and sign this device in again", http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests), c.putPassword)
	huma.Register(api, signed("get-user", http.MethodGet, "/users/{id}", "Read a user's public profile", http.StatusNotFound), c.getUser)
	huma.Register(api, signed("find-users", http.MethodGet, "/users", "Search users by parts of their names, find one by exact name, or read users by their ids"), c.findUsers)
	huma.Register(api, signed("get-consult-time", http.MethodGet, "/users/{id}/consult/time",
		"Read when oneself and a user last wrote to each other", http.StatusNotFound), c.getConsultTime)

	huma.Register(api, signed("list-devices", http.MethodGet, "/users/me/devices", "List one's devices, the last seen first"), c.getDevices)
	huma.Register(api, signed("remove-device", http.MethodDelete, "/users/me/devices/{device}", "Sign one device out", http.StatusNotFound), c.deleteDevice)
	huma.Register(api, signed("remove-devices", http.MethodDelete, "/users/me/devices", "Sign all devices out, or all others"), c.deleteDevices)

	invite := signed("make-invite", http.MethodPost, "/users/invites", "Make an invitation code (administrators)", http.StatusForbidden)
	invite.DefaultStatus = http.StatusCreated
	huma.Register(api, invite, c.postInvite)
	disable := signed("disable-user", http.MethodPost, "/users/{id}/disable",
		"Shut a user out, or let it in again (administrators)", http.StatusForbidden, http.StatusNotFound)
	disable.DefaultStatus = http.StatusNoContent
	huma.Register(api, disable, c.postDisable)
	c.registerAdmin(api)
	c.registerKeys(api)
	c.registerApps(api)
	c.registerPush(api)
}

// caller is who asks. UNAUTHORIZED: nobody.
func caller(ctx context.Context) (protocol.Identity, error) {
	id, ok := protocol.IdentityFrom(ctx)
	if !ok || id.User == "" {
		return id, protocol.Unauthorized("sign in first")
	}
	return id, nil
}

// Remote is embedded by an input to learn where a request comes from.
type Remote struct{ address string }

// Resolve fills huma.Resolver.
func (r *Remote) Resolve(ctx huma.Context) []error {
	r.address = ctx.RemoteAddr()
	return nil
}

// Paged is embedded by an input that pages.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"256" doc:"What next said"`
}

func badCursor() error { return protocol.BadRequest("cursor: give back what next said") }

// ClientBody is what a client says of itself when it signs in.
type ClientBody struct {
	Device     string `json:"device,omitempty" maxLength:"128" doc:"The client's own name for this device, the same at every sign-in. Without one the answer gives one"`
	DeviceName string `json:"deviceName,omitempty" maxLength:"64" doc:"The device's name for people"`
	Platform   string `json:"platform,omitempty" maxLength:"128" example:"web" doc:"web, ios, android, ..."`
	Version    string `json:"version,omitempty" maxLength:"128" doc:"The client's version"`
	Channel    string `json:"channel,omitempty" maxLength:"32" example:"stable" doc:"Of whose releases it wants to be told; stable when it isn't said"`
}

func (b ClientBody) client(address string) Client {
	return Client{Device: b.Device, Name: b.DeviceName, Platform: b.Platform, Version: b.Version, Channel: b.Channel, Address: address}
}

// grantBody is what a client gets to speak with.
type grantBody struct {
	UserID       string            `json:"userId"`
	Token        string            `json:"token" doc:"The access token, for Authorization: Bearer and the auth frame"`
	ExpiresAt    time.Time         `json:"expiresAt" doc:"When the access token ends"`
	RefreshToken string            `json:"refreshToken" doc:"Good for one use, within 7 days"`
	Device       string            `json:"device"`
	Addresses    map[string]string `json:"addresses" doc:"Where to connect to"`
	Release      *NewerRelease     `json:"release,omitempty" doc:"A newer version of the client, where it said its platform and version and there is one"`
}

type grantAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         grantBody
}

func (c *Center) answer(g *Grant, err error) (*grantAnswer, error) {
	if err != nil {
		return nil, err
	}
	var newer *NewerRelease
	if r := c.releases.Load(); r != nil {
		newer = viewOfRelease((*r).Newer(g.User.App, g.Platform, g.Channel, g.Version))
	}
	return &grantAnswer{CacheControl: "no-store", Body: grantBody{
		Release: newer,
		UserID:  g.User.ID, Token: g.Token, ExpiresAt: g.Expires, RefreshToken: g.Refresh, Device: g.Device, Addresses: c.cfg.Addresses,
	}}, nil
}

func (c *Center) postUser(ctx context.Context, in *struct {
	Remote
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64" doc:"To sign in with: letters, digits and . _ - + @"`
		Password string `json:"password" minLength:"8" maxLength:"256"`
		Nickname string `json:"nickname,omitempty" maxLength:"64" doc:"To be shown, the name by default"`
		Avatar   string `json:"avatar,omitempty" maxLength:"1024" doc:"An http or https link"`
		Code     string `json:"code,omitempty" maxLength:"128" doc:"An invitation code"`
		ClientBody
	}
}) (*grantAnswer, error) {
	b := &in.Body
	return c.answer(c.SignUp(ctx, NewUser{
		Name: b.Name, Password: b.Password, Nickname: b.Nickname, Avatar: b.Avatar, Code: b.Code,
	}, b.client(in.address)))
}

func (c *Center) postLogin(ctx context.Context, in *struct {
	Remote
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64"`
		Password string `json:"password" minLength:"1" maxLength:"256"`
		ClientBody
	}
}) (*grantAnswer, error) {
	return c.answer(c.Login(ctx, in.Body.Name, in.Body.Password, in.Body.client(in.address)))
}

func (c *Center) postRefresh(ctx context.Context, in *struct {
	Body struct {
		RefreshToken string `json:"refreshToken" maxLength:"128"`
		Device       string `json:"device,omitempty" maxLength:"128" doc:"When said, it has to be the device that signed in"`
		Version      string `json:"version,omitempty" maxLength:"128" doc:"The client's, when it is not what it was at the sign-in"`
		Channel      string `json:"channel,omitempty" maxLength:"32" doc:"Of whose releases it wants to be told; stable when it isn't said"`
	}
}) (*grantAnswer, error) {
	g, err := c.Refresh(ctx, in.Body.RefreshToken, in.Body.Device)
	if err == nil {
		g.Version = cmp.Or(in.Body.Version, g.Version)
		g.Channel = in.Body.Channel
	}
	return c.answer(g, err)
}

func (c *Center) postLogout(ctx context.Context, _ *struct{}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.Logout(ctx, id)
}

func (c *Center) putPassword(ctx context.Context, in *struct {
	Body struct {
		Old string `json:"old" minLength:"1" maxLength:"256"`
		New string `json:"new" minLength:"8" maxLength:"256"`
	}
}) (*grantAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return c.answer(c.ChangePassword(ctx, id, in.Body.Old, in.Body.New))
}

func (c *Center) postInvite(ctx context.Context, in *struct {
	Body struct {
		Uses      int `json:"uses,omitempty" minimum:"1" maximum:"10000" default:"1" doc:"How many people it lets in"`
		ExpiresIn int `json:"expiresIn,omitempty" minimum:"1" maximum:"7776000" default:"604800" doc:"Seconds"`
	}
}) (*inviteAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	code, i, err := c.MakeInvite(ctx, id, in.Body.Uses, time.Duration(in.Body.ExpiresIn)*time.Second)
	if err != nil {
		return nil, err
	}
	out := &inviteAnswer{CacheControl: "no-store"}
	out.Body.Code, out.Body.Uses, out.Body.ExpiresAt = code, i.Uses, i.Expires
	return out, nil
}

type inviteAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Code      string    `json:"code" doc:"Shown this once"`
		Uses      int       `json:"uses"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

func (c *Center) postDisable(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"128"`
	Body *struct {
		Disabled *bool `json:"disabled,omitempty" doc:"true unless said otherwise"`
	}
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	disabled := in.Body == nil || in.Body.Disabled == nil || *in.Body.Disabled
	return nil, c.Disable(ctx, id, in.ID, disabled)
}
