package openaistub

import (
	"encoding/json"
	"net/http"
	"strings"
)

type m = map[string]any

func chunk(delta m, finish any) m {
	return m{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "stub-1",
		"choices": []m{{"index": 0, "delta": delta, "finish_reason": finish}}}
}

// Text streams parts of an answer, one chunk each.
func Text(parts ...string) Step {
	return func(c *Call) bool {
		for _, p := range parts {
			c.Chunk(chunk(m{"content": p}, nil))
		}
		return false
	}
}

// Tool streams a part of a tool call. Its first part has id and name.
func Tool(index int, id, name, args string) Step {
	return func(c *Call) bool {
		call := m{"index": index, "function": m{"arguments": args}}
		if id != "" {
			call["id"], call["type"], call["function"] = id, "function", m{"name": name, "arguments": args}
		}
		c.Chunk(chunk(m{"tool_calls": []m{call}}, nil))
		return false
	}
}

// Finish says why the answer ends: stop, length, tool_calls.
func Finish(reason string) Step {
	return func(c *Call) bool { c.Chunk(chunk(m{}, reason)); return false }
}

// Usage is the chunk that has no choices.
func Usage(prompt, completion int) Step {
	return func(c *Call) bool {
		c.Chunk(m{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "stub-1", "choices": []m{},
			"usage": m{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}})
		return false
	}
}

// Done ends the stream as it should end.
func Done() Step { return func(c *Call) bool { c.Write("data: [DONE]\n\n"); return true } }

// Cut ends the answer, as a proxy does that has had enough: without an error.
func Cut() Step { return func(c *Call) bool { c.begin(); return true } }

// Abort breaks the connection.
func Abort() Step { return func(*Call) bool { panic(http.ErrAbortHandler) } }

// Raw sends text as it is.
func Raw(text string) Step { return func(c *Call) bool { c.Write(text); return false } }

// Comments are signs of life.
func Comments(n int) Step { return Raw(strings.Repeat(": keep-alive\n\n", n)) }

// Empty sends chunks that say nothing.
func Empty(n int) Step {
	return func(c *Call) bool {
		for range n {
			c.Chunk(m{"id": "c1", "object": "chat.completion.chunk", "choices": []m{}})
		}
		return false
	}
}

// Headers sends the status and nothing else yet.
func Headers() Step {
	return func(c *Call) bool { c.begin(); c.W.(http.Flusher).Flush(); return false }
}

// Wait goes on when a channel is closed or gives something, or the client goes.
func Wait(until <-chan struct{}) Step {
	return func(c *Call) bool {
		select {
		case <-until:
			return false
		case <-c.R.Context().Done():
			return true
		}
	}
}

// Hang says nothing more until the client goes.
func Hang() Step { return func(c *Call) bool { <-c.R.Context().Done(); return true } }

// Status answers with a status and a body instead of a stream. Headers come in pairs.
func Status(code int, body string, headers ...string) Step {
	return func(c *Call) bool {
		c.W.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			c.W.Header().Set(headers[i], headers[i+1])
		}
		c.W.WriteHeader(code)
		_, _ = c.W.Write([]byte(body))
		return true
	}
}

// Do calls f between two steps.
func Do(f func(*Request)) Step {
	return func(c *Call) bool { f(c.Request); return false }
}

// Error is the body of a provider's error.
func Error(message, kind, code string) string {
	text, err := json.Marshal(m{"error": m{"message": message, "type": kind, "code": code}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Whole is an answer that is not streamed.
func Whole(text string, prompt, completion int) Step {
	body, err := json.Marshal(m{"id": "c1", "object": "chat.completion", "created": 1, "model": "stub-1",
		"choices": []m{{"index": 0, "message": m{"role": "assistant", "content": text}, "finish_reason": "stop"}},
		"usage":   m{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}})
	if err != nil {
		panic(err)
	}
	return Status(http.StatusOK, string(body))
}

// Answer is a good answer in parts, with its usage.
func Answer(prompt, completion int, parts ...string) Turn {
	return Turn{Text(parts...), Finish("stop"), Usage(prompt, completion), Done()}
}

// CallTool is one call of a tool, its arguments in two parts.
func CallTool(id, name, args string) Turn {
	half := len(args) / 2
	return Turn{Tool(0, id, name, ""), Tool(0, "", "", args[:half]), Tool(0, "", "", args[half:]), Finish("tool_calls"), Usage(20, 5), Done()}
}
