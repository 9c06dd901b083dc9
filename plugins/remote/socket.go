package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Paths that a center serves.
const (
	ConnectPath = "/bots/v1/connect" // a WebSocket of bots
	CallsPath   = "/bots/v1/calls"   // POST: frames of bots with a webhook
)

// lax reads frames of a newer bot: what is not known is left out.
var lax = protojson.UnmarshalOptions{DiscardUnknown: true}

// ServeHTTP serves ConnectPath and CallsPath, which need the bot's token, and what is
// under HooksPath.
func (c *Center) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, HooksPath) {
		c.incoming(w, r)
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	b := c.whose(token)
	if !ok || b == nil {
		c.Problem(w, protocol.Unauthorized("a bot's token is needed: Authorization: Bearer tb_…"))
		return
	}
	switch r.URL.Path {
	case ConnectPath:
		c.connect(w, r, b)
	case CallsPath:
		c.calls(w, r, b)
	default:
		http.NotFound(w, r)
	}
}

// connect makes a WebSocket the bot's channel. One that the bot had before is drained:
// so a new version of it takes over without a gap.
func (c *Center) connect(w http.ResponseWriter, r *http.Request, b *Bot) {
	if b.Way != Socket {
		c.Problem(w, protocol.Conflict("this bot is reached by a webhook"))
		return
	}
	// No page may use a bot's token: whoever sends an Origin is a browser.
	if r.Header.Get("Origin") != "" {
		c.Problem(w, protocol.Denied("bots do not run in web pages"))
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // it was answered
	}
	ws.SetReadLimit(c.cfg.Frame)
	c.mu.Lock()
	if c.ctx == nil || c.ctx.Err() != nil {
		c.mu.Unlock()
		ws.Close(websocket.StatusServiceRestart, "the server restarts")
		return
	}
	life := c.ctx
	ctx, stop := context.WithCancel(life)
	mine := &serving{stop: stop, since: c.Now()}
	before := c.serving[b.ID]
	c.serving[b.ID] = mine
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	defer stop()
	if before != nil {
		before.stop()
	}
	c.Log.Info("a remote bot is there", "bot", b.ID, "from", r.RemoteAddr)
	ch := &socket{ws: ws, most: c.cfg.Frame, life: life}
	ch.read, ch.cut = context.WithCancel(context.Background())
	defer ch.cut()
	err = c.Desks.Serve(ctx, plugin(b), ch)
	ch.Close("")
	c.mu.Lock()
	if c.serving[b.ID] == mine {
		delete(c.serving, b.ID)
	}
	c.mu.Unlock()
	c.Log.Info("a remote bot is gone", "bot", b.ID, "why", err)
}

// socket is a channel over a WebSocket: one frame as JSON in one text message.
type socket struct {
	ws   *websocket.Conn
	most int64 // bytes of a frame
	read context.Context
	cut  context.CancelFunc // of read: it ends the connection as well
	life context.Context    // the server's
}

// Send fills desk.Channel.
func (s *socket) Send(ctx context.Context, f *botv1.HostFrame) error {
	text, err := protojson.Marshal(f)
	if err != nil {
		return err
	}
	return s.ws.Write(ctx, websocket.MessageText, text)
}

// Recv fills desk.Channel. What is no frame ends the channel, and says so.
func (s *socket) Recv() (*botv1.BotFrame, error) {
	kind, text, err := s.ws.Read(s.read)
	if errors.Is(err, websocket.ErrMessageTooBig) { // it was told so, by 1009
		return nil, fmt.Errorf("TOO_LARGE: a frame of it has more than %d bytes", s.most)
	}
	if err != nil {
		return nil, err
	}
	f := &botv1.BotFrame{}
	if kind != websocket.MessageText {
		err = errors.New("frames are text")
	} else {
		err = lax.Unmarshal(text, f)
	}
	if err != nil {
		s.ws.Close(websocket.StatusUnsupportedData, "no frame of botv1 as JSON")
		return nil, err
	}
	return f, nil
}

// Close fills desk.Channel.
func (s *socket) Close(why string) {
	if why == "" {
		why = "it is over"
	}
	status := websocket.StatusNormalClosure
	if s.life.Err() != nil { // else a bot thinks that another connection of its own took over, and has time
		status, why = websocket.StatusServiceRestart, "the server restarts"
	}
	time.AfterFunc(byeWithin, s.cut)
	go s.ws.Close(status, why[:min(len(why), 120)]) // a close frame holds 123 bytes
}

// byeWithin is how long a bot may take to answer a close. The library's own 5 s are
// most of the time that a stop of the server has.
const byeWithin = 500 * time.Millisecond
