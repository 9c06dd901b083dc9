package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Problem is what a failed request is answered with (RFC 9457).
type Problem struct {
	Title        string         `json:"title" doc:"The status in words" example:"Not Found"`
	Status       int            `json:"status" doc:"The HTTP status" example:"404"`
	Code         string         `json:"code" doc:"What went wrong, for programs" example:"NOT_FOUND"`
	Errcode      int            `json:"errcode" doc:"The same as a number, as in frames; 0 is no error" example:"6"`
	Detail       string         `json:"detail,omitempty" doc:"What went wrong, for people"`
	RetryAfterMs int64          `json:"retryAfterMs,omitempty" doc:"When to try again, in milliseconds"`
	Fields       []ProblemField `json:"fields,omitempty" doc:"What is wrong with which part of the request"`
}

// ProblemField is one part of a request that is not as it must be.
type ProblemField struct {
	Location string `json:"location" doc:"Like body.content.text or query.limit"`
	Message  string `json:"message"`
}

func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is asked by huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders is asked by huma.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfterMs > 0 {
		h.Set("Retry-After", strconv.FormatInt((p.RetryAfterMs+999)/1000, 10))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="troupe"`)
	}
	return h
}

func problem(e *protocol.Error) *Problem {
	status := e.Code.HTTPStatus()
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return &Problem{
		Title: http.StatusText(status), Status: status,
		Code: e.Code.Word(), Errcode: int(e.Code), Detail: e.Detail, RetryAfterMs: e.RetryAfterMs,
	}
}

// WriteProblem answers with err, of which a client learns only what a *protocol.Error says.
func WriteProblem(w http.ResponseWriter, err error) {
	p := problem(protocol.AsError(err))
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// codeOf is the code that goes with a status which huma chose by itself.
func codeOf(status int) protocol.Code {
	switch status {
	case http.StatusUnauthorized:
		return protocol.Code_UNAUTHORIZED
	case http.StatusForbidden:
		return protocol.Code_DENIED
	case http.StatusNotFound:
		return protocol.Code_NOT_FOUND
	case http.StatusMethodNotAllowed:
		return protocol.Code_METHOD_NOT_ALLOWED
	case http.StatusConflict:
		return protocol.Code_CONFLICT
	case http.StatusRequestEntityTooLarge:
		return protocol.Code_TOO_LARGE
	case http.StatusTooManyRequests:
		return protocol.Code_RATE_LIMITED
	case http.StatusServiceUnavailable:
		return protocol.Code_BUSY
	}
	if status >= 500 {
		return protocol.Code_INTERNAL
	}
	return protocol.Code_BAD_REQUEST
}

// hook makes huma's errors ours. It is huma's one global; it is set to the same for
// every server in the process.
var hook = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return newProblem(status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := newProblem(status, msg, errs)
		for k, v := range p.GetHeaders() {
			ctx.SetHeader(k, v[0])
		}
		if p.Code == protocol.Code_INTERNAL.Word() {
			if s, ok := ctx.Context().Value(serverKey{}).(*Server); ok {
				level, what := slog.LevelError, "a request failed"
				if ctx.Context().Err() != nil { // which ends what is done for it
					level, what = slog.LevelInfo, "a request failed whose client had gone"
				}
				s.log.Log(context.Background(), level, what, "operation", ctx.Operation().OperationID, "err", errors.Join(errs...))
			}
		}
		return p
	}
})

// newProblem turns what huma, or a handler through it, reports into a Problem. The
// text of an error that is neither huma's own nor a *protocol.Error stays here.
func newProblem(status int, msg string, errs []error) *Problem {
	var fields []ProblemField
	for _, err := range errs {
		var e *protocol.Error
		if errors.As(err, &e) {
			return problem(e)
		}
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return problem(protocol.TooLarge("the body may have %d bytes", long.Limit))
		}
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			fields = append(fields, ProblemField{Location: d.Location, Message: d.Message}) // without Value, which may be a password
		}
	}
	code := codeOf(status)
	if status == 0 || msg == "" {
		msg = http.StatusText(status)
	}
	if len(fields) > 0 {
		msg = said(fields)
	}
	p := problem(&protocol.Error{Code: code, Detail: msg})
	if code == protocol.Code_INTERNAL {
		p.Detail = "internal error"
	}
	if status == http.StatusUnsupportedMediaType || status == http.StatusNotAcceptable || status == http.StatusRequestTimeout {
		p.Status, p.Title = status, http.StatusText(status)
	}
	p.Fields = fields
	return p
}

// maxSaid fields are told of in a problem's detail; all of them are in its fields.
const maxSaid = 3

// said is for people what fields is for programs: the names without where they stand.
func said(fields []ProblemField) string {
	var all []string
	for _, f := range fields[:min(len(fields), maxSaid)] {
		if _, name, inner := strings.Cut(f.Location, "."); inner {
			all = append(all, name+": "+f.Message)
		} else {
			all = append(all, f.Message)
		}
	}
	if more := len(fields) - maxSaid; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, "; ")
}
