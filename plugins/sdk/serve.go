package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Handshake is what a host and a plugin's process know each other by. A process that is
// started without the cookie says so and ends.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  botv1.Protocol,
	MagicCookieKey:   botv1.CookieKey,
	MagicCookieValue: botv1.CookieValue,
}

// GRPCPlugin is a bot as go-plugin takes it. A host's is the zero one, and dispenses a
// botv1.BotClient.
type GRPCPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	serve func(botv1.Bot_ConnectServer) error
}

// set is what both sides give to go-plugin.
func (p *GRPCPlugin) set() plugin.PluginSet { return plugin.PluginSet{botv1.PluginName: p} }

// Plugins is the host's side of what is served.
func Plugins() plugin.PluginSet { return new(GRPCPlugin).set() }

// GRPCServer is called in the plugin's process.
func (p *GRPCPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	botv1.RegisterBotServer(s, &server{serve: p.serve})
	return nil
}

// GRPCClient is called in the host's: it gives a botv1.BotClient.
func (p *GRPCPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return botv1.NewBotClient(c), nil
}

type server struct {
	botv1.UnimplementedBotServer
	serve func(botv1.Bot_ConnectServer) error
}

func (s *server) Connect(stream botv1.Bot_ConnectServer) error { return s.serve(stream) }

// Serve runs a bot as a plugin's process, and does not come back. The process ends when
// its host does, whatever the bot's functions do: an interrupt from the terminal does
// not, as it is meant for the host. What is printed goes to the log; nothing may be
// printed before Serve.
func Serve(b *Bot) {
	if err := b.Check(); err != nil {
		fmt.Fprintf(os.Stderr, "bot %s: %v\n", b.ID, err)
		os.Exit(1)
	}
	if os.Getenv(Handshake.MagicCookieKey) != Handshake.MagicCookieValue {
		fmt.Fprintf(os.Stderr, "%s is a bot: it is run by Troupe. See \"troupe bot dev\".\n", os.Args[0])
		os.Exit(1)
	}
	stderr := os.Stderr
	log := slog.New(slog.NewJSONHandler(stderr, nil)) // which the host reads
	lifeline(os.Getenv(botv1.LifelineKey), log)
	var once sync.Once
	serve := func(stream botv1.Bot_ConnectServer) error {
		first := false
		once.Do(func() { first = true })
		if !first {
			return status.Error(codes.FailedPrecondition, "the bot has its host already")
		}
		// go-plugin has put pipes there, which block whoever prints when the host reads none.
		os.Stdout, os.Stderr = stderr, stderr
		err := Runner{Bot: b, Log: log}.serve(stream)
		go exit(err, log)
		return err
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         (&GRPCPlugin{serve: serve}).set(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(botv1.MaxMessage), grpc.MaxSendMsgSize(botv1.MaxMessage))...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr}),
	})
	os.Exit(0)
}

// serve runs the bot until its stream is over, and no longer than a moment more.
func (r Runner) serve(stream botv1.Bot_ConnectServer) error {
	const moment = 500 * time.Millisecond // for functions that see that their context has ended
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background(), stream) }()
	select {
	case err := <-done:
		return err
	case <-stream.Context().Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(moment):
		return nil
	}
}

// exit ends the process a moment after its stream, so that what was sent last is sent.
func exit(err error, log *slog.Logger) {
	code := 0
	var refused *Error
	switch {
	case errors.As(err, &refused):
		log.Error("the host does not want this bot", "code", refused.Code, "reason", refused.Detail)
		code = 3
	case err != nil && status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable:
		log.Error("the bot ended", "error", err)
		code = 1
	}
	time.Sleep(50 * time.Millisecond)
	os.Exit(code)
}

// lifeline ends the process when the pipe with that number does.
func lifeline(fd string, log *slog.Logger) {
	if fd == "" {
		return
	}
	n, err := strconv.ParseUint(fd, 10, 16)
	if err != nil {
		log.Error("not the number of a file", botv1.LifelineKey, fd)
		return
	}
	pipe := os.NewFile(uintptr(n), "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		os.Exit(0)
	}()
}
