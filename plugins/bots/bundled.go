// Package bots names the bots that come with Troupe. Each is this same program, started
// again as a plugin's process.
package bots

import (
	"github.com/troupe-im/troupe/plugins/bots/assistant"
	"github.com/troupe-im/troupe/plugins/bots/bridge"
	"github.com/troupe-im/troupe/plugins/bots/echo"
	"github.com/troupe-im/troupe/plugins/bots/moderator"
	"github.com/troupe-im/troupe/plugins/bots/poll"
	"github.com/troupe-im/troupe/plugins/bots/reminder"
	"github.com/troupe-im/troupe/plugins/bots/summariser"
	"github.com/troupe-im/troupe/plugins/bots/translator"
	"github.com/troupe-im/troupe/plugins/sdk"
)

// Bundled gives the bots that come with Troupe, by their ids. Each call makes them anew.
func Bundled() map[string]*sdk.Bot {
	all := map[string]*sdk.Bot{}
	for _, b := range []*sdk.Bot{
		assistant.New(), bridge.New(), echo.New(), moderator.New(), poll.New(), reminder.New(), summariser.New(), translator.New(),
	} {
		all[b.ID] = b
	}
	return all
}
