package filectr

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// uploadInput is a request whose body is read as it comes.
type uploadInput struct {
	Digest        string `header:"Digest" doc:"sha-256=BASE64 of the file (RFC 3230)"`
	ContentDigest string `header:"Content-Digest" doc:"sha-256=:BASE64: of the body or of the file (RFC 9530); may stand in the part's header too"`

	request  *http.Request
	deadline func(time.Time) // for the body
	answer   func()          // is called when the answer is known
}

// Resolve fills huma.Resolver.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	r, w := humachi.Unwrap(ctx)
	control := http.NewResponseController(w)
	in.request = r
	control.SetWriteDeadline(time.Time{}) // what has come is looked at for as long as it takes, also behind others
	in.deadline = func(t time.Time) { control.SetReadDeadline(t) }
	in.answer = func() { control.SetWriteDeadline(time.Now().Add(answerWithin)) }
	return nil
}

// answerWithin is how long an upload's answer may take from when it is known.
const answerWithin = time.Minute

// paced reads a request's body. Each read gets a new deadline, so that what is long
// may take long, and what stands still or drips does not.
type paced struct {
	r        io.Reader
	deadline func(time.Time)
	begin    time.Time
	n        int64
	set      time.Time
}

func newPaced(r *http.Request, deadline func(time.Time)) *paced {
	return &paced{r: r.Body, deadline: deadline, begin: time.Now()}
}

func (p *paced) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.set) > time.Second {
		p.set = now
		t := now.Add(pause)
		if end := due(p.begin, p.n); end.Before(t) {
			t = end
		}
		p.deadline(t)
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

// takeForm keeps the file of a form's part "file". What stands behind it is not read.
func (c *Center) takeForm(ctx context.Context, who *protocol.Identity, r *http.Request, deadline func(time.Time)) (*File, error) {
	typ, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/form-data" || params["boundary"] == "" {
		return nil, huma.NewError(http.StatusUnsupportedMediaType, "a multipart/form-data body with a part named file is needed")
	}
	body := newPaced(r, deadline)
	told := toldOf(r.Header)
	var all io.Reader = body
	if told != nil {
		told.body = sha256.New()
		all = io.TeeReader(body, told.body)
	}
	ahead := bufio.NewReaderSize(all, 64<<10)
	head, _ := ahead.Peek(4096) // an error comes again where it is read
	form := multipart.NewReader(ahead, params["boundary"])
	for skipped := 0; ; skipped++ {
		part, err := form.NextRawPart()
		if err == io.EOF || skipped > 20 {
			return nil, protocol.BadRequest("the form has no part named file")
		}
		if err != nil {
			return nil, cut(err)
		}
		if part.FormName() == "" {
			return nil, protocol.BadRequest("a part of the form has no name: its Content-Disposition is to be form-data; name=\"file\"; filename=\"…\"")
		}
		if part.FormName() != "file" {
			if n, err := io.Copy(io.Discard, io.LimitReader(part, 64<<10)); err != nil || n == 64<<10 {
				return nil, protocol.BadRequest("the form's part %.64q is too large", part.FormName())
			}
			continue
		}
		u := Upload{Owner: who.User, App: who.App, Guest: who.Kind == access.KindGuest, Name: fileName(part.Header), Size: roomFor(r.ContentLength, head, params["boundary"])}
		from := io.Reader(partReader{part})
		if own := toldOf(http.Header(part.Header)); own != nil {
			u.Sum = own.sum
		} else if told != nil {
			told.file = sha256.New()
			from = told.check(from, ahead)
		}
		return c.Take(ctx, u, from)
	}
}

// roomFor is how many bytes the form's file has, where it is its first part, as with
// all usual clients; else at most. Below 0: not known.
func roomFor(body int64, head []byte, boundary string) int64 {
	if body < 0 {
		return -1
	}
	first := bytes.Index(head, []byte("\r\n\r\n"))
	if first >= 0 {
		first += len("\r\n\r\n")
	}
	return max(0, body-int64(max(first, 0)+len("\r\n--")+len(boundary)+len("--\r\n")))
}

// quoted undoes what browsers do to a name in a form (HTML, multipart/form-data encoding).
var quoted = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n")

// fileName is what a part calls its file, path parts and all.
func fileName(h textproto.MIMEHeader) string {
	_, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return quoted.Replace(params["filename"])
}

// told is a checksum that stands in front of a body: clients mean the body by it, as
// RFC 9530 has it for Content-Digest, or the file; one of the two has to have it.
type told struct {
	sum        []byte
	body, file hash.Hash
}

// toldOf reads Digest or Content-Digest; nil: neither says a SHA-256.
func toldOf(h http.Header) *told {
	for _, text := range append(h.Values("Content-Digest"), h.Values("Digest")...) {
		for _, one := range strings.Split(text, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			if !strings.EqualFold(name, "sha-256") {
				continue
			}
			value, _, _ = strings.Cut(value, ";")
			sum, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
			if err != nil {
				sum = []byte{} // no file has it
			}
			return &told{sum: sum}
		}
	}
	return nil
}

// check gives what comes from r, and at its end an error where neither it nor the
// whole body has the checksum. rest is what is left of the body.
func (t *told) check(r io.Reader, rest io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		t.file.Write(b[:n])
		if err != io.EOF || subtle.ConstantTimeCompare(t.sum, t.file.Sum(nil)) == 1 {
			return n, err
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(rest, 64<<10)); err != nil {
			return n, cut(err)
		}
		if subtle.ConstantTimeCompare(t.sum, t.body.Sum(nil)) == 1 {
			return n, io.EOF
		}
		return n, protocol.BadRequest("the bytes that came have another SHA-256 than was said")
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// partReader is a part whose errors are a client's.
type partReader struct{ *multipart.Part }

func (e partReader) Read(b []byte) (int, error) {
	n, err := e.Part.Read(b)
	if err != nil && err != io.EOF {
		err = cut(err)
	}
	return n, err
}

// cut is an error of a body that ended before its time.
func cut(err error) error {
	var own *protocol.Error
	if errors.As(err, &own) {
		return err
	}
	return protocol.BadRequest("the body ended before its end, or is no form")
}
