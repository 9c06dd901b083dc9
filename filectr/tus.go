package filectr

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	tus "github.com/tus/tusd/v2/pkg/handler"
	oldslog "golang.org/x/exp/slog"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Resumable uploads speak tus 1.0 (https://tus.io/protocols/resumable-upload), which
// tusd knows: it asks a parts for what is kept. Checksums, expiry and problems are
// ours, as tusd has none.

// tusPath is where uploads in parts are, below the API's path.
const tusPath = "/files/tus"

// checksumMismatch is tus's own status.
const checksumMismatch = 460

func (c *Center) registerTus(api huma.API, operation func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation) error {
	store := &parts{c}
	composer := tus.NewStoreComposer()
	composer.UseCore(store)
	composer.UseTerminater(store)
	composer.UseLocker(c.locker())
	h, err := tus.NewUnroutedHandler(tus.Config{
		StoreComposer: composer, BasePath: "/", MaxSize: c.cfg.largest(), DisableDownload: true, DisableConcatenation: true,
		Cors: &tus.CorsConfig{Disable: true}, Logger: oldslog.New(silent{}),
		NetworkTimeout: pause, GracefulRequestCompletionTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	for _, o := range []struct {
		id, method, path, summary string
		status                    int
		serve                     http.HandlerFunc
	}{
		{"describe-uploads", http.MethodOptions, tusPath + "/", "Read what resumable uploads can do (tus 1.0)", http.StatusOK, func(http.ResponseWriter, *http.Request) {}},
		{"begin-upload", http.MethodPost, tusPath + "/", "Begin a resumable upload (tus 1.0)", http.StatusCreated, h.PostFile},
		{"head-upload", http.MethodHead, tusPath + "/{id}", "Read how far a resumable upload has come", http.StatusOK, h.HeadFile},
		{"continue-upload", http.MethodPatch, tusPath + "/{id}", "Send the next part of a resumable upload; with the last one it is a file with the same id", http.StatusNoContent, h.PatchFile},
		{"cancel-upload", http.MethodDelete, tusPath + "/{id}", "Cancel a resumable upload", http.StatusNoContent, h.DelFile},
	} {
		op := operation(o.id, o.method, o.path, o.summary, o.status, protocol.Code_NOT_FOUND, protocol.Code_CONFLICT, protocol.Code_TOO_LARGE,
			protocol.Code_UNSUPPORTED, protocol.Code_QUOTA, protocol.Code_BUSY)
		op.Errors = append(op.Errors, http.StatusPreconditionFailed, http.StatusLocked, checksumMismatch)
		describeTus(&op)
		routed := h.Middleware(o.serve)
		huma.Register(api, op, func(ctx context.Context, in *tusInput) (*huma.StreamResponse, error) {
			who, err := caller(ctx)
			if err != nil {
				return nil, err
			}
			if who.User == "" {
				return nil, protocol.Denied("uploads are users'")
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) { c.tus(hc, who, in.id, routed) }}, nil
		})
	}
	return nil
}

// tusInput is a request that tusd reads.
type tusInput struct{ id string }

// Resolve fills huma.Resolver.
func (in *tusInput) Resolve(ctx huma.Context) []error {
	in.id = ctx.Param("id")
	return nil
}

// call is one request on its way through tusd.
type call struct {
	who     *protocol.Identity
	check   *checksum
	expires time.Time
	err     *protocol.Error // what a parts said, for the answer
	control *http.ResponseController
}

// patient lets what is complete be looked at for as long as it takes; the answer has its
// own time.
func (k *call) patient() { k.control.SetWriteDeadline(time.Time{}) }

type callKey struct{}

// tus has tusd answer one request.
func (c *Center) tus(hc huma.Context, who *protocol.Identity, id string, serve http.Handler) {
	r, w := humachi.Unwrap(hc)
	k := &call{who: who, control: http.NewResponseController(w)}
	a := &tusAnswer{ResponseWriter: w, hc: hc, call: k, method: r.Method, most: c.cfg.largest()}
	if text := r.Header.Get("Upload-Checksum"); text != "" {
		if k.check = checksumOf(text); k.check == nil {
			k.err = protocol.BadRequest("Upload-Checksum: sha256 or sha1, and BASE64 behind it")
			a.WriteHeader(http.StatusBadRequest)
			a.end()
			return
		}
	}
	ctx := context.WithValue(r.Context(), callKey{}, k)
	r = r.Clone(ctx)
	r.URL.Path = "/" + id
	r.Header.Del("X-HTTP-Method-Override") // the route has said what is done
	serve.ServeHTTP(a, r)
	a.end()
}

// tusAnswer lets huma know the status, adds what tusd does not say, and puts a problem
// in the place of tusd's errors.
type tusAnswer struct {
	http.ResponseWriter
	hc     huma.Context
	call   *call
	method string
	most   int64 // bytes of any file
	status int
	said   []byte
}

// Unwrap is asked by http.ResponseController.
func (a *tusAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *tusAnswer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	a.call.control.SetWriteDeadline(time.Now().Add(answerWithin))
	h := a.Header()
	h.Set("Cache-Control", "no-store")
	if a.method == http.MethodOptions {
		h.Set("Tus-Extension", h.Get("Tus-Extension")+",checksum,expiration")
		h.Set("Tus-Checksum-Algorithm", "sha256,sha1")
	}
	if at := h.Get("Location"); at != "" { // a path, as a proxy may have another name and speak TLS
		h.Set("Location", "/api/v2"+tusPath+at[strings.LastIndex(at, "/"):])
	}
	if !a.call.expires.IsZero() && status < 300 {
		h.Set("Upload-Expires", a.call.expires.UTC().Format(http.TimeFormat))
	}
	if status < 400 {
		a.hc.SetStatus(status)
	}
}

func (a *tusAnswer) Write(b []byte) (int, error) {
	if a.status >= 400 {
		a.said = append(a.said, b[:min(len(b), 1024)]...)
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// end answers a request that failed.
func (a *tusAnswer) end() {
	if a.status < 400 {
		return
	}
	e := a.call.err
	if e == nil {
		e = protocol.Errorf(tusCode(a.status), "%s", a.detail())
	}
	h := a.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	a.hc.SetStatus(a.status)
	if a.method != http.MethodHead {
		a.ResponseWriter.Write(problem(a.status, e))
	}
}

// detail is what tusd said, or more where people would ask.
func (a *tusAnswer) detail() string {
	said := strings.TrimSpace(string(a.said))
	switch word, _, _ := strings.Cut(said, ":"); word {
	case tus.ErrMaxSizeExceeded.ErrorCode:
		return fmt.Sprintf("Upload-Length: a file has at most %d bytes", a.most)
	case tus.ErrMismatchOffset.ErrorCode:
		return "Upload-Offset: the upload has not come as far as this, or further; HEAD says how far"
	case tus.ErrNotImplemented.ErrorCode:
		return "OPTIONS says which extensions of tus there are; Upload-Length has to be known"
	}
	return said
}

// tusCode is the code that goes with a status which tusd chose by itself.
func tusCode(status int) protocol.Code {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return protocol.Code_NOT_FOUND
	case http.StatusConflict, http.StatusLocked:
		return protocol.Code_CONFLICT
	case http.StatusRequestEntityTooLarge:
		return protocol.Code_TOO_LARGE
	case http.StatusNotImplemented: // an extension
		return protocol.Code_UNSUPPORTED
	}
	if status >= 500 {
		return protocol.Code_BUSY
	}
	return protocol.Code_BAD_REQUEST
}

// checksum is what a part's bytes are said to have.
type checksum struct {
	hash hash.Hash
	sum  []byte
}

func checksumOf(text string) *checksum {
	name, value, _ := strings.Cut(text, " ")
	sum, err := base64.StdEncoding.DecodeString(value)
	c := &checksum{sum: sum}
	switch name {
	case "sha256":
		c.hash = sha256.New()
	case "sha1":
		c.hash = sha1.New()
	}
	if err != nil || c.hash == nil {
		return nil
	}
	return c
}

func (c *checksum) good() bool { return subtle.ConstantTimeCompare(c.sum, c.hash.Sum(nil)) == 1 }

// parts fills tusd's DataStore.
type parts struct{ c *Center }

func callOf(ctx context.Context) *call {
	k, _ := ctx.Value(callKey{}).(*call)
	return k
}

// fail tells tusd, and the answer, what went wrong.
func (p *parts) fail(ctx context.Context, err error) error {
	k := callOf(ctx)
	if errors.Is(err, errChecksum) {
		k.err = protocol.BadRequest("the bytes that came have another checksum than was said; nothing of them is kept")
		return tus.NewError("ERR_CHECKSUM", k.err.Detail, checksumMismatch)
	}
	k.err = protocol.AsError(err)
	if k.err.Code == protocol.Code_INTERNAL {
		p.c.log.Error("a resumable upload failed", "err", err)
	}
	return tus.NewError(k.err.Code.Word(), k.err.Detail, k.err.Code.HTTPStatus())
}

// NewUpload fills tusd's DataStore.
func (p *parts) NewUpload(ctx context.Context, info tus.FileInfo) (tus.Upload, error) {
	who := callOf(ctx).who
	u := &resumable{Owner: who.User, App: who.App, Guest: who.Kind == access.KindGuest, Name: info.MetaData["filename"], Size: info.Size}
	if u.Name == "" {
		u.Name = info.MetaData["name"]
	}
	if sum := info.MetaData["sha256"]; sum != "" {
		var err error
		if u.Sum, err = hex.DecodeString(sum); err != nil || len(u.Sum) != sha256.Size {
			return nil, p.fail(ctx, protocol.BadRequest("Upload-Metadata: sha256 is in hex"))
		}
	}
	if len(u.Name) > 1024 {
		return nil, p.fail(ctx, protocol.BadRequest("Upload-Metadata: a filename has 1024 bytes at most"))
	}
	if err := p.c.begin(ctx, u); err != nil {
		return nil, p.fail(ctx, err)
	}
	callOf(ctx).expires = p.c.expires(u)
	return &inParts{p, u}, nil
}

// GetUpload fills tusd's DataStore. An upload that is complete and no file yet becomes
// one, as its client will not send anything more.
func (p *parts) GetUpload(ctx context.Context, id string) (tus.Upload, error) {
	k := callOf(ctx)
	u, err := p.c.find(ctx, k.who.User, id)
	if err != nil {
		return nil, p.fail(ctx, err)
	}
	if !u.done {
		k.expires = p.c.expires(u)
	}
	if !u.done && u.offset == u.Size && u.Size > 0 {
		k.patient()
		if err := p.c.finish(context.WithoutCancel(ctx), u); err != nil {
			return nil, p.fail(ctx, err)
		}
		u.done = true
	}
	return &inParts{p, u}, nil
}

// AsTerminatableUpload fills tusd's TerminaterDataStore.
func (p *parts) AsTerminatableUpload(u tus.Upload) tus.TerminatableUpload { return u.(*inParts) }

// inParts fills tusd's Upload.
type inParts struct {
	p *parts
	u *resumable
}

func (i *inParts) GetInfo(context.Context) (tus.FileInfo, error) {
	info := tus.FileInfo{ID: i.u.ID, Size: i.u.Size, Offset: i.u.offset, MetaData: tus.MetaData{}}
	if i.u.Name != "" {
		info.MetaData["filename"] = i.u.Name
	}
	return info, nil
}

func (i *inParts) WriteChunk(ctx context.Context, offset int64, r io.Reader) (int64, error) {
	k := callOf(ctx)
	c := i.p.c
	leave, err := c.uploads.take(i.u.Owner, i.u.Guest)
	if err != nil {
		return 0, i.p.fail(ctx, err)
	}
	defer leave()
	r = inTime(r, time.Now)
	n, err := c.write(i.u, r, k.check)
	if protocol.Code_TOO_LARGE.Is(err) || protocol.Code_UNSUPPORTED.Is(err) {
		c.end(i.u.ID)
	}
	if err != nil {
		return n, i.p.fail(ctx, err)
	}
	i.u.offset += n
	k.expires = c.now().Add(c.cfg.Unsent)
	return n, nil
}

// inTime ends a body that drips; tusd ends one that stands still. What has come is kept.
func inTime(r io.Reader, now func() time.Time) io.Reader {
	begin, n := now(), int64(0)
	return readerFunc(func(b []byte) (int, error) {
		if now().After(due(begin, n)) {
			return 0, protocol.Errorf(protocol.Code_BUSY, "the bytes come too slowly; go on from the Upload-Offset")
		}
		got, err := r.Read(b)
		n += int64(got)
		return got, err
	})
}

func (i *inParts) GetReader(ctx context.Context) (io.ReadCloser, error) {
	return nil, i.p.fail(ctx, protocol.NotFound("upload %s", i.u.ID))
}

func (i *inParts) FinishUpload(ctx context.Context) error {
	callOf(ctx).patient()
	if err := i.p.c.finish(context.WithoutCancel(ctx), i.u); err != nil {
		return i.p.fail(ctx, err)
	}
	callOf(ctx).expires = time.Time{}
	return nil
}

func (i *inParts) Terminate(ctx context.Context) error {
	if i.u.done {
		return i.p.fail(ctx, protocol.Conflict("upload %s is a file already", i.u.ID))
	}
	i.p.c.end(i.u.ID)
	return nil
}

// silent is tusd's log: it tells of every request, and has nothing to say besides.
type silent struct{}

func (silent) Enabled(context.Context, oldslog.Level) bool  { return false }
func (silent) Handle(context.Context, oldslog.Record) error { return nil }
func (s silent) WithAttrs([]oldslog.Attr) oldslog.Handler   { return s }
func (s silent) WithGroup(string) oldslog.Handler           { return s }
