package model

import (
	"encoding/json"
	"net/http"
	"strings"
)

// tokens is what an answer took.
type tokens struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

// chunk is one event of a provider's stream.
type chunk struct {
	text   []byte // as it is passed on; nil: it is not
	says   bool   // it has a token in it, or the end: what came before may be asked for again
	weight int64  // tokens in it, estimated
	finish string
	took   *tokens
	parts  wireChunk
}

type wireChunk struct {
	ID      string       `json:"id"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []wireChoice `json:"choices"`
	Usage   *tokens      `json:"usage"`
}

type wireChoice struct {
	Delta   wireMessage `json:"delta"`
	Message wireMessage `json:"message"` // of an answer that is not streamed
	Finish  string      `json:"finish_reason"`
}

type wireMessage struct {
	Content   string     `json:"content"`
	Refusal   string     `json:"refusal"`
	Reasoning string     `json:"reasoning_content"`
	Calls     []wireCall `json:"tool_calls"`
}

type wireCall struct {
	Index    *int   `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name string `json:"name,omitempty"`
		Args string `json:"arguments"`
	} `json:"function"`
}

func (m *wireMessage) empty() bool {
	return m.Content == "" && m.Refusal == "" && m.Reasoning == "" && len(m.Calls) == 0
}

func (m *wireMessage) weight() int64 {
	n := tokensOf(m.Content) + tokensOf(m.Refusal) + tokensOf(m.Reasoning)
	for _, c := range m.Calls {
		n += tokensOf(c.Function.Name) + tokensOf(c.Function.Args)
	}
	return n
}

// parseChunk reads an event's data; name is the event's. An error that a provider tells in
// any of its ways is a failure.
func parseChunk(name string, data []byte, key Key) (*chunk, *failure) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		if name == "error" {
			return nil, framed(data, key)
		}
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's stream has something in it that is no JSON")
	}
	if e := fields["error"]; len(e) > 0 && string(e) != "null" {
		return nil, framed(e, key)
	}
	if name == "error" {
		return nil, framed(data, key)
	}
	c := &chunk{}
	if err := json.Unmarshal(data, &c.parts); err != nil {
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's stream has a chunk in it that has another form")
	}
	c.took = c.parts.Usage
	for i := range c.parts.Choices {
		choice := &c.parts.Choices[i]
		c.weight += choice.Delta.weight()
		if choice.Finish != "" {
			c.finish = choice.Finish
		}
		c.says = c.says || choice.Finish != "" || !choice.Delta.empty()
	}
	if len(c.parts.Choices) == 0 && c.took == nil {
		return c, nil // it says nothing, and is not passed on
	}
	delete(fields, "error") // null: clients look for the word
	if len(c.parts.Choices) == 0 {
		fields["choices"] = json.RawMessage("[]")
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's stream has a chunk in it that has another form")
	}
	c.text = text
	return c, nil
}

// sliced makes the chunks of an answer that came whole though a stream was asked for.
func sliced(body []byte, key Key) ([]*chunk, *failure) {
	var w wireChunk
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's answer is no JSON")
	}
	if e := fields["error"]; len(e) > 0 && string(e) != "null" {
		return nil, framed(e, key)
	}
	if err := json.Unmarshal(body, &w); err != nil || len(w.Choices) == 0 {
		return nil, fail(http.StatusBadGateway, codeGarbled, "the provider's answer has another form")
	}
	m, finish := w.Choices[0].Message, w.Choices[0].Finish
	for i := range m.Calls {
		m.Calls[i].Index = &i
	}
	event := func(choices []any, took *tokens) []byte {
		said := map[string]any{"id": w.ID, "object": "chat.completion.chunk", "created": w.Created, "model": w.Model, "choices": choices}
		if took != nil {
			said["usage"] = usageOf(*took)
		}
		text, err := json.Marshal(said)
		if err != nil {
			return nil
		}
		return text
	}
	delta := map[string]any{"role": "assistant"}
	for name, v := range map[string]string{"content": m.Content, "refusal": m.Refusal, "reasoning_content": m.Reasoning} {
		if v != "" {
			delta[name] = v
		}
	}
	if len(m.Calls) > 0 {
		delta["tool_calls"] = m.Calls
	}
	all := [][]byte{event([]any{map[string]any{"index": 0, "delta": delta, "finish_reason": nil}}, nil)}
	if finish != "" {
		all = append(all, event([]any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": finish}}, nil))
	}
	if w.Usage != nil {
		all = append(all, event([]any{}, w.Usage))
	}
	var chunks []*chunk
	for _, text := range all {
		c, f := parseChunk("", text, key)
		if f != nil {
			return nil, f
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

func usageOf(t tokens) map[string]int64 {
	return map[string]int64{"prompt_tokens": t.Prompt, "completion_tokens": t.Completion, "total_tokens": t.Prompt + t.Completion}
}

// answer gathers chunks to a whole answer, for who does not want a stream.
type answer struct {
	id, model                string
	created                  int64
	content, refusal, reason strings.Builder
	calls                    []wireCall
	finish                   string
}

func (a *answer) add(c *chunk) {
	if c.parts.ID != "" {
		a.id, a.model, a.created = c.parts.ID, c.parts.Model, c.parts.Created
	}
	if len(c.parts.Choices) == 0 {
		return
	}
	d := c.parts.Choices[0].Delta
	a.content.WriteString(d.Content)
	a.refusal.WriteString(d.Refusal)
	a.reason.WriteString(d.Reasoning)
	for _, call := range d.Calls {
		a.call(call)
	}
	if c.finish != "" {
		a.finish = c.finish
	}
}

// call adds a part of a call: to the one with its index, or where there is none to the
// last, unless it has an id of its own.
func (a *answer) call(part wireCall) {
	at := len(a.calls) - 1
	if part.Index != nil {
		at = *part.Index
	} else if part.ID != "" || at < 0 {
		at++
	}
	if at < 0 || at > len(a.calls) || at >= maxCalls {
		return
	}
	if at == len(a.calls) {
		a.calls = append(a.calls, wireCall{Type: "function"})
	}
	to := &a.calls[at]
	if part.ID != "" {
		to.ID = part.ID
	}
	to.Function.Name += part.Function.Name
	to.Function.Args += part.Function.Args
}

// maxCalls is how many tools one answer may call.
const maxCalls = 64

// body is the answer as the OpenAI API has it.
func (a *answer) body(took tokens) []byte {
	m := map[string]any{"role": "assistant", "content": a.content.String()}
	if a.refusal.Len() > 0 {
		m["refusal"] = a.refusal.String()
	}
	if a.reason.Len() > 0 {
		m["reasoning_content"] = a.reason.String()
	}
	if len(a.calls) > 0 {
		m["tool_calls"] = a.calls
	}
	text, err := json.Marshal(map[string]any{"id": a.id, "object": "chat.completion", "created": a.created, "model": a.model,
		"choices": []any{map[string]any{"index": 0, "message": m, "finish_reason": a.finish}}, "usage": usageOf(took)})
	if err != nil {
		return nil
	}
	return text
}
