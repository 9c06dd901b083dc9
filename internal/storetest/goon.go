package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/userctr"
)

// GoOn does to a store what comes after Fill: what is there already is changed, refers to, and stands in the
// way of what is new.
func (f *Filled) GoOn(t *testing.T, s Installation) {
	f.goOnTalking(t, s)
	f.goOnAsPeople(t, s)
	f.goOnAsBots(t, s)
}

func (f *Filled) goOnTalking(t *testing.T, s Installation) {
	again := says(room, message(77, "bob", "m3"))
	if err := refused(t, s, again); !errors.Is(err, actors.ErrStale) {
		t.Errorf("an older activation writes: %v", err)
	}
	again.Epoch = 4 // which Fill has claimed
	var twice *actors.DuplicateError
	if err := refused(t, s, again); !errors.As(err, &twice) || twice.Sent.Seq != 3 {
		t.Errorf("a message that was sent before: %v", err)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 5, Claim: true, Head: headOf(t, s, room)})
	again = says(room, message(78, "ann", "m200"))
	again.Epoch = 5
	if err := refused(t, s, again); !errors.Is(err, actors.ErrTaken) {
		t.Errorf("a seq is passed over: %v", err)
	}
	edited := message(40, "bob", "m40")
	edited.Content.Text = "another text"
	recalled := message(75, "ann", "")
	recalled.Recalled, recalled.Content = true, nil
	more := says(room, message(77, "ann", "m107"), &protocol.Entry{Seq: 78, Kind: protocol.Kind_REACT, Sender: "bob", Target: 40, Reaction: "+1", Removed: true, CreatedAt: 9})
	more.Epoch = 5
	commit(t, s, more,
		&actors.Append{Session: room, Epoch: 5, Rewrites: []*protocol.Entry{edited, recalled}},
		&actors.Append{Session: room, Epoch: 5, Removed: []protocol.UserID{"bob"}, Members: []*actors.MemberRow{{User: "cid", Order: 9, Floor: 30}}},
		&actors.Append{Session: room, Epoch: 5, Marks: []actors.Mark{{User: "ann", Device: "phone", ReadSeq: 60, RecvSeq: 61}, {User: "ann", Device: "a.b$c", RecvSeq: 69}}},
		&actors.Append{Session: room, Epoch: 5, Info: &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_GROUP, Name: "again", Until: 77}},
		says(hall, message(1, "ann", "first")), says(pair, message(1, "ann", "first"), message(2, "bob", "second")))
	f.messages[room] = 78
}

func (f *Filled) goOnAsPeople(t *testing.T, s Installation) {
	ctx := t.Context()
	wants(t, s.AddUser(ctx, user("ann", "another"), ""), protocol.Code_CONFLICT)
	wants(t, s.AddUser(ctx, user("zoe", "name cid"), ""), protocol.Code_CONFLICT)
	must(t, s.AddUser(ctx, user("dora", "name dee"), "i_1")) // who had it is gone
	if err := s.AddUser(ctx, user("zoe", "zoe"), "i_1"); !errors.Is(err, userctr.ErrSpent) {
		t.Errorf("a fourth comes in by an invitation for three: %v", err)
	}
	f.users = append(f.users, "dora", "zoe")
	u, err := s.User(ctx, "bob")
	must(t, err)
	old := *u
	u.Nickname, u.Findable = "Bobby", ""
	must(t, s.UpdateUser(ctx, u))
	if err := s.UpdateUser(ctx, &old); !errors.Is(err, userctr.ErrChanged) {
		t.Errorf("an older row is taken: %v", err)
	}
	id, err := s.AddSubject(ctx, userctr.Subject{Realm: "iss:https://a/b", Sub: "7/8 %"}, user("twice", ""))
	must(t, err)
	equal(t, "the user of a subject", id, "out")
	for _, parent := range []string{"2", "3"} { // the first has a child, the last none
		_, err = s.AddRefresh(ctx, child("l_1", parent, "4", began.Add(9*time.Hour)))
		must(t, err)
	}
	must(t, s.RevokeLogin(ctx, "l_2", began.Add(time.Hour)))
	must(t, s.Sweep(ctx, began.Add(-time.Hour), began.Add(4*time.Hour)))
	must(t, s.SeenDevice(ctx, "ann", "phone", began.Add(time.Hour)))
	must(t, s.PutPush(ctx, &userctr.Push{User: "ann", Device: "desk", Kind: "apns", Token: "t 1", Created: began})) // another's until now
	must(t, s.RemoveDevice(ctx, "ann", "phone"))
	must(t, s.RevokeKey(ctx, "k_1", began.Add(time.Hour)))
	apps, err := s.Apps(ctx)
	must(t, err)
	apps[0].Name = "Shop again"
	must(t, s.PutApp(ctx, apps[0]))
	wants(t, s.Spend(ctx, "app:shop", hash("jti"), began), protocol.Code_CONFLICT)
	must(t, s.RemoveGuest(ctx, "g_3"))
	wants(t, s.RemoveGuest(ctx, "ann"), protocol.Code_NOT_FOUND)
	must(t, s.DoneMerge(ctx, "g_3", began.Add(time.Minute)))
	appendAudit(t, s, 2)
	must(t, s.EraseUser(ctx, "eve", began.Add(2*time.Hour)))
	must(t, s.EndErasure(ctx, "eve"))
	c, err := s.Pair(ctx, "ann", "bob")
	must(t, err)
	c.Mine.Remark = "B."
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{&c.Mine}})
	r, err := s.Request(ctx, "r_2")
	must(t, err)
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(r, 2, "root")}})
	n := notice("n_2", 200)
	n.DoneAt, n.Told = 400, 7
	must(t, s.MoveNotice(ctx, n))
}

func (f *Filled) goOnAsBots(t *testing.T, s Installation) {
	at := desk.KeyAt{Plugin: "echo", Room: room, Key: "z"}
	was, err := s.BotKey(background, at, time.UnixMilli(1))
	must(t, err)
	is, err := s.SetBotKey(background, at, desk.KeyWrite{Value: []byte("new"), If: &was.Version, Expires: 1 << 42}, 1<<20, time.UnixMilli(1))
	must(t, err)
	if is.Version <= was.Version {
		t.Errorf("a key's version goes from %d to %d", was.Version, is.Version)
	}
	must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: room, Seq: 71}}))
	must(t, s.ForgetBot(background, robot, "echo", pair))
	must(t, s.PutBotTries(background, "echo", []desk.Tries{{Event: "s.2@b"}}))
	must(t, s.AddUsage(background, tookRow("2026-01-02", robot, "ann", room, 1)))
	later := time.Now().Add(time.Hour)
	must(t, s.WithdrawRelease(background, "r_1", "bob", began))
	must(t, s.RemoveFile(background, f.files[2], later))
	wears(t, s, "cid", "")
	must(t, s.RemoveAvatar(background, f.avatars[0], later))
	reservations, err := s.Reservations(background)
	must(t, err)
	must(t, s.Release(background, reservations[0].ID))
	must(t, s.UsePreview(background, previewOf("a", 0, 0).Key, fileTime.Add(2*time.Hour)))
}
