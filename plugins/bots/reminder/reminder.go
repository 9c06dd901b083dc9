// Package reminder is the bot that remembers for people. What it keeps is with the host:
// schedules, and a key beside each, so that it may die at any time.
package reminder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

const (
	longest = 366 * 24 * time.Hour
	most    = 50 // of one person in a session
)

// New is the bot.
func New() *sdk.Bot {
	return &sdk.Bot{
		ID: "reminder", Version: "1.0.0", Name: "Reminder", Avatar: "⏰",
		About:       "Remembers for you: /remind 10m tea · 到点提醒：/remind 10m 喝茶",
		Scopes:      []string{"kv", "schedule"},
		MaxEventAge: sdk.AnyAge, // a reminder that comes late is better than none
		Commands: []sdk.Command{
			sdk.On("remind", "Remind me: /remind 10m tea", remind).In("zh-CN", "提醒我：/remind 10m 喝茶"),
			{Name: "reminders", Help: "What I am to be reminded of", HelpIn: map[string]string{"zh-CN": "我的提醒"}, ReadOnly: true, Run: list},
			sdk.On("unremind", "Forget a reminder: its number in /reminders", forget).In("zh-CN", "取消提醒：/reminders 里的序号"),
		},
		OnMessage: func(c *sdk.Ctx) error {
			if c.Late {
				return nil
			}
			return c.Reply(help(c))
		},
		OnAdded:    func(c *sdk.Ctx) error { return c.Reply(help(c)) },
		OnAction:   press,
		OnSchedule: due,
	}
}

func help(c *sdk.Ctx) string {
	return c.Say("到点提醒你：/remind 10m 喝茶。时间可以写 90s、10m、2h、3d。", "I remember for you: /remind 10m tea. Times are like 90s, 10m, 2h, 3d.")
}

type order struct {
	In   time.Duration `help:"in how long: 90s, 10m, 2h, 3d" zh:"多久以后：90s、10m、2h、3d"`
	What string        `arg:"what,text" help:"of what" zh:"提醒什么"`
}

// entry is a reminder as it is kept, by its id: a key, and the schedule's body.
type entry struct {
	ID     string    `json:"id"`
	User   string    `json:"user"`
	Name   string    `json:"name"`
	What   string    `json:"what"`
	At     time.Time `json:"at"`
	Locale string    `json:"locale"`
}

// key is where a reminder is kept: a person's are together.
func (e *entry) key() string { return "r:" + e.User + ":" + e.ID }

func remind(c *sdk.Ctx, o order) error {
	if o.In < time.Second || o.In > longest {
		return c.Whisper(c.Say("时间要在一秒到一年之间。", "It has to be in a second at least, and a year at most."))
	}
	mine, err := of(c, c.Sender.User)
	if err != nil {
		return err
	}
	// The event names the reminder: an event that comes twice makes one.
	e := &entry{ID: c.ID, User: c.Sender.User, Name: c.Sender.Name, What: o.What, Locale: c.Locale}
	e.At = c.Event.At.Add(o.In)
	known := slices.ContainsFunc(mine, func(m *entry) bool { return m.ID == e.ID })
	if len(mine) >= most && !known {
		return c.Whisper(fmt.Sprintf(c.Say("你已经有 %d 条提醒了。", "You have %d reminders already."), most))
	}
	if err := c.KV().SetJSON(e.key(), e, longest+24*time.Hour); err != nil {
		return err
	}
	if err := c.Schedule(e.ID, e.At, e); err != nil {
		return err
	}
	_, err = c.Card(sdk.NewCard(fmt.Sprintf(c.Say("%s后提醒：%s", "In %s: %s"), Span(o.In, c.Locale), e.What)).
		Button("cancel:"+e.key(), c.Say("取消", "Cancel")))
	return err
}

// due is the time of a reminder.
func due(c *sdk.Ctx) error {
	var e entry
	if err := c.Decode(&e); err != nil {
		return err
	}
	c.Locale = e.Locale
	if version, err := c.KV().GetJSON(e.key(), &e); err != nil || version == 0 {
		return err // cancelled, or said already
	}
	text := "⏰ " + e.What
	if c.IsGroup() {
		text = "⏰ @" + e.Name + " " + e.What
	}
	if late := c.Now().Sub(e.At); late > time.Minute {
		text += fmt.Sprintf(c.Say("（晚了%s）", " (%s late)"), Span(late, c.Locale))
	}
	if _, err := c.Post(sdk.Post{Text: text, Mentions: []string{e.User}}); err != nil {
		return err
	}
	return c.KV().Delete(e.key())
}

func list(c *sdk.Ctx) error {
	mine, err := of(c, c.Sender.User)
	if err != nil {
		return err
	}
	if len(mine) == 0 {
		return c.Whisper(c.Say("你没有提醒。", "You have no reminders."))
	}
	if c.IsGroup() { // for this person alone, and what is whispered has no buttons
		return c.WhisperTo("", sdk.Post{Card: table(c, mine)})
	}
	k := table(c, mine)
	for _, e := range mine[:min(len(mine), shown)] {
		k.Button("cancel:"+e.key(), c.Say("取消：", "Cancel: ")+short(e.What))
	}
	_, err = c.Card(k)
	return err
}

// shown is how many reminders a list has at most.
const shown = 20

func table(c *sdk.Ctx, mine []*entry) *sdk.Card {
	k := sdk.NewCard(c.Say("你的提醒", "Your reminders"))
	for i, e := range mine[:min(len(mine), shown)] {
		k.Row(fmt.Sprintf("%d. %s", i+1, e.What), fmt.Sprintf(c.Say("%s后", "in %s"), Span(e.At.Sub(c.Now()), c.Locale)))
	}
	if more := len(mine) - shown; more > 0 {
		k.Say(fmt.Sprintf(c.Say("还有 %d 条", "and %d more"), more))
	}
	return k
}

// forget is /unremind.
func forget(c *sdk.Ctx, a struct {
	Number int `min:"1" max:"50" help:"its number in /reminders" zh:"/reminders 里的序号"`
}) error {
	mine, err := of(c, c.Sender.User)
	if err != nil {
		return err
	}
	if a.Number > len(mine) {
		return c.Whisper(c.Say("没有这条提醒。", "There is no such reminder."))
	}
	e := mine[a.Number-1]
	if err := drop(c, e); err != nil {
		return err
	}
	return c.Whisper(c.Say("已取消：", "Cancelled: ") + e.What)
}

func drop(c *sdk.Ctx, e *entry) error {
	if err := c.Unschedule(e.ID); err != nil {
		return err
	}
	return c.KV().Delete(e.key())
}

// press is a Cancel.
func press(c *sdk.Ctx) error {
	key, ok := strings.CutPrefix(c.Action, "cancel:")
	if !ok {
		return nil
	}
	var e entry
	version, err := c.KV().GetJSON(key, &e)
	switch {
	case err != nil:
		return err
	case version == 0:
		return c.Whisper(c.Say("这条提醒已经不在了。", "This reminder is gone already."))
	case e.User != c.Sender.User:
		return c.Whisper(c.Say("这是别人的提醒。", "This is somebody else's reminder."))
	}
	if err := drop(c, &e); err != nil {
		return err
	}
	return c.Lock(sdk.NewCard(c.Say("已取消：", "Cancelled: ") + e.What))
}

// of is a person's reminders in the session, the next one first.
func of(c *sdk.Ctx, user string) ([]*entry, error) {
	var all []*entry
	for i, err := range c.KV().List("r:" + user + ":") {
		if err != nil {
			return nil, err
		}
		e := new(entry)
		if err := i.Decode(e); err != nil {
			return nil, sdk.Drop(err)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.At.Compare(b.At) })
	return all, nil
}

func short(text string) string {
	if letters := []rune(text); len(letters) > 12 {
		return string(letters[:12]) + "…"
	}
	return text
}
