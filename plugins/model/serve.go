package model

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// EventHeader names the event that a request is for. That alone counts: whose it is, the
// host knows.
const EventHeader = "Troupe-Event"

// door is one plugin's way in.
type door struct {
	g      *Gateway
	plugin string
	token  string
	gate   *gate
	busy   sync.WaitGroup
}

// job is one request.
type job struct {
	*door
	w     http.ResponseWriter
	r     *http.Request
	who   Who
	trace string
	since time.Time
}

func (d *door) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/models", d.open(func(j *job) *failure { return j.models() }))
	m.HandleFunc("POST /v1/chat/completions", d.open(func(j *job) *failure { return j.chat() }))
	m.HandleFunc("POST /v1/embeddings", d.open(func(j *job) *failure { return j.embed() }))
	m.HandleFunc("POST /v1/audio/transcriptions", d.open(func(j *job) *failure { return j.transcribe() }))
	m.HandleFunc("/", d.open(func(*job) *failure {
		return fail(http.StatusNotFound, codeBadRequest, "the gateway has /v1/models, chat/completions, embeddings and audio/transcriptions")
	}))
	return m
}

var traceForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// open lets in who has the token, and says whose event it is about.
func (d *door) open(serve func(*job) *failure) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.busy.Add(1)
		defer d.busy.Done()
		ctx, cancel := context.WithTimeoutCause(r.Context(), d.g.cfg.Total, errTooLong)
		defer cancel()
		j := &job{door: d, w: w, r: r.WithContext(ctx), since: d.g.now()}
		f := j.identify()
		if f == nil {
			f = serve(j)
		}
		outcome := "ok"
		if f != nil {
			if outcome = f.code; !j.begun() {
				f.write(w)
			}
			d.g.log.Warn("a bot's request to a model failed", "plugin", d.plugin, "session", j.who.Session, "path", r.URL.Path, "status", f.status, "code", f.code)
		}
		d.g.counts.add("requests_total", outcome, 1)
	}
}

func (j *job) begun() bool { return j.w.Header().Get("Content-Type") == "text/event-stream" }

func (j *job) identify() *failure {
	token, ok := strings.CutPrefix(j.r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(j.token)) != 1 {
		return fail(http.StatusUnauthorized, codeUnauthorized, "this plugin's token is needed")
	}
	j.who = Who{Plugin: j.plugin, Bot: "b_" + j.plugin}
	if t := j.r.Header.Get("Traceparent"); traceForm.MatchString(t) {
		j.trace = t
	}
	event, desk := j.r.Header.Get(EventHeader), j.g.desk.Load()
	if event == "" || desk == nil {
		return nil // the bot's own: a purse of its own, as if it were one more person
	}
	if bot, user, session, trace, ok := (*desk).InHand(j.plugin, event); ok {
		j.who.Bot, j.who.User, j.who.Session = bot, user, session
		if j.trace == "" && traceForm.MatchString(trace) {
			j.trace = trace
		}
		return nil
	}
	return fail(http.StatusForbidden, codeNotInHand, "this plugin has no such event in hand")
}

// asked reads the body, and finds the route of its model.
func (j *job) asked() (map[string]json.RawMessage, *route, *failure) {
	body, f := j.read()
	if f != nil {
		return nil, nil, f
	}
	var fields map[string]json.RawMessage
	var name string
	if json.Unmarshal(body, &fields) != nil || fields == nil || json.Unmarshal(fields["model"], &name) != nil {
		return nil, nil, fail(http.StatusBadRequest, codeBadRequest, "a JSON object with a model is needed")
	}
	r, f := j.route(name)
	return fields, r, f
}

// readWithin is how long a request may take to come. It is no setting of the server's, as
// that ends the answers that take longer.
const readWithin = time.Minute

func (j *job) read() ([]byte, *failure) {
	w := http.NewResponseController(j.w)
	_ = w.SetReadDeadline(time.Now().Add(readWithin)) // a unix socket's can be set
	defer w.SetReadDeadline(time.Time{})
	body, err := io.ReadAll(http.MaxBytesReader(j.w, j.r.Body, j.g.cfg.Body))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, fail(http.StatusRequestEntityTooLarge, codeBadRequest, "a request has %d bytes at most", long.Limit)
	}
	if err != nil {
		return nil, gone()
	}
	return body, nil
}

func (j *job) route(alias string) (*route, *failure) {
	if r := j.g.routes[alias]; r != nil {
		return r, nil
	}
	return nil, fail(http.StatusNotFound, codeUnknownModel, "there is no model %.64q; there are %s", alias, strings.Join(j.g.aliases(), ", "))
}

func (g *Gateway) aliases() (all []string) {
	for alias := range g.routes {
		all = append(all, alias)
	}
	slices.Sort(all)
	return all
}

func (j *job) models() *failure {
	data := []map[string]any{}
	for _, alias := range j.g.aliases() {
		data = append(data, map[string]any{"id": alias, "object": "model", "created": 0, "owned_by": "troupe"})
	}
	return j.json(map[string]any{"object": "list", "data": data})
}

func (j *job) json(v any) *failure {
	text, err := json.Marshal(v)
	if err != nil {
		return fail(http.StatusInternalServerError, codeGarbled, "the answer cannot be written")
	}
	j.send(text)
	return nil
}

func (j *job) send(body []byte) {
	j.w.Header().Set("Content-Type", "application/json")
	_, _ = j.w.Write(body) // who has gone hears nothing
}

// record makes durable what was used. It does so whether or not anybody waits for it still.
func (j *job) record(r *route, took tokens, failed bool) {
	row := Row{Day: dayOf(j.since), Bot: j.who.Bot, User: j.who.User, Session: j.who.Session,
		Prompt: took.Prompt, Completion: took.Completion, Requests: 1, Cost: r.cost(took)}
	if failed {
		row.Failed = 1
	}
	if err := j.g.store.AddUsage(context.WithoutCancel(j.r.Context()), row); err != nil {
		j.g.log.Error("what a model used could not be kept", "plugin", j.plugin, "session", j.who.Session, "err", err)
	}
	j.g.counts.add("prompt_tokens_total", r.model.Alias, float64(took.Prompt))
	j.g.counts.add("completion_tokens_total", r.model.Alias, float64(took.Completion))
	j.g.log.Debug("a model answered a bot", "trace", traceID(j.trace), "plugin", j.plugin, "session", j.who.Session, "model", r.model.Alias,
		"prompt", took.Prompt, "completion", took.Completion, "failed", failed, "took", j.g.now().Sub(j.since))
}

// traceID is the part of a traceparent that is the same from a bot's event to its answer.
func traceID(parent string) string {
	if !traceForm.MatchString(parent) {
		return ""
	}
	return parent[3:35]
}
