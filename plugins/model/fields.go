package model

import (
	"encoding/json"
	"net/url"
	"strings"
)

// profileOf says which fields a model takes. Names tell it at OpenAI's own addresses alone:
// elsewhere "o3-local-llama" is anybody's.
func profileOf(p *Provider, m *Model) string {
	for _, said := range []string{m.Profile, p.Profile} {
		if said != "" {
			return said
		}
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return ProfilePlain
	}
	host := strings.ToLower(u.Hostname())
	if host != "api.openai.com" && !strings.HasSuffix(host, ".openai.azure.com") {
		return ProfilePlain
	}
	for _, series := range []string{"o1", "o3", "o4", "gpt-5", "gpt-6"} {
		if rest, ok := strings.CutPrefix(m.Model, series); ok && (rest == "" || strings.ContainsAny(rest[:1], "-.")) {
			return ProfileReasoning
		}
	}
	return ProfileOpenAI
}

// passed are the fields of a request that reach a provider as they are. All others are the
// gateway's, or cost what nobody asked for (n, service_tier), or tell who asks (user, metadata).
var passed = []string{"messages", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "stop", "presence_penalty",
	"frequency_penalty", "response_format", "seed", "reasoning_effort", "chat_template_kwargs", "verbosity"}

// fixed are those of them that a reasoning model does not take.
var fixed = []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "stop"}

// most are the tokens of an answer to a request: what it wants, and not more than the model's.
func (r *route) most(asked map[string]json.RawMessage) int {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		var n int
		if json.Unmarshal(asked[name], &n) == nil && n > 0 {
			return min(n, r.model.MaxOutput)
		}
	}
	return r.model.MaxOutput
}

// body is what a provider is asked: always for a stream, as a sign of life is worth more than
// a byte saved, and a whole answer is made of it.
func (r *route) body(asked map[string]json.RawMessage, most int) ([]byte, error) {
	out := map[string]any{"model": r.model.Model, "stream": true}
	for _, name := range passed {
		if v := asked[name]; len(v) > 0 && string(v) != "null" {
			out[name] = v
		}
	}
	out["messages"] = withContents(asked["messages"])
	if t, ok := zero(asked["temperature"]); ok {
		out["temperature"] = t
	}
	switch r.profile {
	case ProfileReasoning:
		for _, name := range fixed {
			delete(out, name)
		}
		out["max_completion_tokens"] = most
	case ProfileOpenAI:
		out["max_completion_tokens"] = most
	default:
		out["max_tokens"] = most
	}
	if !r.provider.NoUsage {
		out["stream_options"] = map[string]bool{"include_usage": true}
	}
	return json.Marshal(out)
}

// zero is a temperature of nothing: clients that leave out a zero write the smallest float.
func zero(v json.RawMessage) (int, bool) {
	var t float64
	return 0, json.Unmarshal(v, &t) == nil && t > 0 && t < 1e-6
}

// withContents gives messages whose content was left away for being empty an empty one:
// providers refuse a message without.
func withContents(text json.RawMessage) any {
	var all []map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return text // the provider says what is wrong with it
	}
	for _, m := range all {
		if _, ok := m["content"]; !ok && m["tool_calls"] == nil {
			m["content"] = json.RawMessage(`""`)
		}
	}
	return all
}
