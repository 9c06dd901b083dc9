package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

type messagesInput struct {
	InSession
	Paged
	Before int64 `query:"before" minimum:"0" maximum:"9007199254740991" doc:"Entries before this seq"`
	After  int64 `query:"after" minimum:"-1" maximum:"9007199254740991" default:"-1" doc:"Entries after this seq; 0: from the beginning"`
}

type messagesView struct {
	List[messageView]
	HeadSeq int64  `json:"headSeq" doc:"The newest entry's seq"`
	Epoch   string `json:"epoch,omitempty" doc:"Changes only when history may have gone back"`
	GoneTo  int64  `json:"goneTo,omitempty" doc:"Entries up to this seq can not be read by you"`
}

// A cursor is the direction, b or a, and the seq that the page before ended with.
func (in *messagesInput) sync() (*protocol.Sync, error) {
	m := &protocol.Sync{Session: in.Session, Limit: int64(in.Limit)}
	if in.Cursor != "" {
		seq, err := strconv.ParseInt(in.Cursor[1:], 10, 64)
		switch {
		case err != nil || seq < 0:
		case in.Cursor[0] == 'a':
			m.AfterSeq = &seq
		case in.Cursor[0] == 'b':
			m.BeforeSeq = &seq
		}
		if m.AfterSeq == nil && m.BeforeSeq == nil {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
		return m, nil
	}
	switch {
	case in.Before > 0 && in.After >= 0:
		return nil, protocol.BadRequest("before or after, not both")
	case in.After >= 0:
		m.AfterSeq = &in.After
	case in.Before > 0:
		m.BeforeSeq = &in.Before
	}
	return m, nil
}

func (s *sessions) sync(ctx context.Context, m *protocol.Sync) (*protocol.SyncReply, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_Sync{Sync: m}})
	return f.GetSyncReply(), err
}

func (s *sessions) messages(ctx context.Context, in *messagesInput) (*answer[messagesView], error) {
	m, err := in.sync()
	if err != nil {
		return nil, err
	}
	r, err := s.sync(ctx, m)
	if err != nil {
		return nil, err
	}
	out := messagesView{List: List[messageView]{Items: []messageView{}}, HeadSeq: r.HeadSeq, Epoch: r.Epoch, GoneTo: r.GetGone().GetUpTo()}
	for _, e := range r.Messages {
		out.Items = append(out.Items, viewMessage(e))
	}
	if n := len(r.Messages); r.HasMore && n > 0 {
		if m.AfterSeq != nil {
			out.Next = "a" + strconv.FormatInt(r.Messages[n-1].Seq, 10)
		} else {
			out.Next = "b" + strconv.FormatInt(r.Messages[0].Seq, 10)
		}
	}
	return &answer[messagesView]{out}, nil
}

type unreadInput struct {
	InSession
	Paged
}

func (s *sessions) unreadMessages(ctx context.Context, in *unreadInput) (*answer[messagesView], error) {
	who, _ := protocol.IdentityFrom(ctx)
	row, err := s.mine(ctx, in.Session)
	if err != nil {
		return nil, err
	}
	after := row.Member.ReadSeq
	if in.Cursor != "" {
		seq, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || seq < 0 {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
		after = max(after, seq)
	}
	out := messagesView{List: List[messageView]{Items: []messageView{}}, HeadSeq: row.Head, Epoch: row.LogEpoch}
	if after >= row.Head {
		return &answer[messagesView]{out}, nil
	}
	r, err := s.sync(ctx, &protocol.Sync{Session: in.Session, AfterSeq: &after, Limit: int64(in.Limit)})
	if err != nil {
		return nil, err
	}
	for _, e := range r.Messages {
		if e.Counts() && e.Sender != who.User {
			out.Items = append(out.Items, viewMessage(e))
		}
	}
	if n := len(r.Messages); r.HasMore && n > 0 {
		out.Next = strconv.FormatInt(r.Messages[n-1].Seq, 10)
	}
	return &answer[messagesView]{out}, nil
}

type sendInput struct {
	InSession
	Body struct {
		ClientMsgID string   `json:"clientMsgId" minLength:"1" maxLength:"128" doc:"Yours for this message: sent again, it is the same message"`
		Content     content  `json:"content"`
		Expire      int64    `json:"expire,omitempty" minimum:"0" doc:"Seconds until it disappears; 0: never"`
		ReplyTo     string   `json:"replyTo,omitempty" maxLength:"128"`
		Mentions    []string `json:"mentions,omitempty" doc:"Members' user ids, 500 at most; * is everybody"`
	}
}

type sentView struct {
	ID          string     `json:"messagerecvId"`
	Session     string     `json:"session"`
	Seq         int64      `json:"seq"`
	ClientMsgID string     `json:"clientMsgId"`
	CreatedAt   *time.Time `json:"createdAt"`
	Duplicate   bool       `json:"duplicate,omitempty" doc:"It had been sent before"`
	Deal        *dealView  `json:"deal,omitempty" doc:"What moderation made of it"`
}

type sentOutput struct {
	Status int
	Body   sentView
}

func (s *sessions) send(ctx context.Context, in *sendInput) (*sentOutput, error) {
	said, err := in.Body.Content.said()
	if err != nil {
		return nil, err
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: in.Session, ClientMsgId: in.Body.ClientMsgID, Content: said,
		Expire: in.Body.Expire, ReplyTo: in.Body.ReplyTo, Mentions: in.Body.Mentions,
	}}})
	if err != nil {
		return nil, err
	}
	r := f.GetMsgSendReply()
	out := &sentOutput{Status: http.StatusCreated, Body: sentView{
		ID: r.MessagerecvId, Session: in.Session, Seq: r.Seq, ClientMsgID: in.Body.ClientMsgID, CreatedAt: when(r.CreatedAt), Duplicate: r.Duplicate, Deal: viewDeal(r.Deal),
	}}
	if r.Duplicate {
		out.Status = http.StatusOK
	}
	return out, nil
}

type InMessage struct {
	InSession
	Message string `path:"message_id" maxLength:"128"`
}

// seq checks that the message is one of the session, and gives its seq.
func (in *InMessage) seq() (int64, error) {
	session, seq, err := protocol.ParseMessageID(in.Message)
	if err != nil || session != in.Session {
		return 0, protocol.NotFound("message %.80q", in.Message)
	}
	return seq, nil
}

func (s *sessions) message(ctx context.Context, in *InMessage) (*answer[messageView], error) {
	seq, err := in.seq()
	if err != nil {
		return nil, err
	}
	before := seq - 1
	r, err := s.sync(ctx, &protocol.Sync{Session: in.Session, AfterSeq: &before, Limit: 1})
	if err != nil && !protocol.Code_OUT_OF_RANGE.Is(err) {
		return nil, err
	}
	if len(r.GetMessages()) == 0 || r.Messages[0].Seq != seq {
		return nil, protocol.NotFound("message %.80q", in.Message)
	}
	return &answer[messageView]{viewMessage(r.Messages[0])}, nil
}

type editInput struct {
	InMessage
	Body struct {
		Content content `json:"content"`
	}
}

type entryView struct {
	ID  string `json:"messagerecvId" doc:"Of the message that was changed"`
	Seq int64  `json:"seq" doc:"Of the entry that says so in the log"`
}

func (s *sessions) edit(ctx context.Context, in *editInput) (*answer[entryView], error) {
	if _, err := in.seq(); err != nil {
		return nil, err
	}
	said, err := in.Body.Content.said()
	if err != nil {
		return nil, err
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: in.Session, MessagerecvId: in.Message, Content: said}}})
	if err != nil {
		return nil, err
	}
	return &answer[entryView]{entryView{in.Message, f.GetMsgEditReply().GetSeq()}}, nil
}

func (s *sessions) recall(ctx context.Context, in *InMessage) (*answer[entryView], error) {
	if _, err := in.seq(); err != nil {
		return nil, err
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: in.Session, MessagerecvId: in.Message}}})
	if err != nil {
		return nil, err
	}
	return &answer[entryView]{entryView{in.Message, f.GetMsgCancelReply().GetSeq()}}, nil
}

type reactInput struct {
	InMessage
	Reaction string `path:"reaction" minLength:"1" maxLength:"64"`
}

func (s *sessions) react(removed bool) func(context.Context, *reactInput) (*answer[entryView], error) {
	return func(ctx context.Context, in *reactInput) (*answer[entryView], error) {
		if _, err := in.seq(); err != nil {
			return nil, err
		}
		f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{
			Session: in.Session, MessagerecvId: in.Message, Reaction: in.Reaction, Removed: removed}}})
		if err != nil {
			return nil, err
		}
		return &answer[entryView]{entryView{in.Message, f.GetMsgReactReply().GetSeq()}}, nil
	}
}
