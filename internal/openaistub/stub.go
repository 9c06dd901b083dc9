// Package openaistub is a model's provider that says what it was told to say: an
// OpenAI-compatible HTTP server for tests, with every way in which real ones misbehave
// (traps.go). Nothing in it depends on time: what comes late comes when a channel says so.
package openaistub

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Turn is what the server does with one request.
type Turn []Step

// Step is a part of a Turn. Its end ends the answer, too, if it says so.
type Step func(c *Call) (end bool)

// Call is one request and its answer.
type Call struct {
	W       http.ResponseWriter
	R       *http.Request
	Request *Request
	begun   bool
}

// Request is what was asked.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
	Chat   Chat            // of /chat/completions
	Gone   <-chan struct{} // closed when the client has gone or has the whole answer
}

// Chat is what the body of a chat request says, as far as tests ask.
type Chat struct {
	Model               string                     `json:"model"`
	Messages            []Message                  `json:"messages"`
	Stream              bool                       `json:"stream"`
	MaxTokens           *int                       `json:"max_tokens"`
	MaxCompletionTokens *int                       `json:"max_completion_tokens"`
	Temperature         *float64                   `json:"temperature"`
	TopP                *float64                   `json:"top_p"`
	Tools               []json.RawMessage          `json:"tools"`
	Rest                map[string]json.RawMessage `json:"-"` // all of it, by field
}

// Message is one of a request.
type Message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"` // a text or parts
	Name    string          `json:"name"`
	Calls   json.RawMessage `json:"tool_calls"`
	CallID  string          `json:"tool_call_id"`
}

// Text is the message's words, those of its parts together.
func (m Message) Text() string {
	var text string
	if json.Unmarshal(m.Content, &text) == nil {
		return text
	}
	var parts []struct{ Text string }
	if json.Unmarshal(m.Content, &parts) != nil {
		return ""
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Pictures are the addresses of the pictures in it.
func (m Message) Pictures() (all []string) {
	var parts []struct {
		Type     string
		ImageURL struct{ URL string } `json:"image_url"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return nil
	}
	for _, p := range parts {
		if p.Type == "image_url" {
			all = append(all, p.ImageURL.URL)
		}
	}
	return all
}

// Server does one Turn a request, in order, and the last again and again.
type Server struct {
	URL  string // the base of a client's: …/v1
	http *httptest.Server

	mu    sync.Mutex
	turns []Turn
	asked []*Request
	over  chan struct{}
	new   chan *Request
}

// Start makes a server. Close it.
func Start(turns ...Turn) *Server {
	s := &Server{turns: turns, over: make(chan struct{}), new: make(chan *Request, 1024)}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL + "/v1"
	return s
}

// Close ends what hangs, and the server.
func (s *Server) Close() {
	close(s.over)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Play has other turns come from the next request on.
func (s *Server) Play(turns ...Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns = turns
}

// Asked are the requests so far.
func (s *Server) Asked() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Request(nil), s.asked...)
}

// Next has each request once, as it comes.
func (s *Server) Next() <-chan *Request { return s.new }

// ServeHTTP fills http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := &Request{Path: strings.TrimPrefix(r.URL.Path, "/v1"), Header: r.Header.Clone(), Body: body, Gone: r.Context().Done()}
	_ = json.Unmarshal(body, &q.Chat) // other requests are no chats
	_ = json.Unmarshal(body, &q.Chat.Rest)
	s.mu.Lock()
	s.asked = append(s.asked, q)
	var turn Turn
	if len(s.turns) > 0 {
		turn = s.turns[0]
		if len(s.turns) > 1 {
			s.turns = s.turns[1:]
		}
	}
	s.mu.Unlock()
	select {
	case s.new <- q:
	default: // nobody reads them
	}
	c := &Call{W: w, R: r, Request: q}
	for _, step := range turn {
		select {
		case <-s.over:
			return
		default:
		}
		if step(c) {
			return
		}
	}
}

// begin says 200 and that events follow, once.
func (c *Call) begin() {
	if !c.begun {
		c.begun = true
		c.W.Header().Set("Content-Type", "text/event-stream")
		c.W.WriteHeader(http.StatusOK)
	}
}

// Write sends text as it is, at once.
func (c *Call) Write(text string) {
	c.begin()
	_, _ = io.WriteString(c.W, text) // who has gone hears nothing
	c.W.(http.Flusher).Flush()
}

// Chunk sends v as an event.
func (c *Call) Chunk(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("openaistub: %v", err))
	}
	c.Write("data: " + string(text) + "\n\n")
}
