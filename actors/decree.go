package actors

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// decree is something that the installation does to a session, whoever is in it. do
// is run in the session's mailbox once it is loaded, and has told called once.
type decree struct {
	do   func(s *Session, told func(error))
	told func(error)
}

// decree has a session do something, and waits for it. NOT_FOUND: there is no such session.
func (n *Node) decree(ctx context.Context, id protocol.SessionID, do func(s *Session, told func(error))) error {
	if _, err := protocol.ParseSessionID(id); err != nil {
		return protocol.NotFound("session %.64q", id)
	}
	answer := make(chan error, 1)
	told := func(err error) {
		select {
		case answer <- err:
		default: // told before
		}
	}
	n.tell(n.session(id), &decree{do: do, told: told})
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
	if s.info == nil {
		m.told(s.unknown())
		return
	}
	m.do(s, m.told)
}

// Dissolve ends a group for all of its members, as the installation wishes.
func (n *Node) Dissolve(ctx context.Context, id protocol.SessionID) error {
	return n.decree(ctx, id, func(s *Session, told func(error)) {
		switch {
		case s.info.Dead:
			told(nil) // as it should be already
			return
		case !grouped(s.info):
			told(protocol.Denied("only groups are dissolved"))
			return
		}
		p := &pending{failed: func() { told(busySession(s.id)) }}
		s.dissolved(p, System)
		after := p.after
		p.after = func(b *Burst) { after(b); told(nil) }
	})
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
	return n.decree(ctx, id, func(s *Session, told func(error)) {
		s.queue(&change{seq: seq, told: told, op: func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
			if target.Kind != protocol.Kind_MESSAGE {
				return nil, nil, protocol.NotFound("message %.80s", message)
			}
			return wiped(target)
		}})
	})
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
		err := n.decree(ctx, id, func(s *Session, told func(error)) {
			left, failed := len(some), error(nil)
			one := func(err error) {
				if failed == nil {
					failed = err
				}
				if left--; left == 0 {
					told(failed)
				}
			}
			for _, seq := range some {
				c := &change{seq: seq, told: one, wantsOriginal: true}
				c.op = func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
					return redacted(target, c.original, user, max(s.last, time.Now().UnixMilli()))
				}
				s.queue(c)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
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
