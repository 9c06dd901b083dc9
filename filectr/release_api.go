package filectr

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// operating makes what all operations have in common.
type operating func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation

// registerReleases adds the operations on releases, and on what applications take.
func (c *Center) registerReleases(api huma.API, operation operating) {
	admins := func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation {
		op := operation(id, method, path, summary+" (administrators)", status, append(codes, protocol.Code_DENIED)...)
		op.Tags, op.MaxBodyBytes = []string{"releases"}, 64<<10
		return op
	}
	open := func(id, method, path, summary string, codes ...protocol.Code) huma.Operation {
		op := operation(id, method, path, summary, http.StatusOK, codes...)
		op.Tags, op.Security, op.Errors = []string{"releases"}, nil, []int{http.StatusNotFound}
		return op
	}
	const all, one = "/releases", "/releases/{id}"
	make := admins("make-release", http.MethodPost, all, "Release an application package that was uploaded; the same once more gives what was made", http.StatusCreated,
		protocol.Code_NOT_FOUND, protocol.Code_CONFLICT, protocol.Code_UNSUPPORTED, protocol.Code_TOO_LARGE, protocol.Code_TOO_MANY)
	make.Metadata["again"] = "OK: it had been made before, just so"
	huma.Register(api, make, c.postRelease)
	huma.Register(api, admins("list-releases", http.MethodGet, all, "List releases, the last made first", http.StatusOK), c.listReleases)
	huma.Register(api, admins("withdraw-release", http.MethodPost, one+"/withdraw", "Withdraw a release, for good", http.StatusOK, protocol.Code_NOT_FOUND), c.postWithdraw)

	huma.Register(api, open("latest-release", http.MethodGet, all+"/latest", "Read the newest release for a platform and channel", protocol.Code_NOT_FOUND), c.getLatest)
	huma.Register(api, open("get-release", http.MethodGet, one, "Read a release", protocol.Code_NOT_FOUND), c.getRelease)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		id := map[string]string{http.MethodGet: "get-", http.MethodHead: "head-"}[method]
		file := open(id+"release-file", method, one+"/file", "Read a release's file, or a range of it", protocol.Code_NOT_FOUND, protocol.Code_EXPIRED)
		file.Responses = bytesOf()
		huma.Register(api, file, c.getReleaseFile)
	}
	room := admins("get-app-files", http.MethodGet, "/apps/{app}/files", "Read how much the files take of those who came by an application", http.StatusOK, protocol.Code_NOT_FOUND)
	room.Tags = []string{"applications"}
	huma.Register(api, room, c.getAppFiles)
}

// administer says who asks, when it is an administrator who may do what.
func (c *Center) administer(ctx context.Context, what access.Action) (by string, err error) {
	if c.cfg.Admins == nil {
		return "", protocol.Denied("there are no administrators here")
	}
	return c.cfg.Admins.Administer(ctx, what)
}

// ReleaseView is a release as clients see it.
type ReleaseView struct {
	ID        string            `json:"id"`
	App       string            `json:"app,omitempty" doc:"Whose client it is; absent: the installation's"`
	Platform  string            `json:"platform"`
	Channel   string            `json:"channel"`
	Version   string            `json:"version"`
	Build     int64             `json:"build,omitempty"`
	Minimum   string            `json:"minimum,omitempty" doc:"Clients below this version have to go on to this release"`
	Notes     map[string]string `json:"notes,omitempty" doc:"Plain texts, by their languages"`
	Name      string            `json:"name" doc:"Of the file"`
	Mime      string            `json:"mime"`
	Size      int64             `json:"size" doc:"Bytes"`
	SHA256    string            `json:"sha256" doc:"Of the whole file, in hex"`
	URL       string            `json:"url" doc:"Of the file: a path of this server, or a link where an origin for files is set"`
	CreatedAt time.Time         `json:"createdAt"`
	Withdrawn *time.Time        `json:"withdrawnAt,omitempty"`
}

func (c *Center) shownRelease(r *Release) ReleaseView {
	v := ReleaseView{
		ID: r.ID, App: r.App, Platform: r.Platform, Channel: r.Channel, Version: r.Version, Build: r.Build, Minimum: r.Minimum, Notes: r.Notes,
		Name: r.Name, Mime: r.Mime, Size: r.Size, SHA256: r.Sum.String(), URL: c.releaseURL(r), CreatedAt: r.Created.UTC(),
	}
	if !r.stands() {
		at := r.Withdrawn.UTC()
		v.Withdrawn = &at
	}
	return v
}

// adminRelease is a release as administrators see it.
type adminRelease struct {
	ReleaseView
	File        string `json:"file" doc:"Which may be released on another channel, too"`
	CreatedBy   string `json:"createdBy" doc:"A user, or operator"`
	WithdrawnBy string `json:"withdrawnBy,omitempty"`
}

func (c *Center) forAdmin(r *Release) adminRelease {
	return adminRelease{c.shownRelease(r), r.File, r.By, r.WithdrawnBy}
}

// ForAdmin is a release as REST shows it to administrators, to be written as JSON.
func (c *Center) ForAdmin(r *Release) any { return c.forAdmin(r) }

type adminReleaseAnswer struct {
	Status int
	Body   adminRelease
}

func (c *Center) postRelease(ctx context.Context, in *struct {
	Body struct {
		App      string            `json:"app,omitempty" maxLength:"64" doc:"The application whose client it is; absent: the installation's own"`
		Platform string            `json:"platform" minLength:"1" maxLength:"32" doc:"As clients say it at their sign-in: android, ios, windows, …"`
		Channel  string            `json:"channel,omitempty" maxLength:"32" default:"stable" doc:"stable, beta, …"`
		Version  string            `json:"version" minLength:"1" maxLength:"64" doc:"Like 1.4.2, 10402, 2.0-beta.1 or 1.4.2+10402"`
		Build    int64             `json:"build,omitempty" minimum:"1" doc:"Of the same version the higher build is newer"`
		Minimum  string            `json:"minimum,omitempty" maxLength:"64" doc:"Clients below this version have to go on to this release"`
		Notes    map[string]string `json:"notes,omitempty" doc:"Plain texts, by their languages: en, zh-CN, or default"`
		File     string            `json:"file" maxLength:"64" doc:"An application package, ZIP or gzip archive that the administrator has uploaded, or another release's"`
	}
}) (*adminReleaseAnswer, error) {
	by, err := c.administer(ctx, access.AdminReleases)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	r, made, err := c.MakeRelease(ctx, by, by, NewRelease{
		App: b.App, Platform: b.Platform, Channel: b.Channel, Version: b.Version, Build: b.Build, Minimum: b.Minimum, Notes: b.Notes, File: b.File,
	})
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	return &adminReleaseAnswer{status, c.forAdmin(r)}, nil
}

type releasesAnswer struct {
	Body struct {
		Items []adminRelease `json:"items"`
		Next  string         `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) listReleases(ctx context.Context, in *struct {
	App       string `query:"app" maxLength:"64"`
	Platform  string `query:"platform" maxLength:"32"`
	Channel   string `query:"channel" maxLength:"32"`
	Withdrawn bool   `query:"withdrawn" default:"true" doc:"Those that were withdrawn, too"`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor    string `query:"cursor" maxLength:"256" doc:"What next said"`
}) (*releasesAnswer, error) {
	if _, err := c.administer(ctx, access.AdminReleases); err != nil {
		return nil, err
	}
	page := c.Releases(ReleasesOf{in.App, in.Platform, in.Channel, in.Withdrawn}, in.Cursor, in.Limit+1)
	out := &releasesAnswer{}
	out.Body.Items = []adminRelease{}
	for _, r := range page[:min(len(page), in.Limit)] {
		out.Body.Items = append(out.Body.Items, c.forAdmin(r))
	}
	if len(page) > in.Limit {
		out.Body.Next = page[in.Limit-1].ID
	}
	return out, nil
}

// ReleaseID is embedded by every input that names a release.
type ReleaseID struct {
	ID string `path:"id" maxLength:"64"`
}

func (c *Center) postWithdraw(ctx context.Context, in *ReleaseID) (*adminReleaseAnswer, error) {
	by, err := c.administer(ctx, access.AdminReleases)
	if err != nil {
		return nil, err
	}
	r, err := c.Withdraw(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &adminReleaseAnswer{http.StatusOK, c.forAdmin(r)}, nil
}

type releaseAnswer struct{ Body ReleaseView }

func (c *Center) getRelease(_ context.Context, in *ReleaseID) (*releaseAnswer, error) {
	r, err := c.Release(in.ID)
	if err != nil {
		return nil, err
	}
	return &releaseAnswer{c.shownRelease(r)}, nil
}

type latestAnswer struct {
	Body struct {
		ReleaseView
		State string `json:"state,omitempty" enum:"current,available,required" doc:"How the version that was said stands to it"`
	}
}

func (c *Center) getLatest(_ context.Context, in *struct {
	App      string `query:"app" maxLength:"64" doc:"The application whose client it is; absent: the installation's own"`
	Platform string `query:"platform" required:"true" minLength:"1" maxLength:"32"`
	Channel  string `query:"channel" maxLength:"32" default:"stable"`
	Version  string `query:"version" maxLength:"128" doc:"The client's"`
}) (*latestAnswer, error) {
	r := c.releases.newestOf(laneOf(in.App, in.Platform, in.Channel))
	if r == nil {
		return nil, protocol.NotFound("nothing is released for %.32q on %.32q", in.Platform, in.Channel)
	}
	out := &latestAnswer{}
	out.Body.ReleaseView = c.shownRelease(r)
	if has, ok := parseVersion(in.Version); ok {
		out.Body.State = r.state(has)
	}
	return out, nil
}

func (c *Center) getReleaseFile(ctx context.Context, in *ReleaseID) (*huma.StreamResponse, error) {
	r, err := c.Release(in.ID)
	if err != nil {
		return nil, err
	}
	if !r.stands() {
		return nil, protocol.Errorf(protocol.Code_EXPIRED, "version %s was withdrawn", r.Version)
	}
	f, err := c.store.File(ctx, r.File)
	if err != nil {
		return nil, err
	}
	return c.stream(ctx, f, "", true, "cross-origin")
}

type appFilesAnswer struct {
	Body struct {
		Used         int64 `json:"used" doc:"Bytes of all their files"`
		UsedByGuests int64 `json:"usedByGuests" doc:"Bytes of its visitors' files among them"`
	}
}

func (c *Center) getAppFiles(ctx context.Context, in *struct {
	App string `path:"app" maxLength:"64"`
}) (*appFilesAnswer, error) {
	if _, err := c.administer(ctx, access.AdminApps); err != nil {
		return nil, err
	}
	if c.cfg.Apps == nil || !c.cfg.Apps.HasApp(in.App) {
		return nil, protocol.NotFound("application %.64q", in.App)
	}
	out := &appFilesAnswer{}
	var err error
	out.Body.Used, out.Body.UsedByGuests, err = c.UsedIn(ctx, in.App)
	return out, err
}
