package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// forever is a silence's end that does not come by itself.
const forever = 1<<53 - 1

// join goes into a group, by a link's code or by an open group's id.
func (c *chat) join(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("/join CODE, or the id of an open group")
	}
	m := &protocol.SessionJoin{Code: args[0]}
	if _, err := protocol.ParseSessionID(args[0]); err == nil {
		m = &protocol.SessionJoin{Session: args[0]}
	}
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: m}})
	if err != nil {
		return err
	}
	return c.enter(ctx, f.GetSessionJoinReply().GetSession())
}

// link makes a link into the open group, for COUNT people.
func (c *chat) link(ctx context.Context, args []string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	m := &protocol.LinkCreate{Session: session}
	if len(args) > 0 {
		if m.Uses, err = strconv.ParseInt(args[0], 10, 64); err != nil || m.Uses < 1 {
			return errors.New("/link COUNT: how many people may come in by it?")
		}
	}
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_LinkCreate{LinkCreate: m}})
	if err != nil {
		return err
	}
	l := f.GetLinkCreateReply().GetLink()
	c.say("/join %s lets people in until %s", clean(l.GetCode()), time.UnixMilli(l.GetExpiresAt()).Format("2 Jan 15:04"))
	return nil
}

// announce puts up what everybody in the group should read; nothing takes it down.
func (c *chat) announce(ctx context.Context, args []string) error {
	text := strings.Join(args, " ")
	return c.set(ctx, &protocol.SessionSet{Announcement: &text})
}

// silence keeps somebody from writing: for a time, or until it is lifted (0).
func (c *chat) silence(ctx context.Context, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("/silence NAME 10m; 0 lifts it, without a time it stays")
	}
	until := int64(forever)
	if len(args) == 2 {
		d, err := time.ParseDuration(args[1])
		if err != nil || d < 0 {
			return errors.New("/silence NAME 10m: a time like 30s, 10m or 2h, or 0")
		}
		if until = 0; d > 0 {
			until = time.Now().Add(d).UnixMilli()
		}
	}
	user, err := c.user(ctx, args[0])
	if err != nil {
		return err
	}
	return c.set(ctx, &protocol.SessionSet{Members: []string{user}, SilencedUntil: &until})
}

func (c *chat) dissolve(ctx context.Context, _ []string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	_, err = c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: session}}})
	return err
}

// set changes the open session.
func (c *chat) set(ctx context.Context, m *protocol.SessionSet) (err error) {
	if m.Session, err = c.current(); err != nil {
		return err
	}
	_, err = c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: m}})
	return err
}

// changed is what a change entry says, in words that go behind who changed it.
func (c *chat) changed(e *protocol.Entry) string {
	var said []string
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	x := e.Change
	if x == nil {
		x = &protocol.SessionChange{}
	}
	if e.Name != "" {
		add("named this %s", clean(e.Name))
	}
	if e.Owner != "" {
		add("made %s the owner", c.name(e.Owner))
	}
	switch {
	case len(e.Members) == 0:
	case x.SilencedUntil == nil:
		add("made %s %s", c.namesOf(e.Members), strings.ToLower(e.Role.String()))
	case *x.SilencedUntil == 0:
		add("lets %s write again", c.namesOf(e.Members))
	case *x.SilencedUntil == forever:
		add("silenced %s", c.namesOf(e.Members))
	default:
		add("silenced %s until %s", c.namesOf(e.Members), clock(*x.SilencedUntil))
	}
	if x.Announcement != nil && *x.Announcement == "" {
		add("took the announcement down")
	} else if x.Announcement != nil {
		add("announces: %s", clean(*x.Announcement))
	}
	if x.Avatar != nil {
		add("changed the picture")
	}
	if x.SilenceAll != nil {
		add("%s", map[bool]string{true: "silenced everybody", false: "lets everybody write again"}[*x.SilenceAll])
	}
	if x.ReadOnly != nil {
		add("%s", map[bool]string{true: "made this a broadcast", false: "lets everybody write"}[*x.ReadOnly])
	}
	if x.JoinPolicy != nil {
		add("lets people in: %s", map[protocol.JoinPolicy]string{
			protocol.JoinPolicy_INVITE_ONLY: "who are invited", protocol.JoinPolicy_ASK: "who ask", protocol.JoinPolicy_OPEN: "all"}[*x.JoinPolicy])
	}
	if x.InvitePolicy != nil {
		add("lets invite: %s", map[protocol.InvitePolicy]string{
			protocol.InvitePolicy_MEMBERS_INVITE: "everybody", protocol.InvitePolicy_ADMINS_INVITE: "admins"}[*x.InvitePolicy])
	}
	if x.Until != nil && *x.Until == 0 {
		add("lets this stay")
	} else if x.Until != nil {
		add("ends this at %s", time.UnixMilli(*x.Until).Format("2 Jan 15:04"))
	}
	if x.Dissolved {
		add("dissolved this")
	}
	if len(said) == 0 {
		add("changed something")
	}
	return strings.Join(said, ", ")
}
