package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The codes of failures, in error.code of what a bot gets. docs/assistant.md has them all.
const (
	codeUnauthorized = "unauthorized"      // no token, or another plugin's
	codeNotInHand    = "not_in_hand"       // the event is none that this plugin has in hand
	codeBadRequest   = "bad_request"       //
	codeUnknownModel = "model_not_found"   // no such alias
	codeBudget       = "budget_"           // and of what: user, session, bot, all
	codeTooMany      = "too_many_requests" // of this plugin, at once
	codeUnreachable  = "unreachable"       // the provider, after all tries
	codeSilent       = "silent"            // the provider, for too long
	codeTooLong      = "too_long"          // the answer took more time or bytes than any may
	codeCut          = "cut"               // the answer has no end
	codeGarbled      = "garbled"           // what came is no answer
	codeProvider     = "provider"          // the provider says that something is wrong
	codeProviderKey  = "provider_key"      // the provider refuses our key
)

// failure is what went wrong with a request, as the bot is told.
type failure struct {
	status  int
	code    string
	message string
	again   bool          // another try may do better
	after   time.Duration // not before that; 0: nothing was said
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

func fail(status int, code, format string, args ...any) *failure {
	return &failure{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// body is the failure as the OpenAI API says it. It begins with {"error": without a space,
// which clients look for.
func (f *failure) body() []byte {
	message, err := json.Marshal(f.message)
	if err != nil {
		message = []byte(`""`)
	}
	kind := "invalid_request_error"
	switch {
	case strings.HasPrefix(f.code, codeBudget):
		kind = "insufficient_quota"
	case f.status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case f.status >= 500:
		kind = "server_error"
	}
	return fmt.Appendf(nil, `{"error":{"message":%s,"type":%q,"param":null,"code":%q}}`, message, kind, f.code)
}

// write answers a request with the failure.
func (f *failure) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.after+time.Second-1)/time.Second)))
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(f.body()) // who has gone hears nothing
}

// answered makes a failure of a provider's answer that is none. Its words may go to the bot
// whose request it was, and nowhere else; where they are about our key, to nobody.
func answered(status int, header http.Header, body []byte, key Key, now time.Time) *failure {
	said := wordsOf(body)
	if key != "" {
		said = strings.ReplaceAll(said, string(key), hiddenKey)
	}
	f := &failure{status: status, code: codeProvider, message: said, after: retryAfter(header.Get("Retry-After"), now)}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f.status, f.code, f.message = http.StatusBadGateway, codeProviderKey, "the provider refuses the key of this installation"
	case status == http.StatusTooManyRequests:
		f.again = true
	case status >= 500:
		f.status, f.again = http.StatusBadGateway, true
	case status < 400:
		f.status = http.StatusBadGateway
	}
	if f.message == "" {
		f.message = fmt.Sprintf("the provider answers %d", status)
	}
	return f
}

// framed makes a failure of an error that came in a stream.
func framed(text json.RawMessage, key Key) *failure {
	var e struct {
		Code any    `json:"code"`
		Type string `json:"type"`
	}
	_ = json.Unmarshal(text, &e) // an error may be a bare text
	status := http.StatusBadGateway
	if n, ok := e.Code.(float64); ok && n >= 400 && n < 600 {
		status = int(n)
	} else if kind := fmt.Sprint(e.Type, e.Code); strings.Contains(kind, "rate_limit") {
		status = http.StatusTooManyRequests
	} else if strings.Contains(kind, "invalid_request") {
		status = http.StatusBadRequest
	}
	return answered(status, nil, text, key, time.Time{})
}

// maxWords is in bytes: so much of what a provider says of an error is passed on.
const maxWords = 500

// wordsOf finds the words in an error's body: {"error":{"message"}}, {"error":"…"}, {"message"},
// {"detail"}, or a bare text.
func wordsOf(body []byte) string {
	var text string
	var fields map[string]json.RawMessage
	switch {
	case json.Unmarshal(body, &text) == nil:
	case json.Unmarshal(body, &fields) == nil:
		for _, name := range []string{"error", "message", "detail"} {
			if v := fields[name]; len(v) > 0 && string(v) != "null" {
				text = wordsOf(v)
				break
			}
		}
	}
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
