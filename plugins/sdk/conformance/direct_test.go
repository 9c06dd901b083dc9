package conformance_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
	"github.com/troupe-im/troupe/plugins/sdk/conformance"
)

func TestTheGoSDKInProcess(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Channel {
		c := &pipe{host: make(chan []byte, 64), bot: make(chan []byte, 64), done: make(chan struct{})}
		go func() {
			_ = sdk.Runner{Bot: conformance.Bot(), Log: slog.New(slog.DiscardHandler)}.Run(context.Background(), (*botEnd)(c))
			c.Close("the bot ended")
		}()
		return c
	})
}

// pipe is a channel without a wire; frames are marshalled all the same.
type pipe struct {
	host, bot chan []byte
	once      sync.Once
	done      chan struct{}
}

func (p *pipe) Send(ctx context.Context, f *botv1.HostFrame) error { return p.put(p.bot, f) }

func (p *pipe) Recv() (*botv1.BotFrame, error) {
	f := new(botv1.BotFrame)
	return f, p.take(p.host, f)
}

func (p *pipe) Close(string) { p.once.Do(func() { close(p.done) }) }

func (p *pipe) put(c chan []byte, f proto.Message) error {
	b, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	select {
	case c <- b:
		return nil
	case <-p.done:
		return io.EOF
	}
}

func (p *pipe) take(c chan []byte, f proto.Message) error {
	select {
	case b := <-c:
		return proto.Unmarshal(b, f)
	case <-p.done:
		return io.EOF
	}
}

type botEnd pipe

func (p *botEnd) Send(f *botv1.BotFrame) error { return (*pipe)(p).put(p.host, f) }

func (p *botEnd) Recv() (*botv1.HostFrame, error) {
	f := new(botv1.HostFrame)
	return f, (*pipe)(p).take(p.bot, f)
}
