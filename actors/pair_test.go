package actors

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// between is what ann and bob keep of each other, in letters: f a friend, b blocked,
// a small letter is ann's; a or r: a request of ann's or bob's waits, x: its time is over.
func between(what string) *Pair {
	p := &Pair{Mine: ContactRow{User: "ann", Other: "bob", Version: 3}, Theirs: ContactRow{User: "bob", Other: "ann", Version: 4}}
	ends := noon.Add(time.Hour)
	if strings.Contains(what, "x") {
		ends = noon
	}
	for _, c := range what {
		switch c {
		case 'f':
			p.Mine.Friend, p.Theirs.Friend = true, true
		case 'b':
			p.Mine.Blocked = true
		case 'B':
			p.Theirs.Blocked = true
		case 'a':
			p.Waiting = &protocol.Request{Id: "r_old", From: "ann", Target: "bob", CallBackType: waiting, ExpireTime: ends.UnixMilli()}
		case 'r':
			p.Waiting = &protocol.Request{Id: "r_old", From: "bob", Target: "ann", CallBackType: waiting, ExpireTime: ends.UnixMilli()}
		}
	}
	return p
}

func TestAFriendIsAskedForOnce(t *testing.T) {
	const (
		made = iota
		old
		friends
	)
	for what, want := range map[string]struct {
		code   protocol.Code
		told   protocol.Code // with the setting that tells
		gives  int
		hidden bool
	}{
		"":   {gives: made},
		"f":  {code: protocol.Code_CONFLICT, told: protocol.Code_CONFLICT},
		"b":  {code: protocol.Code_CONFLICT, told: protocol.Code_CONFLICT},
		"bB": {code: protocol.Code_CONFLICT, told: protocol.Code_CONFLICT},
		"B":  {told: protocol.Code_BLOCKED, gives: made, hidden: true},
		"a":  {gives: old},
		"aB": {gives: old}, // it looks as it did
		"r":  {gives: friends},
		"rb": {code: protocol.Code_CONFLICT, told: protocol.Code_CONFLICT},
		"ax": {gives: made},
		"rx": {gives: made},
	} {
		for _, tell := range []bool{false, true} {
			code := want.code
			if tell {
				code = want.told
			}
			d, err := askFriend(between(what), "ann", &protocol.RequestSend{Target: "bob"}, rules{now: noon, life: time.Hour, tell: tell})
			if code != protocol.Code_OK || err != nil {
				if !code.Is(err) {
					t.Errorf("%q, told %v: %v, want %s", what, tell, err, code.Word())
				}
				continue
			}
			switch want.gives {
			case made:
				c := d.change.Requests[0]
				if d.request.Id == "r_old" || d.request.CallBackType != waiting || c.Was != 0 || (c.Instead == "r_old") != strings.Contains(what, "x") {
					t.Errorf("%q makes %+v", what, d)
				}
			case old:
				if d.request.Id != "r_old" || d.change != nil {
					t.Errorf("%q gives %+v", what, d)
				}
			case friends:
				if d.request.CallBackType != accepted || !d.meet || len(d.change.Contacts) != 2 {
					t.Errorf("%q gives %+v", what, d)
				}
			}
			if d.hidden != want.hidden {
				t.Errorf("%q is hidden: %v", what, d.hidden)
			}
		}
	}
}

func TestWhatIsKeptOfSomebody(t *testing.T) {
	yes, no, name := true, false, "Bobby"
	for _, c := range []struct {
		what string
		set  *protocol.ContactSet
		code protocol.Code
		row  string // f, b, and n where the remark stays
		none bool   // nothing is written
	}{
		{what: "", set: &protocol.ContactSet{Remark: &name}, code: protocol.Code_NOT_FOUND},
		{what: "", set: &protocol.ContactSet{Tags: []string{"x"}}, code: protocol.Code_NOT_FOUND},
		{what: "", set: &protocol.ContactSet{Blocked: &yes}, row: "b"},
		{what: "", set: &protocol.ContactSet{Blocked: &no}, row: "", none: true},
		{what: "b", set: &protocol.ContactSet{Blocked: &yes}, row: "b", none: true},
		{what: "b", set: &protocol.ContactSet{Blocked: &yes, Remark: &name}, row: "bn"},
		{what: "b", set: &protocol.ContactSet{Blocked: &no, Remark: &name}, row: ""},
		{what: "f", set: &protocol.ContactSet{Remark: &name}, row: "fn"},
		{what: "f", set: &protocol.ContactSet{Blocked: &yes}, row: "fb"},
		{what: "fb", set: &protocol.ContactSet{Blocked: &no}, row: "f"},
	} {
		d, err := setContact(between(c.what), c.set)
		if c.code != protocol.Code_OK || err != nil {
			if !c.code.Is(err) {
				t.Errorf("%q, %v: %v, want %s", c.what, c.set, err, c.code.Word())
			}
			continue
		}
		got := ""
		if d.contact.Friend {
			got += "f"
		}
		if d.contact.Blocked {
			got += "b"
		}
		if d.contact.Remark != "" {
			got += "n"
		}
		if got != c.row || (d.change == nil) != c.none {
			t.Errorf("%q, %v: %q is kept, written: %v", c.what, c.set, got, d.change != nil)
		}
	}
	if d, err := setContact(between("br"), &protocol.ContactSet{User: "bob", Blocked: &no}); err != nil || d.shown.GetId() != "r_old" {
		t.Errorf("who is not blocked any more has asked: %+v, %v", d, err)
	}
}

func TestWhoMayTalk(t *testing.T) {
	for _, c := range []struct {
		what          string
		tell, friends bool
		code          protocol.Code
	}{
		{what: ""},
		{what: "b"}, // who blocks may write
		{what: "B", code: protocol.Code_DENIED},
		{what: "fB", code: protocol.Code_DENIED},
		{what: "B", tell: true, code: protocol.Code_BLOCKED},
		{what: "", friends: true, code: protocol.Code_DENIED},
		{what: "f", friends: true},
	} {
		p := between(c.what)
		if err := mayTalk(&p.Mine, &p.Theirs, c.tell, c.friends); (err != nil || c.code != 0) && !c.code.Is(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	blocked, stranger := between("B"), between("")
	a, b := mayTalk(&blocked.Mine, &blocked.Theirs, false, false), mayTalk(&stranger.Mine, &stranger.Theirs, false, true)
	if a.Error() != b.Error() {
		t.Errorf("what a blocked user is told, %q, differs from what a stranger is, %q", a, b)
	}
}
