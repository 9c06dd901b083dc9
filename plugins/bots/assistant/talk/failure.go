package talk

import (
	"context"
	"errors"
	"net/http"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

// Kind is what people may be told of a failure.
type Kind string

// The kinds.
const (
	Budget  Kind = "budget"  // today's tokens are used up
	Busy    Kind = "busy"    // too much at once, here or there
	Cut     Kind = "cut"     // the answer has no end
	Silent  Kind = "silent"  // it took too long
	TooLong Kind = "toolong" // what was asked is more than the model takes
	Refused Kind = "refused" // the provider does not want it
	Down    Kind = "down"    // it cannot be reached, or does not take our key
	NoModel Kind = "nomodel" // there is no such model here
)

// Failure is why there is no answer. Words are a provider's or the gateway's, for the log of
// a developer; people are told by Kind.
type Failure struct {
	Kind   Kind
	Whose  string // with Budget: user, session, bot or all
	Status int
	Words  string
}

func (f *Failure) Error() string { return "talk: " + string(f.Kind) + ": " + f.Words }

// failed makes a Failure of an error of go-openai's; what outer ended of is outer's error.
func failed(outer, inner context.Context, err error) error {
	if cause := context.Cause(outer); cause != nil {
		return cause
	}
	if context.Cause(inner) == errIdle {
		return &Failure{Kind: Silent, Words: errIdle.Error()}
	}
	f := &Failure{Kind: Down, Words: err.Error()}
	var api *openai.APIError
	var request *openai.RequestError
	code := ""
	if errors.As(err, &api) {
		f.Status, f.Words = api.HTTPStatusCode, api.Message
		code, _ = api.Code.(string)
	} else if errors.As(err, &request) {
		f.Status = request.HTTPStatusCode
	} else {
		f.Kind = Cut
		if strings.Contains(err.Error(), "dial") || strings.Contains(err.Error(), "connect") {
			f.Kind = Down
		}
		return f
	}
	switch {
	case strings.HasPrefix(code, "budget_"):
		f.Kind, f.Whose = Budget, strings.TrimPrefix(code, "budget_")
	case code == "cut" || code == "garbled":
		f.Kind = Cut
	case code == "silent" || code == "too_long":
		f.Kind = Silent
	case code == "model_not_found":
		f.Kind = NoModel
	case f.Status == http.StatusTooManyRequests || code == "too_many_requests":
		f.Kind = Busy
	case strings.Contains(f.Words, "context") && strings.Contains(f.Words, "length") || strings.Contains(code, "context_length") || f.Status == http.StatusRequestEntityTooLarge:
		f.Kind = TooLong
	case f.Status >= 400 && f.Status < 500:
		f.Kind = Refused
	case f.Status == 0: // in the middle of a stream
		f.Kind = Cut
	}
	return f
}
