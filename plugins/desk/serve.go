package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Protocol is the version of the frames that this host speaks.
const Protocol = 1

// RefusedError says why a bot was not let in: Code is one of docs/bots-delivery.md.
type RefusedError struct {
	Code   string
	Reason string
}

func (e *RefusedError) Error() string { return e.Code + ": " + e.Reason }

func refuse(code, format string, args ...any) error {
	return &RefusedError{code, fmt.Sprintf(format, args...)}
}

// ErrGone is how Serve's error begins when the bot's end of the channel is lost.
var ErrGone = errors.New("the bot is gone")

// Describe hears what a bot says of itself, and ends the channel.
func (d *Desks) Describe(ctx context.Context, ch Channel) (*botv1.Describe, error) {
	says, err := d.hear(ctx, ch)
	if err == nil {
		err = check(says)
	}
	d.send(ch, &botv1.HostFrame{Body: &botv1.HostFrame_Refused{Refused: &botv1.Refused{Code: "DESCRIBED", Reason: "this was all that was asked for"}}})
	ch.Close("it described itself")
	return says, err
}

// hear waits for a bot's first frame.
func (d *Desks) hear(ctx context.Context, ch Channel) (*botv1.Describe, error) {
	type heard struct {
		f   *botv1.BotFrame
		err error
	}
	first := make(chan heard, 1)
	go func() {
		f, err := ch.Recv()
		first <- heard{f, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Handshake)
	defer cancel()
	select {
	case h := <-first:
		if h.err != nil {
			return nil, fmt.Errorf("%w before it described itself: %w", ErrGone, h.err)
		}
		if says := h.f.GetDescribe(); says != nil {
			return says, nil
		}
		return nil, refuse("DESCRIBE_FIRST", "the first frame is to be describe")
	case <-ctx.Done():
		return nil, refuse("DESCRIBE_LATE", "describe has to come within %v", d.cfg.Handshake)
	}
}

func (d *Desks) send(ch Channel, f *botv1.HostFrame) {
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.Write)
	defer cancel()
	_ = ch.Send(ctx, f) // it is ended next
}

var (
	pluginID    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	commandName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	argTypes    = []string{"text", "word", "integer", "number", "boolean", "duration", "user", "choice"}
)

// check refuses what a bot may not say of itself.
func check(says *botv1.Describe) error {
	bad := func(format string, args ...any) error { return refuse("BAD_DESCRIBE", format, args...) }
	if says.Protocol != Protocol {
		return refuse("PROTOCOL", "protocol %d is spoken here, not %d", Protocol, says.Protocol)
	}
	if !pluginID.MatchString(says.Id) {
		return bad("id: 1 to 32 of a-z, 0-9 and -, beginning with a letter")
	}
	if len(says.Personas) > 16 || len(says.Commands) > 100 {
		return bad("16 personas and 100 commands at most")
	}
	handles := map[string]bool{}
	for _, h := range handlesOf(says) {
		if !pluginID.MatchString(h) || handles[h] {
			return bad("personas: the handle %.40q is no good, or is there twice", h)
		}
		handles[h] = true
	}
	seen := map[string]bool{}
	for _, c := range says.Commands {
		switch {
		case !commandName.MatchString(c.Name):
			return bad("commands: the name %.40q: 1 to 32 of a-z, 0-9 and -", c.Name)
		case c.Name == "bot" || c.Name == "consent":
			return bad("commands: /%s is the host's own", c.Name)
		case c.Persona != "" && !handles[c.Persona]:
			return bad("commands: /%s is served by %.40q, which is no persona", c.Name, c.Persona)
		case seen[c.Persona+"/"+c.Name]:
			return bad("commands: /%s is there twice", c.Name)
		case len(c.Args) > 20:
			return bad("commands: /%s: 20 arguments at most", c.Name)
		}
		seen[c.Persona+"/"+c.Name] = true
		names := map[string]bool{}
		for i, a := range c.Args {
			switch {
			case a.Name == "" || len(a.Name) > 32 || names[a.Name]:
				return bad("commands: /%s: an argument's name is missing, too long or there twice", c.Name)
			case !slices.Contains(argTypes, a.Type):
				return bad("commands: /%s: %s: there is no type %.20q", c.Name, a.Name, a.Type)
			case a.Type == "choice" && len(a.Choices) == 0:
				return bad("commands: /%s: %s: choices are needed", c.Name, a.Name)
			case a.Type == "text" && i < len(c.Args)-1:
				return bad("commands: /%s: %s: text takes the rest of the line, so it is the last", c.Name, a.Name)
			case a.Required && i > 0 && !c.Args[i-1].Required:
				return bad("commands: /%s: %s: what is required comes first", c.Name, a.Name)
			}
			names[a.Name] = true
		}
	}
	return nil
}

// handlesOf gives the handles of a bot's personas.
func handlesOf(says *botv1.Describe) (all []string) {
	for _, p := range personasOf(says) {
		all = append(all, handleOf(says, p.Handle))
	}
	return all
}

func handleOf(says *botv1.Describe, handle string) string {
	if handle == "" {
		return says.Id
	}
	return handle
}

// Serve lets a bot in and works for it until its channel ends or ctx does. Then the bot
// is told to finish, and Serve returns nil once it has; a second Serve of the same
// plugin does the same to the first, so that a new version takes over from an old one.
// An error is a *RefusedError, or ErrGone with how the channel ended.
func (d *Desks) Serve(ctx context.Context, of Plugin, ch Channel) error {
	says, err := d.hear(ctx, ch)
	if err == nil {
		err = check(says)
	}
	if err == nil && says.Id != of.ID {
		err = refuse("WRONG_ID", "plugin %s says that it is %.40q", of.ID, says.Id)
	}
	var selves []*botv1.Self
	if err == nil {
		selves, err = d.enroll(ctx, says, of.Model.Socket != "")
	}
	if err != nil {
		var no *RefusedError
		if !errors.As(err, &no) {
			no = &RefusedError{"BUSY", "the bot's users cannot be made now"}
		}
		d.send(ch, &botv1.HostFrame{Body: &botv1.HostFrame_Refused{Refused: &botv1.Refused{Code: no.Code, Reason: no.Reason}}})
		ch.Close(no.Code)
		return err
	}
	p := d.plug(of.ID)
	l := newLink(p, ch, of.Remote)
	scopes := map[string]bool{}
	for _, s := range append([]string{"write"}, says.Scopes...) { // every bot wants to speak, and says so to whoever approves it
		if slices.Contains(of.Scopes, s) {
			scopes[s] = true
		}
	}
	config := of.Config
	if config == "" {
		config = "{}"
	}
	l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{
		Protocol: Protocol, Selves: selves, Config: config, Scopes: slices.Sorted(maps.Keys(scopes)),
		ModelSocket: of.Model.Socket, ModelToken: of.Model.Token, Locale: d.locale(), HostVersion: d.cfg.Version,
	}}})
	p.attach(l, of, says, selves, scopes)
	err = l.run(ctx)
	p.detach(l)
	return err
}

// enroll makes the users that a plugin is. Those of one that has a model are shown as AI.
func (d *Desks) enroll(ctx context.Context, says *botv1.Describe, model bool) (selves []*botv1.Self, err error) {
	selves = selvesOf(says)
	for i, p := range personasOf(says) {
		self := selves[i]
		if err := d.need.Users.EnsureBot(ctx, Persona{User: self.User, Name: self.Name, About: p.About, Avatar: p.Avatar, AI: model || p.Ai}); err != nil {
			if code := protocol.AsError(err).Code; code == protocol.Code_BAD_REQUEST || code == protocol.Code_TOO_LARGE || code == protocol.Code_CONFLICT {
				return nil, refuse("BAD_DESCRIBE", "persona %s: %s", self.Handle, protocol.AsError(err).Detail)
			}
			return nil, fmt.Errorf("desk: the user of %s: %w", self.User, err)
		}
	}
	return selves, nil
}

func personasOf(says *botv1.Describe) []*botv1.Persona {
	if len(says.Personas) == 0 {
		return []*botv1.Persona{{Handle: says.Id, Name: says.Id}}
	}
	return says.Personas
}

// selvesOf gives the users that a plugin is, one for each of personasOf.
func selvesOf(says *botv1.Describe) (selves []*botv1.Self) {
	for _, p := range personasOf(says) {
		handle := handleOf(says, p.Handle)
		selves = append(selves, &botv1.Self{Handle: handle, User: protocol.BotUserID(says.Id, handle), Name: cmp.Or(p.Name, handle)})
	}
	return selves
}

// run works for the bot until its channel ends, or ctx does and it has finished.
func (l *link) run(ctx context.Context) error {
	defer l.end("the desk is done with it")
	l.tasks.Go(l.write)
	l.tasks.Go(l.pinging)
	read := make(chan error, 1)
	go func() { read <- l.read() }()
	select {
	case err := <-read:
		return l.gone(err)
	case <-ctx.Done():
	case <-l.replaced:
	}
	l.quiet.Store(true) // who does not finish in time is killed: what it has in hand is not to blame
	l.p.retire(l)
	l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Drain{Drain: &botv1.Drain{}}})
	patience := time.NewTimer(l.p.d.cfg.Drain)
	defer patience.Stop()
	select {
	case <-l.drained:
		return nil
	case err := <-read:
		if l.p.inHand(l) == 0 {
			return nil
		}
		return l.gone(err)
	case <-patience.C:
		return nil
	}
}
