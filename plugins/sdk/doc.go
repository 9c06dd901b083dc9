// Package sdk is all that somebody who writes a bot for Troupe needs. A whole bot:
//
//	func main() {
//		sdk.Serve(&sdk.Bot{
//			ID: "hello", Version: "0.1.0",
//			OnMessage: func(c *sdk.Ctx) error {
//				return c.Reply("Hello " + c.Sender.Name + ", you said: " + c.Text)
//			},
//		})
//	}
//
// The host calls a bot's functions at least once for everything that happened, in order
// within a session, and again after a crash. What a bot says for an event is numbered, so
// that it shows once however often the event comes. A Ctx is the event, everything a bot
// can do about it, and a context.Context that ends when a person presses Stop.
//
// Package bottest runs a bot inside a test, in milliseconds. docs/bots.md begins at
// nothing.
package sdk
