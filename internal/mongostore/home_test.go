package mongostore

import (
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

// twoWays gives a store that is behind a wire, and one on the same database that is not.
func twoWays(t *testing.T) (wired *Store, w *wire, direct *Store) {
	t.Helper()
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w = wireTo(t, at.Host)
	return openAt(t, Options{URI: w.uri(uri)}), w, openAt(t, Options{URI: uri})
}

// bobs are the ways to read bob's row of a session.
var bobs = map[string]func(s *Store, id protocol.SessionID) (*actors.HomeRow, error){
	"HomeOf": func(s *Store, id protocol.SessionID) (*actors.HomeRow, error) {
		return s.HomeOf(background, "bob", id, "")
	},
	"Home": func(s *Store, id protocol.SessionID) (*actors.HomeRow, error) {
		rows, err := s.Home(background, "bob", "", nil)
		for _, r := range rows {
			if r.Info.Session == id {
				return r, err
			}
		}
		return nil, err
	},
}

// told makes a session in which ann told bob three things.
func told(t *testing.T, s *Store, id protocol.SessionID, kind protocol.SessionType) {
	t.Helper()
	made := creation(id, "ann", "bob")
	made.Info.SessionType = kind
	second := said(2, "ann", "2", "two")
	second.Mentions = []protocol.UserID{"bob"}
	commit(t, s, made, saying(id, 1, said(1, "ann", "1", "one"), second, said(3, "ann", "3", "three")))
}

// fourths are what a fourth entry may be.
var fourths = map[string]func(id protocol.SessionID) *actors.Append{
	"a message": func(id protocol.SessionID) *actors.Append {
		return saying(id, 1, said(4, "ann", "4", "four"))
	},
	"a recall": func(id protocol.SessionID) *actors.Append {
		a := saying(id, 1, &protocol.Entry{Seq: 4, Kind: protocol.Kind_RECALL, Sender: "ann", Target: 2, TargetSender: "ann", CreatedAt: 1004})
		gone := said(2, "ann", "2", "")
		gone.Content, gone.Recalled = nil, true
		a.Rewrites = []*protocol.Entry{gone}
		return a
	},
	"a role": func(id protocol.SessionID) *actors.Append {
		a := saying(id, 1, &protocol.Entry{Seq: 4, Kind: protocol.Kind_CHANGE, Sender: "ann", Members: []protocol.UserID{"bob"}, Role: protocol.Role_ADMIN, CreatedAt: 1004})
		a.Members = []*actors.MemberRow{{User: "bob", Role: protocol.Role_ADMIN, Order: 2, JoinedAt: 1000, Floor: 1}}
		return a
	},
}

// hears brings a row up to an entry that comes behind its head, as a user does who has it.
func hears(row *actors.HomeRow, e *protocol.Entry) {
	if e.Seq <= row.Head {
		return
	}
	row.Head = e.Seq
	switch e.Kind {
	case protocol.Kind_MESSAGE:
		row.Unread++
	case protocol.Kind_RECALL:
		row.Unread--
	case protocol.Kind_CHANGE:
		row.Member.Role = e.Role
	}
}

func TestAHomeRowIsOfOneMomentWhateverIsWrittenWhileItIsRead(t *testing.T) {
	s, w, writer := twoWays(t)
	sessions := 0
	for how, read := range bobs {
		for what, fourth := range fourths {
			kinds := []protocol.SessionType{protocol.SessionType_GROUP}
			if what == "a recall" { // a pair's rows are read another way, and counted alike
				kinds = append(kinds, protocol.SessionType_P2P)
			}
			for _, kind := range kinds {
				for at, asked := 1, 1; asked >= at; at++ { // it is written before each query of the reading
					id := sessionNumber(sessions)
					sessions++
					told(t, writer, id, kind)
					a := fourth(id)
					asked = 0
					w.on(func(command, _ string) fault {
						if command != "find" && command != "aggregate" {
							return none
						}
						if asked++; asked == at {
							if err := writer.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
								t.Errorf("%s is not written: %v, %v", what, err, a.Err)
							}
						}
						return none
					})
					row, err := read(s, id)
					w.on(nil)
					if err != nil || row == nil {
						t.Fatalf("%s, %s before query %d: %v", how, what, at, err)
					}
					if asked < at {
						continue
					}
					head := row.Head
					hears(row, a.Entries[0])
					is, err := writer.HomeOf(background, "bob", id, "")
					if err != nil || row.Unread != is.Unread || row.Member.Role != is.Member.Role || row.Head != is.Head {
						t.Errorf("%s of a %v, %s before query %d: a row of head %d comes to %d unread, role %v at head %d, %v; want %d, %v at %d",
							how, kind, what, at, head, row.Unread, row.Member.Role, row.Head, err, is.Unread, is.Member.Role, is.Head)
					}
				}
			}
		}
	}
}

func TestAHomeRowThatIsReadInTheMiddleOfACommitIsOfBeforeIt(t *testing.T) {
	s, w, reader := twoWays(t)
	told(t, s, room, protocol.SessionType_GROUP)
	rows := map[string]*actors.HomeRow{}
	w.on(func(command, collection string) fault {
		if command == "update" && collection == inSessions { // the message is rewritten, and the session's row comes last
			for how, read := range bobs {
				row, err := read(reader, room)
				if err != nil {
					t.Error(err)
				}
				rows[how] = row
			}
		}
		return none
	})
	commit(t, s, fourths["a recall"](room))
	w.on(nil)
	for how, read := range bobs {
		if r := rows[how]; r == nil || r.Head != 3 || r.Unread != 3 {
			t.Errorf("%s in the middle = %+v, want head 3 and 3 unread", how, r)
		}
		if r, err := read(reader, room); err != nil || r.Head != 4 || r.Unread != 2 || r.Mentioned {
			t.Errorf("%s afterwards = %+v, %v, want head 4, 2 unread, none of them with a mention", how, r, err)
		}
	}
	// What is done to the message later does not bring it back.
	again := fourths["a recall"](room).Rewrites[0]
	again = proto.CloneOf(again)
	again.Expired = true
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{again}})
	for how, read := range bobs {
		if r, err := read(reader, room); err != nil || r.Unread != 2 {
			t.Errorf("%s after a second change = %+v, %v, want 2 unread", how, r, err)
		}
	}
}

func TestWhoIsSaidNotToBeInASessionIsNotInItsNewestCommitEither(t *testing.T) {
	s, w, reader := twoWays(t)
	made := creation(room, "ann")
	commit(t, s, made)
	asked := false
	w.on(func(command, collection string) fault {
		if command == "insert" && collection == inMembers && !asked {
			asked = true
			if _, err := reader.HomeOf(background, "bob", room, ""); err != nil { // and what the writer is at is done
				t.Error(err)
			}
		}
		return none
	})
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Members: []*actors.MemberRow{{User: "bob", Order: 2, JoinedAt: 1000, Floor: 1}}})
	w.on(nil)
	if !asked {
		t.Error("nobody asked in the middle of the commit")
	}
	if _, err := reader.HomeOf(background, "cid", room, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("HomeOf somebody who is not in it = %v, want NOT_FOUND", err)
	}
}
