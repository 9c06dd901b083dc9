package gateway

import (
	"context"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

type membersInput struct {
	InSession
	Paged
}

func (s *sessions) members(ctx context.Context, in *membersInput) (*answer[List[memberView]], error) {
	r, err := s.info(ctx, in.Session, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := List[memberView]{Items: []memberView{}, Next: r.Next}
	for _, m := range r.Info.Members {
		out.Items = append(out.Items, viewMember(m))
	}
	return &answer[List[memberView]]{out}, nil
}

type InMember struct {
	InSession
	User string `path:"participant_id" maxLength:"128"`
}

// find reads one member, of however many.
func (s *sessions) find(ctx context.Context, session, user string) (*protocol.Member, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, User: user}}})
	if err != nil {
		return nil, err
	}
	for _, m := range f.GetSessionGetReply().GetInfo().GetMembers() {
		if m.User == user {
			return m, nil
		}
	}
	return nil, protocol.NotFound("member %.128q", user)
}

func (s *sessions) member(ctx context.Context, in *InMember) (*answer[memberView], error) {
	m, err := s.find(ctx, in.Session, in.User)
	if err != nil {
		return nil, err
	}
	return &answer[memberView]{viewMember(m)}, nil
}

type movedView struct {
	Session string   `json:"session"`
	Added   []string `json:"added,omitempty" doc:"Those who were not in it before"`
	Removed []string `json:"removed,omitempty" doc:"Those who were in it"`
	Seq     int64    `json:"seq,omitempty" doc:"Of the entry that says so in the log"`
}

func (s *sessions) add(ctx context.Context, session string, users []string) (*protocol.SessionAddUserReply, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: session, Members: users}}})
	return f.GetSessionAddUserReply(), err
}

func (s *sessions) remove(ctx context.Context, session string, users []string) (*protocol.SessionRemoveUserReply, error) {
	f, err := s.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: session, Members: users}}})
	return f.GetSessionRemoveUserReply(), err
}

type addInput struct {
	InSession
	Body struct {
		Members []string `json:"members" minItems:"1" doc:"User ids; 500 at most unless set otherwise"`
	}
}

func (s *sessions) addMembers(ctx context.Context, in *addInput) (*answer[movedView], error) {
	r, err := s.add(ctx, in.Session, in.Body.Members)
	if err != nil {
		return nil, err
	}
	return &answer[movedView]{movedView{Session: in.Session, Added: r.Members, Seq: r.Seq}}, nil
}

type removeInput struct {
	InSession
	Members string `query:"members" required:"true" minLength:"1" maxLength:"4096" doc:"User ids, with commas between"`
}

func (s *sessions) removeMembers(ctx context.Context, in *removeInput) (*answer[movedView], error) {
	r, err := s.remove(ctx, in.Session, strings.Split(in.Members, ","))
	if err != nil {
		return nil, err
	}
	return &answer[movedView]{movedView{Session: in.Session, Removed: r.Members, Seq: r.Seq}}, nil
}

func (s *sessions) removeMember(ctx context.Context, in *InMember) (*answer[movedView], error) {
	r, err := s.remove(ctx, in.Session, []string{in.User})
	if err != nil {
		return nil, err
	}
	if len(r.Members) == 0 {
		return nil, protocol.NotFound("member %.128q", in.User)
	}
	return &answer[movedView]{movedView{Session: in.Session, Removed: r.Members, Seq: r.Seq}}, nil
}

type putMemberInput struct {
	InMember
	Body *struct {
		Role          string  `json:"role,omitempty" enum:"member,admin,owner" doc:"Absent, and no silencedUntil: only take the user in"`
		SilencedUntil *string `json:"silencedUntil,omitempty" doc:"May not write before this time (RFC 3339), or forever; empty lifts it. Not together with role"`
	}
}

// putMember asks for the role or silence first, which says of one who is not in it yet
// that there is nobody (NOT_FOUND) only to those who may give it: so a refused call takes
// nobody in.
func (s *sessions) putMember(ctx context.Context, in *putMemberInput) (*answer[memberView], error) {
	set, err := in.change()
	if err != nil {
		return nil, err
	}
	if set != nil {
		switch _, err := s.set(ctx, set); {
		case err == nil:
			return s.member(ctx, &in.InMember)
		case !protocol.Code_NOT_FOUND.Is(err):
			return nil, err
		}
	}
	if _, err := s.add(ctx, in.Session, []string{in.User}); err != nil {
		// Who may not add may still ask for one who is in it, which is no fault.
		if _, there := s.find(ctx, in.Session, in.User); there != nil {
			return nil, err
		}
	}
	if set != nil {
		if _, err := s.set(ctx, set); err != nil {
			return nil, err
		}
	}
	return s.member(ctx, &in.InMember)
}

// change is the session_set of what is asked; nil: only to take the user in. One frame
// sets one of role and silence, and of two the second could be refused alone.
func (in *putMemberInput) change() (*protocol.SessionSet, error) {
	if in.Body == nil {
		return nil, nil
	}
	silenced, err := readEnd("silencedUntil", in.Body.SilencedUntil)
	switch set := (&protocol.SessionSet{Session: in.Session}); {
	case err != nil:
		return nil, err
	case silenced != nil && in.Body.Role != "":
		return nil, protocol.BadRequest("role and silencedUntil are set one after the other")
	case silenced != nil:
		set.Members, set.SilencedUntil = []string{in.User}, silenced
		return set, nil
	case in.Body.Role == "owner":
		set.Owner = &in.User
		return set, nil
	case in.Body.Role != "":
		set.Members = []string{in.User}
		set.Role = ptr(map[string]protocol.Role{"member": protocol.Role_MEMBER, "admin": protocol.Role_ADMIN}[in.Body.Role])
		return set, nil
	}
	return nil, nil
}

type replaceInput struct {
	InSession
	Body struct {
		Remove []string `json:"remove,omitempty" doc:"The old members"`
		Add    []string `json:"add,omitempty" doc:"The new ones"`
	}
}

// replace takes the new ones in first, so that a session is never without members.
func (s *sessions) replace(ctx context.Context, in *replaceInput) (*answer[movedView], error) {
	out := movedView{Session: in.Session}
	if len(in.Body.Add)+len(in.Body.Remove) == 0 {
		return nil, protocol.BadRequest("remove or add is needed")
	}
	if len(in.Body.Add) > 0 {
		r, err := s.add(ctx, in.Session, in.Body.Add)
		if err != nil {
			return nil, err
		}
		out.Added, out.Seq = r.Members, r.Seq
	}
	if len(in.Body.Remove) > 0 {
		r, err := s.remove(ctx, in.Session, in.Body.Remove)
		if err != nil {
			return nil, err
		}
		out.Removed, out.Seq = r.Members, max(out.Seq, r.Seq)
	}
	return &answer[movedView]{out}, nil
}

type avatarView struct {
	User   string `json:"user"`
	Avatar string `json:"avatar,omitempty" doc:"A path of this server, or a link, for <img>"`
}

func (s *sessions) avatarsOf(ctx context.Context, users []string) ([]avatarView, error) {
	known, err := s.profiles.Avatars(ctx, users)
	if err != nil {
		return nil, err
	}
	out := make([]avatarView, len(users))
	for i, u := range users {
		out[i] = avatarView{u, known[u]}
	}
	return out, nil
}

func (s *sessions) avatars(ctx context.Context, in *membersInput) (*answer[List[avatarView]], error) {
	r, err := s.info(ctx, in.Session, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	users := make([]string, len(r.Info.Members))
	for i, m := range r.Info.Members {
		users[i] = m.User
	}
	items, err := s.avatarsOf(ctx, users)
	if err != nil {
		return nil, err
	}
	return &answer[List[avatarView]]{List[avatarView]{items, r.Next}}, nil
}

func (s *sessions) avatar(ctx context.Context, in *InMember) (*answer[avatarView], error) {
	if _, err := s.find(ctx, in.Session, in.User); err != nil {
		return nil, err
	}
	items, err := s.avatarsOf(ctx, []string{in.User})
	if err != nil {
		return nil, err
	}
	return &answer[avatarView]{items[0]}, nil
}
