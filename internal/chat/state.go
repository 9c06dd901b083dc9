package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/protocol"
)

// askTimeout bounds one request: a person waits no longer.
const askTimeout = 20 * time.Second

// chat is what the client knows and shows.
type chat struct {
	rest   *client.REST
	client *client.Client
	in     lines

	mu     sync.Mutex
	token  string
	me     protocol.UserID
	rows   map[protocol.SessionID]*row
	listed []protocol.SessionID // as /list showed them last, for /open 1
	open   protocol.SessionID   // the session that is typed into, "" before the first /open
	names  map[protocol.UserID]string
	typed  map[string]time.Time // session + user → when shown as typing
	seen   map[string]int64     // session + user → twice our newest message that was shown as got, and 1 more when as read
}

// row is one session of the home list.
type row struct {
	*protocol.SessionHead
	ids map[int64]string // seq → messagerecvId of what was shown
	own int64            // the newest message that is ours
}

func newChat(rest *client.REST, in lines) *chat {
	return &chat{
		rest: rest, in: in, rows: map[protocol.SessionID]*row{}, names: map[protocol.UserID]string{}, typed: map[string]time.Time{}, seen: map[string]int64{},
	}
}

func (c *chat) say(format string, args ...any) {
	fmt.Fprintf(c.in, format+"\n", args...)
}

// begin greets, once connected.
func (c *chat) begin() {
	c.say("Signed in as %s. /help says what can be typed.", c.name(c.client.User()))
	c.list(context.Background(), nil)
	c.prompt()
}

func (c *chat) prompt() {
	c.mu.Lock()
	session := c.open
	c.mu.Unlock()
	prompt := "> "
	if session != "" {
		prompt = c.title(session) + prompt
	}
	c.in.SetPrompt(prompt)
	c.in.Write(nil) // a terminal draws its line anew
}

func (c *chat) request(ctx context.Context, f *protocol.Frame) (*protocol.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.client.Request(ctx, f)
}

// row gives a session's row, making one where there is none. Under mu.
func (c *chat) row(session protocol.SessionID) *row {
	r := c.rows[session]
	if r == nil {
		r = &row{SessionHead: &protocol.SessionHead{Session: session}, ids: map[int64]string{}}
		c.rows[session] = r
	}
	return r
}

// setRow takes a row as the server gives it. Under mu.
func (c *chat) setRow(h *protocol.SessionHead) {
	c.row(h.Session).SessionHead = h
}

// name is how a user is called: by the name to find him by, else the nickname, else the id.
func (c *chat) name(id protocol.UserID) string {
	c.mu.Lock()
	name, token := c.names[id], c.token
	c.mu.Unlock()
	if name != "" || id == "" {
		return name
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	name = id
	p, err := c.rest.Person(ctx, token, id)
	if err == nil && p.Name != "" {
		name = p.Name
	} else if err == nil && p.Nickname != "" {
		name = p.Nickname
	}
	name = clean(name)
	if err == nil {
		c.mu.Lock()
		c.names[id] = name
		c.mu.Unlock()
	}
	return name
}

func (c *chat) namesOf(ids []protocol.UserID) string {
	var all []string
	for _, id := range ids {
		all = append(all, c.name(id))
	}
	return strings.Join(all, ", ")
}

// user finds the id of whoever is called name; what nobody is called may be an id
// of an outside system.
func (c *chat) user(ctx context.Context, name string) (protocol.UserID, error) {
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p, err := c.rest.Find(ctx, token, name)
	if err == nil {
		c.mu.Lock()
		c.names[p.ID] = clean(name)
		c.mu.Unlock()
		return p.ID, nil
	}
	if byID, err := c.rest.Person(ctx, token, name); err == nil && byID.ID == name {
		return name, nil
	}
	return "", err
}

// title is what a session is called.
func (c *chat) title(session protocol.SessionID) string {
	c.mu.Lock()
	r, me := c.rows[session], c.me
	var name string
	var others []protocol.UserID
	if r != nil {
		name = r.Name
		for _, m := range r.Members {
			if m != me {
				others = append(others, m)
			}
		}
	}
	c.mu.Unlock()
	switch {
	case name != "":
		return clean(name)
	case len(others) > 0:
		return c.namesOf(others)
	default:
		return session
	}
}

// handle takes what the connection brings, one after the other.
func (c *chat) handle(e client.Event) {
	switch e := e.(type) {
	case *client.Connected:
		c.connected(e)
	case *client.Disconnected:
		c.say("* not connected (%s); again in %.1f s", explain(e.Err), e.Retry.Seconds())
	case *client.Entry:
		c.entry(e.Entry)
	case *client.Gone:
		c.say("* %s: messages up to #%d can't be had", c.title(e.Session), e.UpTo)
	case *client.Reset:
		c.say("* %s: the server went back to an older state", c.title(e.Session))
	case *client.Frame:
		c.frame(e.Frame)
	}
}

func (c *chat) connected(e *client.Connected) {
	c.mu.Lock()
	again := c.me != ""
	c.me = e.User
	for _, h := range e.Snapshot.GetSessions() {
		c.setRow(h)
	}
	c.mu.Unlock()
	if again {
		c.say("* connected again")
	}
}

func (c *chat) entry(e *protocol.Entry) {
	c.mu.Lock()
	r := c.row(e.Session)
	r.HeadSeq = max(r.HeadSeq, e.Seq)
	r.ids[e.Seq] = e.MessagerecvId
	message, mine := e.Shows(), e.Sender == c.me
	if message {
		r.Last, r.UpdatedAt = e, e.CreatedAt
		if mine {
			r.own = max(r.own, e.Seq)
		}
	}
	if r.Last != nil && r.Last.Seq == e.Target {
		switch e.Kind {
		case protocol.Kind_EDIT:
			r.Last = &protocol.Entry{Seq: e.Target, Sender: r.Last.Sender, Content: e.Content}
		case protocol.Kind_RECALL:
			r.Last = &protocol.Entry{Seq: e.Target, Sender: r.Last.Sender, Recalled: true}
		}
	}
	delete(c.typed, e.Session+" "+e.Sender)
	open := c.open == e.Session
	if message && !mine && !open {
		r.Unread++
	}
	unread := r.Unread
	c.mu.Unlock()
	line := c.show(e)
	switch {
	case open:
		c.say("%s", line)
		if !mine {
			c.read(e.Session, e.Seq)
		}
	case !mine:
		c.say("[%s, %d unread] %s", c.title(e.Session), unread, line)
	}
}

// read says that everything up to seq was seen.
func (c *chat) read(session protocol.SessionID, seq int64) {
	go c.request(context.Background(), &protocol.Frame{Body: &protocol.Frame_MsgRead{
		MsgRead: &protocol.MsgRead{Session: session, Seq: seq},
	}})
}

func (c *chat) typing() {
	c.mu.Lock()
	session := c.open
	c.mu.Unlock()
	if session != "" {
		c.request(context.Background(), &protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: session}}})
	}
}

// typingShown is for how long one "is typing" stands for the following ones.
const typingShown = 8 * time.Second

func (c *chat) frame(f *protocol.Frame) {
	switch b := f.Body.(type) {
	case *protocol.Frame_SessionUpdate:
		c.update(b.SessionUpdate)
	case *protocol.Frame_Unread:
		c.mu.Lock()
		r := c.row(b.Unread.Session)
		r.ReadSeq, r.Unread = b.Unread.ReadSeq, b.Unread.Unread
		c.mu.Unlock()
	case *protocol.Frame_MsgEditingReply:
		c.isTyping(b.MsgEditingReply)
	case *protocol.Frame_Receipt:
		c.receipt(b.Receipt)
	case *protocol.Frame_RequestUpdate:
		c.asked(b.RequestUpdate.Request)
	case *protocol.Frame_Notice:
		c.say("* %s", clean(b.Notice.Text))
	case *protocol.Frame_Goaway:
		c.say("* the server restarts")
	}
}

func (c *chat) update(u *protocol.SessionUpdate) {
	c.mu.Lock()
	_, known := c.rows[u.Session]
	if u.Gone {
		delete(c.rows, u.Session)
		if c.open == u.Session {
			c.open = ""
		}
	} else if u.Head != nil {
		c.setRow(u.Head)
	}
	c.mu.Unlock()
	switch {
	case u.Gone:
		c.say("* you are no longer in %s", u.Session)
	case !known:
		c.say("* you are in %s now", c.title(u.Session))
	}
	c.prompt()
}

func (c *chat) isTyping(t *protocol.MsgEditingReply) {
	key := t.Session + " " + t.UserId
	c.mu.Lock()
	fresh := t.UserId != "" && t.UserId != c.me && c.open == t.Session && time.Since(c.typed[key]) > typingShown
	if fresh {
		c.typed[key] = time.Now()
	}
	c.mu.Unlock()
	if fresh {
		c.say("  … %s is typing", c.name(t.UserId))
	}
}

// receipt shows that somebody has read, or got, our newest message.
func (c *chat) receipt(r *protocol.Receipt) {
	c.mu.Lock()
	row := c.row(r.Session)
	show := c.open == r.Session && r.UserId != c.me && row.own > 0 && max(r.ReadSeq, r.RecvSeq) >= row.own
	own := row.own
	stage := 2 * own
	if r.ReadSeq >= own {
		stage++
	}
	if show = show && stage > c.seen[r.Session+" "+r.UserId]; show {
		c.seen[r.Session+" "+r.UserId] = stage
	}
	c.mu.Unlock()
	switch {
	case show && r.ReadSeq >= own:
		c.say("  ✓✓ %s has read #%d", c.name(r.UserId), own)
	case show:
		c.say("  ✓ %s got #%d", c.name(r.UserId), own)
	}
}

// sorted gives the sessions as the home list stands: sticky ones first, then by activity.
func (c *chat) sorted() []*row {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*row
	for _, r := range c.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *row) int {
		if a.Sticky != b.Sticky {
			if a.Sticky {
				return -1
			}
			return 1
		}
		if a.UpdatedAt != b.UpdatedAt {
			return int(min(max(b.UpdatedAt-a.UpdatedAt, -1), 1))
		}
		return strings.Compare(a.Session, b.Session)
	})
	c.listed = nil
	for _, r := range all {
		c.listed = append(c.listed, r.Session)
	}
	return all
}
