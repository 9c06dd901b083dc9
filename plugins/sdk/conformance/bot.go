package conformance

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// Bot is the conformance bot, written with the Go SDK. What it has to do is in doc.go.
func Bot() *sdk.Bot {
	config := &struct {
		Greeting string `json:"greeting" default:"hello"`
	}{}
	type sum struct {
		A  int           `help:"one number"`
		B  int           `help:"another" default:"1"`
		In time.Duration `arg:"in,optional"`
	}
	return &sdk.Bot{
		ID: "conformance", Version: "1.2.3", Name: "Conformance", Scopes: []string{"kv", "moderate"}, Parallel: 8,
		Config: config,
		Commands: []sdk.Command{
			sdk.On("sum", "Add two numbers", func(c *sdk.Ctx, s sum) error {
				return c.Replyf("%d %d", s.A+s.B, s.In.Milliseconds())
			}).In("zh-CN", "两数相加").ReadsOnly(),
		},
		OnMessage: func(c *sdk.Ctx) error {
			word, rest, _ := strings.Cut(c.Text, " ")
			switch word {
			case "echo":
				return c.Reply(rest)
			case "twice":
				return errors.Join(c.Reply(rest), c.Reply(rest))
			case "whisper":
				return c.Whisper(rest)
			case "stream":
				s := c.Stream()
				for _, r := range rest {
					if _, err := s.WriteString(string(r)); err != nil {
						return err
					}
				}
				return s.Close()
			case "slow":
				s := c.Stream()
				if _, err := s.WriteString("begin"); err != nil {
					return err
				}
				<-c.Done()
				return c.Err()
			case "pause":
				ms, _ := strconv.Atoi(rest)
				time.Sleep(time.Duration(ms) * time.Millisecond)
				return c.Reply("rested")
			case "fail":
				return errors.New("failed: " + rest)
			case "drop":
				return sdk.Drop(errors.New("dropped: " + rest))
			case "panic":
				panic("panicked: " + rest)
			case "noise":
				fmt.Println(strings.Repeat("noise ", 40_000))
				return c.Reply("quiet again")
			case "greet":
				return c.Reply(config.Greeting)
			case "count":
				n, err := sdk.Update(c.KV(), "count", func(n *int) error { *n++; return nil })
				if err != nil {
					return err
				}
				return c.Reply(strconv.Itoa(n))
			case "who":
				var names []string
				for p, err := range c.Members() {
					if err != nil {
						return err
					}
					names = append(names, p.Name)
				}
				return c.Reply(strings.Join(names, " "))
			case "card":
				_, err := c.Card(sdk.NewCard(rest).Row("a", "1").Primary("press", "Press"))
				return err
			case "later":
				return c.Schedule("later", time.UnixMilli(2_000_000_000_000), rest)
			}
			return nil
		},
		Actions: map[string]func(*sdk.Ctx) error{
			"press": func(c *sdk.Ctx) error { return c.Lock(sdk.NewCard("pressed " + c.Field("how"))) },
		},
		OnSchedule: func(c *sdk.Ctx) error { return c.Reply(c.Action + " " + c.Body) },
		Moderate: func(d *sdk.Draft) sdk.Verdict {
			switch d.Text {
			case "bad":
				return sdk.Reject("because")
			case "rude":
				return sdk.Rewrite("****", "because")
			case "odd":
				return sdk.Hold("because")
			}
			return sdk.Allow()
		},
	}
}
