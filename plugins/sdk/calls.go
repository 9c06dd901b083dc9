package sdk

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Line is a message of the session's past.
type Line struct {
	Message string
	Seq     int64
	Sender  Person
	Text    string
	Content json.RawMessage
	Files   []File
	ReplyTo string
	At      time.Time
	Mine    bool
}

// History gives the last messages before the event, at most limit, the oldest first.
func (c *Ctx) History(limit int) ([]Line, error) { return c.HistoryBefore(c.Seq, limit) }

// HistoryBefore gives the last messages before seq; 0 is the end.
func (c *Ctx) HistoryBefore(seq int64, limit int) ([]Line, error) {
	call := c.call()
	call.Do = &botv1.Call_History{History: &botv1.History{Before: seq, Limit: int32(limit)}}
	r, err := c.do(c, call)
	if err != nil {
		return nil, err
	}
	var lines []Line
	for _, l := range r.GetEntries().GetLines() {
		lines = append(lines, Line{
			Message: l.Message, Seq: l.Seq, Sender: person(l.Sender), Text: l.Text, Content: json.RawMessage(l.Content),
			Files: files(l.Files), ReplyTo: l.ReplyTo, At: moment(l.CreatedAt), Mine: l.Mine,
		})
	}
	return lines, nil
}

// Members goes through the session's members, page by page; after an error there is no more.
func (c *Ctx) Members() iter.Seq2[Person, error] {
	return func(yield func(Person, error) bool) {
		cursor := ""
		for {
			call := c.call()
			call.Do = &botv1.Call_Members{Members: &botv1.Members{Cursor: cursor}}
			r, err := c.do(c, call)
			if err != nil {
				yield(Person{}, err)
				return
			}
			for _, p := range r.GetMembers().GetPeople() {
				if !yield(person(p), nil) {
					return
				}
			}
			if cursor = r.GetMembers().GetNext(); cursor == "" {
				return
			}
		}
	}
}

// Schedule has an event of kind schedule come to this session at a time, with body: a
// string, or what is marshalled to JSON; 16 KiB at most. The same id again moves it.
func (c *Ctx) Schedule(id string, at time.Time, body any) error {
	text, ok := body.(string)
	if !ok && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = string(b)
	}
	call := c.call()
	call.Do = &botv1.Call_Schedule{Schedule: &botv1.Schedule{Id: id, At: at.UnixMilli(), Body: clean(text)}}
	_, err := c.do(c, call)
	return err
}

// Unschedule takes a Schedule back. One that is not there is no error.
func (c *Ctx) Unschedule(id string) error {
	call := c.call()
	call.Do = &botv1.Call_Unschedule{Unschedule: &botv1.Unschedule{Id: id}}
	_, err := c.do(c, call)
	if Code(err) == "NOT_FOUND" {
		return nil
	}
	return err
}

// File gives a file of the session's and its contents, 16 MiB at most.
func (c *Ctx) File(id string) (File, []byte, error) {
	call := c.call()
	call.Do = &botv1.Call_FileGet{FileGet: &botv1.FileGet{File: id}}
	r, err := c.do(c, call)
	if err != nil {
		return File{}, nil, err
	}
	f := r.GetFile()
	return File{ID: f.GetFile(), Name: f.GetName(), MIME: f.GetMime(), Size: int64(len(f.GetData()))}, f.GetData(), nil
}

// Upload keeps a file, 16 MiB at most, and gives its id for a Post's Content or a
// card's Image.
func (c *Ctx) Upload(name, mime string, data []byte) (string, error) {
	call := c.call()
	call.Do = &botv1.Call_FilePut{FilePut: &botv1.FilePut{Name: clean(name), Mime: mime, Data: data}}
	r, err := c.do(c, call)
	return r.GetFile().GetFile(), err
}

// Handoff gives the session to people, and tells them summary. user is whom to ask, "":
// the owner and the administrators. The bot gets no messages of it until somebody says /bot.
func (c *Ctx) Handoff(user, summary string) error { return c.handoff("human", user, summary) }

// TakeOver has the bot answer again after a Handoff.
func (c *Ctx) TakeOver() error { return c.handoff("bot", "", "") }

func (c *Ctx) handoff(to, user, summary string) error {
	call := c.call()
	call.Do = &botv1.Call_Handoff{Handoff: &botv1.Handoff{To: to, User: user, Summary: clean(summary)}}
	_, err := c.do(c, call)
	return err
}

// Tool is a command of another bot in the session.
type Tool struct {
	Name        string // BOT__COMMAND
	Help        string
	Schema      json.RawMessage // JSON Schema of its arguments
	Destructive bool            // a person is asked before it is done
}

// Tools are the commands of the other bots in the session.
func (c *Ctx) Tools() ([]Tool, error) {
	call := c.call()
	call.Do = &botv1.Call_Tools{Tools: &botv1.Tools{}}
	r, err := c.do(c, call)
	var tools []Tool
	for _, t := range r.GetTools().GetTools() {
		tools = append(tools, Tool{Name: t.Name, Help: t.Help, Schema: json.RawMessage(t.Schema), Destructive: t.Destructive})
	}
	return tools, err
}

// CallTool has another bot do a command, and gives what it said. pending says that a
// person is asked first: it goes on without this bot when they click.
func (c *Ctx) CallTool(name string, args any) (text string, pending bool, err error) {
	raw, ok := args.(json.RawMessage)
	if !ok {
		if raw, err = json.Marshal(args); err != nil {
			return "", false, err
		}
	}
	call := c.call()
	call.Do = &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: name, Args: clean(string(raw))}}
	r, err := c.do(c, call)
	return r.GetTool().GetText(), r.GetTool().GetPending(), err
}

// Used says what a model cost, where it was not reached by Model, and gives how many
// tokens are left for the event's sender; -1: no bound.
func (c *Ctx) Used(model string, prompt, completion int64) (left int64, err error) {
	call := c.call()
	call.Do = &botv1.Call_Usage{Usage: &botv1.Usage{Model: model, PromptTokens: prompt, CompletionTokens: completion}}
	r, err := c.do(c, call)
	return r.GetUsage().GetTokens(), err
}

// Secret gives one of the secrets that the installation keeps for this bot.
func (c *Ctx) Secret(name string) (string, error) {
	call := c.call()
	call.Do = &botv1.Call_Secret{Secret: &botv1.Secret{Name: name}}
	r, err := c.do(c, call)
	return r.GetSecret().GetValue(), err
}
