package actors

import (
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// may asks the table of access whether the sender of r may do what, as it stands in
// the session now. Where the table leaves it to a policy, policy says nil or why
// not; nil is no policy, which denies.
func (s *Session) may(r *request, what access.Action, policy func() error) error {
	err := access.DecideBy(what, s.standing(r), r.who, policy)
	if protocol.Code_NOT_FOUND.Is(err) {
		return s.unknown()
	}
	return err
}

func (s *Session) standing(r *request) access.Subject {
	me := s.members[r.who.User]
	if me == nil {
		return access.Standing(r.who, false, 0)
	}
	return access.Standing(r.who, true, me.Role)
}

// admit asks whether the sender of r, as it stands in the session now, may do any of
// what a frame of this type does. Which of it the frame asks for is asked where it is done.
func (s *Session) admit(r *request) error {
	var no error
	for _, what := range access.Frame(r.frame.Type()) {
		err := s.may(r, what, permit)
		if err == nil {
			return nil
		}
		if no == nil {
			no = err
		}
	}
	if no == nil {
		no = protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "a session does not serve %s", r.frame.Type())
	}
	return no
}

func permit() error { return nil }
