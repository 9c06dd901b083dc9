package remote

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/conformance"
	"github.com/troupe-im/troupe/plugins/sdk/elsewhere"
)

// bare is Desks that gives each channel to the test, as it is.
type bare struct {
	*host
	channels chan desk.Channel
}

func (b *bare) Serve(ctx context.Context, _ desk.Plugin, ch desk.Channel) error {
	over := &closing{Channel: ch, closed: make(chan struct{})}
	b.channels <- over
	select {
	case <-over.closed:
	case <-ctx.Done():
	}
	return nil
}

// closing says when its user has closed it.
type closing struct {
	desk.Channel
	closed chan struct{}
}

func (c *closing) Close(why string) {
	c.Channel.Close(why)
	close(c.closed)
}

func TestTheGoSDKOverAWebSocket(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Channel {
		i := start(t)
		channels := make(chan desk.Channel, 1)
		i.Desks = &bare{i.host, channels}
		_, token, _, err := i.Add(t.Context(), Wish{ID: "conformance", Way: Socket})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(stop)
		cfg := elsewhere.Config{URL: "ws" + strings.TrimPrefix(i.http.URL, "http") + ConnectPath, Token: token, Log: slog.New(slog.DiscardHandler)}
		go func() { _ = elsewhere.Connect(ctx, cfg, conformance.Bot()) }()
		return <-channels
	})
}

func TestABotElsewhereWithAWrongTokenIsTold(t *testing.T) {
	i := start(t)
	err := elsewhere.Serve(t.Context(), elsewhere.Config{
		URL: "ws" + strings.TrimPrefix(i.http.URL, "http") + ConnectPath, Token: "tb_wrong", Log: slog.New(slog.DiscardHandler),
	}, conformance.Bot())
	if sdk.Code(err) != "UNAUTHORIZED" {
		t.Errorf("a wrong token: %v", err)
	}
}

func TestTheGoSDKBehindAWebhook(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Channel {
		i := start(t)
		channels := make(chan desk.Channel, 1)
		i.Desks = &bare{i.host, channels}
		bot := &elsewhere.Webhook{Bot: conformance.Bot(), URL: i.http.URL, Log: slog.New(slog.DiscardHandler)}
		known := make(chan struct{})
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-known
			bot.ServeHTTP(w, r)
		}))
		_, token, secret, err := i.Add(t.Context(), Wish{ID: "conformance", Way: Webhook, URL: far.URL})
		if err != nil {
			t.Fatal(err)
		}
		bot.Token, bot.Secret = token, secret
		close(known)
		t.Cleanup(func() {
			if err := i.Remove(context.Background(), "conformance"); err != nil {
				t.Error(err)
			}
			bot.Close()
			far.Close()
		})
		return <-channels
	})
}
