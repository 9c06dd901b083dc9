package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	subBinary = "troupe.v1.proto"
	// maxFrame is the longest frame taken, in bytes: 200 entries of 8 KiB each, and room.
	maxFrame = 4 << 20
	// dialTimeout bounds the handshake, answerTimeout the answer to auth.
	dialTimeout   = 15 * time.Second
	answerTimeout = 15 * time.Second
)

// CloseError is a close code that the server ended the connection with.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.Code, e.Reason)
}

// link is one connection.
type link struct {
	c      *Client
	ws     *websocket.Conn
	binary bool
	seen   atomic.Int64 // when something was last read, Unix nanoseconds

	mu      sync.Mutex
	pending map[string]*asked
	ended   bool
	over    chan struct{} // closed when the reader has ended
}

// asked is a request that waits for its answer.
type asked struct {
	frame  *protocol.Frame
	answer chan *protocol.Frame
}

// webSocketURL makes ws://host/ws of what people write.
func webSocketURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("server address: %w", err)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", fmt.Errorf("server address %q: it begins with ws, wss, http or https", s)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	return u.String(), nil
}

func (c *Client) dial(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	o := &websocket.DialOptions{}
	if c.cfg.Binary {
		o.Subprotocols = []string{subBinary}
	}
	ws, res, err := websocket.Dial(ctx, c.cfg.URL, o)
	if err != nil {
		if res != nil && res.StatusCode >= 400 && res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
			return nil, &fatal{fmt.Errorf("connect: %s", res.Status)}
		}
		return nil, err
	}
	ws.SetReadLimit(maxFrame)
	l := &link{
		c: c, ws: ws, binary: ws.Subprotocol() == subBinary,
		pending: map[string]*asked{}, over: make(chan struct{}),
	}
	l.seen.Store(time.Now().UnixNano())
	return l, nil
}

// fatal is an error after which no further attempt is made.
type fatal struct{ error }

func (f *fatal) Unwrap() error { return f.error }

func (l *link) write(ctx context.Context, f *protocol.Frame) error {
	if l.binary {
		return l.ws.Write(ctx, websocket.MessageBinary, protocol.AppendBinary(nil, f))
	}
	return l.ws.Write(ctx, websocket.MessageText, protocol.AppendJSON(nil, f))
}

// request sends f under an id of its own and waits for the answer.
func (l *link) request(ctx context.Context, f *protocol.Frame) (*protocol.Frame, error) {
	f = &protocol.Frame{Id: l.c.newID(), Body: f.Body}
	answer := make(chan *protocol.Frame, 1)
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil, ErrLost
	}
	l.pending[f.Id] = &asked{frame: f, answer: answer}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, f.Id)
		l.mu.Unlock()
	}()
	// The caller's deadline is not given to Write, which would end the connection by it.
	if err := l.write(context.WithoutCancel(ctx), f); err != nil {
		return nil, ErrLost
	}
	select {
	case a := <-answer:
		if e := a.Err(); e != nil {
			return nil, e
		}
		return a, nil
	case <-l.over:
		select {
		case a := <-answer: // it came just before the end
			if e := a.Err(); e != nil {
				return nil, e
			}
			return a, nil
		default:
			return nil, ErrLost
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read takes frames until the connection ends, and says why it did.
func (l *link) read(ctx context.Context) error {
	defer func() {
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
		close(l.over)
		l.ws.CloseNow()
	}()
	for {
		kind, data, err := l.ws.Read(ctx)
		if err != nil {
			var ce websocket.CloseError
			if errors.As(err, &ce) {
				return &CloseError{Code: int(ce.Code), Reason: ce.Reason}
			}
			return err
		}
		l.seen.Store(time.Now().UnixNano())
		decode := protocol.DecodeJSON
		if kind == websocket.MessageBinary {
			decode = protocol.DecodeBinary
		}
		f, err := decode(data)
		if f == nil {
			l.c.cfg.Log.Warn("a frame that can't be read", "error", err)
			continue
		}
		if err != nil && f.Id == "" {
			l.c.cfg.Log.Debug("a frame that is not known here", "error", err)
			continue
		}
		if f.Id == "" || !l.answer(f, err) {
			l.c.push(f)
		}
	}
}

// answer hands f to whoever asked.
func (l *link) answer(f *protocol.Frame, err error) bool {
	l.mu.Lock()
	waiting := l.pending[f.Id]
	delete(l.pending, f.Id)
	l.mu.Unlock()
	if waiting == nil {
		return false
	}
	if err != nil && f.Errcode == 0 {
		f = &protocol.Frame{
			Errcode: int32(protocol.Code_INTERNAL), Code: protocol.Code_INTERNAL.Word(),
			Error: "the answer can't be read: " + err.Error(),
		}
	}
	if m, a := waiting.frame.GetMsgSend(), f.GetMsgSendReply(); m != nil && a.GetSeq() > 0 && f.Errcode == 0 {
		l.c.own(m, a)
	}
	waiting.answer <- f
	return true
}
