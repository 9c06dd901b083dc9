package model

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
)

// whole asks for an answer that is one piece. It is asked again as a stream is before its
// first token.
func (g *Gateway) whole(ctx context.Context, r *route, q egress.Question) ([]byte, *failure) {
	for try := 0; ; try++ {
		body, f := g.once(ctx, r, q)
		if f == nil || !g.again(ctx, try, f) {
			return body, f
		}
	}
}

func (g *Gateway) once(ctx context.Context, r *route, q egress.Question) ([]byte, *failure) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(2*g.cfg.Header, func() { cancel(errSilent) }) // it begins when all of it is there
	defer watch.Stop()
	a, err := g.out.Do(ctx, q)
	if err != nil {
		return nil, wentWrong(ctx, err)
	}
	defer a.Close()
	watch.Reset(g.cfg.Idle)
	body, err := io.ReadAll(a.Stream())
	if err != nil {
		return nil, wentWrong(ctx, err)
	}
	if a.Status != http.StatusOK {
		return nil, answered(a.Status, a.Header, body, r.provider.Key, g.now())
	}
	if !json.Valid(body) {
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's answer is no JSON")
	}
	return body, nil
}

// ask asks for an answer in one piece, within gate and budget, and passes it on.
func (j *job) ask(r *route, weight int64, q egress.Question) *failure {
	leave, f := j.gate.enter(j.r.Context())
	if f != nil {
		return f
	}
	defer leave()
	held, f := j.g.ledger.hold(j.who, weight)
	if f != nil {
		return f
	}
	body, f := j.g.whole(j.r.Context(), r, q)
	var took tokens
	if f == nil {
		var said struct{ Usage *tokens }
		if took.Prompt = weight; json.Unmarshal(body, &said) == nil && said.Usage != nil && said.Usage.Prompt+said.Usage.Completion > 0 {
			took = *said.Usage
		}
	}
	j.record(r, took, f != nil)
	held.settle(took.Prompt + took.Completion)
	if f != nil {
		return f
	}
	j.send(body)
	return nil
}

// embed is /v1/embeddings.
func (j *job) embed() *failure {
	asked, r, f := j.asked()
	if f != nil {
		return f
	}
	out := map[string]any{"model": r.model.Model}
	for _, name := range []string{"input", "dimensions", "encoding_format"} {
		if v := asked[name]; v != nil {
			out[name] = v
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return fail(http.StatusBadRequest, codeBadRequest, "the request has another form")
	}
	return j.ask(r, tokensOf(string(asked["input"])), r.question("/embeddings", "application/json", j.trace, body))
}

// perSound is what a transcription counts as, where the provider says nothing: a minute of
// speech has some 200 tokens of text.
const perSound = 1000

// transcribe is /v1/audio/transcriptions: a form with a file, whose answer is JSON.
func (j *job) transcribe() *failure {
	text, f := j.read()
	if f != nil {
		return f
	}
	_, params, err := mime.ParseMediaType(j.r.Header.Get("Content-Type"))
	if err != nil {
		return fail(http.StatusBadRequest, codeBadRequest, "a form is needed")
	}
	var alias string
	var body bytes.Buffer
	out := multipart.NewWriter(&body)
	for in := multipart.NewReader(bytes.NewReader(text), params["boundary"]); ; {
		p, err := in.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
		}
		switch name := p.FormName(); {
		case name == "model":
			alias = string(value)
		case name == "file":
			w, err := out.CreateFormFile("file", p.FileName())
			if err == nil {
				_, err = w.Write(value)
			}
			if err != nil {
				return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
			}
		case slices.Contains([]string{"language", "prompt", "temperature"}, name):
			if err := out.WriteField(name, string(value)); err != nil {
				return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
			}
		}
	}
	r, f := j.route(alias)
	if f != nil {
		return f
	}
	for name, value := range map[string]string{"model": r.model.Model, "response_format": "json"} {
		if err := out.WriteField(name, value); err != nil {
			return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
		}
	}
	if err := out.Close(); err != nil {
		return fail(http.StatusBadRequest, codeBadRequest, "the form cannot be read")
	}
	return j.ask(r, perSound, r.question("/audio/transcriptions", out.FormDataContentType(), j.trace, body.Bytes()))
}
