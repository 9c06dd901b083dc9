package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// What becomes of files that entries of logs name.

// stands checks how a user stands to a file: a word of o(wner) s(ent) l(ive) r(eader).
func stands(t testing.TB, s FileStore, f *filectr.File, user, want string, now time.Time) {
	t.Helper()
	at, err := s.Standing(background, f.ID, user, now)
	got := ""
	for c, is := range map[string]bool{"o": at.Owner, "s": at.Sent, "l": at.Live, "r": at.Reader} {
		if is {
			got += c
		}
	}
	same := len(got) == len(want)
	for _, c := range want {
		same = same && (c == 'o' && at.Owner || c == 's' && at.Sent || c == 'l' && at.Live || c == 'r' && at.Reader)
	}
	if err != nil || !same {
		t.Errorf("%s stands %+v, %v, want %q", user, at, err, want)
	}
}

// picture is an entry with a file.
func picture(seq int64, sender protocol.UserID, f *filectr.File) *protocol.Entry {
	e := message(seq, sender, fmt.Sprint("p", seq))
	e.Content = &protocol.Content{Type: protocol.ContentType_IMAGE, File: f.ID}
	return e
}

// sooner is before every expiry of these tests' entries.
var sooner = time.UnixMilli(1000)

func unsentFile(t *testing.T, s FileStore) {
	commit(t, s, create(room, "ann", "bob"))
	f := keep(t, s, "ann", filectr.Sum{1})
	stands(t, s, f, "ann", "o", sooner)
	stands(t, s, f, "bob", "", sooner)
	if _, err := s.Standing(background, protocol.NewFileID(), "ann", sooner); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("no file: %v, want NOT_FOUND", err)
	}
}

func sentFile(t *testing.T, s FileStore) {
	commit(t, s, create(room, "ann", "bob"), create(hall, "cid"))
	f, g, thumb := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "ann", filectr.Sum{2}), keep(t, s, "ann", filectr.Sum{3})
	e := picture(1, "ann", f)
	e.Content.Files, e.Content.Thumb = []string{f.ID, g.ID, "https://example.com/x", protocol.NewFileID()}, thumb.ID
	commit(t, s, says(room, e))
	for _, x := range []*filectr.File{f, g, thumb} {
		stands(t, s, x, "ann", "oslr", sooner)
		stands(t, s, x, "bob", "slr", sooner)
		stands(t, s, x, "cid", "sl", sooner)
	}
	a := says(room)
	a.Removed = []protocol.UserID{"bob"}
	commit(t, s, a)
	stands(t, s, f, "bob", "sl", sooner)
}

func fileFromTheFloor(t *testing.T, s FileStore) {
	f, g := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "ann", filectr.Sum{2})
	commit(t, s, create(room, "ann"), says(room, picture(1, "ann", f), picture(2, "ann", g)))
	a := says(room)
	a.Members = []*actors.MemberRow{{User: "bob", Order: 2, Floor: 2}}
	commit(t, s, a)
	stands(t, s, f, "bob", "sl", sooner)
	stands(t, s, g, "bob", "slr", sooner)
	edit := picture(3, "ann", f) // of what bob may not read
	edit.Kind, edit.Target = protocol.Kind_EDIT, 1
	commit(t, s, says(room, edit))
	stands(t, s, f, "bob", "sl", sooner)
	commit(t, s, says(room, picture(4, "ann", f)))
	stands(t, s, f, "bob", "slr", sooner)
}

// gone is an Append that takes away what the entry at seq said.
func gone(seq int64, e *protocol.Entry) *actors.Append {
	hollow := &protocol.Entry{Seq: e.Seq, Sender: e.Sender, ClientMsgId: e.ClientMsgId, CreatedAt: e.CreatedAt, Recalled: true}
	a := says(room, &protocol.Entry{Seq: seq, Kind: protocol.Kind_RECALL, Sender: e.Sender, Target: e.Seq, CreatedAt: 2000})
	a.Rewrites = []*protocol.Entry{hollow}
	return a
}

func recalledFile(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	first, second := picture(1, "ann", f), picture(2, "ann", f)
	commit(t, s, create(room, "ann", "bob"), says(room, first), says(room, second), gone(3, first))
	stands(t, s, f, "bob", "slr", sooner)
	commit(t, s, gone(4, second))
	stands(t, s, f, "ann", "os", sooner)
	stands(t, s, f, "bob", "s", sooner)
	commit(t, s, says(room, picture(5, "bob", f)))
	stands(t, s, f, "bob", "slr", sooner)
}

func expiredFile(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	e := picture(1, "ann", f)
	e.Expire = 10
	commit(t, s, create(room, "ann", "bob"), says(room, e))
	over := time.UnixMilli(e.CreatedAt + 10_000)
	stands(t, s, f, "bob", "slr", over.Add(-time.Millisecond))
	stands(t, s, f, "bob", "sl", over)
}

func editedFile(t *testing.T, s FileStore) {
	f, g := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "ann", filectr.Sum{2})
	commit(t, s, create(room, "ann", "bob"), says(room, picture(1, "ann", f)))
	edit := picture(2, "ann", g)
	edit.Kind, edit.Target, edit.ClientMsgId = protocol.Kind_EDIT, 1, ""
	a := says(room, edit)
	a.Rewrites = []*protocol.Entry{picture(1, "ann", g)}
	commit(t, s, a)
	stands(t, s, f, "bob", "s", sooner)
	stands(t, s, g, "bob", "slr", sooner)
}

func reactedFile(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	commit(t, s, create(room, "ann", "bob"), says(room, picture(1, "ann", f)))
	a := says(room, &protocol.Entry{Seq: 2, Kind: protocol.Kind_REACT, Sender: "bob", Target: 1, Reaction: "+", CreatedAt: 2000})
	now := picture(1, "ann", f)
	now.Reactions = []*protocol.Reaction{{Reaction: "+", Users: []string{"bob"}}}
	a.Rewrites = []*protocol.Entry{now}
	commit(t, s, a)
	stands(t, s, f, "bob", "slr", sooner)
	commit(t, s, gone(3, now))
	stands(t, s, f, "bob", "s", sooner)
}

func refusedEntry(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	commit(t, s, create(room, "ann", "bob"))
	if err := refused(t, s, says(room, picture(7, "ann", f))); !errors.Is(err, actors.ErrTaken) {
		t.Fatal(err)
	}
	stands(t, s, f, "bob", "", sooner)
	stands(t, s, f, "ann", "o", sooner)
}

func fileInMany(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	var common protocol.SessionID
	for i := range 60 {
		own, others := protocol.NewSessionID(), protocol.NewSessionID()
		commit(t, s, create(own, "ann"), says(own, picture(1, "ann", f)), create(others, "bob"))
		if i == 30 {
			common = protocol.NewSessionID()
		}
	}
	stands(t, s, f, "bob", "sl", sooner)
	commit(t, s, create(common, "ann", "bob"), says(common, picture(1, "ann", f)))
	stands(t, s, f, "bob", "slr", sooner)
	stands(t, s, f, "ann", "oslr", sooner)
	two := protocol.P2PSessionID("bob", "cid")
	commit(t, s, create(two, "bob", "cid"), says(two, picture(1, "bob", f)))
	stands(t, s, f, "cid", "slr", sooner)
}

func heldFile(t *testing.T, s FileStore) {
	f, g := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "ann", filectr.Sum{2})
	later := time.Now().Add(time.Hour)
	all := create(room, "ann", "bob", "root")
	all.Members[2].Role = protocol.Role_ADMIN
	commit(t, s, all)
	said := picture(1, "ann", f).Content
	held := func(state string, now *protocol.Content) *protocol.Entry {
		e := picture(1, "ann", f)
		e.Content, e.Deal = now, &protocol.Deal{State: state, By: "b_mod"}
		return e
	}
	a := says(room, held("held", nil))
	a.Original = &actors.Original{Seq: 1, Content: said}
	commit(t, s, a)
	stands(t, s, f, "ann", "osl", sooner)
	stands(t, s, f, "bob", "sl", sooner)
	stands(t, s, f, "root", "slr", sooner) // who decides
	loose(t, s, fileTime, later)
	// A reaction to it, say, leaves all as it is.
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{held("held", nil)}})
	stands(t, s, f, "bob", "sl", sooner)
	// In its place stands another, and nobody reads the one that was there.
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{held("rewritten", picture(1, "ann", g).Content)}})
	stands(t, s, f, "bob", "sl", sooner)
	stands(t, s, g, "bob", "slr", sooner)
	// It is let through.
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{picture(1, "ann", f)}, Original: &actors.Original{Seq: 1}})
	stands(t, s, f, "bob", "slr", sooner)
	stands(t, s, g, "bob", "s", sooner)
	commit(t, s, gone(2, picture(1, "ann", f)))
	stands(t, s, f, "bob", "s", sooner)
	loose(t, s, fileTime, later, g.ID, f.ID) // g since it was let through
}
