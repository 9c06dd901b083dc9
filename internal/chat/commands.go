package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

var (
	errQuit   = errors.New("quit")
	errNoOpen = errors.New("no session is open: /open NAME, or /list")
)

// command is what a line that begins with / does.
type command struct {
	name, args, what string
	run              func(*chat, context.Context, []string) error
}

// commands is also what /help prints; a line without / is sent.
func commands() []command {
	return []command{
		{"/list", "", "your sessions with what is unread", (*chat).list},
		{"/open", "NAME | NUMBER | SESSION", "talk to a person, or in a session of the list", (*chat).openSession},
		{"/create", "TITLE NAME...", "a group", (*chat).create},
		{"/add", "NAME...", "bring people into this group", (*chat).add},
		{"/remove", "NAME...", "take people out of it", (*chat).remove},
		{"/join", "CODE", "go into a group, by a link's code or an open one's id", (*chat).join},
		{"/link", "[COUNT]", "make a link that lets people in, that many", (*chat).link},
		{"/announce", "TEXT", "what everybody in it should read; no text takes it down", (*chat).announce},
		{"/silence", "NAME [10m]", "keep somebody from writing; 0 lifts it", (*chat).silence},
		{"/dissolve", "", "end the group for all", (*chat).dissolve},
		{"/leave", "", "leave this session", (*chat).leave},
		{"/who", "", "who is in it", (*chat).who},
		{"/history", "[COUNT]", "its last messages", (*chat).history},
		{"/reply", "#N TEXT", "answer a message", (*chat).reply},
		{"/edit", "[#N] TEXT", "change your message, the last one without #N", (*chat).edit},
		{"/recall", "[#N]", "take your message back", (*chat).recall},
		{"/react", "[#N] EMOJI", "put an emoji on a message", (*chat).react},
		{"/friends", "", "your friends, and whom you have blocked", (*chat).friends},
		{"/friend", "NAME [NOTE]", "ask somebody to be your friend", (*chat).friend},
		{"/unfriend", "NAME", "", (*chat).unfriend},
		{"/requests", "", "who asks for what, you among them", (*chat).requests},
		{"/accept", "NAME", "what somebody asks for", (*chat).accept},
		{"/refuse", "NAME", "", (*chat).refuse},
		{"/takeback", "NAME", "what you asked somebody", (*chat).takeBack},
		{"/block", "NAME", "hear nothing more of somebody", (*chat).blocks},
		{"/unblock", "NAME", "", (*chat).unblocks},
		{"/help", "", "this", (*chat).help},
		{"/quit", "", "", func(*chat, context.Context, []string) error { return errQuit }},
	}
}

// line does what a person typed.
func (c *chat) line(ctx context.Context, s string) error {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	if !strings.HasPrefix(s, "/") {
		return c.send(ctx, s, "")
	}
	words := strings.Fields(s)
	for _, cmd := range commands() {
		if cmd.name == words[0] {
			return cmd.run(c, ctx, words[1:])
		}
	}
	return fmt.Errorf("no command %s: see /help", words[0])
}

func (c *chat) help(context.Context, []string) error {
	for _, cmd := range commands() {
		c.say("  %-32s %s", cmd.name+" "+cmd.args, cmd.what)
	}
	c.say("  anything else                    is sent into the open session")
	return nil
}

func (c *chat) list(context.Context, []string) error {
	rows := c.sorted()
	if len(rows) == 0 {
		c.say("No sessions yet: /open NAME talks to somebody.")
	}
	for i, r := range rows {
		c.mu.Lock()
		last, unread, at := r.Last, r.Unread, r.UpdatedAt
		c.mu.Unlock()
		digest := ""
		if last != nil {
			digest = c.name(last.Sender) + ": " + body(last.Content)
			if last.Recalled {
				digest = c.name(last.Sender) + " took a message back"
			}
		}
		mark := "        "
		if unread > 0 {
			mark = fmt.Sprintf("%3d new ", unread)
		}
		c.say("%3d %s %-20s %11s  %s", i+1, mark, c.title(r.Session), clock(at), cut(digest, 50))
	}
	return nil
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// current is the open session.
func (c *chat) current() (protocol.SessionID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == "" {
		return "", errNoOpen
	}
	return c.open, nil
}

func (c *chat) openSession(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("/open NAME, a number of /list, or a session")
	}
	c.mu.Lock()
	session := ""
	if n, err := strconv.Atoi(args[0]); err == nil && n >= 1 && n <= len(c.listed) {
		session = c.listed[n-1]
	} else if c.rows[args[0]] != nil {
		session = args[0]
	}
	if session == "" {
		for id, r := range c.rows {
			if r.Name == args[0] {
				session = id
			}
		}
	}
	c.mu.Unlock()
	if session == "" {
		user, err := c.user(ctx, args[0])
		if err != nil {
			return err
		}
		if session, err = c.make(ctx, &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{user}}); err != nil {
			return err
		}
	}
	return c.enter(ctx, session)
}

// make creates a session and gives its id; its row comes by itself, but maybe later.
func (c *chat) make(ctx context.Context, s *protocol.SessionCreate) (protocol.SessionID, error) {
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: s}})
	if err != nil {
		return "", err
	}
	reply := f.GetSessionCreateReply()
	if len(reply.GetResult()) != 1 {
		return "", errors.New("the server named no session")
	}
	id := reply.Result[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.row(id)
	if info := reply.GetEntities().GetSession()[id]; info != nil && r.HeadSeq <= info.HeadSeq {
		r.SessionType, r.Name, r.HeadSeq, r.UpdatedAt = info.SessionType, info.Name, info.HeadSeq, max(info.UpdatedAt, info.CreatedAt)
		if info.SessionType == protocol.SessionType_P2P && len(r.Members) == 0 {
			for _, m := range info.Members {
				r.Members = append(r.Members, m.User)
			}
		}
	}
	if s.SessionType == protocol.SessionType_P2P && len(r.Members) == 0 {
		r.Members = append([]string{c.me}, s.Members...)
	}
	return id, nil
}

// enter makes a session the one that is typed into, shows its end and marks it read.
func (c *chat) enter(ctx context.Context, session protocol.SessionID) error {
	c.mu.Lock()
	c.open = session
	r := c.row(session)
	r.Unread = 0
	c.mu.Unlock()
	c.say("--- %s ---", c.title(session))
	c.prompt()
	return c.history(ctx, nil)
}

const shownAtOnce = 20

func (c *chat) history(ctx context.Context, args []string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	n := shownAtOnce
	if len(args) > 0 {
		if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > 200 {
			return errors.New("/history COUNT: 1 to 200")
		}
	}
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, Limit: int64(n)}}})
	if err != nil {
		return err
	}
	reply := f.GetSyncReply()
	c.mu.Lock()
	r := c.row(session)
	r.HeadSeq = max(r.HeadSeq, reply.HeadSeq)
	for _, e := range reply.Messages {
		r.ids[e.Seq] = e.MessagerecvId
		if e.Sender == c.me && e.Kind == protocol.Kind_MESSAGE {
			r.own = max(r.own, e.Seq)
		}
	}
	c.mu.Unlock()
	for _, e := range reply.Messages {
		c.say("%s", c.show(e))
	}
	if reply.HeadSeq > 0 {
		c.read(session, reply.HeadSeq)
	}
	return nil
}

func (c *chat) users(ctx context.Context, names []string) (ids []protocol.UserID, err error) {
	for _, name := range names {
		id, err := c.user(ctx, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (c *chat) create(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("/create TITLE NAME...")
	}
	members, err := c.users(ctx, args[1:])
	if err != nil {
		return err
	}
	id, err := c.make(ctx, &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, Name: args[0], Members: members})
	if err != nil {
		return err
	}
	return c.enter(ctx, id)
}

func (c *chat) add(ctx context.Context, args []string) error {
	return c.members(ctx, args, func(session string, ids []string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: session, Members: ids}}}
	})
}

func (c *chat) remove(ctx context.Context, args []string) error {
	return c.members(ctx, args, func(session string, ids []string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: session, Members: ids}}}
	})
}

func (c *chat) members(ctx context.Context, names []string, frame func(string, []string) *protocol.Frame) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("who?")
	}
	ids, err := c.users(ctx, names)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, frame(session, ids))
	return err
}

func (c *chat) leave(ctx context.Context, _ []string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	if _, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: session}}}); err != nil {
		return err
	}
	c.mu.Lock()
	c.open = ""
	delete(c.rows, session)
	c.mu.Unlock()
	c.prompt()
	return nil
}

func (c *chat) who(ctx context.Context, _ []string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	f, err := c.request(ctx, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session}}})
	if err != nil {
		return err
	}
	info := f.GetSessionGetReply().GetInfo()
	for _, m := range info.GetMembers() {
		c.say("  %-20s %s", c.name(m.User), strings.ToLower(m.Role.String()))
	}
	if more := info.GetMemberCount() - int64(len(info.GetMembers())); more > 0 {
		c.say("  and %d more", more)
	}
	return nil
}

// send sends text; it is shown when the server has stored it, in its place among
// what others say.
func (c *chat) send(ctx context.Context, text, replyTo string) error {
	session, err := c.current()
	if err != nil {
		return err
	}
	_, err = c.client.Send(ctx, &protocol.MsgSend{
		Session: session, ReplyTo: replyTo, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text},
	})
	return err
}

// target takes #N off the words; without one it is our own newest message.
func (c *chat) target(words []string) (session protocol.SessionID, id string, rest []string, err error) {
	session, err = c.current()
	if err != nil {
		return "", "", nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.row(session)
	seq := r.own
	if len(words) > 0 && strings.HasPrefix(words[0], "#") {
		if seq, err = strconv.ParseInt(words[0][1:], 10, 64); err != nil {
			return "", "", nil, fmt.Errorf("%s: # and the number of a message", words[0])
		}
		words = words[1:]
	}
	if id = r.ids[seq]; id == "" {
		return "", "", nil, errors.New("which message? #N, as shown")
	}
	return session, id, words, nil
}

func (c *chat) reply(ctx context.Context, args []string) error {
	_, id, rest, err := c.target(args)
	if err != nil {
		return err
	}
	return c.send(ctx, strings.Join(rest, " "), id)
}

func (c *chat) edit(ctx context.Context, args []string) error {
	session, id, rest, err := c.target(args)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{
		Session: session, MessagerecvId: id,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: strings.Join(rest, " ")},
	}}})
	return err
}

func (c *chat) recall(ctx context.Context, args []string) error {
	session, id, _, err := c.target(args)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: session, MessagerecvId: id}}})
	return err
}

func (c *chat) react(ctx context.Context, args []string) error {
	session, id, rest, err := c.target(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("/react #N EMOJI")
	}
	_, err = c.request(ctx, &protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{Session: session, MessagerecvId: id, Reaction: rest[0]}}})
	return err
}
