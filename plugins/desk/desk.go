// Package desk makes bots members: it gives each what happened in its sessions, at
// least once and in order, and does what it calls for, so that nothing of it is seen
// twice. How a bot is reached (a process, a WebSocket, a webhook) is a Channel to it.
package desk

import (
	"context"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Channel is one way to one bot.
type Channel interface {
	// Send gives a frame. It waits until the frame is on its way, ctx's end at most.
	Send(ctx context.Context, f *botv1.HostFrame) error
	// Recv waits for the bot's next frame. Its error says that the bot is gone.
	Recv() (*botv1.BotFrame, error)
	// Close ends it. Recv returns then.
	Close(why string)
}

// Plugin is what the installation knows of a bot before it says anything: what was
// approved.
type Plugin struct {
	ID         string
	Version    string
	Scopes     []string // granted
	Config     string   // JSON of its settings
	Secrets    map[string]string
	Everywhere bool  // it moderates every session, a member or not
	Model      Model // the zero one: it is given none
	Remote     bool
}

// Model is where a bot finds the model gateway.
type Model struct {
	Socket string // the path of a unix socket, as the bot's process sees it
	Token  string
}
