package actors

import (
	"context"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A page of history has at most this many entries, and about this many bytes of
// them, so that it fits the outbound queue of a connection (256 KiB) twice.
const (
	maxPage   = 200
	pageBytes = 96 << 10
)

// sync reads a part of the log, as the member may see it, away from the mailbox.
func (s *Session) sync(r *request, me *MemberRow, m *protocol.Sync) {
	switch {
	case m.Epoch != "" && m.Epoch != s.logEpoch:
		s.fail(r, protocol.Errorf(protocol.Code_EPOCH_CHANGED, "the log's epoch is %s: forget this session's seqs and read it again", s.logEpoch))
		return
	case m.AfterSeq != nil && m.BeforeSeq != nil:
		s.fail(r, protocol.BadRequest("sync: afterSeq or beforeSeq, not both"))
		return
	case m.AfterSeq != nil && (*m.AfterSeq < 0 || *m.AfterSeq == math.MaxInt64):
		s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "sync.afterSeq: 0 to %d is allowed", s.head))
		return
	case m.BeforeSeq != nil && *m.BeforeSeq < 1:
		s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "sync.beforeSeq: 1 or more is needed"))
		return
	case m.Limit < 0:
		s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "sync.limit: 1 to %d is allowed", maxPage))
		return
	}
	limit := int(m.Limit)
	if limit == 0 || limit > maxPage {
		limit = maxPage
	}
	floor := max(1, me.Floor)
	// A home list that was read from the store may have told of a commit that is not
	// reported here yet, so the log is read to its end: what is in it is durable.
	from, to, head, forward := floor, int64(math.MaxInt64), s.head, false
	reply := &protocol.SyncReply{Session: s.id, HeadSeq: s.head, Epoch: s.logEpoch}
	switch {
	case m.AfterSeq != nil:
		from, forward = max(floor, *m.AfterSeq+1), true
		if from > *m.AfterSeq+1 {
			reply.Gone = &protocol.Gone{UpTo: floor - 1}
		}
	case m.BeforeSeq != nil:
		to = *m.BeforeSeq - 1
	}
	drafted := s.drafts != nil
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		var err error
		if forward {
			reply.Messages, err = s.node.journal.Range(ctx, s.id, from, to, limit, pageBytes)
		} else {
			reply.Messages, err = s.node.journal.Backward(ctx, s.id, from, to, limit, pageBytes)
			slices.Reverse(reply.Messages)
		}
		if err != nil {
			s.node.failed("reading a log", err, "session", s.id)
			s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
			return
		}
		for i, e := range reply.Messages { // not past one's own removal
			if e.Seq > head && e.Kind == protocol.Kind_LEAVE && slices.Contains(e.Members, r.who.User) {
				reply.Messages = reply.Messages[:i+1]
				break
			}
		}
		if n := len(reply.Messages); n > 0 {
			last := reply.Messages[n-1].Seq
			reply.HeadSeq = max(head, last)
			reply.HasMore = forward && (last < head || n == limit) || !forward && reply.Messages[0].Seq > from
		} else if forward && *m.AfterSeq > head && !s.reaches(ctx, *m.AfterSeq) {
			s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "sync.afterSeq: 0 to %d is allowed", head))
			return
		} else if forward {
			reply.HeadSeq = max(head, *m.AfterSeq)
		}
		for i, e := range reply.Messages {
			if e = current(e, time.Now()); beforeFloor(e, floor) {
				e = hollow(e, func(*protocol.Entry) {})
			}
			reply.Messages[i] = e
		}
		answer := func() { s.reply(r, &protocol.Frame{Body: &protocol.Frame_SyncReply{SyncReply: reply}}) }
		if !drafted {
			answer()
			return
		}
		s.node.tell(s.pid, done(func() { // what became a message meanwhile is no draft any more
			reply.Streams = s.streams()
			answer()
		}))
	})
}

// reaches says whether the stored log has an entry at seq.
func (s *Session) reaches(ctx context.Context, seq int64) bool {
	at, err := s.node.journal.Range(ctx, s.id, seq, seq, 1, 1)
	return err == nil && len(at) == 1
}

// current is e as it may be shown now: an expired message has no content, also
// before its expiry is an entry of the log.
func current(e *protocol.Entry, now time.Time) *protocol.Entry {
	if e.Expire == 0 || e.Content == nil || now.UnixMilli() < e.CreatedAt+e.Expire*1000 {
		return e
	}
	return hollow(e, func(h *protocol.Entry) { h.Expired = true })
}

// hollow is a copy of e without what it said.
func hollow(e *protocol.Entry, mark func(*protocol.Entry)) *protocol.Entry {
	h := proto.CloneOf(e)
	h.Content, h.Mentions, h.Reactions, h.ReactedSeq, h.ReplyTo, h.EditedAt, h.Deal = nil, nil, nil, 0, "", 0, nil
	mark(h)
	return h
}

// read moves the member's read mark, never back.
func (s *Session) read(r *request, me *MemberRow, seq int64) {
	if seq < 1 || seq > s.head {
		s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "msg_read.seq: 1 to %d is allowed", s.head))
		return
	}
	if seq <= me.ReadSeq && s.waiting == 0 && !plantedFallingMarks {
		if r.unsure { // whoever made it durable may have told nobody
			s.receipt(&protocol.Receipt{Session: s.id, UserId: me.User, ReadSeq: me.ReadSeq})(nil)
		}
		s.reply(r, &protocol.Frame{Body: &protocol.Frame_MsgReadReply{MsgReadReply: &protocol.MsgReadReply{Session: s.id, ReadSeq: me.ReadSeq}}})
		return
	}
	if seq > me.ReadSeq || plantedFallingMarks {
		me.ReadSeq = seq
	}
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_MsgReadReply{MsgReadReply: &protocol.MsgReadReply{Session: s.id, ReadSeq: me.ReadSeq}}}}
	p.Marks = []Mark{{User: me.User, ReadSeq: me.ReadSeq}}
	p.after = s.receipt(&protocol.Receipt{Session: s.id, UserId: me.User, ReadSeq: me.ReadSeq})
	s.append(p)
}

// recv notes that the member's device has everything up to a seq.
func (s *Session) recv(r *request, me *MemberRow, m *protocol.MsgRecv) {
	seq := m.Seq
	if seq == 0 && m.MessagesendId != "" {
		session, at, err := protocol.ParseMessageID(m.MessagesendId)
		if err != nil || session != s.id || !delivered(m.MessagesendId, me.User) {
			s.fail(r, protocol.BadRequest("msg_recv.messagesendId: %.80q is no delivery to %s in this session", m.MessagesendId, me.User))
			return
		}
		seq = at
	}
	if seq < 1 || seq > s.head {
		s.fail(r, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "msg_recv.seq: 1 to %d is allowed", s.head))
		return
	}
	news := seq > me.RecvSeq || r.unsure
	me.RecvSeq = max(me.RecvSeq, seq)
	p := &pending{req: r, answer: &protocol.Frame{Body: &protocol.Frame_MsgRecvReply{MsgRecvReply: &protocol.MsgRecvReply{Session: s.id, Seq: seq}}}}
	p.Marks = []Mark{{User: me.User, Device: r.who.Device, RecvSeq: seq}}
	if news {
		p.after = s.receipt(&protocol.Receipt{Session: s.id, UserId: me.User, RecvSeq: seq})
	}
	s.append(p)
}

// receipt tells the others how far a member is, in sessions that are small enough;
// the member's own devices learn of a read mark in any case.
func (s *Session) receipt(m *protocol.Receipt) func(*Burst) {
	return func(b *Burst) {
		e := &Event{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Receipt{Receipt: m}})}
		switch {
		case len(s.members) <= s.node.cfg.ReceiptSize:
		case m.ReadSeq > 0:
			e.Only = m.UserId
		default:
			return
		}
		s.publish([]*Event{e}, b)
	}
}

func (s *Session) editing(r *request, me *MemberRow) {
	if err := mayReact(s.info, me, time.Now()); err != nil {
		s.fail(r, err)
		return
	}
	f := &protocol.Frame{Body: &protocol.Frame_MsgEditingReply{MsgEditingReply: &protocol.MsgEditingReply{Session: s.id, UserId: r.who.User}}}
	if len(s.members) <= s.node.cfg.ReceiptSize && s.mayTalk(r.who.User) == nil {
		s.publish([]*Event{{Shared: protocol.NewShared(f), Ephemeral: true, Not: r.who.User}}, nil)
	}
	s.reply(r, &protocol.Frame{Body: &protocol.Frame_MsgEditingReply{MsgEditingReply: &protocol.MsgEditingReply{Session: s.id, UserId: r.who.User}}})
}
