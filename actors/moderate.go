package actors

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// What a Deal and a Ruling say.
const (
	dealRewritten = "rewritten"
	dealHeld      = "held"
	dealRejected  = "rejected"
)

// maxReason is in bytes, of what a moderator says to people.
const maxReason = 500

// judged says whether somebody is to see what the sender of r writes before others do.
// What the installation itself says is nobody's to judge.
func (s *Session) judged(r *request) bool {
	return s.node.robots != nil && r.notice == nil && s.node.robots.Judges(s.info, s.bots, r.who.User)
}

// trial is what Robots are asked about a message, as it stands in the session now.
func (s *Session) trial(r *request, m *protocol.MsgSend, edit bool) *Trial {
	t := &Trial{Session: s.info, Bots: s.bots, Sender: r.who, Message: m, Edit: edit}
	if me := s.members[r.who.User]; me != nil {
		t.Role = me.Role
	}
	return t
}

// rule asks what becomes of a message, away from every mailbox. nil: it stays as it is.
func (n *Node) rule(ctx context.Context, t *Trial) (ruling *Ruling, err error) {
	defer func() {
		if e := recover(); e != nil {
			n.stats.Panics.Add(1)
			n.log.Error("moderation panicked", "session", t.Session.Session, "panic", e, "stack", string(debug.Stack()))
			ruling, err = nil, protocol.Errorf(protocol.Code_INTERNAL, "internal error")
		}
	}()
	if ruling, err = n.robots.Rule(ctx, t); err != nil || ruling == nil {
		return nil, err
	}
	again := *ruling
	if again.Reason = cutTo(again.Reason, maxReason); again.State != dealRewritten {
		again.Content = nil
	}
	switch again.State {
	case "":
		return nil, nil
	case dealHeld, dealRejected:
		return &again, nil
	case dealRewritten:
		err := n.checkContent(again.Content)
		if err == nil && proto.Equal(again.Content, t.Message.Content) {
			return nil, nil
		}
		if err == nil {
			return &again, nil
		}
		n.log.Warn("a moderator's text cannot stand: the message is held back", "session", t.Session.Session, "moderator", again.By, "err", err)
	default:
		n.log.Warn("a moderator's ruling is none: the message is held back", "session", t.Session.Session, "moderator", again.By, "state", again.State)
	}
	again.State, again.Content = dealHeld, nil
	return &again, nil
}

// deal gives e, whose content somebody wrote, what was ruled, and gives what to keep of it.
func (g *Ruling) deal(e *protocol.Entry, at int64) *Original {
	o := &Original{Seq: e.Seq, Content: e.Content, Mentions: e.Mentions}
	e.Deal = &protocol.Deal{State: g.State, By: g.By, Reason: g.Reason, At: at}
	if e.Content = g.Content; g.Content == nil {
		e.Mentions = nil
	}
	return o
}

// What a moderator decides on a message that has a Deal.
const (
	VerdictAllow  = "allow"  // what was first written is what all see
	VerdictReject = "reject" // nobody sees anything of it
)

// mayDecide says whether who decides on messages that moderation holds back: the session's
// owner and admins, and administrators of the installation.
func (s *Session) mayDecide(who *protocol.Identity) error {
	if access.Decide(access.AdminSessions, access.Asker(who), who) == nil {
		return nil
	}
	me := s.members[who.User]
	if s.info.Dead {
		return s.unknown()
	}
	var role protocol.Role
	if me != nil {
		role = me.Role
	}
	err := access.Decide(access.Judge, access.Standing(who, me != nil, role), who)
	if protocol.Code_NOT_FOUND.Is(err) {
		return s.unknown()
	}
	return err
}

// Original gives a message with what was first written in it, and its deal beside that.
// NOT_FOUND: there is no such message, or moderation left it as it was; DENIED.
func (n *Node) Original(ctx context.Context, who protocol.Identity, message string) (*protocol.Entry, error) {
	id, seq, err := protocol.ParseMessageID(message)
	if err != nil {
		return nil, protocol.NotFound("message %.80q", message)
	}
	if err := n.decree(ctx, id, &decree{what: edictJudge, who: &who}); err != nil {
		return nil, err
	}
	found, err := n.journal.Range(ctx, id, seq, seq, 1, 1)
	if err != nil {
		return nil, fmt.Errorf("actors: message %s: %w", message, err)
	}
	if len(found) == 0 || found[0].Deal == nil {
		return nil, protocol.NotFound("the original of message %.80s", message)
	}
	o, err := n.journal.Original(ctx, id, seq)
	if err != nil {
		return nil, err
	}
	e := proto.CloneOf(found[0])
	e.Content, e.Mentions = o.Content, o.Mentions
	return e, nil
}

// heldPage is how many entries Held looks at for one that it gives, at most.
const heldPage = 200

// Held gives up to limit of the messages that moderation holds back in a session, below the
// seq before (0: of all), newest first and as others see them; and the seq to go on with,
// 0: there are no more. A page may be short where much was decided. DENIED, NOT_FOUND.
func (n *Node) Held(ctx context.Context, who protocol.Identity, session protocol.SessionID, before int64, limit int) (held []*protocol.Entry, next int64, err error) {
	if err := n.decree(ctx, session, &decree{what: edictJudge, who: &who}); err != nil {
		return nil, 0, err
	}
	dealt, err := n.journal.Dealt(ctx, session, before, heldPage)
	if err != nil {
		return nil, 0, fmt.Errorf("actors: what is held back in %s: %w", session, err)
	}
	if len(dealt) == heldPage {
		next = dealt[heldPage-1].Seq
	}
	now := time.Now()
	for _, e := range dealt {
		ends := e.Expire > 0 && now.UnixMilli() >= e.CreatedAt+e.Expire*1000
		if e.Deal.GetState() != dealHeld || e.Recalled || e.Expired || ends {
			continue
		}
		if len(held) == limit {
			return held, held[limit-1].Seq, nil
		}
		held = append(held, e)
	}
	return held, next, nil
}

// Decide lets a message that moderation changed or holds back stand as it was written
// (VerdictAllow), or takes it away for good (VerdictReject); an entry of the log says so, by
// who where who is a member, else by System. reason is what people are told of a rejection,
// "": what the moderator said. CONFLICT: there is nothing to decide any more; NOT_FOUND,
// DENIED, BAD_REQUEST.
func (n *Node) Decide(ctx context.Context, who protocol.Identity, message, verdict, reason string) error {
	id, seq, err := protocol.ParseMessageID(message)
	switch {
	case err != nil:
		return protocol.NotFound("message %.80q", message)
	case verdict != VerdictAllow && verdict != VerdictReject:
		return protocol.BadRequest("verdict: allow or reject is needed")
	}
	return n.decree(ctx, id, &decree{what: edictDecide, who: &who, seqs: []int64{seq}, verdict: verdict, reason: cutTo(reason, maxReason)})
}

func (s *Session) decide(m *decree) {
	if err := s.mayDecide(m.who); err != nil {
		m.told(err)
		return
	}
	by := m.who.User
	if s.members[by] == nil {
		by = System
	}
	c := &change{seq: m.seqs[0], told: m.told, wantsOriginal: true}
	c.op = func(target *protocol.Entry, _ []Deed) (*pending, *protocol.Entry, error) {
		return s.verdict(c, target, by, m.verdict, m.reason)
	}
	s.queue(c)
}

// verdict is the change that Decide makes.
func (s *Session) verdict(c *change, target *protocol.Entry, by protocol.UserID, verdict, reason string) (*pending, *protocol.Entry, error) {
	now, p := time.Now(), &pending{}
	message := protocol.MessageID(s.id, c.seq)
	switch {
	case target.Recalled, target.Expired, target.Expire > 0 && now.UnixMilli() >= target.CreatedAt+target.Expire*1000:
		return nil, nil, protocol.Conflict("message %s is gone", message)
	case target.Deal == nil:
		return nil, nil, protocol.Conflict("message %s stands as it was written", message)
	case verdict == VerdictReject && target.Deal.State == dealRejected:
		return p, nil, nil
	case verdict == VerdictAllow && c.original == nil:
		return nil, nil, protocol.Conflict("what message %s said is not kept any more", message)
	}
	is := proto.CloneOf(target)
	is.EditedAt = max(s.last, now.UnixMilli())
	if verdict == VerdictAllow {
		is.Content, is.Mentions, is.Deal = c.original.Content, c.original.Mentions, nil
	} else {
		is.Content, is.Mentions = nil, nil
		is.Deal = &protocol.Deal{State: dealRejected, By: by, Reason: cmp.Or(reason, target.Deal.Reason), At: is.EditedAt}
	}
	p.Rewrites = []*protocol.Entry{is}
	return p, &protocol.Entry{Kind: protocol.Kind_EDIT, Sender: by, Content: is.Content, Mentions: is.Mentions, Deal: is.Deal}, nil
}
