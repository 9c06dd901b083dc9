// Package talk is how our bots ask a model: go-openai with its traps guarded. It leans on
// nothing that a provider or a gateway promises: an answer is one only when its end came, a
// stream is always closed, and who does not want it any more ends it by the context.
package talk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// The aliases that the host's gateway has.
const (
	Default = "default"
	Fast    = "fast"
	Vision  = "vision"
	Speech  = "speech"
)

// The roles of messages.
const (
	System    = openai.ChatMessageRoleSystem
	User      = openai.ChatMessageRoleUser
	Assistant = openai.ChatMessageRoleAssistant
	ToolSays  = openai.ChatMessageRoleTool
)

// Message is one of a conversation.
type Message struct {
	Role     string
	Text     string
	Pictures []string // data URLs
	Calls    []Call   // of an answer
	Call     string   // with ToolSays: the id of the call that it answers
}

// Call is a tool that a model wants used.
type Call struct {
	ID   string
	Name string
	Args string // JSON, as far as the model kept to it
}

// Tool is one that it may use. Name has 64 of a-z, A-Z, 0-9, _ and - at most.
type Tool struct {
	Name   string
	Help   string
	Schema json.RawMessage // of its arguments
}

// Request is what is asked.
type Request struct {
	Model     string // an alias; "": Default
	Messages  []Message
	Tools     []Tool
	MaxTokens int      // of the answer
	Warmth    *float64 // the temperature; nil: the model's own
}

// Answer is what came, whole or not.
type Answer struct {
	Text       string
	Calls      []Call
	Finish     string // stop, length, tool_calls, content_filter; "": its end did not come
	Model      string
	Prompt     int64 // tokens
	Completion int64
}

// Client asks one gateway.
type Client struct {
	api  *openai.Client
	idle time.Duration // between two signs of a stream
}

// Idle is longer than what the gateway waits for a provider, so that it is the one to say why.
const Idle = 75 * time.Second

// manyEmpty is no bound: the gateway and Idle have theirs, and comments are no emptiness.
const manyEmpty = 1_000_000

// maxSilent is how many chunks in a row may say nothing.
const maxSilent = 200

// New makes a client of an address like http://model/v1. idle 0 is Idle. client has no timeout
// of its own, which would cut long answers.
func New(base, token string, client *http.Client, idle time.Duration) *Client {
	cfg := openai.DefaultConfig(token) // never another APIType: Anthropic's sends no key at all
	cfg.BaseURL, cfg.HTTPClient, cfg.EmptyMessagesLimit = base, client, manyEmpty
	if idle == 0 {
		idle = Idle
	}
	return &Client{api: openai.NewClientWithConfig(cfg), idle: idle}
}

// errIdle says that a stream stopped moving.
var errIdle = errors.New("the stream stands still")

// Ask asks, and gives each part of the answer to say as it comes; an error of say ends it. With
// an error, a *Failure or ctx's, the answer is what came until then.
func (c *Client) Ask(ctx context.Context, q Request, say func(part string) error) (_ *Answer, err error) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(c.idle*4, func() { cancel(errIdle) }) // before the first token the gateway may try again
	defer func() {
		watch.Stop()
		cancel(nil)
	}()
	a := &Answer{}
	s, err := c.api.CreateChatCompletionStream(ctx, q.wire())
	if err != nil {
		return a, failed(outer, ctx, err)
	}
	defer s.Close()
	var calls merge
	for silent := 0; ; {
		part, err := s.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			a.Calls = calls.all
			return a, failed(outer, ctx, err)
		}
		watch.Reset(c.idle)
		if part.Model != "" {
			a.Model = part.Model
		}
		if part.Usage != nil {
			a.Prompt, a.Completion = int64(part.Usage.PromptTokens), int64(part.Usage.CompletionTokens)
		}
		if silent++; silent > maxSilent {
			return a, &Failure{Kind: Cut, Words: "the model says nothing, again and again"}
		}
		if len(part.Choices) == 0 {
			continue
		}
		choice := part.Choices[0]
		for _, d := range choice.Delta.ToolCalls {
			calls.add(d)
			silent = 0
		}
		if choice.FinishReason != "" && choice.FinishReason != openai.FinishReasonNull {
			a.Finish, silent = string(choice.FinishReason), 0
		}
		if choice.Delta.ReasoningContent != "" { // it thinks; nobody is shown that
			silent = 0
		}
		if text := choice.Delta.Content + choice.Delta.Refusal; text != "" {
			silent = 0
			a.Text += text
			if err := say(text); err != nil {
				return a, err
			}
		}
	}
	a.Calls = calls.all
	if a.Finish == "" { // io.EOF alone is no success
		return a, &Failure{Kind: Cut, Words: "the answer broke off"}
	}
	return a, nil
}

// Models gives the aliases that there are.
func (c *Client) Models(ctx context.Context) (map[string]bool, error) {
	list, err := c.api.ListModels(ctx)
	if err != nil {
		return nil, failed(ctx, ctx, err)
	}
	all := map[string]bool{}
	for _, m := range list.Models {
		all[m.ID] = true
	}
	return all, nil
}

// Hear gives the words in a sound.
func (c *Client) Hear(ctx context.Context, name string, sound io.Reader) (string, error) {
	r, err := c.api.CreateTranscription(ctx, openai.AudioRequest{Model: Speech, FilePath: name, Reader: sound})
	if err != nil {
		return "", failed(ctx, ctx, err)
	}
	return strings.TrimSpace(r.Text), nil
}

// wire is the request as go-openai has it. It never has an empty text, which vanishes, nor a
// temperature of 0, which does too.
func (q Request) wire() openai.ChatCompletionRequest {
	r := openai.ChatCompletionRequest{Model: q.Model, MaxCompletionTokens: q.MaxTokens, Stream: true, StreamOptions: &openai.StreamOptions{IncludeUsage: true}}
	if r.Model == "" {
		r.Model = Default
	}
	if q.Warmth != nil {
		r.Temperature = max(float32(*q.Warmth), math.SmallestNonzeroFloat32)
	}
	for _, m := range q.Messages {
		w := openai.ChatCompletionMessage{Role: m.Role, Content: m.Text, ToolCallID: m.Call}
		for _, c := range m.Calls {
			w.ToolCalls = append(w.ToolCalls, openai.ToolCall{ID: c.ID, Type: openai.ToolTypeFunction, Function: openai.FunctionCall{Name: c.Name, Arguments: c.Args}})
		}
		if len(m.Pictures) > 0 {
			w.Content = ""
			if m.Text != "" {
				w.MultiContent = append(w.MultiContent, openai.ChatMessagePart{Type: openai.ChatMessagePartTypeText, Text: m.Text})
			}
			for _, p := range m.Pictures {
				w.MultiContent = append(w.MultiContent, openai.ChatMessagePart{Type: openai.ChatMessagePartTypeImageURL, ImageURL: &openai.ChatMessageImageURL{URL: p}})
			}
		} else if m.Text == "" && len(m.Calls) == 0 {
			if m.Role != ToolSays {
				continue
			}
			w.Content = "(nothing)" // the call needs its answer
		}
		r.Messages = append(r.Messages, w)
	}
	for _, t := range q.Tools {
		r.Tools = append(r.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: &openai.FunctionDefinition{Name: t.Name, Description: t.Help, Parameters: t.Schema}})
	}
	return r
}

// maxCalls is how many tools one answer may call.
const maxCalls = 16

// merge puts the parts of calls together.
type merge struct{ all []Call }

// add adds a part to the call with its index; where there is none, to the last, unless it has
// an id of its own.
func (m *merge) add(d openai.ToolCall) {
	at := len(m.all) - 1
	if d.Index != nil {
		at = *d.Index
	} else if d.ID != "" || at < 0 {
		at++
	}
	if at < 0 || at > len(m.all) || at >= maxCalls {
		return
	}
	if at == len(m.all) {
		m.all = append(m.all, Call{})
	}
	c := &m.all[at]
	if d.ID != "" {
		c.ID = d.ID
	}
	c.Name += d.Function.Name
	c.Args += d.Function.Arguments
}
