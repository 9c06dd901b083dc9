package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Everything is what a person leaves something in.
type Everything interface {
	actors.Journal
	actors.Writings
	actors.Standings
	userctr.Store
}

// Erasure checks what is found of a person, and what is left of one who is erased. open gives an empty store each time.
func Erasure(t *testing.T, open func(t *testing.T) Everything) {
	t.Run("AllThatSomebodySaidIsFoundOnce", func(t *testing.T) { writings(t, open(t)) })
	t.Run("NobodyKeepsAnythingOfWhoIsErased", func(t *testing.T) { nobodyKeeps(t, open(t)) })
}

func writings(t *testing.T, s Everything) {
	forward := func(e *protocol.Entry, of ...protocol.UserID) *protocol.Entry {
		e.Content = &protocol.Content{Type: protocol.ContentType_FORWARD}
		for _, user := range of {
			e.Content.Forwarded = append(e.Content.Forwarded, &protocol.Forwarded{Sender: user, Text: "quoted"})
		}
		return e
	}
	edit := message(5, "ann", "a5")
	edit.Kind, edit.Target = protocol.Kind_EDIT, 1
	commit(t, s, create(room, "ann", "bob", "ann2"), create(pair, "ann", "bob"))
	commit(t, s, says(room, message(1, "ann", "a1"), message(2, "bob", "b2"), message(3, "ann2", "c3"), forward(message(4, "bob", "b4"), "bob", "ann"), edit))
	held := forward(message(6, "bob", "b6"), "ann")
	commit(t, s, says(room, held, forward(message(7, "bob", "b7"), "ann2"), message(8, "ann", "a8")), says(pair, message(1, "ann", "p1")))
	away := message(6, "bob", "b6") // what others see of the one that is held back
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{away}, Original: &actors.Original{Seq: 6, Content: held.Content}})
	for user, want := range map[protocol.UserID][]string{
		"ann": {pair + " 1 ann", room + " 1 ann", room + " 4 bob", room + " 6 bob", room + " 8 ann"}, "ann2": {room + " 3 ann2", room + " 7 bob"}, "nobody": nil, "": nil,
	} {
		var got []string
		must(t, s.WrittenBy(t.Context(), user, func(session protocol.SessionID, e *protocol.Entry) error {
			got = append(got, fmt.Sprint(session, " ", e.Seq, " ", e.Sender))
			return nil
		}))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%q said %q, want %q", user, got, want)
		}
	}
	stop := errors.New("enough")
	if err := s.WrittenBy(t.Context(), "ann", func(protocol.SessionID, *protocol.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the caller's comes back as %v", err)
	}
}

func nobodyKeeps(t *testing.T, s Everything) {
	ctx := t.Context()
	for _, id := range []string{"ann", "ann2", "bob"} {
		must(t, s.AddUser(ctx, user(id, id), ""))
	}
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{
		kept("ann", "bob"), kept("bob", "ann"), kept("bob", "ann2"), kept("ann2", "bob"),
	}})
	keepRequests(t, s, asked("r_1", "ann", "bob", 10), asked("r_2", "ann2", "bob", 11), into("r_3", "bob", room, "ann", 12), asked("r_4", "ann2", "ann", 13))
	must(t, s.KeepStandings(ctx, []actors.Standing{{User: "ann", Status: "busy", LastActive: 7}, {User: "ann2", LastActive: 8}}))
	_, before, err := s.ContactsOf(ctx, "bob", "", 10)
	must(t, err)
	for range 2 { // it may be done again
		must(t, s.EraseUser(ctx, "ann", began))
	}
	list, after, err := s.ContactsOf(ctx, "bob", "", 10)
	if err != nil || len(list) != 1 || list[0].Other != "ann2" || after <= before {
		t.Errorf("bob keeps %v in version %d after %d, %v", list, after, before, err)
	}
	if list, _, err := s.ContactsOf(ctx, "ann", "", 10); err != nil || len(list) != 0 {
		t.Errorf("who is erased keeps %v, %v", list, err)
	}
	for owner, want := range map[protocol.UserID][]string{"ann": nil, "bob": {"r_2"}, "ann2": {"r_2"}} {
		page, err := s.RequestsOf(ctx, owner, actors.RequestPage{Limit: 10})
		var got []string
		for _, r := range page {
			got = append(got, r.Id)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("requests of %s are %q, %v, want %q", owner, got, err, want)
		}
	}
	for _, id := range []string{"r_1", "r_3", "r_4"} {
		_, err := s.Request(ctx, id)
		wants(t, err, protocol.Code_NOT_FOUND)
	}
	keepRequests(t, s, asked("r_5", "ann", "bob", 20)) // nothing says that one waits
	if all, err := s.Standings(ctx, []protocol.UserID{"ann", "ann2"}); err != nil || len(all) != 1 || all[0].User != "ann2" {
		t.Errorf("standings are %v, %v", all, err)
	}
}
