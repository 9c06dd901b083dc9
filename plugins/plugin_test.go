package plugins_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// The test's binary, started again, is a bot that behaves as its id says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		serveBot(os.Args[2], "1.0.0")
		return
	}
	if rest, ok := strings.CutPrefix(os.Args[0], "bot-"); ok { // as a plugin on disk
		version, how, _ := strings.Cut(rest, "-")
		if how == "dies" {
			fmt.Fprintln(os.Stderr, "panic: it dies at once")
			os.Exit(2)
		}
		serveBot("disk", version)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "host" {
		hostAlone(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

func serveBot(id, version string) {
	b := &testBot{id: id, version: version}
	if f := os.Getenv(botv1.LifelineKey); f != "" {
		fd, _ := strconv.Atoi(f)
		go func() {
			_, _ = os.NewFile(uintptr(fd), "lifeline").Read(make([]byte, 1))
			if id != "deaf" {
				os.Exit(0)
			}
		}()
	}
	switch id {
	case "mute":
		time.Sleep(time.Hour)
	case "dies":
		fmt.Fprintln(os.Stderr, "panic: it dies at once")
		os.Exit(2)
	case "parent":
		child := exec.Command("/bin/sleep", "1000")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	case "loud":
		go func() { // more than anybody wants to read
			line := strings.Repeat("x", 200<<10)
			for {
				fmt.Fprint(os.Stderr, line[:100], "\n", line)
				syscallWrite(1, line)
			}
		}()
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: botv1.Protocol, MagicCookieKey: botv1.CookieKey, MagicCookieValue: botv1.CookieValue},
		Plugins:         plugin.PluginSet{botv1.PluginName: grpcSide{bot: b}},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.MaxRecvMsgSize(botv1.MaxMessage), grpc.MaxSendMsgSize(botv1.MaxMessage))...)
		},
	})
	if id == "deaf" {
		time.Sleep(time.Hour)
	}
}

func syscallWrite(fd uintptr, text string) { _, _ = os.NewFile(fd, "").WriteString(text) }

type grpcSide struct {
	plugin.NetRPCUnsupportedPlugin
	bot *testBot
}

func (g grpcSide) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	botv1.RegisterBotServer(s, g.bot)
	return nil
}

func (g grpcSide) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

type testBot struct {
	botv1.UnimplementedBotServer
	id, version string
}

// Connect answers events by acks, and does what their text says.
func (b *testBot) Connect(s grpc.BidiStreamingServer[botv1.HostFrame, botv1.BotFrame]) error {
	id := b.id
	if id == "liar" {
		id = "somebody-else"
	}
	if err := s.Send(&botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: &botv1.Describe{Protocol: 1, Id: id, Version: b.version, Scopes: []string{"send"}}}}); err != nil {
		return err
	}
	for {
		f, err := s.Recv()
		if err != nil {
			if b.id != "deaf" {
				os.Exit(0)
			}
			time.Sleep(time.Hour)
		}
		answer := &botv1.BotFrame{}
		switch body := f.Body.(type) {
		case *botv1.HostFrame_Ping:
			answer.Body = &botv1.BotFrame_Pong{Pong: &botv1.Pong{N: body.Ping.N}}
		case *botv1.HostFrame_Drain:
			if b.id == "stubborn" || b.id == "deaf" {
				continue
			}
			answer.Body = &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}
		case *botv1.HostFrame_Event:
			switch word, rest, _ := strings.Cut(body.Event.Text, " "); word {
			case "crash":
				os.Exit(3)
			case "say":
				fmt.Fprintln(os.Stderr, rest)
			case "eat":
				eat()
			case "keep":
				continue
			}
			answer.Body = &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: body.Event.Id}}
		default:
			continue
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
}

func eat() {
	var all [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		if len(all) > 4096 {
			return
		}
	}
}
