// Package poll is the bot that asks a group: a card with a button for each answer, and
// counts that everybody sees grow.
package poll

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// most is how many answers a question may have: a card has 24 buttons, one closes it.
const most = 20

// New is the bot.
func New() *sdk.Bot {
	return &sdk.Bot{
		ID: "poll", Version: "1.0.0", Name: "Poll", Avatar: "📊",
		About:  "Asks the group: /poll · 群内投票：/poll",
		Scopes: []string{"kv"},
		Commands: []sdk.Command{
			sdk.On("poll", `Ask everybody: /poll "Lunch?" noodles rice`, ask).In("zh-CN", "发起投票：/poll “午饭？” 面 饭"),
		},
		OnMessage: func(c *sdk.Ctx) error { return c.Reply(help(c)) },
		OnAdded:   func(c *sdk.Ctx) error { return c.Reply(help(c)) },
		OnAction:  press,
	}
}

func help(c *sdk.Ctx) string {
	return c.Say("发起投票：/poll “午饭？” 面 饭", `Ask everybody: /poll "Lunch?" noodles rice`)
}

type question struct {
	Question string   `help:"what you ask, in quotes" zh:"问题，用引号括起来"`
	Answers  []string `help:"the answers, with spaces between them" zh:"选项，用空格分开"`
}

// poll is what is kept of a question, under the id of the event that asked it.
type poll struct {
	Question string         `json:"question"`
	Answers  []string       `json:"answers"`
	Author   string         `json:"author"`
	Votes    map[string]int `json:"votes"` // the answer's index, by user id
	Closed   bool           `json:"closed"`
	Locale   string         `json:"locale"` // the author's: all see one card
}

func ask(c *sdk.Ctx, q question) error {
	answers := slices.DeleteFunc(q.Answers, func(a string) bool { return strings.TrimSpace(a) == "" })
	switch {
	case len(answers) < 2:
		return c.Whisper(c.Say("至少要有两个选项。", "A poll needs two answers at least."))
	case len(answers) > most:
		return c.Whisper(fmt.Sprintf(c.Say("最多 %d 个选项。", "A poll has %d answers at most."), most))
	}
	for i, a := range answers {
		if slices.Contains(answers[:i], a) {
			return c.Whisper(fmt.Sprintf(c.Say("选项“%s”重复了。", "The answer %q is there twice."), a))
		}
	}
	// The command's message names the poll: a second attempt finds what the first has kept.
	id := c.Message
	p, err := sdk.Update(c.KV(), "poll:"+id, func(p *poll) error {
		if p.Author == "" {
			*p = poll{Question: q.Question, Answers: answers, Author: c.Sender.User, Votes: map[string]int{}, Locale: c.Locale}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.Card(card(id, &p))
	return err
}

// press is a vote, or the end of a poll.
func press(c *sdk.Ctx) error {
	verb, rest, _ := strings.Cut(c.Action, ":")
	id, number, _ := strings.Cut(rest, ":")
	if verb != "vote" && verb != "close" {
		return nil
	}
	choice, _ := strconv.Atoi(number)
	var told string
	p, err := sdk.Update(c.KV(), "poll:"+id, func(p *poll) error {
		told = ""
		switch {
		case p.Author == "":
			told = c.Say("这个投票已经不在了。", "This poll is gone.")
		case p.Closed:
			told = c.Say("投票已经结束。", "The poll is over.")
		case verb == "close" && c.Sender.User != p.Author && !c.Sender.IsAdmin():
			told = c.Say("只有发起人可以结束投票。", "Only who asked can close the poll.")
		case verb == "close":
			p.Closed = true
		case choice < 0 || choice >= len(p.Answers):
			told = c.Say("没有这个选项。", "There is no such answer.")
		default:
			if p.Votes == nil {
				p.Votes = map[string]int{}
			}
			p.Votes[c.Sender.User] = choice
		}
		if told != "" {
			return errTold
		}
		return nil
	})
	if told != "" {
		return c.Whisper(told)
	}
	if err != nil {
		return err
	}
	return show(c, id, p)
}

// show has the card say what is kept. Of presses at the same time an older one may show its
// count last: so whoever has shown something looks whether it is still so.
func show(c *sdk.Ctx, id string, p poll) error {
	for {
		k := card(id, &p)
		var err error
		if p.Closed {
			err = c.Lock(k)
		} else {
			err = c.Update(k)
		}
		if err != nil {
			return err
		}
		var now poll
		if _, err := c.KV().GetJSON("poll:"+id, &now); err != nil {
			return err
		}
		if reflect.DeepEqual(now, p) {
			return nil
		}
		p = now
	}
}

// errTold says that the person is told something, and nothing is written.
var errTold = fmt.Errorf("told")

// card is the poll as everybody sees it.
func card(id string, p *poll) *sdk.Card {
	zh := strings.HasPrefix(p.Locale, "zh")
	counts := make([]int, len(p.Answers))
	for _, v := range p.Votes {
		if v < len(counts) {
			counts[v]++
		}
	}
	k := sdk.NewCard(p.Question)
	text := []string{"%d vote", "Anybody may vote, and change it."}
	if len(p.Votes) != 1 {
		text[0] = "%d votes"
	}
	closing := "Close"
	if p.Closed {
		text[1] = "Closed."
	}
	if zh {
		text, closing = []string{"%d 票", "人人可投，可以改票。"}, "结束"
		if p.Closed {
			text[1] = "已结束。"
		}
	}
	k.Say(fmt.Sprintf(text[0], len(p.Votes)) + " · " + text[1])
	for i, a := range p.Answers {
		k.Row(a, bar(counts[i], len(p.Votes)))
		if !p.Closed {
			k.Button(fmt.Sprintf("vote:%s:%d", id, i), a)
		}
	}
	if !p.Closed {
		k.Danger("close:"+id, closing)
	}
	return k
}

// bar is a count with its share: ▇▇▇ 3.
func bar(n, of int) string {
	if n == 0 {
		return "0"
	}
	return strings.Repeat("▇", max(1, n*10/of)) + " " + strconv.Itoa(n)
}
