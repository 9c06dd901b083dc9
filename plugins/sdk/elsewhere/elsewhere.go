// Package elsewhere runs a bot on a machine of its own: it opens a WebSocket to Troupe,
// and needs no address that others can reach. The bot is the same as in a plugin, but for
// Ctx.Model, which it has not. See docs/bots-remote.md.
package elsewhere

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Config is where a bot's host is.
type Config struct {
	URL   string // wss://chat.example/bots/v1/connect
	Token string // of `troupe bot add NAME --websocket`
	Log   *slog.Logger
}

// Pauses between two connections.
const (
	first   = 500 * time.Millisecond
	longest = 30 * time.Second
	steady  = time.Minute      // a connection that lasted so long was a good one
	drained = 15 * time.Second // after the host let the bot go: a newer one has taken over
)

// Serve runs a bot, and connects again whenever the connection ends, until ctx does: that
// is no error. An *sdk.Error is the host's, which does not want the bot: its token is
// wrong, or what it says of itself.
func Serve(ctx context.Context, c Config, b *sdk.Bot) error {
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for wait := first; ; {
		began := time.Now()
		letGo, err := c.once(ctx, b)
		var refused *sdk.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Code != "BUSY":
			return err
		case time.Since(began) > steady:
			wait = first
		}
		pause := wait + rand.N(wait/4)
		if letGo {
			pause = drained
		}
		c.Log.Info("the connection is over", "why", err, "again in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, longest)
	}
}

// Connect runs a bot over one connection, until that ends.
func Connect(ctx context.Context, c Config, b *sdk.Bot) error {
	_, err := c.once(ctx, b)
	return err
}

func (c Config) once(ctx context.Context, b *sdk.Bot) (letGo bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ws, r, err := websocket.Dial(ctx, c.URL, &websocket.DialOptions{
		HTTPHeader:      http.Header{"Authorization": {"Bearer " + c.Token}},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if r != nil && (r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusConflict) {
			what, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
			return false, &sdk.Error{Code: map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 409: "CONFLICT"}[r.StatusCode], Detail: string(what)}
		}
		return false, fmt.Errorf("connecting to %s: %w", c.URL, err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(botv1.MaxMessage)
	conn := &conn{ws: ws, ctx: ctx}
	err = sdk.Runner{Bot: b, Log: c.Log}.Run(ctx, conn)
	_ = ws.Close(websocket.StatusNormalClosure, "it is over")
	return conn.drained, err
}

// conn is sdk.Conn over a WebSocket: a frame as JSON in a text message.
type conn struct {
	ws      *websocket.Conn
	ctx     context.Context
	drained bool // the host let the bot go, and goes on itself
}

// lax reads frames of a newer host: what is not known is left out.
var lax = protojson.UnmarshalOptions{DiscardUnknown: true}

// Recv fills sdk.Conn.
func (c *conn) Recv() (*botv1.HostFrame, error) {
	_, text, err := c.ws.Read(c.ctx)
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return nil, io.EOF
	}
	if err != nil {
		c.drained = false // nothing took over: the host stops or is gone, and another node may be there
		if websocket.CloseStatus(err) == websocket.StatusServiceRestart {
			err = io.EOF
		}
		return nil, err
	}
	f := &botv1.HostFrame{}
	if err := lax.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("no frame of botv1: %w", err)
	}
	if f.GetDrain() != nil {
		c.drained = true
	}
	return f, nil
}

// Send fills sdk.Conn.
func (c *conn) Send(f *botv1.BotFrame) error {
	text, err := protojson.Marshal(f)
	if err != nil {
		return err
	}
	return c.ws.Write(c.ctx, websocket.MessageText, text)
}
