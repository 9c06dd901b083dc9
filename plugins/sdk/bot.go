package sdk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Version is this SDK's, as administrators see it beside a bot.
const Version = "1.0.0"

// AnyAge as a Bot's MaxEventAge: events of any age are to be answered.
const AnyAge time.Duration = -1

// Ordering says which events of a session wait for each other.
type Ordering int32

const (
	BySession Ordering = iota // one at a time in a session
	ByUser                    // one at a time of a person in a session: a slow answer holds up nobody else
	Unordered
)

// Bot is a bot: who it is, and its functions, each of which may be nil. They are called
// from several goroutines at once, for different sessions. An error has the event come
// again, unless it is one that another try can't help (see Error) or was made by Drop;
// a panic does too. Zero fields mean what is written beside them.
type Bot struct {
	ID       string    // 1 to 32 of a-z, 0-9 and -, beginning with a letter. Its user is b_ID
	Version  string    // 0.0.0
	Name     string    // as people see it; the ID
	About    string    // one line
	Avatar   string    // an emoji
	AI       bool      // a model of its own writes what it says; said by itself where it has the scope model
	Personas []Persona // when it is more than one user: all of them, instead of Name, About, Avatar and AI
	Scopes   []string  // what it asks for: docs/bots.md has the list
	Commands []Command

	Parallel    int           // how many events it takes at once: 16
	Ordering    Ordering      // BySession
	MaxEventAge time.Duration // after an outage, older events are not answered: 2 minutes
	Deadline    time.Duration // how long one function may take: 10 minutes

	// Config points to a struct, which is filled from the installation's settings before
	// any function is called. Its fields' tags (json, help, default, choices, min, max)
	// make the JSON Schema that says what may be there; another type ends the bot at its start.
	Config any

	OnStart    func(*Ctx) error // once, before all others; an error ends the bot
	OnMessage  func(*Ctx) error
	OnAction   func(*Ctx) error // a button or form that Actions doesn't have
	Actions    map[string]func(*Ctx) error
	OnAdded    func(*Ctx) error // to a session
	OnRemoved  func(*Ctx) error
	OnEdited   func(*Ctx) error
	OnRecalled func(*Ctx) error
	OnSchedule func(*Ctx) error
	OnWebhook  func(*Ctx) error

	// Moderate says what becomes of a message before anybody sees it. It has 300 ms,
	// which c's Deadline knows; it needs the scope moderate.
	Moderate func(*Draft) Verdict
}

// Persona is one of the users that a bot is.
type Persona struct {
	Handle string // "": its user is b_ID; else b_ID.HANDLE
	Name   string
	About  string
	Avatar string
	AI     bool
}

var handle = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Check says what is wrong with a bot, before any host does.
func (b *Bot) Check() error {
	if !handle.MatchString(b.ID) {
		return fmt.Errorf("a bot's ID is 1 to 32 of a-z, 0-9 and -, beginning with a letter; this is %q", b.ID)
	}
	handles := map[string]bool{}
	for _, p := range b.Personas {
		if p.Handle != "" && !handle.MatchString(p.Handle) {
			return fmt.Errorf("a persona's handle is 1 to 32 of a-z, 0-9 and -, beginning with a letter; this is %q", p.Handle)
		}
		if handles[p.Handle] {
			return fmt.Errorf("two personas have the handle %q", p.Handle)
		}
		handles[p.Handle] = true
	}
	names := map[string]bool{}
	for _, c := range b.Commands {
		if err := c.check(); err != nil {
			return err
		}
		if names[c.Name] {
			return fmt.Errorf("two commands are called /%s", c.Name)
		}
		names[c.Name] = true
	}
	if b.Config != nil {
		if _, err := configSchema(b.Config); err != nil {
			return err
		}
	}
	return nil
}

// describe is what the bot says first.
func (b *Bot) describe() (*botv1.Describe, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	d := &botv1.Describe{
		Protocol: botv1.Protocol, Id: b.ID, Version: cmp.Or(b.Version, "0.0.0"), Scopes: b.Scopes,
		Parallel: uint32(max(b.Parallel, 0)), Ordering: botv1.Ordering(b.Ordering),
		Moderates: b.Moderate != nil, Sdk: "go/" + Version,
	}
	switch {
	case b.MaxEventAge < 0:
		d.MaxEventAgeMs = -1
	default:
		d.MaxEventAgeMs = b.MaxEventAge.Milliseconds()
	}
	for _, p := range b.Personas {
		d.Personas = append(d.Personas, &botv1.Persona{Handle: p.Handle, Name: p.Name, About: p.About, Avatar: p.Avatar, Ai: p.AI})
	}
	if len(b.Personas) == 0 {
		d.Personas = []*botv1.Persona{{Name: cmp.Or(b.Name, b.ID), About: b.About, Avatar: b.Avatar, Ai: b.AI}}
	}
	for _, c := range b.Commands {
		d.Commands = append(d.Commands, c.wire())
	}
	if b.Config != nil {
		schema, err := configSchema(b.Config)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(schema)
		if err != nil {
			return nil, err
		}
		d.ConfigSchema = string(text)
	}
	return d, nil
}

func (b *Bot) command(name string) *Command {
	for i := range b.Commands {
		if b.Commands[i].Name == name {
			return &b.Commands[i]
		}
	}
	return nil
}

// handler is the function for an event, nil when the bot has none.
func (b *Bot) handler(c *Ctx) func(*Ctx) error {
	switch c.Kind {
	case "message":
		return b.OnMessage
	case "command", "tool":
		if cmd := b.command(c.Command); cmd != nil && cmd.Run != nil {
			return cmd.Run
		}
		return nil
	case "action":
		if f := b.Actions[c.Action]; f != nil {
			return f
		}
		return b.OnAction
	case "added":
		return b.OnAdded
	case "removed":
		return b.OnRemoved
	case "edited":
		return b.OnEdited
	case "recalled":
		return b.OnRecalled
	case "schedule":
		return b.OnSchedule
	case "webhook":
		return b.OnWebhook
	}
	return nil
}
