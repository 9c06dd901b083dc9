package filectr

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/troupe-im/troupe/internal/protocol"
)

// content is one thing of a file that is given out.
type content struct {
	sum   Sum
	mime  string
	bytes int64
	name  string
}

// shown is the content of a size: a thumbnail, or for "" the file. A picture without
// a thumbnail of a size is no larger than that. NOT_FOUND: it has no picture.
func (f *File) shown(size string) (content, error) {
	whole := content{f.Sum, f.Mime, f.Size, f.Name}
	if size == "" {
		return whole, nil
	}
	for _, t := range f.Thumbs {
		if t.Size == size {
			stem := strings.TrimSuffix(f.Name, path.Ext(f.Name))
			return content{t.Sum, t.Mime, t.Bytes, stem + map[string]string{"image/png": ".png", "image/jpeg": ".jpg"}[t.Mime]}, nil
		}
	}
	if n := len(f.Thumbs); f.Kind == Video && n > 0 { // it is no larger than what there is
		return f.shown(f.Thumbs[n-1].Size)
	}
	if f.Kind == Image {
		return whole, nil
	}
	return content{}, protocol.NotFound("file %s has no picture", f.ID)
}

// perSecond is the least that a client has to take of a download, in bytes; with less
// it is cut off, and may go on with a range.
const perSecond = 16 << 10

// maxRanges is how many are given at once: of a bucket each is a request.
const maxRanges = 8

// stream gives a file out: ranges, and what is asked for on a condition, are
// net/http's. What a browser could run is only ever saved, and shut into a sandbox.
func (c *Center) stream(ctx context.Context, f *File, size string, save bool, sharing string) (*huma.StreamResponse, error) {
	what, err := f.shown(size)
	if err != nil {
		return nil, err
	}
	blob, err := c.blobs.Open(ctx, what.sum)
	if errors.Is(err, ErrNoBlob) {
		c.log.Error("a file's content is missing", "file", f.ID, "content", what.sum)
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer blob.Close()
		r, w := humachi.Unwrap(hc)
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute + time.Duration(what.bytes/perSecond)*time.Second))
		h := w.Header()
		h.Set("Content-Type", what.mime)
		how := "inline"
		if save || kindOf(what.mime) == Document {
			how = "attachment"
		}
		if d := mime.FormatMediaType(how, map[string]string{"filename": what.name}); d != "" {
			h.Set("Content-Disposition", d)
		} else {
			h.Set("Content-Disposition", how)
		}
		h.Set("ETag", `"`+what.sum.String()[:32]+`"`)
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(what.sum[:])+":") // of all of it, whatever the range
		h.Set("Cache-Control", "private, no-cache")                                          // asked anew each time, as it may be recalled meanwhile
		h.Set("Vary", "Authorization")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", sharing)
		h.Set("Accept-Ranges", "bytes")
		if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
			r.Header.Del("Range") // then all of it comes, as it may (RFC 9110, 14.2)
		}
		http.ServeContent(&answering{ResponseWriter: w, hc: hc}, r, "", f.Created, blob)
	}}, nil
}

// answering lets huma know the status, which is counted, and puts a problem in the place
// of net/http's words.
type answering struct {
	http.ResponseWriter
	hc     huma.Context
	failed bool
}

func (a *answering) WriteHeader(status int) {
	if a.failed = status == http.StatusRequestedRangeNotSatisfiable; a.failed {
		a.Header().Set("Content-Type", "application/problem+json")
		a.Header().Del("Content-Disposition")
	}
	a.hc.SetStatus(status)
}

func (a *answering) Write(b []byte) (int, error) {
	if !a.failed {
		return a.ResponseWriter.Write(b)
	}
	a.failed = false
	_, err := a.ResponseWriter.Write(problem(http.StatusRequestedRangeNotSatisfiable, protocol.BadRequest("Range: there is no such part of it")))
	return len(b), err
}

// problem is an error as the gateway tells it, under a status that is not its code's.
func problem(status int, e *protocol.Error) []byte {
	title := http.StatusText(status)
	if status == checksumMismatch {
		title = "Checksum Mismatch"
	}
	p := map[string]any{"title": title, "status": status, "code": e.Code.Word(), "errcode": int(e.Code), "detail": e.Detail}
	if e.RetryAfterMs > 0 {
		p["retryAfterMs"] = e.RetryAfterMs
	}
	text, _ := json.Marshal(p) // of such it is no error
	return text
}

// Unwrap is asked by http.ResponseController.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }
