package actors

import (
	"context"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// change runs op on the entry at seq as it now stands. Changes of one entry run
// one after the other: the next begins when the one before is durable, so each
// sees what the store holds. op makes the append of the change (the new entry and
// the rewritten target), or an answer, or an error. mine are the asker's own deeds to it.
func (s *Session) change(r *request, seq int64, op func(target *protocol.Entry, mine []Deed) (*pending, *protocol.Entry, error)) {
	c := &change{r: r, seq: seq, op: op}
	if r != nil {
		switch r.frame.Body.(type) {
		case *protocol.Frame_MsgReact, *protocol.Frame_MsgAccept, *protocol.Frame_MsgRefuse:
			c.by = r.who.User
		}
	}
	s.queue(c)
}

// queue has c done once the changes of the same entry before it are durable.
func (s *Session) queue(c *change) {
	if s.targets == nil {
		s.targets = map[int64][]*change{}
	}
	s.targets[c.seq] = append(s.targets[c.seq], c)
	if len(s.targets[c.seq]) == 1 {
		s.fetch(c)
	}
}

// change is one change of an entry; r is nil when time or the installation asks for it.
type change struct {
	r    *request
	seq  int64
	told func(error)     // learns what became of it; nil: nobody
	by   protocol.UserID // whose deeds op wants to know; "": nobody's
	op   func(target *protocol.Entry, mine []Deed) (*pending, *protocol.Entry, error)
	// edit is what the entry of r is to say, of an edit; no, why it may not name its files.
	edit *protocol.Content
	no   error

	trial  *Trial // of an edit that is judged first
	ruling *Ruling

	wantsOriginal bool
	original      *Original // nil: none is kept
}

func (s *Session) fetch(c *change) {
	away := s.node.off
	if c.trial != nil {
		away = s.node.aside
	}
	away(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		found, err := s.node.journal.Range(ctx, s.id, c.seq, c.seq, 1, 1)
		if c.wantsOriginal && err == nil {
			if c.original, err = s.node.journal.Original(ctx, s.id, c.seq); protocol.Code_NOT_FOUND.Is(err) {
				err = nil
			}
		}
		if err == nil && len(found) == 1 && found[0].EditedAt != 0 {
			found, err = s.withEdits(ctx, found[0])
		}
		var mine []Deed
		if err == nil && c.by != "" {
			mine, err = s.node.journal.Deeds(ctx, s.id, c.seq, c.by)
		}
		if edit := c.edit; edit != nil && err == nil && s.node.checksFiles(edit) {
			c.no = s.node.files.Readable(ctx, c.r.who.User, edit.FileNames())
		}
		if c.trial != nil && err == nil && c.no == nil && len(found) > 0 && found[0].Sender == c.r.who.User {
			c.ruling, c.no = s.node.rule(ctx, c.trial)
		}
		s.node.tell(s.pid, done(func() { s.fetched(c, found, mine, err) }))
	})
}

// withEdits gives an edited message, and behind it the entries of its edits: they
// too have what it said.
func (s *Session) withEdits(ctx context.Context, message *protocol.Entry) ([]*protocol.Entry, error) {
	found := []*protocol.Entry{message}
	for from := message.Seq + 1; ; {
		page, err := s.node.journal.Range(ctx, s.id, from, math.MaxInt64, maxPage, pageBytes)
		if err != nil || len(page) == 0 {
			return found, err
		}
		for _, e := range page {
			if e.Kind == protocol.Kind_EDIT && e.Target == message.Seq {
				found = append(found, e)
			}
			if e.CreatedAt > message.EditedAt { // all entries behind it are younger than the last edit
				return found, nil
			}
		}
		from = page[len(page)-1].Seq + 1
	}
}

func (s *Session) fetched(c *change, found []*protocol.Entry, mine []Deed, err error) {
	r, seq := c.r, c.seq
	if first := s.targets[seq]; len(first) == 0 || first[0] != c {
		return // the session is loaded again, which asks for it again
	}
	c.r = nil // from here on it is answered
	told := c.told
	if c.told = nil; told == nil {
		told = func(error) {}
	}
	defer func() {
		if e := recover(); e != nil {
			if r != nil {
				s.fail(r, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
			}
			panic(e) // done reports it and loads the session again
		}
	}()
	refuse := func(err error) {
		if r != nil {
			s.fail(r, err)
		}
		told(err)
		s.changed(seq)
	}
	switch {
	case err != nil:
		s.node.log.Error("reading an entry", "session", s.id, "seq", seq, "err", err)
		refuse(protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
		return
	case len(found) == 0 || r != nil && s.members[r.who.User] == nil:
		refuse(protocol.NotFound("message %s", protocol.MessageID(s.id, seq)))
		return
	}
	if c.no != nil {
		if protocol.AsError(c.no).Code == protocol.Code_INTERNAL {
			s.node.log.Error("asking about an edit", "session", s.id, "err", c.no)
		}
		refuse(protocol.AsError(c.no))
		return
	}
	p, e, err := c.op(found[0], mine)
	switch {
	case err != nil:
		refuse(err)
	case e == nil && p.Original != nil: // beside the log
		p.failed = func() { told(busySession(s.id)); s.changed(seq) }
		p.after = func(*Burst) { told(nil); s.changed(seq) }
		s.append(p)
	case e == nil: // as it should be already
		if c.edit != nil && len(found) > 1 { // who asks again is told where it is
			fillSeq(p.answer, found[len(found)-1].Seq)
		}
		if r != nil {
			s.reply(r, p.answer)
		}
		told(nil)
		s.changed(seq)
	default:
		p.req = r
		p.failed = func() { told(busySession(s.id)); s.changed(seq) }
		p.after = func(*Burst) { told(nil); s.changed(seq) }
		if found[0].Deal != nil && p.Original == nil {
			for _, is := range p.Rewrites {
				if is.Seq == seq && is.Deal == nil {
					p.Original = &Original{Seq: seq}
				}
			}
		}
		e.Target, e.TargetSender, e.Quiet = seq, found[0].Sender, found[0].Quiet
		if e.Kind == protocol.Kind_RECALL || e.Kind == protocol.Kind_EXPIRE || e.Sender == System {
			for _, edit := range found[1:] {
				p.Rewrites = append(p.Rewrites, hollow(edit, func(*protocol.Entry) {}))
			}
		}
		if e.Kind == protocol.Kind_REACT {
			p.Rewrites[0].ReactedSeq = s.given + 1 // e's, in a moment
		}
		s.appendEntry(p, e)
		fillSeq(p.answer, e.Seq)
	}
}

// changed lets the next change of the entry begin.
func (s *Session) changed(seq int64) {
	if len(s.targets[seq]) < 2 {
		delete(s.targets, seq)
		return
	}
	s.targets[seq] = s.targets[seq][1:]
	s.fetch(s.targets[seq][0])
}

// fillSeq puts the seq of the change into its answer.
func fillSeq(f *protocol.Frame, seq int64) {
	switch m := f.GetBody().(type) {
	case *protocol.Frame_MsgCancelReply:
		m.MsgCancelReply.Seq = seq
	case *protocol.Frame_MsgEditReply:
		m.MsgEditReply.Seq = seq
	case *protocol.Frame_MsgReactReply:
		m.MsgReactReply.Seq = seq
	case *protocol.Frame_MsgAcceptReply:
		m.MsgAcceptReply.Seq = seq
	case *protocol.Frame_MsgRefuseReply:
		m.MsgRefuseReply.Seq = seq
	}
}

// seqOf reads a message id of this session, of an entry that the asker may read. The
// id of a delivery to the asker names the message too.
func (s *Session) seqOf(r *request, id string) (int64, error) {
	if !delivered(id, r.who.User) {
		return 0, protocol.BadRequest("%.80q is no delivery to %s", id, r.who.User)
	}
	session, seq, err := protocol.ParseMessageID(id)
	if err != nil {
		return 0, protocol.BadRequest("%.80q is no message id", id)
	}
	if session != s.id || seq < 1 || seq > s.head || seq < s.members[r.who.User].Floor {
		return 0, protocol.NotFound("message %.80s", id)
	}
	return seq, nil
}

// delivered says that id, if it is a messagesendId, names a delivery to user.
func delivered(id string, user protocol.UserID) bool {
	_, to, sent := strings.Cut(id, "@")
	return !sent || to == user
}

// cancel recalls a message: one's own within the window, anybody's for the owner
// and admins. What it said is gone from the log.
func (s *Session) cancel(r *request, m *protocol.MsgCancel) {
	seq, err := s.seqOf(r, m.MessagerecvId)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.change(r, seq, func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
		any := s.may(r, access.RecallOthers, nil)
		p := &pending{answer: &protocol.Frame{Body: &protocol.Frame_MsgCancelReply{MsgCancelReply: &protocol.MsgCancelReply{
			Session: s.id, MessagerecvId: protocol.MessageID(s.id, seq),
		}}}}
		me := r.who.User
		switch {
		case target.Kind != protocol.Kind_MESSAGE:
			return nil, nil, protocol.BadRequest("%s is no message", protocol.MessageID(s.id, seq))
		case any != nil && target.Sender != me:
			return nil, nil, any
		case target.Recalled, target.Expired: // it says nothing any more, and is counted by nobody
			return p, nil, nil
		case any != nil && tooOld(target, s.node.cfg.RecallWindow):
			return nil, nil, protocol.Errorf(protocol.Code_WINDOW_OVER, "a message is recalled within %s", s.node.cfg.RecallWindow)
		}
		p.Rewrites = []*protocol.Entry{hollow(target, func(h *protocol.Entry) { h.Recalled = true })}
		return p, &protocol.Entry{Kind: protocol.Kind_RECALL, Sender: me}, nil
	})
}

func tooOld(e *protocol.Entry, window time.Duration) bool {
	return window >= 0 && time.Since(time.UnixMilli(e.CreatedAt)) > window
}

// edit replaces what one's own message says. A moderator may change what is written then,
// hold the message back, or have it stay as it was.
func (s *Session) edit(r *request, m *protocol.MsgEdit) {
	seq, err := s.seqOf(r, m.MessagerecvId)
	if err != nil {
		s.fail(r, err)
		return
	}
	c := &change{r: r, seq: seq, edit: m.Content}
	if s.judged(r) {
		c.trial = s.trial(r, &protocol.MsgSend{Session: s.id, Content: m.Content}, true)
	}
	c.op = func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
		p := &pending{answer: &protocol.Frame{Body: &protocol.Frame_MsgEditReply{MsgEditReply: &protocol.MsgEditReply{
			Session: s.id, MessagerecvId: protocol.MessageID(s.id, seq),
		}}}}
		err := mayWrite(s.info, s.members[r.who.User], time.Now())
		switch {
		case err != nil:
			return nil, nil, err
		case target.Kind != protocol.Kind_MESSAGE:
			return nil, nil, protocol.BadRequest("%s is no message", protocol.MessageID(s.id, seq))
		case target.Sender != r.who.User:
			return nil, nil, protocol.Denied("%s may not edit another's message", r.who.User)
		case current(target, time.Now()).Content == nil:
			return nil, nil, protocol.Conflict("message %s is gone", protocol.MessageID(s.id, seq))
		case target.Content.Type != m.Content.Type:
			return nil, nil, protocol.BadRequest("msg_edit.content.type: an edit keeps the message's type")
		case len(m.Content.Forwarded) > 0:
			return nil, nil, protocol.BadRequest("msg_edit.content.forwarded: a forward is not edited")
		case proto.Equal(target.Content, m.Content):
			return p, nil, nil
		case s.mayTalk(r.who.User) != nil:
			return nil, nil, s.mayTalk(r.who.User)
		case tooOld(target, s.node.cfg.EditWindow):
			return nil, nil, protocol.Errorf(protocol.Code_WINDOW_OVER, "a message is edited within %s", s.node.cfg.EditWindow)
		}
		edited := proto.CloneOf(target)
		edited.Content, edited.Deal = m.Content, nil
		edited.EditedAt = max(s.last, time.Now().UnixMilli())
		switch g := c.ruling; {
		case g == nil:
		case g.State == dealRejected:
			return nil, nil, protocol.Denied("a moderator does not let this stand: %s", g.Reason)
		default:
			p.Original = g.deal(edited, edited.EditedAt)
		}
		p.Rewrites = []*protocol.Entry{edited}
		return p, &protocol.Entry{Kind: protocol.Kind_EDIT, Sender: r.who.User, Content: edited.Content, Deal: edited.Deal}, nil
	}
	s.queue(c)
}

// expire takes away what a message said, as its time has come.
func (s *Session) expire(m *expire) {
	if !s.ready(m) || s.info == nil {
		return
	}
	if _, busy := s.targets[m.seq]; busy {
		return // asked again in a second
	}
	s.change(nil, m.seq, func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
		p := &pending{}
		if target.Expired || target.Recalled || current(target, time.Now()).Content != nil {
			return p, nil, nil
		}
		p.Rewrites = []*protocol.Entry{hollow(target, func(h *protocol.Entry) { h.Expired = true })}
		return p, &protocol.Entry{Kind: protocol.Kind_EXPIRE, Sender: target.Sender}, nil
	})
}
