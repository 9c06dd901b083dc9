package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

// do makes a REST call for user, wants the status, and reads the answer into out.
func (s *testServer) do(user, method, path string, in any, status int, out any) {
	s.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			s.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, s.url+path, &body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token(user))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		s.t.Fatalf("%s %s: %s, want %d", method, path, res.Status, status)
	}
	if out != nil {
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			s.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

type aRequest struct {
	ID, From, Target, TargetName, UserName, Session string
	CallBackType                                    int
	State                                           bool
}

type aContact struct {
	User, Remark, Session string
	Friend, Blocked       bool
	Tags                  []string
	Profile               struct{ Nickname string }
}

func (s *testServer) friends(user string) (list []aContact) {
	s.t.Helper()
	var page struct{ Items []aContact }
	s.get(user, "/api/v2/users/friends", &page)
	return page.Items
}

func TestFriendsAreMadeByRESTAndSeenOnEverySocket(t *testing.T) {
	s := startServer(t)
	s.join("cid", "d") // a user who is nobody's friend
	ann, phone, bob := s.join("ann", "d"), s.join("ann", "phone"), s.join("bob", "d")
	tablet := s.join("bob", "tablet")
	tablet.Close() // is away while it happens
	var r aRequest
	s.do("ann", "POST", "/api/v2/users/requests", map[string]string{"target": "bob", "note": "it is me"}, 201, &r)
	if r.TargetName != "bob" || r.UserName != "ann" || r.CallBackType != 1 || r.State {
		t.Errorf("the request is %+v", r)
	}
	is := func(callBackType int64) func(*protocol.Frame) bool {
		return func(f *protocol.Frame) bool {
			x := f.GetRequestUpdate().GetRequest()
			return x.GetId() == r.ID && x.CallBackType == callBackType
		}
	}
	for _, p := range []*person{ann, phone, bob} {
		soon(t, "the request on "+p.User(), func() bool { return p.saw(is(1)) })
	}
	var page struct{ Items []aRequest }
	s.do("bob", "GET", "/api/v2/users/requests?waiting=true", nil, 200, &page)
	if len(page.Items) != 1 || page.Items[0].ID != r.ID || page.Items[0].UserName != "ann" {
		t.Errorf("bob's requests are %+v", page.Items)
	}
	if snap := s.join("bob", "new").snapshot(); len(snap.Requests) != 1 || snap.Requests[0].Note != "it is me" {
		t.Errorf("a new device finds %v", snap)
	}
	s.do("cid", "PUT", "/api/v2/users/requests/"+r.ID, map[string]int{"callBackType": 2}, 404, nil)
	s.do("bob", "PUT", "/api/v2/users/requests/"+r.ID, map[string]int{"callBackType": 2}, 200, &r)
	if r.Session != protocol.P2PSessionID("ann", "bob") || !r.State {
		t.Errorf("the accepted request is %+v", r)
	}
	s.do("bob", "PUT", "/api/v2/users/requests/"+r.ID, map[string]int{"callBackType": 2}, 200, nil)
	s.do("bob", "PUT", "/api/v2/users/requests/"+r.ID, map[string]int{"callBackType": 3}, 409, nil)
	for p, other := range map[*person]string{ann: "bob", phone: "bob", bob: "ann"} {
		soon(t, "the contact on "+p.User(), func() bool {
			return p.saw(is(2)) && p.saw(func(f *protocol.Frame) bool {
				c := f.GetContactUpdate()
				return c.GetContact().GetUser() == other && c.Contact.Friend && c.ContactsVersion == 1
			})
		})
	}
	if snap := s.join("bob", "tablet").snapshot(); len(snap.Requests) != 0 || snap.ContactsVersion != 1 || len(snap.Sessions) != 1 {
		t.Errorf("the tablet that was away finds %v", snap)
	}
	var c aContact
	s.do("ann", "PUT", "/api/v2/users/friends/bob", map[string]any{"remark": "Bobby", "tags": []string{"chess"}}, 200, &c)
	if list := s.friends("ann"); len(list) != 1 || list[0].Remark != "Bobby" || list[0].Profile.Nickname != "bob" || list[0].Session != r.Session {
		t.Errorf("ann's friends are %+v", list)
	}
	bob.say(r.Session, "1", "hello")
	s.do("ann", "PUT", "/api/v2/users/blocks/bob", nil, 200, &c)
	s.do("bob", "POST", "/api/v2/sessions/"+r.Session+"/messages", map[string]any{"clientMsgId": "2", "content": map[string]string{"type": "text", "text": "hm?"}}, 403, nil)
	var blocks struct{ Items []aContact }
	s.get("ann", "/api/v2/users/blocks", &blocks)
	if len(blocks.Items) != 1 || !blocks.Items[0].Blocked || !blocks.Items[0].Friend {
		t.Errorf("ann has blocked %+v", blocks.Items)
	}
	s.do("ann", "DELETE", "/api/v2/users/blocks/bob", nil, 200, nil)
	s.do("bob", "DELETE", "/api/v2/users/friends/ann", nil, 204, nil)
	s.do("bob", "DELETE", "/api/v2/users/friends/ann", nil, 404, nil)
	if len(s.friends("ann"))+len(s.friends("bob")) != 0 {
		t.Error("they are friends still")
	}
}

// What was acknowledged before a SIGKILL is there after it, both rows and the
// session; and an answer that nobody got has left all of it or nothing.
func TestAFriendshipSurvivesASIGKILLWholeOrNotAtAll(t *testing.T) {
	s := startServer(t)
	for round := range 4 {
		ann, bob := string(rune('a'+round))+"nn", string(rune('a'+round))+"ob"
		s.join(ann, "d").Close()
		s.join(bob, "d").Close()
		var r aRequest
		s.do(ann, "POST", "/api/v2/users/requests", map[string]string{"target": bob}, 201, &r)
		acknowledged := round%2 == 0
		if acknowledged {
			s.do(bob, "PUT", "/api/v2/users/requests/"+r.ID, map[string]int{"callBackType": 2}, 200, nil)
		} else {
			var asked atomic.Bool
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				req, _ := http.NewRequest("PUT", s.url+"/api/v2/users/requests/"+r.ID, bytes.NewReader([]byte(`{"callBackType":2}`)))
				req.Header.Set("Authorization", "Bearer "+s.token(bob))
				req.Header.Set("Content-Type", "application/json")
				asked.Store(true)
				if res, err := http.DefaultClient.Do(req); err == nil {
					res.Body.Close()
				}
			}()
			for !asked.Load() {
			}
			defer func() { <-gone }()
		}
		s.kill()
		s.start()
		mine, theirs := s.friends(ann), s.friends(bob)
		var list struct{ Items []aRequest }
		s.get(ann, "/api/v2/users/requests", &list)
		accepted := list.Items[0].CallBackType == 2
		if acknowledged && !accepted {
			t.Fatalf("round %d: an acknowledged answer is lost: %+v", round, list.Items)
		}
		if (len(mine) == 1) != accepted || (len(theirs) == 1) != accepted {
			t.Fatalf("round %d: accepted: %v, rows %v and %v", round, accepted, mine, theirs)
		}
		if accepted {
			a := s.join(ann, "d")
			a.say(mine[0].Session, "1", "hello")
			a.Close()
		}
	}
}
