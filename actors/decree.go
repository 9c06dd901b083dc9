package actors

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// decree is something that the installation does to a session, whoever is in it. It has
// a name, as the session may be at another node. told is called once with what became of it.
type decree struct {
	what    edict
	who     *protocol.Identity // of judge and decide
	user    protocol.UserID    // of erase and replace; of whisper, to whom
	then    protocol.UserID    // of replace
	seqs    []int64            // of recall, erase and decide
	verdict string             // of decide
	reason  string             // of decide
	frame   *protocol.Frame    // of whisper
	told    func(error)
}

// edict is what a decree is for. Nodes tell each other by these numbers: they stay.
type edict int

const (
	edictDissolve edict = 1
	edictRecall   edict = 2
	edictErase    edict = 3
	edictJudge    edict = 4 // says whether who may decide on what moderation holds back
	edictDecide   edict = 5
	edictWhisper  edict = 6
	edictReplace  edict = 7
)

func edictOf(n uint64) edict { return edict(min(n, 1<<20)) }

// known says whether d is one that this version does, with what it needs for that.
func (d *decree) known() bool {
	switch d.what {
	case edictDissolve, edictErase, edictReplace:
		return true
	case edictJudge:
		return d.who != nil
	case edictDecide:
		return d.who != nil && len(d.seqs) == 1
	case edictRecall:
		return len(d.seqs) == 1
	case edictWhisper:
		return d.frame.GetMsgWhisper() != nil
	}
	return false
}

// decree has a session do something, and waits for it. NOT_FOUND: there is no such session.
func (n *Node) decree(ctx context.Context, id protocol.SessionID, d *decree) error {
	if _, err := protocol.ParseSessionID(id); err != nil {
		return protocol.NotFound("session %.64q", id)
	}
	answer := make(chan error, 1)
	d.told = func(err error) {
		select {
		case answer <- err:
		default: // told before
		}
	}
	n.tellSession(id, d)
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return protocol.Errorf(protocol.Code_BUSY, "session %s has not answered in time; what was asked for may still happen", id)
	}
}

func (s *Session) decreed(m *decree) {
	if !s.ready(m) {
		return
	}
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			m.told(protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
			s.reload()
		}
	}()
	if s.info == nil && m.what != edictReplace {
		m.told(s.unknown())
		return
	}
	switch m.what {
	case edictDissolve:
		s.dissolveBy(m)
	case edictRecall:
		s.recallBy(m)
	case edictErase:
		s.erase(m)
	case edictJudge:
		m.told(s.mayDecide(m.who))
	case edictDecide:
		s.decide(m)
	case edictWhisper:
		s.whisper(m)
	case edictReplace:
		s.takeover(m)
	}
}

// Dissolve ends a group for all of its members, as the installation wishes.
func (n *Node) Dissolve(ctx context.Context, id protocol.SessionID) error {
	return n.decree(ctx, id, &decree{what: edictDissolve})
}

func (s *Session) dissolveBy(m *decree) {
	switch {
	case s.info.Dead:
		m.told(nil) // as it should be already
		return
	case !grouped(s.info):
		m.told(protocol.Denied("only groups are dissolved"))
		return
	}
	p := &pending{failed: func() { m.told(busySession(s.id)) }}
	s.dissolved(p, System)
	after := p.after
	p.after = func(b *Burst) { after(b); m.told(nil) }
}

func busySession(id protocol.SessionID) error {
	return protocol.Errorf(protocol.Code_BUSY, "session %s is busy, ask again", id)
}

// Recall takes a message away, as the installation wishes. What it said is gone from
// the log, as with a recall by its sender.
func (n *Node) Recall(ctx context.Context, message string) error {
	id, seq, err := protocol.ParseMessageID(message)
	if err != nil {
		return protocol.NotFound("message %.80q", message)
	}
	return n.decree(ctx, id, &decree{what: edictRecall, seqs: []int64{seq}})
}

func (s *Session) recallBy(m *decree) {
	seq := m.seqs[0]
	s.queue(&change{seq: seq, told: m.told, op: func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
		if target.Kind != protocol.Kind_MESSAGE {
			return nil, nil, protocol.NotFound("message %.80s", protocol.MessageID(s.id, seq))
		}
		return wiped(target)
	}})
}

// wiped is the change that leaves nothing of a message but its place.
func wiped(target *protocol.Entry) (*pending, *protocol.Entry, error) {
	p := &pending{}
	if target.Recalled || target.Expired {
		return p, nil, nil
	}
	p.Rewrites = []*protocol.Entry{hollow(target, func(h *protocol.Entry) { h.Recalled = true })}
	return p, &protocol.Entry{Kind: protocol.Kind_RECALL, Sender: System}, nil
}

// Writings finds what somebody said. A Journal that fills it can erase people.
type Writings interface {
	// WrittenBy calls each with every message that user sent, and every one in which
	// somebody forwarded a message of user. It reads all logs.
	WrittenBy(ctx context.Context, user protocol.UserID, each func(session protocol.SessionID, e *protocol.Entry) error) error
}

// eraseAtOnce is how many messages of a session are taken away side by side.
const eraseAtOnce = 100

// EraseMessages takes away what user said in a session: in messages of its own, given
// by their seqs, and in others' forwards of them. Those that are away already stay so.
func (n *Node) EraseMessages(ctx context.Context, id protocol.SessionID, user protocol.UserID, seqs []int64) error {
	for some := range slices.Chunk(seqs, eraseAtOnce) {
		if err := n.decree(ctx, id, &decree{what: edictErase, user: user, seqs: some}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) erase(m *decree) {
	left, failed := len(m.seqs), error(nil)
	if left == 0 {
		m.told(nil)
		return
	}
	one := func(err error) {
		if failed == nil {
			failed = err
		}
		if left--; left == 0 {
			m.told(failed)
		}
	}
	for _, seq := range m.seqs {
		c := &change{seq: seq, told: one, wantsOriginal: true}
		c.op = func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
			return redacted(target, c.original, m.user, max(s.last, time.Now().UnixMilli()))
		}
		s.queue(c)
	}
}

// redacted is the change that takes what user said out of an entry, and of what is kept of
// it beside the log.
func redacted(target *protocol.Entry, original *Original, user protocol.UserID, now int64) (*pending, *protocol.Entry, error) {
	if target.Sender == user {
		return wiped(target)
	}
	rest, p := proto.CloneOf(target), &pending{}
	if original != nil && unquote(original.Content, user) {
		p.Rewrites, p.Original = []*protocol.Entry{rest}, original
	}
	if !unquote(rest.Content, user) {
		return p, nil, nil
	}
	rest.EditedAt = now
	p.Rewrites = []*protocol.Entry{rest}
	return p, &protocol.Entry{Kind: protocol.Kind_EDIT, Sender: System, Content: rest.Content, Deal: rest.Deal}, nil
}

// unquote takes what user said out of a forward, and says whether there was anything.
func unquote(c *protocol.Content, user protocol.UserID) (found bool) {
	for _, f := range c.GetForwarded() {
		if f.Sender == user && f.Text != "" {
			f.Text, found = "", true
		}
	}
	if f := c.GetForwarded(); len(f) == 1 && f[0].Sender == user { // what it carries is the other's
		carried := c.File + c.Url + c.Name + c.Title + c.Digest + c.Thumb + strings.Join(c.Files, "")
		forwardFile(c, &protocol.Content{})
		found = found || carried != ""
	}
	return found
}
