package filectr

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Register adds the file centre's operations to api, whose paths begin with /api/v2.
// Whoever checks tokens says who asks by protocol.WithIdentity.
func (c *Center) Register(api huma.API) error {
	operation := func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"files"}, DefaultStatus: status,
			Security: []map[string][]string{{"bearer": {}}}, Errors: []int{http.StatusUnauthorized},
			Metadata: map[string]any{"codes": codes},
		}
	}
	const one = "/files/{id}"
	upload := operation("upload-file", http.MethodPost, "/files", "Upload a file in one request", http.StatusCreated,
		protocol.Code_BAD_REQUEST, protocol.Code_TOO_LARGE, protocol.Code_UNSUPPORTED, protocol.Code_QUOTA, protocol.Code_BUSY)
	upload.Errors = append(upload.Errors, http.StatusUnsupportedMediaType)
	huma.Register(api, upload, c.post)
	describeForm(api, upload.OperationID)

	info := operation("get-file-info", http.MethodGet, one+"/info", "Read what a file is", http.StatusOK, protocol.Code_NOT_FOUND)
	huma.Register(api, info, c.getInfo)
	link := operation("link-file", http.MethodPost, one+"/link", "Make a link to a file that needs no token and ends soon, as for <img>",
		http.StatusCreated, protocol.Code_NOT_FOUND)
	link.MaxBodyBytes = 4 << 10
	huma.Register(api, link, c.postLink)

	remove := operation("remove-file", http.MethodDelete, one, "Remove a file of one's own that no message names", http.StatusNoContent,
		protocol.Code_NOT_FOUND, protocol.Code_DENIED, protocol.Code_CONFLICT)
	huma.Register(api, remove, c.removeOwn)

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		id := map[string]string{http.MethodGet: "get-", http.MethodHead: "head-"}[method]
		get := operation(id+"file", method, one, "Read a file, or a range of it", http.StatusOK, protocol.Code_NOT_FOUND)
		get.Responses = bytesOf()
		huma.Register(api, get, c.get)
		thumb := operation(id+"thumb", method, one+"/thumb", "Read a smaller picture of a file", http.StatusOK, protocol.Code_NOT_FOUND)
		thumb.Responses = bytesOf()
		huma.Register(api, thumb, c.getThumb)
		linked := operation(id+"file-by-link", method, one+"/link/{code}", "Read a file by a link", http.StatusOK, protocol.Code_NOT_FOUND, protocol.Code_EXPIRED)
		linked.Security = nil
		linked.Responses = bytesOf()
		huma.Register(api, linked, c.getLinked)
	}
	c.registerAvatars(api, operation)
	c.registerReleases(api, operation)
	c.registerDeals(api, operation)
	return c.registerTus(api, operation)
}

// describeForm says what the body of an upload is. It is read by the operation itself,
// so huma is not to know of it before.
func describeForm(api huma.API, id string) {
	form := &huma.RequestBody{Required: true, Description: "A form with the file in its part file", Content: map[string]*huma.MediaType{
		"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"file"}, Properties: map[string]*huma.Schema{
			"file": {Type: huma.TypeString, Format: "binary"},
		}}},
	}}
	for _, item := range api.OpenAPI().Paths {
		if item.Post != nil && item.Post.OperationID == id {
			item.Post.RequestBody = form
		}
	}
}

// bytesOf are the answers of what gives bytes.
func bytesOf() map[string]*huma.Response {
	content := map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
	return map[string]*huma.Response{
		"200": {Description: "All of it", Content: content},
		"206": {Description: "The range that was asked for", Content: content},
		"304": {Description: "It is as it was"},
		"416": {Description: "There is no such range"},
	}
}

// caller is who asks. UNAUTHORIZED: nobody.
func caller(ctx context.Context) (*protocol.Identity, error) {
	id, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	return &id, nil
}

// view is a file as clients see it.
type view struct {
	ID          string      `json:"id" doc:"What messages name in file, files and thumb"`
	Name        string      `json:"name" doc:"As it was cleaned"`
	Mime        string      `json:"mime" doc:"By its content and its name together"`
	Kind        Kind        `json:"kind" enum:"image,voice,video,package,document"`
	Size        int64       `json:"size" doc:"Bytes, of what is kept"`
	SHA256      string      `json:"sha256" doc:"In hex, of what is kept"`
	CreatedAt   time.Time   `json:"createdAt"`
	Width       int         `json:"width,omitempty" doc:"Pixels, as it is shown"`
	Height      int         `json:"height,omitempty"`
	Frames      int         `json:"frames,omitempty" doc:"Of a picture that moves"`
	Placeholder string      `json:"placeholder,omitempty" doc:"A blurhash, to show until the picture is there"`
	Duration    int64       `json:"duration,omitempty" doc:"Milliseconds; absent: not known"`
	Peaks       []int       `json:"peaks,omitempty" doc:"Loudness over time, 0 to 255; absent: not known"`
	Thumbs      []thumbView `json:"thumbs,omitempty" doc:"Smaller pictures, smallest first"`

	State  State  `json:"state,omitempty" enum:"pending,allowed,rejected,replaced" doc:"Absent: nobody looks at such files before others see them. While it is pending it is its uploader's alone; rejected, nobody's; of both, others are told id, kind and size in pixels. Replaced: what is told and read is what stands in its place"`
	Reason string `json:"reason,omitempty" doc:"Why, for people"`
}

// outline is what is told of a file to who may know of it and not read it.
func outline(f *File) view {
	v := view{ID: f.ID, Kind: f.Kind, CreatedAt: f.Created.UTC(), Width: f.Width, Height: f.Height}
	v.deal(f.Deal)
	return v
}

func (v *view) deal(d *Deal) {
	if d == nil {
		return
	}
	if v.State = d.State; d.State == Held {
		v.State = Pending
	}
	if d.State != Allowed {
		v.Reason = d.Reason
	}
}

type thumbView struct {
	Size   string `json:"size" enum:"small,large"`
	Mime   string `json:"mime"`
	Bytes  int64  `json:"bytes"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func viewOf(f *File) view {
	v := view{
		ID: f.ID, Name: f.Name, Mime: f.Mime, Kind: f.Kind, Size: f.Size, SHA256: f.Sum.String(), CreatedAt: f.Created.UTC(),
		Width: f.Width, Height: f.Height, Frames: f.Frames, Placeholder: f.Placeholder, Duration: f.Duration.Milliseconds(),
	}
	for _, p := range f.Peaks {
		v.Peaks = append(v.Peaks, int(p))
	}
	for _, t := range f.Thumbs {
		v.Thumbs = append(v.Thumbs, thumbView{t.Size, t.Mime, t.Bytes, t.Width, t.Height})
	}
	v.deal(f.Deal)
	return v
}

type fileAnswer struct {
	Location string `header:"Location"`
	Body     view
}

func answerOf(f *File) *fileAnswer {
	return &fileAnswer{Location: "/api/v2/files/" + f.ID, Body: viewOf(f)}
}

func (c *Center) post(ctx context.Context, in *uploadInput) (*fileAnswer, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if who.User == "" {
		return nil, protocol.Denied("files are users': a server key says for whom it uploads")
	}
	f, err := c.takeForm(ctx, who, in.request, in.deadline)
	in.answer()
	if err != nil {
		return nil, err
	}
	return answerOf(f), nil
}

// ByID is the file that a path names.
type ByID struct {
	ID string `path:"id" maxLength:"64"`
}

func (c *Center) getInfo(ctx context.Context, in *ByID) (*fileAnswer, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, own, err := c.knows(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	seen, err := f.seen(own)
	if err != nil {
		return &fileAnswer{Location: "/api/v2/files/" + f.ID, Body: outline(f)}, nil
	}
	return answerOf(seen), nil
}

func (c *Center) removeOwn(ctx context.Context, in *ByID) (*struct{}, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.Remove(ctx, who, in.ID)
}

// Download is embedded by what gives bytes.
type Download struct {
	Download bool `query:"download" doc:"To be saved, not shown"`
}

func (c *Center) get(ctx context.Context, in *struct {
	ByID
	Download
	Original bool `query:"original" doc:"One's own file as it was uploaded, where something else stands in its place"`
}) (*huma.StreamResponse, error) {
	if in.Original {
		return c.giveOriginal(ctx, in.ID, in.Download.Download)
	}
	return c.give(ctx, in.ID, "", in.Download.Download)
}

func (c *Center) giveOriginal(ctx context.Context, id string, save bool) (*huma.StreamResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, own, err := c.knows(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if f.state() != Replaced || !own {
		if f, err = f.seen(own); err != nil {
			return nil, err
		}
	}
	return c.stream(ctx, f, "", save, "same-origin")
}

func (c *Center) getThumb(ctx context.Context, in *struct {
	ByID
	Size string `query:"size" enum:"small,large" default:"small" doc:"Where a picture is no larger than a size, the picture itself comes"`
}) (*huma.StreamResponse, error) {
	return c.give(ctx, in.ID, in.Size, false)
}

func (c *Center) give(ctx context.Context, id, size string, save bool) (*huma.StreamResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.Get(ctx, who, id)
	if err != nil {
		return nil, err
	}
	return c.stream(ctx, f, size, save, "same-origin")
}

type linkAnswer struct {
	Body struct {
		URL       string    `json:"url" doc:"A path of this server, or a link where an origin for files is set"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

func (c *Center) postLink(ctx context.Context, in *struct {
	ByID
	Body *struct {
		Size string `json:"size,omitempty" enum:"small,large" doc:"Of the thumbnail; absent: the file itself"`
	}
}) (*linkAnswer, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	size := ""
	if in.Body != nil {
		size = in.Body.Size
	}
	f, err := c.Get(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	if who.User == "" {
		return nil, protocol.Denied("links are for users; a server key reads the file itself")
	}
	if _, err := f.shown(size); err != nil {
		return nil, err
	}
	until := c.now().Add(c.cfg.LinkLife).Truncate(time.Second)
	out := &linkAnswer{}
	out.Body.URL = fmt.Sprintf("%s/api/v2/files/%s/link/%s", c.cfg.Origin, f.ID, c.seal(f.ID, size, who.User, until))
	if size != "" {
		out.Body.URL += "?size=" + size
	}
	out.Body.ExpiresAt = until.UTC()
	return out, nil
}

func (c *Center) getLinked(ctx context.Context, in *struct {
	ByID
	Download
	Code string `path:"code" maxLength:"256"`
	Size string `query:"size" enum:"small,large"`
}) (*huma.StreamResponse, error) {
	user, err := c.open(in.ID, in.Size, in.Code)
	if err != nil {
		return nil, err
	}
	if user == reviewerLink {
		f, err := c.store.File(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return c.stream(ctx, f, "", in.Download.Download, "cross-origin")
	}
	if c.cfg.Users != nil {
		if err := c.cfg.Users.MayCome(ctx, user); protocol.Code_NOT_FOUND.Is(err) || protocol.Code_UNAUTHORIZED.Is(err) {
			return nil, nothingBehind()
		} else if err != nil {
			return nil, err
		}
	}
	f, err := c.Get(ctx, &protocol.Identity{User: user}, in.ID)
	if err != nil {
		return nil, err
	}
	return c.stream(ctx, f, in.Size, in.Download.Download, "cross-origin")
}
