package gateway

import (
	"context"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

type badgeView struct {
	Badge int64 `json:"badge" doc:"Unread messages of all sessions"`
}

type countView struct {
	Session string `json:"session,omitempty"`
	Count   int64  `json:"count"`
}

func (s *sessions) total(ctx context.Context) (int64, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Limit: 1}}})
	return f.GetSessionListReply().GetUnreadTotal(), err
}

func (s *sessions) badge(ctx context.Context, _ *struct{}) (*answer[badgeView], error) {
	n, err := s.total(ctx)
	return &answer[badgeView]{badgeView{n}}, err
}

func (s *sessions) unreadTotal(ctx context.Context, _ *struct{}) (*answer[countView], error) {
	n, err := s.total(ctx)
	return &answer[countView]{countView{Count: n}}, err
}

func (s *sessions) unread(ctx context.Context, in *InSession) (*answer[countView], error) {
	row, err := s.mine(ctx, in.Session)
	if err != nil {
		return nil, err
	}
	return &answer[countView]{countView{in.Session, row.Unread}}, nil
}

type recentInput struct {
	Paged
	Type         string `query:"type" doc:"Only sessions of this type: a word or a number"`
	BusinessType int64  `query:"business_type" minimum:"0" doc:"Only sessions of this business type: 1 without a patient, 2 with one"`
}

type recentView struct {
	List[headView]
	UnreadTotal int64 `json:"unreadTotal"`
}

func (s *sessions) recent(ctx context.Context, in *recentInput) (*answer[recentView], error) {
	ask := &protocol.SessionList{Cursor: in.Cursor, Limit: int64(in.Limit), BusinessType: in.BusinessType}
	if in.Type != "" {
		t, err := readSessionType(in.Type)
		if err != nil {
			return nil, err
		}
		ask.SessionType, ask.Filter = t, true
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: ask}})
	if err != nil {
		return nil, err
	}
	r := f.GetSessionListReply()
	out := recentView{List: List[headView]{Items: []headView{}, Next: r.Next}, UnreadTotal: r.UnreadTotal}
	for _, h := range r.Sessions {
		out.Items = append(out.Items, viewHead(h))
	}
	return &answer[recentView]{out}, nil
}

func readSessionType(s string) (t protocol.SessionType, err error) {
	if s[0] < '0' || s[0] > '9' {
		s = `"` + s + `"`
	}
	if strict([]byte(s)) != nil || t.UnmarshalJSON([]byte(s)) != nil {
		return 0, protocol.BadRequest("type: system, muc, p2p or group is needed, or its number")
	}
	return t, nil
}

type createInput struct {
	Body struct {
		Type         sessionType `json:"sessionType"`
		Members      []string    `json:"members,omitempty" doc:"User ids, besides one's own; 500 at most unless set otherwise"`
		Name         string      `json:"name,omitempty" doc:"128 characters at most unless set otherwise"`
		Temporary    bool        `json:"temporary,omitempty"`
		ClientMsgID  string      `json:"clientMsgId,omitempty" maxLength:"128" doc:"Makes the request safe to repeat"`
		History      string      `json:"history,omitempty" enum:"all,joined" doc:"What later members may read"`
		BusinessType int64       `json:"businessType,omitempty" minimum:"0"`
		settings
	}
}

func (s *sessions) create(ctx context.Context, in *createInput) (*answer[*sessionView], error) {
	b := &in.Body
	m := &protocol.SessionCreate{
		SessionType: b.Type.SessionType, Members: b.Members, Name: b.Name, Temporary: b.Temporary,
		ClientMsgId: b.ClientMsgID, History: b.History, BusinessType: b.BusinessType,
	}
	until, err := readEnd("until", b.Until)
	if err != nil {
		return nil, err
	}
	if b.Avatar != nil {
		m.Avatar = *b.Avatar
	}
	if p := b.join(); p != nil {
		m.JoinPolicy = *p
	}
	if p := b.invite(); p != nil {
		m.InvitePolicy = *p
	}
	if until != nil {
		m.Until = *until
	}
	m.ReadOnly = b.ReadOnly != nil && *b.ReadOnly
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: m}})
	if err != nil {
		return nil, err
	}
	for _, info := range f.GetSessionCreateReply().GetEntities().GetSession() {
		return &answer[*sessionView]{viewSession(info)}, nil
	}
	return nil, protocol.Errorf(protocol.Code_INTERNAL, "internal error")
}

func (s *sessions) info(ctx context.Context, session, cursor string, limit int) (*protocol.SessionGetReply, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, Cursor: cursor, Limit: int64(limit)}}})
	return f.GetSessionGetReply(), err
}

func (s *sessions) get(ctx context.Context, in *InSession) (*answer[*sessionView], error) {
	r, err := s.info(ctx, in.Session, "", 100)
	if err != nil {
		return nil, err
	}
	row, err := s.mine(ctx, in.Session)
	if err != nil {
		return nil, err
	}
	v := viewSession(r.Info)
	v.Mine = viewMine(row)
	return &answer[*sessionView]{v}, nil
}

func viewMine(row *actors.HomeRow) *membershipView {
	m := &membershipView{
		Unread: row.Unread, Mentioned: row.Mentioned, ReadSeq: row.Member.ReadSeq, RecvSeq: row.DeviceRecv,
		Sticky: row.Member.Sticky, Muted: row.Member.Muted, Role: word(row.Member.Role), SilencedUntil: viewEnd(row.Member.SilencedUntil),
	}
	if row.Member.Floor > 1 {
		m.FloorSeq = row.Member.Floor
	}
	return m
}

type statusView struct {
	Session string `json:"session"`
	Status  int64  `json:"status" doc:"1: there is an active topic"`
	Dead    bool   `json:"dead,omitempty" doc:"Nobody is left in it"`
}

func (s *sessions) status(ctx context.Context, in *InSession) (*answer[statusView], error) {
	r, err := s.info(ctx, in.Session, "", 1)
	if err != nil {
		return nil, err
	}
	return &answer[statusView]{statusView{in.Session, r.Info.Status, r.Info.Dead}}, nil
}

// flag makes the operation that sets something for oneself.
func (s *sessions) flag(what func(*protocol.SessionSet)) func(context.Context, *InSession) (*answer[changedView], error) {
	return func(ctx context.Context, in *InSession) (*answer[changedView], error) {
		m := &protocol.SessionSet{Session: in.Session}
		what(m)
		return s.set(ctx, m)
	}
}

type markInput struct {
	InSession
	Body struct {
		Seq int64 `json:"seq,omitempty" minimum:"0" maximum:"9007199254740991" doc:"0 or absent: the newest entry"`
	}
}

type readView struct {
	Session string `json:"session"`
	ReadSeq int64  `json:"readSeq"`
	Unread  int64  `json:"unread"`
}

func (s *sessions) read(ctx context.Context, in *markInput) (*answer[readView], error) {
	seq, err := s.upTo(ctx, in)
	if err != nil {
		return nil, err
	}
	if seq > 0 {
		if _, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgRead{MsgRead: &protocol.MsgRead{Session: in.Session, Seq: seq}}}); err != nil {
			return nil, err
		}
	}
	row, err := s.mine(ctx, in.Session)
	if err != nil {
		return nil, err
	}
	return &answer[readView]{readView{in.Session, row.Member.ReadSeq, row.Unread}}, nil
}

// upTo is the seq that is meant. 0: the session is empty, and there is nothing to mark.
func (s *sessions) upTo(ctx context.Context, in *markInput) (int64, error) {
	if in.Body.Seq > 0 {
		return in.Body.Seq, nil
	}
	row, err := s.mine(ctx, in.Session)
	if err != nil {
		return 0, err
	}
	return row.Head, nil
}

type recvView struct {
	Session string `json:"session"`
	RecvSeq int64  `json:"recvSeq"`
}

func (s *sessions) recv(ctx context.Context, in *markInput) (*answer[recvView], error) {
	seq, err := s.upTo(ctx, in)
	if err != nil {
		return nil, err
	}
	if seq > 0 {
		if _, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: in.Session, Seq: seq}}}); err != nil {
			return nil, err
		}
	}
	return &answer[recvView]{recvView{in.Session, seq}}, nil
}

func (s *sessions) exit(ctx context.Context, in *InSession) (*answer[changedView], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: in.Session}}})
	if err != nil {
		return nil, err
	}
	return &answer[changedView]{changedView{in.Session, f.GetSessionExitReply().GetSeq()}}, nil
}
