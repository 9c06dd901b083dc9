// Package bridge is a bot that connects a session with other systems: what they POST to
// an address is said in the session, and what is said there is POSTed to them.
package bridge

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// maxOut is how many addresses a session's messages are sent to.
const maxOut = 5

// out is an address that is told what is said in a session.
type out struct {
	URL    string    `json:"url"`
	Secret string    `json:"secret"`
	By     string    `json:"by"`
	Failed int       `json:"failed,omitempty"` // in a row
	Why    string    `json:"why,omitempty"`    // the last time
	Made   time.Time `json:"made"`
}

// outsKey has a session's addresses.
const outsKey = "out"

// giveUp is after how many messages in a row that an address did not take it is removed.
const giveUp = 20

// New makes the bot.
func New() *sdk.Bot {
	return &sdk.Bot{
		ID: "bridge", Version: "1.0.0", Name: "Bridge", Avatar: "🌉",
		About:  "Connects a session with other systems: /bridge",
		Scopes: []string{"write", "kv", "hooks", "network", "read.all"},
		Commands: []sdk.Command{
			sdk.On("bridge", "connect this session with other systems: in NAME, out URL, list, remove ID", bridge).
				In("zh-CN", "把会话与其他系统相连:in 名称、out 地址、list、remove 编号").
				Destroys(), // what it sends away can't be taken back: no model does that by itself
		},
		MaxEventAge: 24 * time.Hour, // what others are sent may come late, and is not to be lost
		OnMessage:   tell,
		OnWebhook:   say,
		OnRemoved:   forget,
	}
}

type args struct {
	What string `help:"in, out, list or remove" zh:"in、out、list 或 remove" choices:"in,out,list,remove" default:"list"`
	Of   string `arg:",text,optional" help:"a name, an address or an id" zh:"名称、地址或编号"`
}

func bridge(c *sdk.Ctx, a args) error {
	if c.IsGroup() && !c.Sender.IsAdmin() {
		return c.Whisper(c.Say("只有群主和管理员可以设置。", "Only the owner and admins may set this."))
	}
	of := strings.TrimSpace(a.Of)
	switch a.What {
	case "in":
		return in(c, of)
	case "out":
		return addOut(c, of)
	case "remove":
		return remove(c, of)
	}
	return list(c)
}

func in(c *sdk.Ctx, name string) error {
	if name == "" {
		name = "in"
	}
	h, err := c.MakeHook(name)
	if err != nil {
		return refuse(c, err)
	}
	return c.Whisper(c.Say(
		fmt.Sprintf("发到这里的内容会出现在会话中(编号 %s)。请保密,只显示这一次:\nPOST %s\n正文为文本,或 {\"text\": \"…\"}。", h.ID, h.Path),
		fmt.Sprintf("What is sent here is said in this session (id %s). Keep it secret; it is shown this once:\nPOST %s\nThe body is a text, or {\"text\": \"…\"}.", h.ID, h.Path)))
}

func addOut(c *sdk.Ctx, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return c.Whisper(c.Say("请给出一个 https:// 地址。", "An address like https://example.com/hook is needed."))
	}
	o := out{URL: address, Secret: rand.Text(), By: c.Sender.User, Made: c.Now().UTC()}
	err = change(c, func(all []out) ([]out, error) {
		for i := range all {
			if all[i].URL == address {
				all[i] = o
				return all, nil
			}
		}
		if len(all) >= maxOut {
			return nil, &sdk.Error{Code: "TOO_MANY", Detail: fmt.Sprintf("%d at most", maxOut)}
		}
		return append(all, o), nil
	})
	if err != nil {
		return refuse(c, err)
	}
	return c.Whisper(c.Say(
		fmt.Sprintf("从现在起,会话中的消息会发送到 %s。签名密钥(只显示这一次):%s", address, o.Secret),
		fmt.Sprintf("From now on what is said here is sent to %s. It is signed by (shown this once): %s", address, o.Secret)))
}

func list(c *sdk.Ctx) error {
	hooks, err := c.Hooks()
	if err != nil {
		return err
	}
	outs, err := outs(c)
	if err != nil {
		return err
	}
	if len(hooks)+len(outs) == 0 {
		return c.Whisper(c.Say("还没有连接。/bridge in 名称,或 /bridge out 地址", "Nothing is connected yet: /bridge in NAME, or /bridge out URL"))
	}
	var b strings.Builder
	for _, h := range hooks {
		fmt.Fprintf(&b, "in  %s  %s\n", h.ID, h.Name)
	}
	for _, o := range outs {
		fmt.Fprintf(&b, "out %s", o.URL)
		if o.Failed > 0 {
			fmt.Fprintf(&b, c.Say("(连续失败 %d 次:%s)", " (failed %d times in a row: %s)"), o.Failed, o.Why)
		}
		b.WriteByte('\n')
	}
	return c.Whisper(strings.TrimSpace(b.String()))
}

func remove(c *sdk.Ctx, what string) error {
	found := false
	err := change(c, func(all []out) ([]out, error) {
		rest := all[:0]
		for _, o := range all {
			if o.URL == what {
				found = true
				continue
			}
			rest = append(rest, o)
		}
		return rest, nil
	})
	if err == nil && !found && what != "" {
		err = c.DropHook(what)
		found = err == nil
	}
	switch {
	case sdk.Code(err) == "NOT_FOUND", err == nil && !found:
		return c.Whisper(c.Say("没有这个编号或地址。/bridge list 会列出来。", "There is none like that: /bridge list has them."))
	case err != nil:
		return refuse(c, err)
	}
	return c.Whisper(c.Say("已断开。", "It is disconnected."))
}

// refuse tells the asker what the host would not do. What may go well another time is
// tried again by the host.
func refuse(c *sdk.Ctx, err error) error {
	switch sdk.Code(err) {
	case "TOO_MANY", "DENIED", "BAD_REQUEST", "TOO_LARGE", "QUOTA":
		return c.Whisper(c.Say("不行:", "That cannot be: ") + err.Error())
	}
	return err
}

// change rewrites the session's addresses; of two who do it at once one does it after the other.
func change(c *sdk.Ctx, do func([]out) ([]out, error)) error {
	_, err := sdk.Update(c.KV(), outsKey, func(all *[]out) (err error) {
		*all, err = do(*all)
		return err
	})
	return err
}

// outs are the session's addresses.
func outs(c *sdk.Ctx) (all []out, err error) {
	_, err = c.KV().GetJSON(outsKey, &all)
	return all, err
}

// told is what an address is sent.
type told struct {
	ID      string          `json:"id"` // the same for the same message, however often it is sent
	Session string          `json:"session"`
	Sender  sdk.Person      `json:"sender"`
	Text    string          `json:"text,omitempty"`
	Content json.RawMessage `json:"content,omitempty"`
	At      time.Time       `json:"at"`
}

// tell sends a message to the session's addresses.
func tell(c *sdk.Ctx) error {
	outs, err := outs(c)
	if err != nil {
		return err
	}
	if len(outs) == 0 {
		if c.IsGroup() {
			return nil
		}
		return list(c)
	}
	body, err := json.Marshal(told{c.ID, c.Session, c.Sender, c.Text, c.Content, c.At})
	if err != nil {
		return sdk.Drop(err)
	}
	failed := map[string]string{}
	for _, o := range outs {
		r, err := c.Fetch(sdk.Request{Method: "POST", URL: o.URL, Header: map[string]string{"Content-Type": "application/json"}, Body: body, Sign: o.Secret})
		switch {
		case c.Err() != nil:
			return c.Err()
		case err != nil:
			failed[o.URL] = sdk.Code(err)
		case r.Status < 200 || r.Status > 299:
			failed[o.URL] = fmt.Sprint(r.Status)
		default:
			failed[o.URL] = ""
		}
	}
	return note(c, outs, failed)
}

// note keeps how sending went, where that is news. An address that never takes anything
// is removed, and the session is told.
func note(c *sdk.Ctx, outs []out, failed map[string]string) error {
	news := false
	for _, o := range outs {
		news = news || failed[o.URL] != "" || o.Failed > 0
	}
	if !news {
		return nil
	}
	var gone []string
	err := change(c, func(all []out) ([]out, error) {
		gone = nil
		rest := all[:0]
		for _, o := range all {
			if why, tried := failed[o.URL]; tried {
				o.Why = why
				if o.Failed++; why == "" {
					o.Failed = 0
				}
			}
			if o.Failed >= giveUp {
				gone = append(gone, o.URL)
				continue
			}
			rest = append(rest, o)
		}
		return rest, nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return c.Reply(c.Say("以下地址多次没有接收消息,已断开:", "These took nothing many times in a row, and are disconnected: ") + strings.Join(gone, " "))
}

// say says what came to a hook.
func say(c *sdk.Ctx) error {
	w, err := c.Webhook()
	if err != nil {
		return err
	}
	text := w.Body
	var said struct {
		Text    string `json:"text"`
		Content string `json:"content"`
		Message string `json:"message"`
	}
	if json.Unmarshal([]byte(w.Body), &said) == nil {
		for _, t := range []string{said.Text, said.Content, said.Message} {
			if t != "" {
				text = t
				break
			}
		}
		if text == w.Body { // an object of another shape is shown as it is
			var neat bytes.Buffer
			if json.Indent(&neat, []byte(w.Body), "", "  ") == nil {
				text = "```json\n" + neat.String() + "\n```"
			}
		}
	}
	return c.Reply(w.Name + ": " + cut(text))
}

// maxSaid is in bytes, less than a message may have.
const maxSaid = 7 << 10

func cut(text string) string {
	if len(text) <= maxSaid {
		return text
	}
	return strings.ToValidUTF8(text[:maxSaid], "") + "…"
}

// forget ends everything when the bot leaves a session.
func forget(c *sdk.Ctx) error {
	if err := c.DropHook(""); err != nil {
		return err
	}
	return c.KV().Delete(outsKey)
}
