package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What requests are answered with, and what they look like then.
const (
	accept   = 2
	refuse   = 3
	takeBack = 4
)

var answered = map[int64]string{1: "waits", accept: "was accepted", refuse: "was refused", takeBack: "was taken back"}

func (c *chat) friend(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("/friend NAME [NOTE]")
	}
	user, err := c.user(ctx, args[0])
	if err != nil {
		return err
	}
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{
		Target: user, Note: strings.Join(args[1:], " "),
	}}})
	if err != nil {
		return err
	}
	if r := f.GetRequestSendReply().GetRequest(); r.GetCallBackType() == accept {
		c.say("* you both wanted it: %s is your friend", c.name(user))
	} else {
		c.say("* %s is asked", c.name(user))
	}
	return nil
}

func (c *chat) unfriend(ctx context.Context, args []string) error {
	return c.contact(ctx, args, func(user string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_ContactRemove{ContactRemove: &protocol.ContactRemove{User: user}}}
	})
}

func (c *chat) blocks(ctx context.Context, args []string) error   { return c.block(ctx, args, true) }
func (c *chat) unblocks(ctx context.Context, args []string) error { return c.block(ctx, args, false) }

func (c *chat) block(ctx context.Context, args []string, yes bool) error {
	return c.contact(ctx, args, func(user string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: user, Blocked: &yes}}}
	})
}

func (c *chat) contact(ctx context.Context, args []string, frame func(string) *protocol.Frame) error {
	if len(args) != 1 {
		return errors.New("who?")
	}
	user, err := c.user(ctx, args[0])
	if err != nil {
		return err
	}
	_, err = c.request(ctx, frame(user))
	return err
}

func (c *chat) friends(ctx context.Context, _ []string) error {
	some := false
	for cursor := ""; ; {
		f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{Cursor: cursor, Limit: 200}}})
		if err != nil {
			return err
		}
		reply := f.GetContactListReply()
		for _, x := range reply.Contacts {
			some = true
			c.say("  %-20s %s", c.name(x.User), contactLine(x))
		}
		if cursor = reply.Next; cursor == "" {
			break
		}
	}
	if !some {
		c.say("Nobody yet: /friend NAME asks somebody.")
	}
	return nil
}

func contactLine(x *protocol.Contact) string {
	var words []string
	if x.Friend {
		words = append(words, "friend")
	}
	if x.Blocked {
		words = append(words, "blocked")
	}
	if x.Remark != "" {
		words = append(words, "“"+clean(x.Remark)+"”")
	}
	for _, tag := range x.Tags {
		words = append(words, "#"+clean(tag))
	}
	return strings.Join(words, " ")
}

// waiting are the requests that wait, the newest first; behind them those into the
// session that is open.
func (c *chat) waiting(ctx context.Context) ([]*protocol.Request, error) {
	ask := func(session string) (*protocol.Frame, error) {
		return c.request(ctx, &protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{Waiting: true, Limit: 200, Session: session}}})
	}
	f, err := ask("")
	if err != nil {
		return nil, err
	}
	list := f.GetRequestListReply().GetRequests()
	if session, err := c.current(); err == nil && !protocol.IsP2P(session) {
		if f, err := ask(session); err == nil { // else it is not ours to answer
			list = append(list, f.GetRequestListReply().GetRequests()...)
		}
	}
	return list, nil
}

func (c *chat) requests(ctx context.Context, _ []string) error {
	list, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		c.say("No requests wait.")
	}
	for _, r := range list {
		c.say("  %s", c.requestLine(r))
	}
	return nil
}

// requestLine says what a request wants; who the name in it is, is a word of it.
func (c *chat) requestLine(r *protocol.Request) string {
	note := ""
	if r.Note != "" {
		note = ": " + clean(r.Note)
	}
	where := clean(r.TargetName)
	if where == "" {
		where = r.Target
	}
	mine := r.From == c.client.User()
	switch {
	case r.Kind == protocol.RequestKind_FRIEND_REQUEST && mine:
		return fmt.Sprintf("you asked %s to be your friend%s", c.name(r.Target), note)
	case r.Kind == protocol.RequestKind_FRIEND_REQUEST:
		return fmt.Sprintf("%s wants to be your friend%s", c.name(r.From), note)
	case r.User != "" && mine:
		return fmt.Sprintf("you invited %s into %s%s", c.name(r.User), where, note)
	case r.User != "":
		return fmt.Sprintf("%s invites you into %s%s", c.name(r.From), where, note)
	case mine:
		return fmt.Sprintf("you asked to be let into %s%s", where, note)
	}
	return fmt.Sprintf("%s asks to be let into %s%s", c.name(r.From), where, note)
}

func (c *chat) accept(ctx context.Context, args []string) error { return c.answer(ctx, args, accept) }
func (c *chat) refuse(ctx context.Context, args []string) error { return c.answer(ctx, args, refuse) }
func (c *chat) takeBack(ctx context.Context, args []string) error {
	return c.answer(ctx, args, takeBack)
}

// answer gives an answer to the request that waits between us and somebody.
func (c *chat) answer(ctx context.Context, args []string, to int64) error {
	if len(args) != 1 {
		return errors.New("whose? a name, as /requests shows it")
	}
	user, err := c.user(ctx, args[0])
	if err != nil {
		return err
	}
	list, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	me := c.client.User()
	for _, r := range list {
		with := r.From
		switch {
		case with != me:
		case r.Kind == protocol.RequestKind_FRIEND_REQUEST:
			with = r.Target
		default:
			with = r.User
		}
		if with != user || (r.From == me) != (to == takeBack) {
			continue
		}
		_, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{Request: r.Id, CallBackType: to}}})
		return err
	}
	return errors.New("no such request waits: see /requests")
}

// asked shows what became of a request.
func (c *chat) asked(r *protocol.Request) {
	if r.CallBackType == 1 {
		if r.From != c.client.User() {
			c.say("* %s; /accept %s or /refuse %s", c.requestLine(r), c.name(r.From), c.name(r.From))
		}
		return
	}
	c.say("* “%s” %s", c.requestLine(r), answered[r.CallBackType])
}
