package model

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
)

var (
	errSilent  = errors.New("the provider is silent")
	errTooLong = errors.New("the answer takes too long")
)

// statusGone is what nginx writes of a client that has gone; nobody reads it.
const statusGone = 499

func gone() *failure { return fail(statusGone, "gone", "the client has gone") }

// stream is a provider's answer, from its first token on.
type stream struct {
	key    Key
	answer *egress.Answer
	events *events
	ctx    context.Context
	end    func()
	ahead  []*chunk // read already
	plain  bool     // all of it is in ahead
	over   bool     // [DONE] came
	empty  int      // chunks in a row that say nothing

	finish string
	weight int64 // tokens that came, estimated
	took   *tokens
}

// maxEmpty is how many chunks in a row may say nothing.
const maxEmpty = 100

// ask asks until there is a first token, several times where that is right. begun says that
// the provider had begun with an answer, and so may count it.
func (g *Gateway) ask(ctx context.Context, r *route, q egress.Question) (s *stream, begun bool, f *failure) {
	for try := 0; ; try++ {
		s, begun, f = g.try(ctx, r, q)
		if f == nil || !g.again(ctx, try, f) {
			return s, begun, f
		}
	}
}

// again waits for another try; false: there is none.
func (g *Gateway) again(ctx context.Context, try int, f *failure) bool {
	wait := f.after
	if wait == 0 {
		wait = g.cfg.Pause << try
	}
	if !f.again || try >= g.cfg.Again || wait > g.cfg.Wait || g.sleep(ctx, wait) != nil {
		return false
	}
	g.counts.add("retries_total", "", 1)
	return true
}

// try asks once.
func (g *Gateway) try(ctx context.Context, r *route, q egress.Question) (_ *stream, begun bool, f *failure) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(g.cfg.Header, func() { cancel(errSilent) })
	s := &stream{key: r.provider.Key, ctx: ctx}
	s.end = func() {
		watch.Stop()
		cancel(nil)
		if s.answer != nil {
			s.answer.Close()
		}
	}
	defer func() {
		if f != nil {
			s.end()
		}
	}()
	var err error
	if s.answer, err = g.out.Do(ctx, q); err != nil {
		return nil, false, wentWrong(ctx, err)
	}
	watch.Reset(g.cfg.Idle)
	body := bufio.NewReader(io.LimitReader(s.answer.Stream(), maxAnswer))
	if s.answer.Status != http.StatusOK || !streams(body) {
		text, err := io.ReadAll(io.LimitReader(body, maxLine))
		if err != nil {
			return nil, false, wentWrong(ctx, err)
		}
		if s.answer.Status != http.StatusOK {
			return nil, false, answered(s.answer.Status, s.answer.Header, text, s.key, g.now())
		}
		if s.ahead, f = sliced(text, s.key); f != nil {
			return nil, true, f
		}
		s.plain = true
		return s, true, nil
	}
	s.events = newEvents(body, func() { watch.Reset(g.cfg.Idle) })
	var first []*chunk
	for {
		c, f := s.next()
		if f == nil && c == nil { // a good end without a word: next sees to it that there was a finish
			break
		}
		if f != nil {
			f.again = f.again || f.code == codeCut
			return nil, true, f
		}
		if first = append(first, c); c.says {
			break
		}
	}
	s.ahead = first
	return s, true, nil
}

// streams says whether a body is a stream of events. It is told by its first letter: not all who
// stream say so in their header, and not all who say so stream.
func streams(body *bufio.Reader) bool {
	for {
		first, err := body.Peek(1)
		if err != nil {
			return true // and it has an end already
		}
		switch first[0] {
		case ' ', '\r', '\n', '\t':
			if _, err := body.Discard(1); err != nil {
				return true
			}
		case '{', '[', '<':
			return false
		default:
			return true
		}
	}
}

// next gives the next chunk; nil and no failure: the answer is whole.
func (s *stream) next() (*chunk, *failure) {
	if len(s.ahead) > 0 {
		c := s.ahead[0]
		s.ahead = s.ahead[1:]
		if s.plain {
			s.count(c)
		}
		return c, nil
	}
	for !s.over && !s.plain {
		name, data, err := s.events.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, s.wentWrong(err)
		}
		if isDone(data) {
			s.over = true
			break
		}
		if len(data) == 0 {
			continue
		}
		c, f := parseChunk(name, data, s.key)
		if f != nil {
			return nil, f
		}
		s.count(c)
		if !c.says && c.took == nil {
			if s.empty++; s.empty > maxEmpty {
				return nil, fail(http.StatusBadGateway, codeGarbled, "the provider says nothing, again and again")
			}
		} else {
			s.empty = 0
		}
		if c.text != nil {
			return c, nil
		}
	}
	if s.finish == "" {
		return nil, fail(http.StatusBadGateway, codeCut, "the provider's answer broke off")
	}
	return nil, nil
}

func (s *stream) count(c *chunk) {
	s.weight += c.weight
	if c.finish != "" {
		s.finish = c.finish
	}
	if c.took != nil {
		s.took = c.took
	}
}

func (s *stream) wentWrong(err error) *failure {
	f := wentWrong(s.ctx, err)
	if f.code == codeUnreachable {
		f.code, f.message = codeCut, "the provider's answer broke off"
	}
	return f
}

// wentWrong makes a failure of what kept an answer from coming.
func wentWrong(ctx context.Context, err error) *failure {
	var refused *egress.Refused
	switch cause := context.Cause(ctx); {
	case cause == errSilent:
		return fail(http.StatusGatewayTimeout, codeSilent, "the provider says nothing for too long")
	case cause == errTooLong:
		return fail(http.StatusGatewayTimeout, codeTooLong, "the provider's answer takes too long")
	case cause != nil:
		return gone()
	case errors.As(err, &refused):
		return fail(http.StatusBadGateway, codeUnreachable, "the provider's address is not one that may be asked")
	case errors.Is(err, egress.ErrBusy):
		return fail(http.StatusServiceUnavailable, codeTooMany, "too many requests wait for the provider")
	case errors.Is(err, errLine):
		return fail(http.StatusBadGateway, codeTooLong, "the provider's answer has a line that is too long")
	}
	f := fail(http.StatusBadGateway, codeUnreachable, "the provider cannot be reached")
	f.again = true
	return f
}

// question is what a route's provider is asked.
func (r *route) question(path, kind, traceparent string, body []byte) egress.Question {
	h := http.Header{"Content-Type": {kind}, "Accept": {"text/event-stream, application/json"}}
	if p := r.provider; p.Key != "" {
		if p.KeyHeader == "" || strings.EqualFold(p.KeyHeader, "Authorization") {
			h.Set("Authorization", "Bearer "+string(p.Key))
		} else {
			h.Set(p.KeyHeader, string(p.Key))
		}
	}
	if traceparent != "" {
		h.Set("Traceparent", traceparent)
	}
	return egress.Question{Method: http.MethodPost, URL: strings.TrimRight(r.provider.URL, "/") + path, Header: h, Body: body}
}
