package preview

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Register adds the preview centre's operations to api, whose paths begin with /api/v2.
func (c *Center) Register(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "preview-link", Method: http.MethodGet, Path: "/links/preview", Tags: []string{"links"},
		Summary:       "Read what a link leads to: title, text and picture",
		Description:   "The server asks the page, once for everybody; a reader's address is told to nobody. The texts are text, never HTML. Anonymous visitors get previews that are there already.",
		DefaultStatus: http.StatusOK, Security: []map[string][]string{{"bearer": {}}}, Errors: []int{http.StatusUnauthorized},
		Responses: map[string]*huma.Response{"204": {Description: "There is no preview of it"}},
		Metadata:  map[string]any{"codes": []protocol.Code{protocol.Code_BAD_REQUEST, protocol.Code_UNSUPPORTED, protocol.Code_RATE_LIMITED, protocol.Code_BUSY}},
	}, c.get)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		huma.Register(api, huma.Operation{
			OperationID: map[string]string{http.MethodGet: "get-", http.MethodHead: "head-"}[method] + "preview-picture", Method: method, Path: "/links/pictures/{id}", Tags: []string{"links"},
			Summary: "Read the picture of a preview, by the address in it, as for <img>", DefaultStatus: http.StatusOK, Errors: []int{http.StatusNotFound},
			Responses: map[string]*huma.Response{
				"200": {Description: "The picture", Content: map[string]*huma.MediaType{"image/*": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}},
				"304": {Description: "It is as it was"},
			},
			Metadata: map[string]any{"codes": []protocol.Code{protocol.Code_NOT_FOUND}},
		}, c.getPicture)
	}
}

type previewAnswer struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	Body         *previewView
}

type previewView struct {
	URL     string       `json:"url" doc:"The link, as it was asked for"`
	Host    string       `json:"host" doc:"That it leads to, behind redirects; show it, as title and site are what the page says"`
	Title   string       `json:"title,omitempty" doc:"200 characters at most"`
	Text    string       `json:"text,omitempty" doc:"500 characters at most"`
	Site    string       `json:"site,omitempty" doc:"80 characters at most"`
	Picture *pictureView `json:"picture,omitempty"`
}

type pictureView struct {
	URL         string `json:"url" doc:"A path of this server, which needs no token"`
	Mime        string `json:"mime" enum:"image/jpeg,image/png"`
	Width       int    `json:"width" doc:"640 pixels at most"`
	Height      int    `json:"height"`
	Placeholder string `json:"placeholder,omitempty" doc:"A blurhash, to show until the picture is there"`
}

const picturesPath = "/api/v2/links/pictures/"

func (c *Center) get(ctx context.Context, in *struct {
	URL string `query:"url" required:"true" minLength:"1" maxLength:"2048" doc:"http or https"`
}) (*previewAnswer, error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	p, err := c.Get(ctx, who.User, in.URL, who.Kind == access.KindGuest)
	if protocol.Code_NOT_FOUND.Is(err) { // most links of a chat: nothing has gone wrong
		return &previewAnswer{Status: http.StatusNoContent, CacheControl: "private, max-age=600"}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &previewAnswer{Status: http.StatusOK, CacheControl: "private, max-age=600", Body: &previewView{URL: in.URL, Host: p.Host, Title: p.Title, Text: p.Text, Site: p.Site}}
	if p.Picture != nil {
		a.Body.Picture = &pictureView{URL: picturesPath + p.Picture.ID, Mime: p.Picture.Mime, Width: p.Picture.Width, Height: p.Picture.Height, Placeholder: p.Picture.Placeholder}
	}
	return a, nil
}

func (c *Center) getPicture(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64"`
}) (*huma.StreamResponse, error) {
	p, err := c.store.PreviewPicture(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(c.file(p.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, protocol.NotFound("nothing is behind this address")
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer f.Close()
		r, w := humachi.Unwrap(hc)
		h := w.Header()
		h.Set("Content-Type", p.Mime)
		h.Set("ETag", `"`+p.ID+`"`)
		h.Set("Cache-Control", "private, max-age=86400, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		http.ServeContent(&answering{ResponseWriter: w, hc: hc}, r, "", time.Time{}, f)
	}}, nil
}

// answering lets huma know the status, which is counted.
type answering struct {
	http.ResponseWriter
	hc huma.Context
}

func (a *answering) WriteHeader(status int) { a.hc.SetStatus(status) }

// Unwrap is asked by http.ResponseController.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }
