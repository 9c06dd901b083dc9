package remote

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
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

// draining is Desks that lets a bot go as a real desk does.
type draining struct {
	*host
	came chan struct{}
}

func (d *draining) Serve(ctx context.Context, _ desk.Plugin, ch desk.Channel) error {
	defer ch.Close("it is done")
	if _, err := ch.Recv(); err != nil {
		return err
	}
	if err := ch.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{Protocol: 1}}}); err != nil {
		return err
	}
	d.came <- struct{}{}
	<-ctx.Done()
	if err := ch.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Drain{Drain: &botv1.Drain{}}}); err != nil {
		return err
	}
	for {
		f, err := ch.Recv()
		if err != nil || f.GetDrained() != nil {
			return err
		}
	}
}

// pauses is a log of how long the SDK waits before it comes again.
type pauses struct {
	slog.Handler
	waits chan time.Duration
}

func (p *pauses) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "again in" {
			p.waits <- a.Value.Duration()
		}
		return true
	})
	return nil
}

func TestABotComesAgainSoonWhenItsServerStopsAndLateWhenItWasReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		ends func(t *testing.T, i *installation, token string)
		soon bool
	}{
		"the server stops": {func(_ *testing.T, i *installation, _ string) { i.stop() }, true},
		"another connection takes over": {func(t *testing.T, i *installation, token string) {
			ws, err := i.dial(t, token)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ws.CloseNow() })
			say(t, ws, described("far"))
		}, false},
	} {
		i, log := start(t), &pauses{slog.NewTextHandler(io.Discard, nil), make(chan time.Duration, 100)}
		d := &draining{i.host, make(chan struct{}, 100)}
		i.Desks = d
		_, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() {
			served <- elsewhere.Serve(ctx, elsewhere.Config{URL: "ws" + strings.TrimPrefix(i.http.URL, "http") + ConnectPath, Token: token, Log: slog.New(log)}, &sdk.Bot{ID: "far"})
		}()
		<-d.came
		c.ends(t, i, token)
		if wait := <-log.waits; (wait < 5*time.Second) != c.soon {
			t.Errorf("%s: the bot comes again in %v", name, wait)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
