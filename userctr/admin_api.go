package userctr

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// registerAdmin adds what administrators of the installation do to users.
func (c *Center) registerAdmin(api huma.API) {
	op := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary + " (administrators)", Tags: []string{"administration"}, DefaultStatus: http.StatusOK,
			Errors:   append(errors, http.StatusUnauthorized, http.StatusForbidden),
			Security: []map[string][]string{{"bearer": {}}}, MaxBodyBytes: 16 << 10,
		}
	}
	missing := http.StatusNotFound
	huma.Register(api, op("admin-find-users", http.MethodGet, "/admin/users", "Find users by their id, or by what their name or nickname begins with"), c.adminFind)
	huma.Register(api, op("admin-get-user", http.MethodGet, "/admin/users/{id}", "Read a user with its devices and logins", missing), c.adminGet)
	huma.Register(api, op("admin-reset-password", http.MethodPost, "/admin/users/{id}/password", "Give a user a new password, which is shown once, and end its logins", missing, http.StatusConflict), c.adminReset)
	huma.Register(api, op("admin-set-admin", http.MethodPut, "/admin/users/{id}/admin", "Make a user an administrator, or no more", missing, http.StatusConflict), c.adminSet)
	huma.Register(api, op("read-audit", http.MethodGet, "/audit", "Read the audit log, the newest first"), c.readAudit)
	huma.Register(api, op("verify-audit", http.MethodGet, "/audit/verify", "Check that no row of the audit log was changed or taken away"), c.verifyAudit)
}

// AdminUser is a user as administrators see it.
type AdminUser struct {
	UserID    string    `json:"userId"`
	Name      string    `json:"name,omitempty"`
	Nickname  string    `json:"nickname"`
	Outside   string    `json:"outside,omitempty" doc:"The name that an outside system last gave"`
	Kind      Kind      `json:"kind"`
	Admin     bool      `json:"admin"`
	Disabled  bool      `json:"disabled"`
	Erased    bool      `json:"erased,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// ForAdmin is u as administrators see it.
func ForAdmin(u *User) AdminUser {
	return AdminUser{
		UserID: u.ID, Name: u.Name, Nickname: u.Nickname, Outside: u.Outside, Kind: u.Kind,
		Admin: u.Admin, Disabled: u.Disabled, Erased: u.Gone, CreatedAt: u.Created.UTC(),
	}
}

type adminUsersAnswer struct {
	Body struct {
		Items []AdminUser `json:"items"`
		Next  string      `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) adminFind(ctx context.Context, in *struct {
	Query string `query:"q" maxLength:"64" doc:"An id, or what a name or nickname begins with; absent: everybody"`
	Paged
}) (*adminUsersAnswer, error) {
	if _, err := c.Administer(ctx, access.AdminUsers); err != nil {
		return nil, err
	}
	found, err := c.FindUsers(ctx, in.Query, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &adminUsersAnswer{}
	out.Body.Items = []AdminUser{}
	for _, u := range found[:min(len(found), in.Limit)] {
		out.Body.Items = append(out.Body.Items, ForAdmin(u))
	}
	if len(found) > in.Limit {
		out.Body.Next = found[in.Limit-1].ID
	}
	return out, nil
}

// LoginBody is a login that has not ended.
type LoginBody struct {
	Login     string    `json:"login"`
	Device    string    `json:"device"`
	Platform  string    `json:"platform,omitempty"`
	Version   string    `json:"version,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// AdminView is all of a user that administrators see.
type AdminView struct {
	AdminUser
	Devices []deviceBody `json:"devices" doc:"The last seen first, 200 at most"`
	Logins  []LoginBody  `json:"logins" doc:"Those that have not ended, the oldest first"`
}

// View gives all of a user that administrators see.
func (c *Center) View(ctx context.Context, u *User) (*AdminView, error) {
	devices, err := c.Devices(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	logins, err := c.LiveLogins(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	v := &AdminView{AdminUser: ForAdmin(u), Devices: []deviceBody{}, Logins: []LoginBody{}}
	for _, d := range devices[:min(len(devices), 200)] {
		v.Devices = append(v.Devices, deviceBody{
			Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version, CreatedAt: d.Created.UTC(), LastSeenAt: d.LastSeen.UTC(),
		})
	}
	for _, l := range logins {
		v.Logins = append(v.Logins, LoginBody{
			Login: l.ID, Device: l.Device, Platform: l.Platform, Version: l.Version, CreatedAt: l.Created.UTC(), ExpiresAt: l.Expires.UTC(),
		})
	}
	return v, nil
}

func (c *Center) adminGet(ctx context.Context, in *byID) (*struct{ Body *AdminView }, error) {
	if _, err := c.Administer(ctx, access.AdminUsers); err != nil {
		return nil, err
	}
	u, err := c.Identify(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v, err := c.View(ctx, u)
	return &struct{ Body *AdminView }{v}, err
}

type passwordAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Password string `json:"password" doc:"Shown this once"`
	}
}

func (c *Center) adminReset(ctx context.Context, in *byID) (*passwordAnswer, error) {
	by, err := c.Administer(ctx, access.AdminUsers)
	if err != nil {
		return nil, err
	}
	out := &passwordAnswer{CacheControl: "no-store"}
	out.Body.Password, err = c.ResetPassword(ctx, by, in.ID)
	return out, err
}

func (c *Center) adminSet(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		Admin bool `json:"admin"`
	}
}) (*struct{ Body AdminUser }, error) {
	by, err := c.Administer(ctx, access.AdminUsers)
	if err != nil {
		return nil, err
	}
	u, err := c.SetAdmin(ctx, by, in.ID, in.Body.Admin)
	if err != nil {
		return nil, err
	}
	return &struct{ Body AdminUser }{ForAdmin(u)}, nil
}

type auditAnswer struct {
	Body struct {
		Items []*Record `json:"items"`
		Next  string    `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) readAudit(ctx context.Context, in *Paged) (*auditAnswer, error) {
	if _, err := c.Administer(ctx, access.Audit); err != nil {
		return nil, err
	}
	var before int64
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before < 1 {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
	}
	rows, err := c.AuditPage(ctx, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &auditAnswer{}
	out.Body.Items = append([]*Record{}, rows[:min(len(rows), in.Limit)]...)
	if len(rows) > in.Limit {
		out.Body.Next = strconv.FormatInt(rows[in.Limit-1].Seq, 10)
	}
	return out, nil
}

func (c *Center) verifyAudit(ctx context.Context, _ *struct{}) (*struct{ Body Checked }, error) {
	if _, err := c.Administer(ctx, access.Audit); err != nil {
		return nil, err
	}
	found, err := c.CheckAudit(ctx)
	return &struct{ Body Checked }{found}, err
}
