package userctr

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// registerApps adds the operations on applications, and the ways in by them.
func (c *Center) registerApps(api huma.API) {
	op := func(id, method, path, summary string, status int, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"applications"}, DefaultStatus: status,
			Errors: errors, MaxBodyBytes: 64 << 10,
		}
	}
	admins := func(id, method, path, summary string, status int, errors ...int) huma.Operation {
		o := op(id, method, path, summary+" (administrators)", status, append(errors, http.StatusUnauthorized, http.StatusForbidden)...)
		o.Security = []map[string][]string{{"bearer": {}}}
		return o
	}
	huma.Register(api, admins("make-app", http.MethodPost, "/apps", "Make an application; its first secret is shown once", http.StatusCreated), c.postApp)
	huma.Register(api, admins("list-apps", http.MethodGet, "/apps", "List the applications", http.StatusOK), c.getApps)
	huma.Register(api, admins("get-app-settings", http.MethodGet, "/apps/{app}/settings", "Read an application's settings", http.StatusOK, http.StatusNotFound), c.getAppSettings)
	huma.Register(api, admins("set-app", http.MethodPut, "/apps/{app}", "Change an application; what is not said stays", http.StatusOK, http.StatusNotFound, http.StatusConflict), c.putApplication)
	huma.Register(api, admins("remove-app", http.MethodDelete, "/apps/{app}", "Remove an application", http.StatusNoContent, http.StatusNotFound), c.deleteApp)
	huma.Register(api, admins("make-app-secret", http.MethodPost, "/apps/{app}/secrets", "Make a second secret, which is shown once", http.StatusCreated, http.StatusNotFound, http.StatusConflict), c.postAppSecret)
	huma.Register(api, admins("remove-app-secret", http.MethodDelete, "/apps/{app}/secrets/{secret}", "Remove a secret", http.StatusNoContent, http.StatusNotFound), c.deleteAppSecret)

	huma.Register(api, op("get-app", http.MethodGet, "/apps/{app}", "Read what a page may know of its application", http.StatusOK, http.StatusNotFound), c.getApp)
	huma.Register(api, op("exchange", http.MethodPost, "/apps/{app}/exchange", "Sign in with a token that the host's back end signed; each is good once", http.StatusOK,
		http.StatusUnauthorized, http.StatusTooManyRequests), c.postExchange)
	huma.Register(api, op("make-guest", http.MethodPost, "/apps/{app}/guests", "Come in as an anonymous visitor", http.StatusCreated,
		http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests), c.postGuest)
	merge := op("merge-guest", http.MethodPost, "/users/me/merge", "Take the place of a guest in all of its sessions", http.StatusNoContent,
		http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict)
	merge.Security, merge.Tags = []map[string][]string{{"bearer": {}}}, []string{"users"}
	huma.Register(api, merge, c.postMerge)
}

// InApp names an application in a path.
type InApp struct {
	App string `path:"app" maxLength:"64"`
}

// AppView is what a page may know of its application.
type AppView struct {
	App      string            `json:"app"`
	Name     string            `json:"name"`
	Colours  map[string]string `json:"colours"`
	Texts    map[string]string `json:"texts"`
	Features []string          `json:"features"`
	Guests   bool              `json:"guests" doc:"Visitors may come without a name"`
}

func pageView(a *App) AppView {
	v := AppView{App: a.ID, Name: a.Name, Colours: a.Colours, Texts: a.Texts, Features: a.Features, Guests: a.Guests}
	if v.Colours == nil {
		v.Colours = map[string]string{}
	}
	if v.Texts == nil {
		v.Texts = map[string]string{}
	}
	if v.Features == nil {
		v.Features = []string{}
	}
	return v
}

// AppSecretView is a secret without itself.
type AppSecretView struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
}

// AppSettings is all of an application that administrators see.
type AppSettings struct {
	AppView
	Origins   []string        `json:"origins"`
	Members   []string        `json:"members" doc:"Who answer its visitors"`
	PublicKey string          `json:"publicKey,omitempty"`
	Files     FileLimits      `json:"files" doc:"What bounds the files of those who came by it"`
	Secrets   []AppSecretView `json:"secrets"`
	CreatedBy string          `json:"createdBy"`
	CreatedAt time.Time       `json:"createdAt"`
}

func settingsOf(a *App) AppSettings {
	s := AppSettings{
		AppView: pageView(a), Origins: append([]string{}, a.Origins...), Members: append([]string{}, a.Members...),
		PublicKey: a.PublicKey, Files: a.Files, Secrets: []AppSecretView{}, CreatedBy: a.By, CreatedAt: a.Created.UTC(),
	}
	for _, row := range a.Secrets {
		s.Secrets = append(s.Secrets, AppSecretView{row.ID, row.Created.UTC()})
	}
	return s
}

// AppBody is what an administrator says of an application; what is absent stays, or is empty.
type AppBody struct {
	Name      *string            `json:"name,omitempty" maxLength:"64"`
	Origins   *[]string          `json:"origins,omitempty" maxItems:"50" doc:"Web origins of its pages, as browsers write them: https://shop.example.com"`
	Colours   *map[string]string `json:"colours,omitempty"`
	Texts     *map[string]string `json:"texts,omitempty" doc:"guest is what a visitor is called"`
	Features  *[]string          `json:"features,omitempty" maxItems:"32"`
	Members   *[]string          `json:"members,omitempty" maxItems:"100" doc:"Ids of the users who answer its visitors"`
	Guests    *bool              `json:"guests,omitempty" doc:"Visitors may come without a name"`
	PublicKey *string            `json:"publicKey,omitempty" maxLength:"4096" doc:"PEM, of the key that signs its users' tokens; a secret does too"`
	Files     *FileLimits        `json:"files,omitempty" doc:"What bounds the files of those who came by it, all of it: {} bounds nothing"`
}

func (b AppBody) into(a *App) error {
	set(&a.Name, b.Name)
	set(&a.Origins, b.Origins)
	set(&a.Colours, b.Colours)
	set(&a.Texts, b.Texts)
	set(&a.Features, b.Features)
	set(&a.Members, b.Members)
	set(&a.Guests, b.Guests)
	set(&a.PublicKey, b.PublicKey)
	set(&a.Files, b.Files)
	return nil
}

func set[T any](to *T, said *T) {
	if said != nil {
		*to = *said
	}
}

type madeAppAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		AppSettings
		Secret string `json:"secret" doc:"Shown this once"`
	}
}

func (c *Center) postApp(ctx context.Context, in *struct{ Body AppBody }) (*madeAppAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	var a App
	if err := in.Body.into(&a); err != nil {
		return nil, err
	}
	made, secret, err := c.MakeApp(ctx, id, a)
	if err != nil {
		return nil, err
	}
	out := &madeAppAnswer{CacheControl: "no-store"}
	out.Body.AppSettings, out.Body.Secret = settingsOf(made), secret
	return out, nil
}

type appsAnswer struct {
	Body struct {
		Items []AppSettings `json:"items"`
		Next  string        `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) getApps(ctx context.Context, in *Paged) (*appsAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	page, err := c.AppPage(ctx, id, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &appsAnswer{}
	out.Body.Items = []AppSettings{}
	for _, a := range page[:min(len(page), in.Limit)] {
		out.Body.Items = append(out.Body.Items, settingsOf(a))
	}
	if len(page) > in.Limit {
		out.Body.Next = page[in.Limit-1].ID
	}
	return out, nil
}

type appSettingsAnswer struct{ Body AppSettings }

func (c *Center) getAppSettings(ctx context.Context, in *InApp) (*appSettingsAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.requireAdmin(ctx, id, access.AdminApps); err != nil {
		return nil, err
	}
	a, err := c.App(in.App)
	if err != nil {
		return nil, err
	}
	return &appSettingsAnswer{settingsOf(a)}, nil
}

func (c *Center) putApplication(ctx context.Context, in *struct {
	InApp
	Body AppBody
}) (*appSettingsAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.ChangeApp(ctx, id, in.App, in.Body.into)
	if err != nil {
		return nil, err
	}
	return &appSettingsAnswer{settingsOf(a)}, nil
}

func (c *Center) deleteApp(ctx context.Context, in *InApp) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.RemoveApp(ctx, id, in.App)
}

type madeSecretAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		AppSecretView
		Secret string `json:"secret" doc:"Shown this once"`
	}
}

func (c *Center) postAppSecret(ctx context.Context, in *InApp) (*madeSecretAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	shown, row, err := c.AddAppSecret(ctx, id, in.App)
	if err != nil {
		return nil, err
	}
	out := &madeSecretAnswer{CacheControl: "no-store"}
	out.Body.AppSecretView, out.Body.Secret = AppSecretView{row.ID, row.Created.UTC()}, shown
	return out, nil
}

func (c *Center) deleteAppSecret(ctx context.Context, in *struct {
	InApp
	Secret string `path:"secret" maxLength:"64"`
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.RemoveAppSecret(ctx, id, in.App, in.Secret)
}

func (c *Center) getApp(_ context.Context, in *InApp) (*struct{ Body AppView }, error) {
	a, err := c.App(in.App)
	if err != nil {
		return nil, err
	}
	return &struct{ Body AppView }{pageView(a)}, nil
}

func (c *Center) postExchange(ctx context.Context, in *struct {
	Remote
	InApp
	Body struct {
		Token string `json:"token" maxLength:"4096" doc:"A JWT {sub, aud: the application, iat, exp, jti, name?, avatar?}, signed with the application's secret or key"`
		ClientBody
	}
}) (*grantAnswer, error) {
	return c.answer(c.Exchange(ctx, in.App, in.Body.Token, in.Body.client(in.address)))
}

func (c *Center) postGuest(ctx context.Context, in *struct {
	Remote
	InApp
	Body *ClientBody
}) (*grantAnswer, error) {
	var b ClientBody
	if in.Body != nil {
		b = *in.Body
	}
	return c.answer(c.Visit(ctx, in.App, b.client(in.address)))
}

func (c *Center) postMerge(ctx context.Context, in *struct {
	Remote
	Body struct {
		GuestToken string `json:"guestToken" maxLength:"4096" doc:"The guest's access token"`
	}
}) (*struct{}, error) {
	id, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	return nil, c.MergeGuest(ctx, id, in.address, in.Body.GuestToken)
}
