package gateway

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What REST shows. The names are those of the frames; times are RFC 3339, and what
// is called messagerecvId there is a message's id.

type sessionView struct {
	ID           string          `json:"session"`
	Type         sessionType     `json:"sessionType"`
	Name         string          `json:"name,omitempty"`
	Creator      string          `json:"creator,omitempty"`
	Owner        string          `json:"owner,omitempty"`
	CreatedAt    *time.Time      `json:"createdAt,omitempty"`
	UpdatedAt    *time.Time      `json:"updatedAt,omitempty"`
	Temporary    bool            `json:"temporary,omitempty"`
	History      string          `json:"history,omitempty" doc:"joined: a member reads from its joining on; else everything"`
	BusinessType int64           `json:"businessType,omitempty"`
	Status       int64           `json:"status" doc:"1: there is an active topic"`
	Dead         bool            `json:"dead,omitempty" doc:"Nobody is left in it"`
	HeadSeq      int64           `json:"headSeq"`
	Epoch        string          `json:"epoch,omitempty"`
	MemberCount  int64           `json:"memberCount"`
	Members      []memberView    `json:"members,omitempty" doc:"The first of them, in order of joining"`
	Mine         *membershipView `json:"mine,omitempty"`
	Avatar       string          `json:"avatar,omitempty"`
	Announcement string          `json:"announcement,omitempty"`
	AnnouncedBy  string          `json:"announcedBy,omitempty"`
	AnnouncedAt  *time.Time      `json:"announcedAt,omitempty"`
	JoinPolicy   string          `json:"joinPolicy,omitempty" enum:"invite,ask,open"`
	InvitePolicy string          `json:"invitePolicy,omitempty" enum:"members,admins"`
	SilenceAll   bool            `json:"silenceAll,omitempty" doc:"Only the owner and admins write, for now"`
	ReadOnly     bool            `json:"readOnly,omitempty" doc:"A broadcast: only the owner and admins write"`
	Until        *time.Time      `json:"until,omitempty" doc:"When it is dissolved"`
}

// membershipView is what a session is to the one who asks.
type membershipView struct {
	Unread        int64  `json:"unread"`
	Mentioned     bool   `json:"mentioned,omitempty" doc:"An unread message mentions you"`
	ReadSeq       int64  `json:"readSeq"`
	RecvSeq       int64  `json:"recvSeq"`
	Sticky        bool   `json:"sticky"`
	Muted         bool   `json:"muted"`
	Role          string `json:"role" enum:"member,admin,owner"`
	SilencedUntil string `json:"silencedUntil,omitempty" doc:"You may not write before this time, or forever"`
	FloorSeq      int64  `json:"floorSeq,omitempty" doc:"The first seq you may read, when it is not 1"`
}

type headView struct {
	ID            string       `json:"session"`
	Type          sessionType  `json:"sessionType"`
	Name          string       `json:"name,omitempty"`
	HeadSeq       int64        `json:"headSeq"`
	ReadSeq       int64        `json:"readSeq"`
	RecvSeq       int64        `json:"recvSeq"`
	Unread        int64        `json:"unread"`
	Mentioned     bool         `json:"mentioned,omitempty"`
	Last          *messageView `json:"last,omitempty" doc:"The newest message"`
	UpdatedAt     *time.Time   `json:"updatedAt,omitempty"`
	Sticky        bool         `json:"sticky"`
	Muted         bool         `json:"muted"`
	Epoch         string       `json:"epoch,omitempty"`
	MemberCount   int64        `json:"memberCount"`
	Members       []string     `json:"members,omitempty" doc:"Of a p2p session: the two people"`
	BusinessType  int64        `json:"businessType,omitempty"`
	FloorSeq      int64        `json:"floorSeq,omitempty"`
	Avatar        string       `json:"avatar,omitempty"`
	Role          string       `json:"role" enum:"member,admin,owner" doc:"Yours"`
	SilenceAll    bool         `json:"silenceAll,omitempty"`
	ReadOnly      bool         `json:"readOnly,omitempty"`
	SilencedUntil string       `json:"silencedUntil,omitempty" doc:"You may not write before this time, or forever"`
}

type memberView struct {
	User          string     `json:"user"`
	Role          string     `json:"role" enum:"member,admin,owner"`
	Inviter       string     `json:"inviter,omitempty"`
	Order         int64      `json:"order" doc:"Rises in the order of joining"`
	JoinedAt      *time.Time `json:"joinedAt,omitempty"`
	ReadSeq       int64      `json:"readSeq"`
	RecvSeq       int64      `json:"recvSeq"`
	SilencedUntil string     `json:"silencedUntil,omitempty" doc:"May not write before this time, or forever"`
}

type messageView struct {
	ID           string         `json:"messagerecvId"`
	Session      string         `json:"session"`
	Seq          int64          `json:"seq"`
	Kind         string         `json:"kind" doc:"message, or what else the log holds: recall, edit, react, join, leave, change, expire, answer"`
	Sender       string         `json:"sender"`
	ClientMsgID  string         `json:"clientMsgId,omitempty"`
	Content      *content       `json:"content,omitempty" doc:"Gone when the message was recalled, has expired or is held back"`
	CreatedAt    *time.Time     `json:"createdAt"`
	Expire       int64          `json:"expire,omitempty" doc:"Seconds after createdAt; 0: never"`
	ReplyTo      string         `json:"replyTo,omitempty"`
	Mentions     []string       `json:"mentions,omitempty"`
	Target       int64          `json:"target,omitempty" doc:"The seq of the entry that this one changes"`
	TargetSender string         `json:"targetSender,omitempty"`
	Members      []string       `json:"members,omitempty"`
	Reaction     string         `json:"reaction,omitempty"`
	Removed      bool           `json:"removed,omitempty"`
	Reactions    []reactionView `json:"reactions,omitempty"`
	EditedAt     *time.Time     `json:"editedAt,omitempty"`
	Recalled     bool           `json:"recalled,omitempty"`
	Expired      bool           `json:"expired,omitempty"`
	Name         string         `json:"name,omitempty"`
	Owner        string         `json:"owner,omitempty"`
	Answer       string         `json:"answer,omitempty"`
	Platform     string         `json:"platform,omitempty"`
	Cut          bool           `json:"cut,omitempty" doc:"Of a list's last message: its texts are cut short, its lists left out"`
	Role         string         `json:"role,omitempty"`
	Change       *changeView    `json:"change,omitempty"`
	Deal         *dealView      `json:"deal,omitempty" doc:"What moderation made of it"`
}

type reactionView struct {
	Reaction string   `json:"reaction"`
	Users    []string `json:"users" doc:"Of those who reacted so, 50 at most"`
	Count    int64    `json:"count" doc:"How many they are in all"`
}

// content is what a message says, on the way in and out.
type content struct {
	Type      contentType `json:"type"`
	Text      string      `json:"text,omitempty" doc:"8 KiB at most unless set otherwise"`
	File      string      `json:"file,omitempty" doc:"A file id"`
	Files     []string    `json:"files,omitempty" maxItems:"100"`
	Name      string      `json:"name,omitempty"`
	Mime      string      `json:"mime,omitempty"`
	Size      int64       `json:"size,omitempty" minimum:"0" doc:"Bytes"`
	Width     int64       `json:"width,omitempty" minimum:"0"`
	Height    int64       `json:"height,omitempty" minimum:"0"`
	Duration  int64       `json:"duration,omitempty" minimum:"0" doc:"Milliseconds"`
	URL       string      `json:"url,omitempty"`
	Title     string      `json:"title,omitempty"`
	Digest    string      `json:"digest,omitempty"`
	Thumb     string      `json:"thumb,omitempty" doc:"A file id"`
	Forwarded []forwarded `json:"forwarded,omitempty" maxItems:"100"`
	Data      any         `json:"data,omitempty" doc:"Whatever an application agrees with itself"`
}

type forwarded struct {
	Session   string     `json:"session,omitempty"`
	Message   string     `json:"messagerecvId,omitempty"`
	Sender    string     `json:"sender,omitempty"`
	CreatedAt *time.Time `json:"createdAt,omitempty"`
	Text      string     `json:"text,omitempty"`
}

// contentType is written as its word and read as word or number.
type contentType struct{ protocol.ContentType }

func (contentType) Schema(huma.Registry) *huma.Schema {
	return wordOrNumber(protocol.ContentType(0).Descriptor().Values().Len(), func(n int) any { return protocol.ContentType(n) }, "text")
}

// sessionType is written as its word and read as word or number.
type sessionType struct{ protocol.SessionType }

func (sessionType) Schema(huma.Registry) *huma.Schema {
	return wordOrNumber(protocol.SessionType(0).Descriptor().Values().Len(), func(n int) any { return protocol.SessionType(n) }, "group")
}

// wordOrNumber describes an enumeration; it is the type's own reading that checks a value.
func wordOrNumber(n int, value func(int) any, example string) *huma.Schema {
	words := make([]string, n)
	for i := range words {
		words[i] = word(value(i))
	}
	return &huma.Schema{
		Description: "One of " + strings.Join(words, ", ") + ", or its number in this list from 0.",
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeInteger}},
		Examples:    []any{example},
	}
}

// word is a protocol enumeration's value as JSON has it.
func word(v any) string {
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}

// when is nil for 0.
func when(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

func viewSession(i *protocol.SessionInfo) *sessionView {
	v := &sessionView{
		ID: i.Session, Type: sessionType{i.SessionType}, Name: i.Name, Creator: i.Creator, Owner: i.Owner,
		CreatedAt: when(i.CreatedAt), UpdatedAt: when(i.UpdatedAt), Temporary: i.Temporary, History: i.History,
		BusinessType: i.BusinessType, Status: i.Status, Dead: i.Dead, HeadSeq: i.HeadSeq, Epoch: i.Epoch, MemberCount: i.MemberCount,
		Avatar: i.Avatar, Announcement: i.Announcement, AnnouncedBy: i.AnnouncedBy, AnnouncedAt: when(i.AnnouncedAt),
		SilenceAll: i.SilenceAll, ReadOnly: i.ReadOnly, Until: when(i.Until),
	}
	if i.SessionType == protocol.SessionType_GROUP || i.SessionType == protocol.SessionType_MUC {
		v.JoinPolicy, v.InvitePolicy = word(i.JoinPolicy), word(i.InvitePolicy)
	}
	for _, m := range i.Members {
		v.Members = append(v.Members, viewMember(m))
	}
	return v
}

func viewMember(m *protocol.Member) memberView {
	return memberView{User: m.User, Role: word(m.Role), Inviter: m.Inviter, Order: m.Order, JoinedAt: when(m.JoinedAt), ReadSeq: m.ReadSeq, RecvSeq: m.RecvSeq, SilencedUntil: viewEnd(m.SilencedUntil)}
}

func viewHead(h *protocol.SessionHead) headView {
	v := headView{
		ID: h.Session, Type: sessionType{h.SessionType}, Name: h.Name, HeadSeq: h.HeadSeq, ReadSeq: h.ReadSeq, RecvSeq: h.RecvSeq,
		Unread: h.Unread, Mentioned: h.Mentioned, UpdatedAt: when(h.UpdatedAt), Sticky: h.Sticky, Muted: h.Muted, Epoch: h.Epoch,
		MemberCount: h.MemberCount, Members: h.Members, BusinessType: h.BusinessType, FloorSeq: h.FloorSeq,
		Avatar: h.Avatar, Role: word(h.Role), SilenceAll: h.SilenceAll, ReadOnly: h.ReadOnly, SilencedUntil: viewEnd(h.SilencedUntil),
	}
	if h.Last != nil {
		last := viewMessage(h.Last)
		v.Last = &last
	}
	return v
}

func viewMessage(e *protocol.Entry) messageView {
	v := messageView{
		ID: e.MessagerecvId, Session: e.Session, Seq: e.Seq, Kind: word(e.Kind), Sender: e.Sender, ClientMsgID: e.ClientMsgId,
		Content: viewContent(e.Content), CreatedAt: when(e.CreatedAt), Expire: e.Expire, ReplyTo: e.ReplyTo, Mentions: e.Mentions,
		Target: e.Target, TargetSender: e.TargetSender, Members: e.Members, Reaction: e.Reaction, Removed: e.Removed,
		EditedAt: when(e.EditedAt), Recalled: e.Recalled, Expired: e.Expired, Name: e.Name, Owner: e.Owner, Answer: e.Answer, Platform: e.Platform, Cut: e.Cut,
	}
	v.Change, v.Deal = viewChange(e.Change), viewDeal(e.Deal)
	if e.Kind == protocol.Kind_CHANGE && len(e.Members) > 0 && (e.Change == nil || e.Change.SilencedUntil == nil) {
		v.Role = word(e.Role)
	}
	for _, r := range e.Reactions {
		v.Reactions = append(v.Reactions, reactionView{r.Reaction, r.Users, max(r.Count, int64(len(r.Users)))})
	}
	return v
}

func viewContent(c *protocol.Content) *content {
	if c == nil {
		return nil
	}
	v := &content{
		Type: contentType{c.Type}, Text: c.Text, File: c.File, Files: c.Files, Name: c.Name, Mime: c.Mime, Size: c.Size,
		Width: c.Width, Height: c.Height, Duration: c.Duration, URL: c.Url, Title: c.Title, Digest: c.Digest, Thumb: c.Thumb,
	}
	if c.Data != "" {
		v.Data = json.RawMessage(c.Data)
	}
	for _, f := range c.Forwarded {
		v.Forwarded = append(v.Forwarded, forwarded{Session: f.Session, Message: f.MessagerecvId, Sender: f.Sender, CreatedAt: when(f.CreatedAt), Text: f.Text})
	}
	return v
}

// said is content as a frame has it.
func (c *content) said() (*protocol.Content, error) {
	if c.Type.Reserved() {
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "content.type: %s is not for clients", word(c.Type.ContentType))
	}
	return c.frame()
}

// frame is said, whoever says it.
func (c *content) frame() (*protocol.Content, error) {
	out := &protocol.Content{
		Type: c.Type.ContentType, Text: c.Text, File: c.File, Files: c.Files, Name: c.Name, Mime: c.Mime, Size: c.Size,
		Width: c.Width, Height: c.Height, Duration: c.Duration, Url: c.URL, Title: c.Title, Digest: c.Digest, Thumb: c.Thumb,
	}
	if c.Data != nil {
		b, err := json.Marshal(c.Data)
		if err != nil {
			return nil, protocol.BadRequest("content.data is no JSON")
		}
		out.Data = string(b)
	}
	for _, f := range c.Forwarded {
		w := &protocol.Forwarded{Session: f.Session, MessagerecvId: f.Message, Sender: f.Sender, Text: f.Text}
		if f.CreatedAt != nil {
			w.CreatedAt = f.CreatedAt.UnixMilli()
		}
		out.Forwarded = append(out.Forwarded, w)
	}
	return out, nil
}
