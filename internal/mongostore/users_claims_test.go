package mongostore

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// begun is an attempt to make a user that did not come to its end.
func begun(s *Store, user string, ago time.Duration) claim {
	mark := s.token()
	return claim{ID: mark, Mark: mark, User: user, Version: 1, At: nanos(time.Now().Add(-ago))}
}

func TestANameThatADeadNodeClaimedIsGivenToTheNext(t *testing.T) {
	s, ctx := open(t), t.Context()
	young, old := begun(s, "u_young", 0), begun(s, "u_old", time.Hour)
	must(t, s.claimName(ctx, young, "ann"))
	must(t, s.claimName(ctx, old, "bob"))
	wants(t, s.AddUser(ctx, person("u_1", "ann"), ""), protocol.Code_CONFLICT)
	_, err := s.UserByName(ctx, "ann")
	wants(t, err, protocol.Code_NOT_FOUND)
	must(t, s.addRow(ctx, young.Mark, 1, person("u_young", "ann"), false)) // it goes on
	must(t, s.AddUser(ctx, person("u_2", "bob"), ""))
	wants(t, s.addRow(ctx, old.Mark, 1, person("u_old", "bob"), false), protocol.Code_BUSY) // it was not dead
	for name, want := range map[string]string{"ann": "u_young", "bob": "u_2"} {
		if u, err := s.UserByName(ctx, name); err != nil || u.ID != want {
			t.Errorf("%s is %+v, %v, want %s", name, u, err, want)
		}
	}
	_, err = s.User(ctx, "u_old")
	wants(t, err, protocol.Code_NOT_FOUND)
	must(t, s.AddUser(ctx, person("u_old", "zoe"), "")) // it begins again
	if u, err := s.UserByName(ctx, "zoe"); err != nil || u.ID != "u_old" {
		t.Errorf("zoe is %+v, %v", u, err)
	}
}

func TestANameStaysWithWhoWasMadeHoweverOldTheClaimIs(t *testing.T) {
	s, ctx := open(t), t.Context()
	old := begun(s, "u_1", time.Hour)
	must(t, s.claimName(ctx, old, "ann"))
	must(t, s.addRow(ctx, old.Mark, 1, person("u_1", "ann"), false))
	u, err := s.User(ctx, "u_1")
	must(t, err)
	must(t, s.UpdateUser(ctx, u)) // the first version is not live any more
	wants(t, s.AddUser(ctx, person("u_2", "ann"), ""), protocol.Code_CONFLICT)
	if u, err := s.UserByName(ctx, "ann"); err != nil || u.ID != "u_1" {
		t.Errorf("ann is %+v, %v", u, err)
	}
}

func TestAUseOfAnInvitationThatADeadNodeClaimedIsLeftForTheNext(t *testing.T) {
	s, ctx := open(t), t.Context()
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "setup", Uses: 1, Admin: true, Created: then}))
	must(t, s.claimUse(ctx, begun(s, "u_dead", time.Hour), "setup"))
	if i, err := s.Invite(ctx, "setup"); err != nil || i.Used != 0 {
		t.Errorf("the invitation is %+v, %v", i, err)
	}
	young := begun(s, "u_young", 0)
	must(t, s.claimUse(ctx, young, "setup"))
	if err := s.AddUser(ctx, person("u_1", "ann"), "setup"); !errors.Is(err, userctr.ErrSpent) {
		t.Errorf("somebody comes in beside one who is being made: %v", err)
	}
	must(t, s.removeClaims(ctx, young, person("u_young", "")))
	must(t, s.AddUser(ctx, person("u_1", "ann"), "setup"))
	if err := s.AddUser(ctx, person("u_2", "bob"), "setup"); !errors.Is(err, userctr.ErrSpent) {
		t.Errorf("two come in by one use: %v", err)
	}
}

func TestTheUserOfASubjectIsMadeByWhoMeetsItNext(t *testing.T) {
	s, ctx := open(t), t.Context()
	of := userctr.Subject{Realm: "iss:a", Sub: "7"}
	mark := s.token() // of a node that died before it made the user
	must(t, s.put(ctx, inSubjects, mark, mark, subjectDoc{ID: mark, Mark: mark, Key: subjectKey(of), Realm: of.Realm, Sub: of.Sub, User: "u_first"}))
	_, err := s.Subject(ctx, of)
	wants(t, err, protocol.Code_NOT_FOUND)
	if id, err := s.AddSubject(ctx, of, person("u_second", "")); err != nil || id != "u_first" {
		t.Errorf("the subject is %q, %v", id, err)
	}
	if u, err := s.User(ctx, "u_first"); err != nil || u.Nickname != "Nick u_second" {
		t.Errorf("its user is %+v, %v", u, err)
	}
	_, err = s.User(ctx, "u_second")
	wants(t, err, protocol.Code_NOT_FOUND)
}

func TestATokenOfALoginThatWasNotMadeIsSwept(t *testing.T) {
	s, ctx := open(t), t.Context()
	token := docOfRefresh(&userctr.Refresh{Hash: userctr.Hash{1}, Login: "l", Issued: then}, s.token())
	must(t, s.put(ctx, inRefresh, token.ID, token.Mark, token))
	must(t, s.Sweep(ctx, then, then.Add(time.Hour)))
	_, _, err := s.Refresh(ctx, "l", userctr.Hash{1})
	wants(t, err, protocol.Code_NOT_FOUND)
}

func TestALoginIsMadeOnce(t *testing.T) {
	s, ctx := open(t), t.Context()
	add := func() error {
		return s.AddLogin(ctx, &userctr.Login{ID: "l", User: "u", Created: then, Expires: then}, &userctr.Refresh{Hash: userctr.Hash{1}, Login: "l", Issued: then}, &userctr.DeviceRow{User: "u"})
	}
	must(t, add())
	wants(t, add(), protocol.Code_CONFLICT)
}

func TestAnAnswerThatWasLostIsAskedForByItsMark(t *testing.T) {
	s, ctx := open(t), t.Context()
	d := endDoc{ID: "l", Mark: s.token(), At: 1}
	must(t, s.put(ctx, inLoginEnds, d.ID, d.Mark, d))
	if err := s.put(ctx, inLoginEnds, d.ID, d.Mark, d); !errors.Is(err, errTaken) {
		t.Errorf("what is there is inserted again: %v", err)
	}
	for mark, want := range map[string]error{d.Mark: nil, "another's": errTaken} {
		if err := s.whose(ctx, inLoginEnds, d.ID, mark); !errors.Is(err, want) {
			t.Errorf("an insert of %q whose answer was lost: %v, want %v", mark, err, want)
		}
	}
}
