package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// contactTests are of actors.Contacts, which is a part of a journal.
var contactTests = map[string]func(*testing.T, Store){
	"a contact comes back as it was kept":              contactComesBack,
	"a contact that says nothing is none":              contactEnds,
	"a change whose rows changed leaves no trace":      contactsCompared,
	"contacts come in order of their ids, by the page": contactsInOrder,
	"a request is in the lists of those it concerns":   requestLists,
	"of requests alike one waits":                      requestsAlike,
	"of many answers to a request one is written":      oneAnswer,
	"a request is written with what it leads to":       requestWithAppend,
	"contacts and requests are there after reopening":  contactsReopened,
}

func kept(user, other protocol.UserID) *actors.ContactRow {
	return &actors.ContactRow{User: user, Other: other, Friend: true, Since: 5}
}

func asked(id, from, target string, at int64) *protocol.Request {
	return &protocol.Request{Id: id, From: from, Target: target, Note: "hello " + target, CallBackType: 1, CreateTime: at, UpdateTime: at, ExpireTime: at + 1000}
}

func into(id, from, session, user string, at int64) *protocol.Request {
	r := asked(id, from, session, at)
	r.Kind, r.User, r.TargetName, r.TargetIcon = protocol.RequestKind_GROUP_REQUEST, user, "chess", "f_1"
	return r
}

func answered(r *protocol.Request, to int64, by string) actors.RequestChange {
	next := &protocol.Request{
		Id: r.Id, Kind: r.Kind, From: r.From, Target: r.Target, User: r.User, Note: r.Note, CallBackType: to, State: to == 2,
		CreateTime: r.CreateTime, UpdateTime: r.UpdateTime + 1, ExpireTime: r.ExpireTime, AnsweredBy: by,
	}
	return actors.RequestChange{Request: next, Was: r.CallBackType}
}

func contact(t testing.TB, j actors.Journal, change *actors.ContactChange) {
	t.Helper()
	if err := j.CommitContacts(background, change); err != nil {
		t.Fatalf("CommitContacts = %v", err)
	}
}

func keepRequests(t testing.TB, j actors.Journal, all ...*protocol.Request) {
	t.Helper()
	for _, r := range all {
		contact(t, j, &actors.ContactChange{Requests: []actors.RequestChange{{Request: r}}})
	}
}

func changed(t testing.TB, j actors.Journal, change *actors.ContactChange) {
	t.Helper()
	if err := j.CommitContacts(background, change); !errors.Is(err, actors.ErrChanged) {
		t.Errorf("CommitContacts = %v, want ErrChanged", err)
	}
}

func pairOf(t testing.TB, j actors.Journal, user, other string) *actors.Pair {
	t.Helper()
	p, err := j.Pair(background, user, other)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func contactComesBack(t *testing.T, s Store) {
	p := pairOf(t, s, "ann", "bob")
	equal(t, "nothing", *p, actors.Pair{Mine: actors.ContactRow{User: "ann", Other: "bob"}, Theirs: actors.ContactRow{User: "bob", Other: "ann"}})
	row := &actors.ContactRow{User: "ann", Other: "bob", Friend: true, Blocked: true, Remark: "Bobby", Tags: []string{"chess", "work"}, Since: 7}
	c := &actors.ContactChange{Contacts: []*actors.ContactRow{row, kept("bob", "ann")}}
	contact(t, s, c)
	equal(t, "versions", c.Versions, map[string]int64{"ann": 1, "bob": 1})
	p = pairOf(t, s, "ann", "bob")
	want := *row
	want.Version = 1
	equal(t, "ann's row", p.Mine, want)
	if !p.Theirs.Friend || p.Theirs.Version != 1 || p.Theirs.User != "bob" || p.Theirs.Other != "ann" {
		t.Errorf("bob's row is %v", p.Theirs)
	}
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{{User: "ann", Other: "cid", Blocked: true}}})
	blocked, err := s.Blocked(background, "ann", []string{"bob", "cid", "dan"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "blocked", blocked, []string{"bob", "cid"})
}

func contactEnds(t *testing.T, s Store) {
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", "bob")}})
	c := &actors.ContactChange{Contacts: []*actors.ContactRow{{User: "ann", Other: "bob", Version: 1, Remark: "nobody's"}}}
	contact(t, s, c)
	equal(t, "version", c.Versions["ann"], 2)
	equal(t, "the row", pairOf(t, s, "ann", "bob").Mine, actors.ContactRow{User: "ann", Other: "bob"})
	list, version, err := s.ContactsOf(background, "ann", "", 10)
	if err != nil || len(list) != 0 || version != 2 {
		t.Errorf("contacts = %v, %d, %v", list, version, err)
	}
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", "bob")}})
	changed(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{{User: "ann", Other: "bob", Version: 1}}}) // of the row that ended
	equal(t, "the new row's version", pairOf(t, s, "ann", "bob").Mine.Version, 3)
}

func contactsCompared(t *testing.T, s Store) {
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", "bob")}})
	r := asked("r_1", "cid", "dan", 10)
	keepRequests(t, s, r)
	stale := kept("ann", "bob") // Version 0: there was none
	for _, c := range []*actors.ContactChange{
		{Contacts: []*actors.ContactRow{kept("bob", "ann"), stale}, Requests: []actors.RequestChange{answered(r, 2, "dan")}},
		{Contacts: []*actors.ContactRow{kept("bob", "ann")}, Requests: []actors.RequestChange{{Request: asked("r_1", "eve", "fay", 11)}}},
		{Contacts: []*actors.ContactRow{kept("bob", "ann")}, Requests: []actors.RequestChange{{Request: asked("r_2", "eve", "fay", 11), Was: 1}}},
		{Contacts: []*actors.ContactRow{kept("bob", "ann")}, Requests: []actors.RequestChange{{Request: asked("r_2", "eve", "fay", 11), Instead: "r_9"}}},
	} {
		changed(t, s, c)
	}
	if p := pairOf(t, s, "bob", "ann"); p.Mine.Version != 0 {
		t.Errorf("a refused change left %v", p.Mine)
	}
	if now, err := s.Request(background, "r_1"); err != nil || now.CallBackType != 1 {
		t.Errorf("the request is %v, %v", now, err)
	}
	if _, err := s.Request(background, "r_2"); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("a request of a refused change: %v", err)
	}
}

func contactsInOrder(t *testing.T, s Store) {
	for _, other := range []string{"dan", "bob", "b", "cid", "annette"} {
		contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", other)}})
	}
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("annette", "ann")}})
	var ids []string
	for after := ""; ; {
		list, version, err := s.ContactsOf(background, "ann", after, 2)
		if err != nil || version != 5 {
			t.Fatal(version, err)
		}
		for _, c := range list {
			ids = append(ids, c.Other)
		}
		if len(list) < 2 {
			break
		}
		after = list[len(list)-1].Other
	}
	equal(t, "contacts", ids, []string{"annette", "b", "bob", "cid", "dan"})
	if list, version, err := s.ContactsOf(background, "ann", "", 0); len(list) != 0 || version != 5 || err != nil {
		t.Errorf("a page of none = %v, %d, %v", list, version, err)
	}
}

func idsOf(t testing.TB, list []*protocol.Request, err error) (ids []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		ids = append(ids, r.Id)
	}
	return ids
}

func requestLists(t *testing.T, s Store) {
	friend, in, invited := asked("r_1", "ann", "bob", 10), into("r_2", "ann", room, "", 30), into("r_3", "cid", room, "ann", 20)
	late := into("r_4", "dan", hall, "", 5)
	keepRequests(t, s, friend, in, invited, late)
	of := func(user string, p actors.RequestPage) []string {
		list, err := s.RequestsOf(background, user, p)
		return idsOf(t, list, err)
	}
	equal(t, "of ann", of("ann", actors.RequestPage{Limit: 10}), []string{"r_2", "r_3", "r_1"})
	equal(t, "the first of ann", of("ann", actors.RequestPage{Limit: 1}), []string{"r_2"})
	equal(t, "the next of ann", of("ann", actors.RequestPage{Limit: 1, After: actors.RequestPlace{CreateTime: 30, ID: "r_2"}}), []string{"r_3"})
	equal(t, "of bob", of("bob", actors.RequestPage{Limit: 10}), []string{"r_1"})
	equal(t, "of cid", of("cid", actors.RequestPage{Limit: 10}), []string{"r_3"})
	equal(t, "of nobody", of("an", actors.RequestPage{Limit: 10}), []string(nil))
	intoRoom := func(p actors.RequestPage) []string {
		list, err := s.RequestsInto(background, room, p)
		return idsOf(t, list, err)
	}
	equal(t, "into the room", intoRoom(actors.RequestPage{Limit: 10}), []string{"r_2"})
	waits := func(sessions ...string) []string {
		list, err := s.WaitingInto(background, sessions, 10)
		ids := idsOf(t, list, err)
		slices.Sort(ids)
		return ids
	}
	equal(t, "waiting into both", waits(hall, "s_ccccccccccccccccc", room, "s_aaaaaaaaaaaaaaab"), []string{"r_2", "r_4"})
	equal(t, "waiting into one", waits("s_zzzzzzzzzzzzzzzz", hall), []string{"r_4"})
	equal(t, "waiting into none", waits(), []string(nil))

	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(friend, 3, "bob"), answered(in, 4, "ann")}})
	equal(t, "waiting of ann", of("ann", actors.RequestPage{Limit: 10, Waiting: true}), []string{"r_3"})
	equal(t, "of ann now", of("ann", actors.RequestPage{Limit: 10}), []string{"r_2", "r_3", "r_1"})
	equal(t, "waiting into the room", intoRoom(actors.RequestPage{Limit: 10, Waiting: true}), []string(nil))
	equal(t, "waiting into both now", waits(hall, room), []string{"r_4"})
	got, err := s.Request(background, "r_1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the answered request", got, answered(friend, 3, "bob").Request)
	got, err = s.Request(background, "r_3")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the invitation", got, invited)
}

func requestsAlike(t *testing.T, s Store) {
	r := asked("r_1", "bob", "ann", 10)
	keepRequests(t, s, r, into("r_2", "ann", room, "", 10), into("r_3", "ann", room, "bob", 10), into("r_4", "bob", room, "", 10))
	for _, twice := range []*protocol.Request{asked("r_5", "bob", "ann", 11), asked("r_5", "ann", "bob", 11), into("r_5", "ann", room, "", 11), into("r_5", "ann", room, "bob", 11)} {
		changed(t, s, &actors.ContactChange{Requests: []actors.RequestChange{{Request: twice}}})
		if found, err := s.Asked(background, twice); err != nil || found == nil {
			t.Errorf("of those like %v waits %v, %v", twice, found, err)
		}
	}
	equal(t, "what waits between them", pairOf(t, s, "ann", "bob").Waiting.Id, "r_1")
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{{Request: asked("r_6", "ann", "bob", 12), Instead: "r_1"}}})
	equal(t, "what waits between them now", pairOf(t, s, "bob", "ann").Waiting.Id, "r_6")
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(r, 4, "bob")}}) // the older one goes without the newer one
	equal(t, "what waits between them still", pairOf(t, s, "bob", "ann").Waiting.Id, "r_6")
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(asked("r_6", "ann", "bob", 12), 3, "bob")}})
	if w := pairOf(t, s, "bob", "ann").Waiting; w != nil {
		t.Errorf("%v waits", w)
	}
	keepRequests(t, s, asked("r_7", "ann", "bob", 13))
}

func oneAnswer(t *testing.T, s Store) {
	for round := range 20 {
		r := asked(fmt.Sprint("r_", round), "ann", "bob", int64(round))
		keepRequests(t, s, r)
		mine, theirs := pairOf(t, s, "ann", "bob").Mine, pairOf(t, s, "ann", "bob").Theirs
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				c := &actors.ContactChange{Requests: []actors.RequestChange{answered(r, int64(2+i%2), "bob")}}
				if i%2 == 0 {
					a, b := mine, theirs
					a.Friend, b.Friend = true, true
					c.Contacts = []*actors.ContactRow{&a, &b}
				}
				errs[i] = s.CommitContacts(background, c)
			})
		}
		all.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won < 0:
				won = i
			case !errors.Is(err, actors.ErrChanged):
				t.Fatalf("round %d: answer %d = %v, after %d won", round, i, err, won)
			}
		}
		p, now := pairOf(t, s, "ann", "bob"), int64(2+won%2)
		got, err := s.Request(background, r.Id)
		if err != nil || won < 0 || got.CallBackType != now {
			t.Fatalf("round %d: %v, %v; %d won", round, got, err, won)
		}
		if accepted := now == 2; p.Mine.Friend != accepted || p.Theirs.Friend != accepted {
			t.Fatalf("round %d: accepted: %v, rows %v", round, accepted, p)
		}
		if p.Mine.Friend {
			p.Mine.Friend, p.Theirs.Friend = false, false
			contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{&p.Mine, &p.Theirs}})
		}
	}
}

func requestWithAppend(t *testing.T, s Store) {
	r := into("r_1", "bob", room, "", 10)
	commit(t, s, create(room, "ann"))
	keepRequests(t, s, r)
	lets := func(seq int64, c actors.RequestChange) *actors.Append {
		return &actors.Append{Session: room, Epoch: 1, Entries: []*protocol.Entry{{Seq: seq, Kind: protocol.Kind_JOIN, Sender: "ann", Members: []string{"bob"}, CreatedAt: 20}},
			Members: []*actors.MemberRow{{User: "bob", Order: 2, Floor: 1}}, Contacts: &actors.ContactChange{Requests: []actors.RequestChange{c}}}
	}
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(r, 4, "bob")}})
	if err := refused(t, s, lets(1, answered(r, 2, "ann"))); !errors.Is(err, actors.ErrChanged) {
		t.Errorf("a member comes in by a request that was taken back: %v", err)
	}
	if sessions, err := s.SessionsOf(background, "bob"); err != nil || len(sessions) != 0 {
		t.Errorf("bob is in %v, %v", sessions, err)
	}
	again := into("r_2", "bob", room, "", 30)
	keepRequests(t, s, again)
	if err := refused(t, s, lets(2, answered(again, 2, "ann"))); !errors.Is(err, actors.ErrTaken) {
		t.Errorf("a seq that is not the next: %v", err)
	}
	if got, err := s.Request(background, "r_2"); err != nil || got.CallBackType != 1 {
		t.Errorf("accepted without its member: %v, %v", got, err)
	}
	commit(t, s, lets(1, answered(again, 2, "ann")))
	if got, err := s.Request(background, "r_2"); err != nil || got.CallBackType != 2 {
		t.Errorf("the request is %v, %v", got, err)
	}
	equal(t, "the log", log(t, s, room), oneTo(1))
	friends := &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", "bob"), kept("bob", "ann")}}
	both := create(pair, "ann", "bob")
	both.Contacts = friends
	commit(t, s, both)
	if friends.Versions["ann"] != 1 || !pairOf(t, s, "ann", "bob").Mine.Friend {
		t.Errorf("a session of friends was made with %v", friends)
	}
}

func contactsReopened(t *testing.T, s Store) {
	r := asked("r_1", "ann", "bob", 10)
	keepRequests(t, s, r, asked("r_2", "cid", "ann", 11))
	contact(t, s, &actors.ContactChange{
		Contacts: []*actors.ContactRow{kept("ann", "bob"), kept("bob", "ann")},
		Requests: []actors.RequestChange{answered(r, 2, "bob")},
	})
	j := s.Reopen()
	p := pairOf(t, j, "bob", "ann")
	if !p.Mine.Friend || !p.Theirs.Friend || p.Waiting != nil {
		t.Errorf("after reopening the two are %v", p)
	}
	list, err := j.RequestsOf(background, "ann", actors.RequestPage{Limit: 10, Waiting: true})
	equal(t, "what waits", idsOf(t, list, err), []string{"r_2"})
	_, version, err := j.ContactsOf(background, "ann", "", 0)
	if err != nil || version != 1 {
		t.Errorf("the version is %d, %v", version, err)
	}
}
