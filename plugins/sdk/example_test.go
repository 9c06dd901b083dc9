package sdk_test

import (
	"fmt"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// A whole bot.
func ExampleServe() {
	sdk.Serve(&sdk.Bot{
		ID: "hello", Version: "0.1.0",
		OnMessage: func(c *sdk.Ctx) error {
			return c.Reply("Hello " + c.Sender.Name + ", you said: " + c.Text)
		},
	})
}

// A command whose arguments are a struct's fields: /remind 10m green tea.
func ExampleOn() {
	type args struct {
		In   time.Duration `help:"in how long" zh:"多久以后"`
		What string        `arg:",text" help:"of what" zh:"什么事"`
	}
	remind := sdk.On("remind", "Remind me", func(c *sdk.Ctx, a args) error {
		return c.Schedule(c.ID, c.Now().Add(a.In), a.What)
	}).In("zh-CN", "提醒我")
	_ = &sdk.Bot{ID: "reminders", Scopes: []string{"schedule"}, Commands: []sdk.Command{remind}}
}

// An answer that people see while it is written.
func ExampleCtx_Stream() {
	_ = &sdk.Bot{ID: "count", OnMessage: func(c *sdk.Ctx) error {
		s := c.Stream()
		for i := range 10 {
			if _, err := fmt.Fprintf(s, "%d ", i); err != nil {
				return err // Stop was pressed
			}
			time.Sleep(100 * time.Millisecond)
		}
		return s.Close()
	}}
}

// A counter that several may change at once.
func ExampleUpdate() {
	_ = &sdk.Bot{ID: "counter", Scopes: []string{"kv"}, OnMessage: func(c *sdk.Ctx) error {
		n, err := sdk.Update(c.KV(), "n", func(n *int) error { *n++; return nil })
		if err != nil {
			return err
		}
		return c.Reply(fmt.Sprint(n))
	}}
}

// A card that is locked by whoever presses first.
func ExampleCtx_Lock() {
	_ = &sdk.Bot{
		ID: "first",
		OnMessage: func(c *sdk.Ctx) error {
			_, err := c.Card(sdk.NewCard("Who is first?").Primary("me", "Me"))
			return err
		},
		Actions: map[string]func(*sdk.Ctx) error{
			"me": func(c *sdk.Ctx) error { return c.Lock(sdk.NewCard(c.Sender.Name + " was first")) },
		},
	}
}
