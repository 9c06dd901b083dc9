package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Pace of a stream: what is written within beat goes out together, as nobody reads
// quicker (20 times a second); a part is at most part bytes long.
const (
	beat = 50 * time.Millisecond
	part = 32 << 10
)

// Stream is an answer that people see while it is written. It is an io.Writer of UTF-8,
// whose letters may be cut anywhere; Close makes it a message. A function that ends
// well closes it; one that ends by Stop has what was written so far stay, marked as
// cancelled; after an error the event comes again, and the answer begins anew.
type Stream struct {
	// ReplyTo and VariantOf are as in Post, and set before the first Write.
	ReplyTo   string
	VariantOf string

	c *Ctx
	n uint32

	mu    sync.Mutex
	text  strings.Builder
	half  []byte // the beginning of a letter
	sent  int    // bytes of text that the host has
	last  time.Time
	timer *time.Timer
	shut  bool
	err   error
}

// Stream begins an answer.
func (c *Ctx) Stream() *Stream {
	s := &Stream{c: c, n: c.said.next()}
	c.said.mu.Lock()
	c.said.streams = append(c.said.streams, s)
	c.said.mu.Unlock()
	return s
}

// Write takes a part of the text. Its error is ErrStopped when nobody wants the rest.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return 0, errors.New("sdk: write to a stream that is closed")
	}
	if s.c.Err() != nil {
		return 0, over(s.c)
	}
	if s.err != nil {
		return 0, s.err
	}
	whole := append(s.half, p...)
	cut := len(whole) - incomplete(whole)
	s.half = append([]byte(nil), whole[cut:]...)
	s.text.WriteString(clean(string(whole[:cut])))
	s.flow()
	return len(p), nil
}

// WriteString is Write of a string.
func (s *Stream) WriteString(text string) (int, error) { return s.Write([]byte(text)) }

// Text is what was written so far.
func (s *Stream) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// incomplete is how many bytes at the end of b begin a letter that is not all there.
func incomplete(b []byte) int {
	for i := 1; i <= min(len(b), utf8.UTFMax-1); i++ {
		tail := b[len(b)-i:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return i
		}
	}
	return 0
}

// flow sends what has come since the last beat, now or at the next one.
func (s *Stream) flow() {
	if s.timer != nil || s.text.Len() == s.sent {
		return
	}
	if wait := beat - time.Since(s.last); wait > 0 && s.text.Len()-s.sent < part {
		s.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.timer = nil
			if !s.shut {
				s.flush()
			}
		})
		return
	}
	s.flush()
}

func (s *Stream) flush() {
	text := s.text.String()
	for s.sent < len(text) && s.err == nil {
		end := min(len(text), s.sent+part)
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		call := s.c.call()
		call.Do = &botv1.Call_Delta{Delta: &botv1.StreamDelta{
			N: s.n, Offset: int64(s.sent), Text: text[s.sent:end], ReplyTo: s.ReplyTo,
		}}
		s.err = s.c.tell(call)
		s.sent = end
	}
	s.last = time.Now()
}

// End is how a stream ends.
type End struct {
	Finish           string // stop, length, cancelled, interrupted, failed; "": stop, or cancelled after a Stop
	Text             string // instead of what was written
	Content          any    // a Content of docs/protocol.md instead of text
	Model            string // which wrote it, and what it took
	PromptTokens     int64
	CompletionTokens int64
}

// Close makes a message of what was written. A second Close does nothing.
func (s *Stream) Close() error {
	_, err := s.Finish(End{})
	return err
}

// Fail ends the stream because of err: what was written stays, marked as failed.
func (s *Stream) Fail(err error) error {
	if errors.Is(err, ErrStopped) || errors.Is(context.Cause(s.c), ErrStopped) {
		return s.Close()
	}
	s.c.Log.Warn("a stream failed", "error", err)
	_, err = s.Finish(End{Finish: "failed"})
	return err
}

// Finish is Close with more to say. After a Stop it still works, as the text that people
// have seen is to stay.
func (s *Stream) Finish(e End) (*Posted, error) {
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		return nil, nil
	}
	s.abandonLocked()
	text := clean(s.text.String() + string(s.half))
	s.mu.Unlock()
	if e.Text != "" {
		text = clean(e.Text)
	}
	content := ""
	if e.Content != nil {
		var err error
		if content, err = (&Post{Content: e.Content}).content(); err != nil {
			return nil, err
		}
	}
	ctx := context.Context(s.c)
	if errors.Is(context.Cause(s.c), ErrStopped) {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(s.c.link.ctx, again)
		defer stop()
		e.Finish = cmp.Or(e.Finish, "cancelled")
	}
	call := s.c.call()
	call.Do = &botv1.Call_End{End: &botv1.StreamEnd{
		N: s.n, Text: text, Content: content, Finish: cmp.Or(e.Finish, "stop"), ReplyTo: s.ReplyTo, VariantOf: s.VariantOf,
		Model: e.Model, PromptTokens: e.PromptTokens, CompletionTokens: e.CompletionTokens,
	}}
	r, err := s.c.do(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("the end of a stream: %w", err)
	}
	return posted(r), nil
}

// abandon leaves the draft as it is.
func (s *Stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandonLocked()
}

func (s *Stream) abandonLocked() {
	s.shut = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
