package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// registerGroups adds what only groups have: settings, joining, links, an end.
func (s *sessions) registerGroups(api huma.API) {
	const one = "/sessions/{session_id}"
	const (
		notFound, denied, expired     = protocol.Code_NOT_FOUND, protocol.Code_DENIED, protocol.Code_EXPIRED
		outOfRange, tooLarge, tooMany = protocol.Code_OUT_OF_RANGE, protocol.Code_TOO_LARGE, protocol.Code_TOO_MANY

		unsupported = protocol.Code_UNSUPPORTED
	)
	huma.Register(api, operation("change-session", http.MethodPut, one, "Change a session's settings or owner", denied, outOfRange, tooLarge, unsupported), s.change)
	huma.Register(api, operation("set-session-avatar", http.MethodPut, one+"/avatar", "Set a group's picture", denied, tooLarge, unsupported), s.setAvatar)
	huma.Register(api, operation("remove-session-avatar", http.MethodDelete, one+"/avatar", "Take a group's picture away", denied), s.removeAvatar)
	huma.Register(api, operation("dissolve-session", http.MethodDelete, one, "Dissolve a group: nobody is in it afterwards, and nobody reads it", denied), s.dissolve)
	huma.Register(api, operation("join-session", http.MethodPost, one+"/join", "Join an open group", denied, tooMany), s.join)
	huma.Register(api, operation("join-by-code", http.MethodPost, "/sessions/join", "Join a group by the code of a link", notFound, denied, expired, tooMany), s.joinByCode)
	huma.Register(api, operation("get-link", http.MethodGet, "/sessions/links/{code}", "Look where a link leads", notFound, denied, expired), s.link)
	huma.Register(api, operation("list-links", http.MethodGet, one+"/links", "List a group's links: the owner and admins see all, others their own", denied), s.links)
	create := operation("create-link", http.MethodPost, one+"/links", "Make a link that lets people in; its code is shown once", denied, outOfRange, tooMany)
	create.DefaultStatus = http.StatusCreated
	huma.Register(api, create, s.createLink)
	huma.Register(api, operation("revoke-link", http.MethodDelete, one+"/links/{link_id}", "End a link", denied), s.revokeLink)
}

// settings are what session_create and change-session have in common.
type settings struct {
	Avatar       *string `json:"avatar,omitempty" doc:"The id of an uploaded picture, an http or https link, or what it is; empty: none"`
	JoinPolicy   *string `json:"joinPolicy,omitempty" enum:"invite,ask,open" doc:"How those come in who are not invited: not at all, by a request, by themselves"`
	InvitePolicy *string `json:"invitePolicy,omitempty" enum:"members,admins" doc:"Who may take others in"`
	ReadOnly     *bool   `json:"readOnly,omitempty" doc:"A broadcast: only the owner and admins write"`
	Until        *string `json:"until,omitempty" doc:"The group is dissolved at this time (RFC 3339); empty: it stays"`
}

func (v *settings) join() *protocol.JoinPolicy {
	return ofWord(v.JoinPolicy, map[string]protocol.JoinPolicy{"invite": protocol.JoinPolicy_INVITE_ONLY, "ask": protocol.JoinPolicy_ASK, "open": protocol.JoinPolicy_OPEN})
}

func (v *settings) invite() *protocol.InvitePolicy {
	return ofWord(v.InvitePolicy, map[string]protocol.InvitePolicy{"members": protocol.InvitePolicy_MEMBERS_INVITE, "admins": protocol.InvitePolicy_ADMINS_INVITE})
}

// ofWord is the value of a word that may be absent; its schema lets no others through.
func ofWord[T any](word *string, values map[string]T) *T {
	if word == nil {
		return nil
	}
	return ptr(values[*word])
}

// forever is how REST says 2^53-1.
const forever = "forever"

// readEnd reads when something ends: a time, empty for 0, or forever.
func readEnd(where string, text *string) (*int64, error) {
	switch {
	case text == nil:
		return nil, nil
	case *text == "":
		return ptr(int64(0)), nil
	case *text == forever:
		return ptr(int64(1<<53 - 1)), nil
	}
	t, err := time.Parse(time.RFC3339, *text)
	if err != nil {
		return nil, protocol.BadRequest("%s: a time like 2027-01-31T08:00:00Z is needed", where)
	}
	return ptr(t.UnixMilli()), nil
}

// viewEnd is readEnd's other direction; 0 is absent.
func viewEnd(ms int64) string {
	switch ms {
	case 0:
		return ""
	case 1<<53 - 1:
		return forever
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

type changeInput struct {
	InSession
	Body struct {
		Name         *string `json:"name,omitempty" doc:"128 characters at most unless set otherwise"`
		Owner        *string `json:"owner,omitempty" maxLength:"128" doc:"A member, who becomes the owner"`
		Announcement *string `json:"announcement,omitempty" doc:"2,000 characters at most; empty takes it down"`
		SilenceAll   *bool   `json:"silenceAll,omitempty" doc:"Only the owner and admins write, for now"`
		settings
	}
}

func (s *sessions) setAvatar(ctx context.Context, in *struct {
	InSession
	Body struct {
		File string `json:"file" minLength:"1" maxLength:"64" doc:"The id of an uploaded picture"`
	}
}) (*answer[changedView], error) {
	if !protocol.IsFileID(in.Body.File) {
		return nil, protocol.NotFound("file %.64q", in.Body.File)
	}
	return s.set(ctx, &protocol.SessionSet{Session: in.Session, Avatar: &in.Body.File})
}

func (s *sessions) removeAvatar(ctx context.Context, in *InSession) (*answer[changedView], error) {
	return s.set(ctx, &protocol.SessionSet{Session: in.Session, Avatar: ptr("")})
}

type changedView struct {
	Session string `json:"session"`
	Seq     int64  `json:"seq,omitempty" doc:"Of the entry that says so in the log; absent: it is so already"`
}

func (s *sessions) change(ctx context.Context, in *changeInput) (*answer[changedView], error) {
	b := &in.Body
	until, err := readEnd("until", b.Until)
	if err != nil {
		return nil, err
	}
	return s.set(ctx, &protocol.SessionSet{
		Session: in.Session, Name: b.Name, Owner: b.Owner, Avatar: b.Avatar, Announcement: b.Announcement, JoinPolicy: b.join(),
		InvitePolicy: b.invite(), SilenceAll: b.SilenceAll, ReadOnly: b.ReadOnly, Until: until,
	})
}

func (s *sessions) set(ctx context.Context, m *protocol.SessionSet) (*answer[changedView], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: m}})
	if err != nil {
		return nil, err
	}
	return &answer[changedView]{changedView{m.Session, f.GetSessionSetReply().GetSeq()}}, nil
}

func (s *sessions) dissolve(ctx context.Context, in *InSession) (*answer[changedView], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: in.Session}}})
	if err != nil {
		return nil, err
	}
	return &answer[changedView]{changedView{in.Session, f.GetSessionDissolveReply().GetSeq()}}, nil
}

func (s *sessions) join(ctx context.Context, in *InSession) (*answer[changedView], error) {
	return s.joins(ctx, &protocol.SessionJoin{Session: in.Session})
}

type codeInput struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64"`
	}
}

func (s *sessions) joinByCode(ctx context.Context, in *codeInput) (*answer[changedView], error) {
	return s.joins(ctx, &protocol.SessionJoin{Code: in.Body.Code})
}

func (s *sessions) joins(ctx context.Context, m *protocol.SessionJoin) (*answer[changedView], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: m}})
	if err != nil {
		return nil, err
	}
	r := f.GetSessionJoinReply()
	return &answer[changedView]{changedView{r.GetSession(), r.GetSeq()}}, nil
}

type linkView struct {
	Link      string     `json:"link"`
	Session   string     `json:"session"`
	Code      string     `json:"code,omitempty" doc:"Only in the answer that made it"`
	By        string     `json:"by"`
	Uses      int64      `json:"uses,omitempty" doc:"How many may come in by it; absent: any number"`
	Used      int64      `json:"used"`
	CreatedAt *time.Time `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

func viewLink(l *protocol.Link) linkView {
	return linkView{Link: l.GetLink(), Session: l.GetSession(), Code: l.GetCode(), By: l.GetBy(), Uses: l.GetUses(), Used: l.GetUsed(),
		CreatedAt: when(l.GetCreatedAt()), ExpiresAt: when(l.GetExpiresAt())}
}

type createLinkInput struct {
	InSession
	Body *struct {
		Uses      int64 `json:"uses,omitempty" minimum:"0" doc:"How many may come in by it; absent: any number"`
		ExpiresIn int64 `json:"expiresIn,omitempty" minimum:"0" doc:"Seconds; absent: 7 days"`
	}
}

func (s *sessions) createLink(ctx context.Context, in *createLinkInput) (*answer[linkView], error) {
	m := &protocol.LinkCreate{Session: in.Session}
	if in.Body != nil {
		m.Uses, m.ExpiresIn = in.Body.Uses, in.Body.ExpiresIn
	}
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_LinkCreate{LinkCreate: m}})
	if err != nil {
		return nil, err
	}
	return &answer[linkView]{viewLink(f.GetLinkCreateReply().GetLink())}, nil
}

type linksInput struct {
	InSession
	Paged
}

func (s *sessions) links(ctx context.Context, in *linksInput) (*answer[List[linkView]], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_LinkList{LinkList: &protocol.LinkList{Session: in.Session, Cursor: in.Cursor, Limit: int64(in.Limit)}}})
	if err != nil {
		return nil, err
	}
	r := f.GetLinkListReply()
	out := List[linkView]{Items: []linkView{}, Next: r.GetNext()}
	for _, l := range r.GetLinks() {
		out.Items = append(out.Items, viewLink(l))
	}
	return &answer[List[linkView]]{out}, nil
}

type revokeLinkInput struct {
	InSession
	Link string `path:"link_id" maxLength:"64"`
}

type revokedView struct {
	Link string `json:"link"`
}

func (s *sessions) revokeLink(ctx context.Context, in *revokeLinkInput) (*answer[revokedView], error) {
	_, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_LinkRevoke{LinkRevoke: &protocol.LinkRevoke{Session: in.Session, Link: in.Link}}})
	if err != nil {
		return nil, err
	}
	return &answer[revokedView]{revokedView{in.Link}}, nil
}

type getLinkInput struct {
	Code string `path:"code" maxLength:"64"`
}

type leadsView struct {
	Session     string     `json:"session"`
	Name        string     `json:"name,omitempty"`
	Avatar      string     `json:"avatar,omitempty"`
	MemberCount int64      `json:"memberCount"`
	By          string     `json:"by" doc:"Who invites by it"`
	ExpiresAt   *time.Time `json:"expiresAt"`
	Member      bool       `json:"member,omitempty" doc:"You are in it already"`
}

func (s *sessions) link(ctx context.Context, in *getLinkInput) (*answer[leadsView], error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_LinkGet{LinkGet: &protocol.LinkGet{Code: strings.TrimSpace(in.Code)}}})
	if err != nil {
		return nil, err
	}
	r := f.GetLinkGetReply()
	return &answer[leadsView]{leadsView{r.GetSession(), r.GetName(), r.GetAvatar(), r.GetMemberCount(), r.GetBy(), when(r.GetExpiresAt()), r.GetMember()}}, nil
}

// changeView is what a change entry says besides name, owner and roles.
type changeView struct {
	Avatar        *string `json:"avatar,omitempty"`
	Announcement  *string `json:"announcement,omitempty"`
	JoinPolicy    string  `json:"joinPolicy,omitempty"`
	InvitePolicy  string  `json:"invitePolicy,omitempty"`
	SilenceAll    *bool   `json:"silenceAll,omitempty"`
	ReadOnly      *bool   `json:"readOnly,omitempty"`
	Until         *string `json:"until,omitempty" doc:"Empty: it stays"`
	SilencedUntil *string `json:"silencedUntil,omitempty" doc:"Of the entry's members; empty: lifted"`
	Dissolved     bool    `json:"dissolved,omitempty"`
}

func viewChange(c *protocol.SessionChange) *changeView {
	if c == nil {
		return nil
	}
	v := &changeView{Avatar: c.Avatar, Announcement: c.Announcement, SilenceAll: c.SilenceAll, ReadOnly: c.ReadOnly, Dissolved: c.Dissolved}
	if c.JoinPolicy != nil {
		v.JoinPolicy = word(*c.JoinPolicy)
	}
	if c.InvitePolicy != nil {
		v.InvitePolicy = word(*c.InvitePolicy)
	}
	if c.Until != nil {
		v.Until = ptr(viewEnd(*c.Until))
	}
	if c.SilencedUntil != nil {
		v.SilencedUntil = ptr(viewEnd(*c.SilencedUntil))
	}
	return v
}
