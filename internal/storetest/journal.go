// Package storetest is the one suite that every store passes for what it keeps.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Store is a journal under test, empty.
type Store struct {
	actors.Journal
	// Reopen closes the journal and gives it again, with what was committed.
	Reopen func() actors.Journal
}

// Journal tries everything that actors.Journal says of a store. Each open gives
// a store of its own, whose end is open's to arrange (t.Cleanup).
func Journal(t *testing.T, open func(t testing.TB) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a log is contiguous from 1":                         contiguous,
		"an unknown session is not found":                    unknown,
		"a session is created once":                          created,
		"a claim ends older activations":                     fenced,
		"who claims has read all of the log":                 claimsOnWhatItRead,
		"of two activations that race one writes":            racing,
		"a client message id is taken once":                  unique,
		"a vouched client message id is found":               vouched,
		"a refused append leaves no trace":                   traceless,
		"text that cannot be kept harms its own append only": poison,
		"marks only rise":                                    marks,
		"devices' marks are bounded":                         devices,
		"deeds are those that were not taken back":           deeds,
		"members come in order of joining":                   membersInOrder,
		"a home row says how a session stands":               home,
		"unread counts what others said":                     unread,
		"what is quiet counts for nobody":                    quiet,
		"ranges are bounded":                                 ranges,
		"a rewritten entry is as it was written last":        rewritten,
		"an original is there as long as it is kept":         originals,
		"due messages come oldest first":                     due,
		"sessions end in the order of their times":           dueSessions,
		"links are written with the rest of an append":       links,
		"a silence is kept, and a dead session is nobody's":  silenceAndDeath,
		"what was committed is there after reopening":        reopened,
		"parallel commits of one session make one log":       parallel,
		"a store does what the model does":                   likeTheModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	for name, test := range contactTests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	room = "s_aaaaaaaaaaaaaaaa"
	hall = "s_bbbbbbbbbbbbbbbb"
	pair = "p_aaaaaaaaaaaaaaaa" // the same bytes as room, another session
)

var background = context.Background()

// create is the Append that makes a session with members in it, at epoch 1.
func create(id protocol.SessionID, users ...protocol.UserID) *actors.Append {
	kind := protocol.SessionType_GROUP
	if id[0] == 'p' {
		kind = protocol.SessionType_P2P
	}
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true,
		Info: &protocol.SessionInfo{Session: id, SessionType: kind, Name: "the " + id, Creator: users[0], CreatedAt: 1000}}
	for i, user := range users {
		a.Members = append(a.Members, &actors.MemberRow{User: user, Inviter: users[0], Order: int64(i + 1), JoinedAt: 1000, Floor: 1})
	}
	return a
}

// message is an entry that sender says.
func message(seq int64, sender protocol.UserID, id protocol.ClientMsgID) *protocol.Entry {
	return &protocol.Entry{Seq: seq, Sender: sender, ClientMsgId: id, CreatedAt: 1000 + seq,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: fmt.Sprintf("%s says %d", sender, seq)}}
}

// says is an Append of messages at epoch 1.
func says(id protocol.SessionID, entries ...*protocol.Entry) *actors.Append {
	return &actors.Append{Session: id, Epoch: 1, Entries: entries, Hashes: make([][8]byte, len(entries))}
}

// commit commits appends of which none may be refused.
func commit(t testing.TB, j actors.Journal, batch ...*actors.Append) {
	t.Helper()
	if err := j.Commit(batch); err != nil {
		t.Fatalf("Commit = %v", err)
	}
	for i, a := range batch {
		if a.Err != nil {
			t.Fatalf("append %d of %d refused: %v", i+1, len(batch), a.Err)
		}
	}
}

// headOf is what a session's log ends with.
func headOf(t testing.TB, j actors.Journal, session protocol.SessionID) int64 {
	t.Helper()
	stored, err := j.Load(background, session)
	if err != nil {
		t.Fatal(err)
	}
	return stored.Head
}

// refused commits one append and gives what it was refused with.
func refused(t testing.TB, j actors.Journal, a *actors.Append) error {
	t.Helper()
	if err := j.Commit([]*actors.Append{a}); err != nil {
		t.Fatalf("Commit = %v", err)
	}
	return a.Err
}

// log gives the seqs of all entries of a session, checking that each is what message made.
func log(t testing.TB, j actors.Journal, id protocol.SessionID) (seqs []int64) {
	t.Helper()
	entries, err := j.Range(background, id, 1, 1<<53, 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Session != id || e.MessagerecvId != protocol.MessageID(id, e.Seq) {
			t.Errorf("an entry of %s calls itself %s of %s", id, e.MessagerecvId, e.Session)
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func oneTo(n int64) (seqs []int64) {
	for seq := range n {
		seqs = append(seqs, seq+1)
	}
	return seqs
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

func logEpoch(t testing.TB, j actors.Journal) string {
	stored, err := j.Load(background, room)
	if err != nil {
		t.Fatal(err)
	}
	return stored.LogEpoch
}
