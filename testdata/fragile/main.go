// Fragile is a bot for tests: it ends at once when it is told to crash, and says how
// often it was.
package main

import (
	"os"

	"github.com/troupe-im/troupe/plugins/sdk"
)

func main() {
	const key = "crashes"
	sdk.Serve(&sdk.Bot{
		ID: "fragile", Version: "0.1.0", Scopes: []string{"kv"},
		OnMessage: func(c *sdk.Ctx) error {
			was, err := c.KV().Get(key)
			if err != nil {
				return err
			}
			if c.Text != "crash" {
				return c.Reply("crashed: " + string(was.Value))
			}
			if err := c.KV().Set(key, append(was.Value, '*')); err != nil {
				return err
			}
			os.Exit(3)
			return nil
		},
	})
}
