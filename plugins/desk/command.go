package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// command does what a message that begins with / calls for: an event for the bot, or an
// answer of the host's. mine is false where it is none of this bot's commands.
func (l *lane) command(ctx context.Context, e *protocol.Entry, said said, name, handle, rest string) (h *hand, mine bool, err error) {
	if name == "bot" && (handle == "" || handle == l.handle()) {
		return nil, l.human(), l.comeBack(ctx, e)
	}
	if name == "consent" && l.group() {
		target, what, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if handle = strings.TrimPrefix(target, "@"); strings.EqualFold(handle, l.handle()) || strings.EqualFold(handle, l.name()) {
			return nil, true, l.setConsent(ctx, e, strings.TrimSpace(what))
		}
		return nil, false, nil
	}
	if l.human() || handle != "" && handle != l.handle() && handle != l.bot {
		return nil, false, nil
	}
	cmd := l.p.commandOf(l.bot, name)
	if cmd == nil {
		return nil, false, nil
	}
	locale := l.p.d.localeOf(ctx, e)
	say := words(locale)
	if l.group() && handle == "" {
		same, err := l.p.d.alsoHere(ctx, l, name)
		if err != nil {
			return nil, true, err
		}
		if len(same) > 1 {
			if same[0] != l.bot { // one of them says so
				return nil, true, nil
			}
			var ways []string
			for _, bot := range same {
				ways = append(ways, "/"+name+"@"+handleOfBot(bot))
			}
			return nil, true, l.whisper(ctx, e, "ambiguous", fmt.Sprintf(say.ambiguous, strings.Join(ways, " ")))
		}
	}
	var args map[string]any
	var bad error
	c := &checker{say: say, locale: locale, cmd: cmd, mention: l.mentioned(ctx, e), member: func(user string) bool {
		_, err := l.p.d.roleOf(ctx, l.p.speak(l.bot), l.session, user)
		return err == nil
	}}
	if said.Command != "" && len(said.Args) > 0 {
		args, bad = c.object(said.Args)
	} else {
		args, bad = c.line(rest)
	}
	if bad != nil {
		return nil, true, l.whisper(ctx, e, "usage", bad.Error()+"\n"+fmt.Sprintf(say.usage, usage(cmd, locale)))
	}
	if l.tooOld(e) {
		return nil, true, l.whisper(ctx, e, "late", say.late)
	}
	h = l.hand(ctx, e, "command")
	text, _ := json.Marshal(args)
	h.event.Command, h.event.Args = name, string(text)
	if e.ReplyTo != "" {
		target, err := l.entry(ctx, e.ReplyTo)
		if err != nil {
			return nil, true, err
		}
		if target != nil {
			h.event.ReplyTo = l.quote(target)
		}
	}
	return h, true, nil
}

func (l *lane) handle() string { return l.p.handle(l.bot) }

func (p *plug) handle(bot protocol.UserID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.selves[bot].GetHandle()
}

func (l *lane) name() string { return l.p.nameOf(l.bot) }

func (p *plug) nameOf(bot protocol.UserID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.selves[bot].GetName()
}

// commandOf gives a command of one of the plugin's users, nil: it has none of that name.
func (p *plug) commandOf(bot protocol.UserID, name string) *botv1.Command {
	for _, c := range p.commandsOf(bot) {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// commandsOf gives those that one of the plugin's users serves.
func (p *plug) commandsOf(bot protocol.UserID) (all []*botv1.Command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if self := p.selves[bot]; self != nil {
		return commandsOf(p.says, self.Handle)
	}
	return nil
}

// commandsOf gives those that a persona serves; the first one has what no other is named for.
func commandsOf(says *botv1.Describe, handle string) (all []*botv1.Command) {
	for _, c := range says.GetCommands() {
		if c.Persona == handle || c.Persona == "" && handle == handlesOf(says)[0] {
			all = append(all, c)
		}
	}
	return all
}

// alsoHere gives the bots of the lane's session that have a command of this name, in the
// order of their ids.
func (d *Desks) alsoHere(ctx context.Context, l *lane, name string) ([]protocol.UserID, error) {
	here := []protocol.UserID{l.bot}
	for _, s := range d.speakers() {
		for _, self := range selvesOf(s.says) {
			if self.User == l.bot || !slices.ContainsFunc(commandsOf(s.says, self.Handle), func(c *botv1.Command) bool { return c.Name == name }) {
				continue
			}
			_, err := d.roleOf(ctx, l.p.speak(l.bot), l.session, self.User)
			if protocol.Code_NOT_FOUND.Is(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			here = append(here, self.User)
		}
	}
	slices.Sort(here)
	return here, nil
}

// everyBot gives all users that bots are here.
func (d *Desks) everyBot() map[protocol.UserID]*plug {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return maps.Clone(d.bots)
}

// mentioned gives whom a message mentions, by the names that stand in its text.
func (l *lane) mentioned(ctx context.Context, e *protocol.Entry) []*botv1.Person {
	var ids []protocol.UserID
	for _, u := range e.Mentions {
		if u != "*" && u != l.bot {
			ids = append(ids, u)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return l.p.d.people.all(ctx, ids)
}

// usage is how a command is typed.
func usage(c *botv1.Command, locale string) string {
	var b strings.Builder
	b.WriteString("/" + c.Name)
	for _, a := range c.Args {
		name := a.Name
		if len(a.Choices) > 0 {
			name = strings.Join(a.Choices, "|")
		}
		if a.Required {
			b.WriteString(" <" + name + ">")
		} else {
			b.WriteString(" [" + name + "]")
		}
	}
	if help := helpIn(c.Help, c.HelpIn, locale); help != "" {
		b.WriteString(" — " + help)
	}
	return b.String()
}

// helpIn picks the help for a locale: zh-CN, then zh, then the English one.
func helpIn(help string, in map[string]string, locale string) string {
	short, _, _ := strings.Cut(locale, "-")
	for _, l := range []string{locale, short} {
		if h := in[l]; h != "" {
			return h
		}
	}
	for l, h := range in {
		if s, _, _ := strings.Cut(l, "-"); s == short {
			return h
		}
	}
	return help
}

// whisper tells the sender of e something, as the bot. That it is gone by now is no error.
func (l *lane) whisper(ctx context.Context, e *protocol.Entry, about, text string) error {
	to := e.MessagerecvId
	if e.Quiet { // nobody is shown a press: its card is what was meant
		to = e.ReplyTo
	}
	err := l.p.d.need.Actors.Whisper(ctx, &protocol.MsgWhisper{
		Session: l.session, WhisperId: "w." + hashed(e.MessagerecvId, l.bot, about), Sender: l.bot,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}, CreatedAt: l.p.d.now(), ReplyTo: to,
	}, e.Sender)
	if protocol.Code_BUSY.Is(err) || protocol.AsError(err).Code == protocol.Code_INTERNAL && err != nil {
		return err
	}
	return nil
}
