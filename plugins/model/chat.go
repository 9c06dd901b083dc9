package model

import (
	"encoding/json"
	"net/http"
	"time"
)

// writeWithin is how long a plugin may take to read a part of an answer.
const writeWithin = 30 * time.Second

// chat is /v1/chat/completions.
func (j *job) chat() *failure {
	asked, r, f := j.asked()
	if f != nil {
		return f
	}
	var wants struct {
		Stream  bool `json:"stream"`
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	for name, to := range map[string]any{"stream": &wants.Stream, "stream_options": &wants.Options} {
		if v := asked[name]; v != nil && json.Unmarshal(v, to) != nil {
			return fail(http.StatusBadRequest, codeBadRequest, "%s has another form", name)
		}
	}
	most := r.most(asked)
	body, err := r.body(asked, most)
	if err != nil {
		return fail(http.StatusBadRequest, codeBadRequest, "the request has another form")
	}
	leave, f := j.gate.enter(j.r.Context())
	if f != nil {
		return f
	}
	defer leave()
	j.g.counts.add("in_flight", j.plugin, 1)
	defer j.g.counts.add("in_flight", j.plugin, -1)
	prompt := promptOf(asked)
	held, f := j.g.ledger.hold(j.who, prompt+int64(most))
	if f != nil {
		return f
	}
	s, begun, f := j.g.ask(j.r.Context(), r, r.question("/chat/completions", "application/json", j.trace, body))
	if f != nil {
		var took tokens
		if begun || f.status == statusGone { // the provider may have counted it
			took.Prompt = prompt
		}
		j.record(r, took, true)
		held.settle(took.Prompt)
		return f
	}
	defer s.end()
	// settled makes it durable what was used, before the bot hears that it is over.
	settled := func(f *failure) tokens {
		took := tokens{prompt, s.weight}
		if s.took != nil {
			took = *s.took
		}
		j.record(r, took, f != nil)
		held.settle(took.Prompt + took.Completion)
		return took
	}
	if wants.Stream {
		return j.pass(s, wants.Options.Usage, settled)
	}
	var a answer
	for {
		c, f := s.next()
		if f != nil {
			settled(f)
			return f
		}
		if c == nil {
			j.send(a.body(settled(nil)))
			return nil
		}
		a.add(c)
	}
}

// pass passes a stream on.
func (j *job) pass(s *stream, usage bool, settled func(*failure) tokens) *failure {
	w := http.NewResponseController(j.w)
	j.w.Header().Set("Content-Type", "text/event-stream")
	j.w.Header().Set("Cache-Control", "no-cache")
	j.w.WriteHeader(http.StatusOK)
	event := func(text []byte) bool {
		_ = w.SetWriteDeadline(time.Now().Add(writeWithin)) // a unix socket's can be set
		_, err := j.w.Write(append(append([]byte("data: "), text...), '\n', '\n'))
		return err == nil && w.Flush() == nil
	}
	for {
		c, f := s.next()
		if f != nil {
			settled(f)
			event(f.body())
			return f
		}
		if c == nil {
			break
		}
		if len(c.parts.Choices) == 0 { // its usage comes at the end, to who wants it
			continue
		}
		if !event(c.text) {
			f := gone()
			settled(f)
			return f
		}
	}
	took := settled(nil)
	if usage {
		text, err := json.Marshal(map[string]any{"object": "chat.completion.chunk", "choices": []any{}, "usage": usageOf(took)})
		if err != nil {
			return fail(http.StatusInternalServerError, codeGarbled, "the usage cannot be written")
		}
		event(text)
	}
	event([]byte("[DONE]"))
	return nil
}
