package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// Searched is a store that keeps messages and what finds them.
type Searched interface {
	actors.Journal
	search.Store
}

// Search tries everything that search.Store says of a store, which open gives empty.
func Search(t *testing.T, open func(t *testing.T) Searched) {
	for name, test := range map[string]func(*testing.T, Searched){
		"a full block is unsigned until it is signed":    signedOnce,
		"what is behind the full blocks is signed too":   tailsSigned,
		"a change of words takes the signature away":     unsignedByChange,
		"a block that changes while it is signed is not": changedMeanwhile,
		"many blocks are signed, session by session":     manySigned,
		"another version's signatures are removed":       otherVersion,
		"rooms are what a user is in, from its floor":    rooms,
		"messages come newest first, as they now stand":  messagesBackward,
		"what may not be read any more is not given":     readAgain,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// fill says n messages in a session that has seqs up to from.
func fill(t *testing.T, s Searched, id protocol.SessionID, from, n int64) {
	t.Helper()
	var entries []*protocol.Entry
	for seq := from + 1; seq <= from+n; seq++ {
		entries = append(entries, message(seq, "ann", fmt.Sprint(id, seq)))
	}
	commit(t, s, says(id, entries...))
}

// texts signs a block by the words themselves, so that tests see what was signed.
func texts(messages []search.Message) []byte {
	var all []string
	for _, m := range messages {
		c := &protocol.Content{}
		if err := proto.Unmarshal(m.Content, c); err != nil {
			all = append(all, err.Error())
		}
		all = append(all, fmt.Sprintf("%d %d %s %s", m.Seq, m.CreatedAt, m.Sender, c.Text))
	}
	return []byte(strings.Join(all, "\n"))
}

// sign signs all that is unsigned in the sessions.
func sign(t *testing.T, s Searched, sessions ...protocol.SessionID) {
	t.Helper()
	for len(sessions) > 0 {
		var err error
		sessions, err = s.Sign(background, sessions, false, texts)
		must(t, err)
	}
}

// signatures gives the blocks that are signed, the newest first, and what one of them says.
func signatures(t *testing.T, s Searched, id protocol.SessionID, of int64) (blocks []int64, said string) {
	t.Helper()
	must(t, s.Look(background, func(r search.Reader) error {
		return r.Signatures(id, 0, 1000, func(block, _ int64, signature []byte) bool {
			if blocks = append(blocks, block); block == of {
				said = string(signature)
			}
			return true
		})
	}))
	return blocks, said
}

func unsigned(t *testing.T, s Searched, want ...protocol.SessionID) {
	t.Helper()
	got, to, err := s.Unsigned(background, "", 100)
	must(t, err)
	equal(t, "sessions behind all", to, "")
	slices.Sort(got)
	equal(t, "unsigned", got, want)
}

func signedOnce(t *testing.T, s Searched) {
	var told []protocol.SessionID
	s.Watch(func(id protocol.SessionID) { told = append(told, id) })
	commit(t, s, create(room, "ann"), create(hall, "ann"))
	unsigned(t, s)
	fill(t, s, room, 0, search.BlockSize-1)
	equal(t, "told", len(told), 0)
	fill(t, s, room, search.BlockSize-1, 1)
	equal(t, "told", told, []string{room})
	unsigned(t, s, room)
	sign(t, s, room, hall, "s_none", "nothing")
	unsigned(t, s)
	blocks, said := signatures(t, s, room, 0)
	equal(t, "blocks", blocks, []int64{0})
	lines := strings.Split(said, "\n")
	equal(t, "messages signed", len(lines), search.BlockSize)
	equal(t, "the first of them", lines[0], "64 1064 ann ann says 64")
	blocks, _ = signatures(t, s, pair, 0)
	equal(t, "blocks of the session with the same bytes", len(blocks), 0)
}

func tailsSigned(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann"))
	fill(t, s, room, 0, search.BlockSize+3)
	all := func(want string) {
		t.Helper()
		var got []string
		must(t, s.Look(background, func(r search.Reader) error {
			return r.Signatures(room, 0, 1000, func(block, n int64, signature []byte) bool {
				lines := strings.Split(string(signature), "\n")
				if int64(len(lines)) != n {
					t.Errorf("the signature of %d messages of block %d is of %d", n, block, len(lines))
				}
				got = append(got, fmt.Sprintf("%d: %d, from %s", block, n, lines[0]))
				return true
			})
		}))
		equal(t, "signatures", strings.Join(got, "; "), want)
	}
	tails := func() {
		t.Helper()
		rest, err := s.Sign(background, []protocol.SessionID{room}, true, texts)
		must(t, err)
		equal(t, "rest", len(rest), 0)
	}
	sign(t, s, room)
	all("0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s, room)
	tails()
	all("1: 3, from 67 1067 ann ann says 67; 0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s)

	edited := message(66, "ann", room+"66")
	edited.Content = nil
	edited.Recalled = true
	change := says(room)
	change.Rewrites = []*protocol.Entry{edited}
	commit(t, s, change)
	all("0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s, room)
	fill(t, s, room, search.BlockSize+3, search.BlockSize-4)
	unsigned(t, s, room)
	edited = message(66, "ann", room+"66")
	change = says(room)
	change.Rewrites = []*protocol.Entry{edited}
	commit(t, s, change)
	sign(t, s, room)
	all("1: 63, from 127 1127 ann ann says 127; 0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s)

	fill(t, s, room, 2*search.BlockSize-1, 2)
	unsigned(t, s, room)
	sign(t, s, room)
	all("1: 64, from 128 1128 ann ann says 128; 0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s, room)
	tails()
	all("2: 1, from 129 1129 ann ann says 129; 1: 64, from 128 1128 ann ann says 128; 0: 64, from 64 1064 ann ann says 64")
	unsigned(t, s)
}

func unsignedByChange(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann"))
	fill(t, s, room, 0, 3*search.BlockSize-1)
	sign(t, s, room)
	var told []protocol.SessionID
	s.Watch(func(id protocol.SessionID) { told = append(told, id) })
	reacted := message(5, "ann", room+"5")
	reacted.Reactions = []*protocol.Reaction{{Reaction: "+", Users: []string{"ann"}}}
	recalled := message(6, "ann", room+"6")
	recalled.Content, recalled.Recalled = nil, true
	edited := message(70, "ann", room+"70")
	edited.Content = &protocol.Content{Type: protocol.ContentType_TEXT, Text: "edited"}
	open := message(3*search.BlockSize-2, "ann", room+"190")
	open.Content = nil

	change := says(room)
	change.Rewrites = []*protocol.Entry{reacted}
	commit(t, s, change)
	blocks, _ := signatures(t, s, room, 0)
	equal(t, "blocks after a reaction", blocks, []int64{1, 0})
	equal(t, "told", len(told), 0)

	change = says(room)
	change.Rewrites = []*protocol.Entry{recalled, edited, open}
	commit(t, s, change)
	blocks, _ = signatures(t, s, room, 0)
	equal(t, "blocks after a recall and an edit, one of them in what is not full", len(blocks), 0)
	equal(t, "told", told, []string{room})
	unsigned(t, s, room)
	sign(t, s, room)
	unsigned(t, s)
	_, said := signatures(t, s, room, 0)
	if strings.Contains(said, "says 6\n") || !strings.Contains(said, "says 7\n") {
		t.Errorf("after a recall it is signed as %s", said)
	}
	if _, said = signatures(t, s, room, 1); !strings.Contains(said, "edited") || strings.Contains(said, "says 70") {
		t.Errorf("after an edit it is signed as %s", said)
	}
}

func changedMeanwhile(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann"))
	fill(t, s, room, 0, 2*search.BlockSize)
	recall := func(seq int64) {
		e := message(seq, "ann", fmt.Sprint(room, seq))
		e.Content, e.Recalled = nil, true
		change := says(room)
		change.Rewrites = []*protocol.Entry{e}
		commit(t, s, change)
	}
	for i, seq := range []int64{1, 2} { // a block without a signature, and one that was changed before
		n := 0
		_, err := s.Sign(background, []protocol.SessionID{room}, true, func(messages []search.Message) []byte {
			if n++; n == 1 {
				recall(seq)
			}
			return texts(messages)
		})
		must(t, err)
		blocks, said := signatures(t, s, room, 0)
		if slices.Contains(blocks, 0) {
			t.Errorf("%d: a block was signed as it had been: %s", i, said)
		}
		unsigned(t, s, room)
	}
	sign(t, s, room)
	unsigned(t, s)
	if _, said := signatures(t, s, room, 0); strings.Contains(said, "says 1\n") || strings.HasSuffix(said, "says 2") || !strings.HasSuffix(said, "says 3") {
		t.Errorf("it is signed as %s", said)
	}
}

func manySigned(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann"), create(hall, "ann"), create(pair, "ann", "bob"))
	fill(t, s, room, 0, 150*search.BlockSize)
	fill(t, s, hall, 0, search.BlockSize)
	fill(t, s, pair, 0, search.BlockSize)
	looks := 0
	all := func(atOnce int) (seen []protocol.SessionID) {
		looks = 0
		for after := protocol.SessionID(""); ; looks++ {
			page, to, err := s.Unsigned(background, after, atOnce)
			must(t, err)
			if seen = append(seen, page...); to == "" {
				slices.Sort(seen)
				return seen
			}
			if to == after {
				t.Fatalf("behind %s it comes again", to)
			}
			after = to
		}
	}
	want := []protocol.SessionID{room, hall, pair}
	slices.Sort(want)
	equal(t, "unsigned sessions, one by one", all(1), want)
	equal(t, "by twos", all(2), want)
	sign(t, s, room, hall, pair)
	unsigned(t, s)
	equal(t, "when all are signed", len(all(1)), 0)
	equal(t, "looks that gave none", looks, 3)
	blocks, _ := signatures(t, s, room, 0)
	equal(t, "blocks", len(blocks), 150)
	blocks = nil
	must(t, s.Look(background, func(r search.Reader) error {
		return r.Signatures(room, 10, 20, func(block, _ int64, _ []byte) bool { blocks = append(blocks, block); return block > 18 })
	}))
	equal(t, "some of them", blocks, []int64{20, 19, 18})
}

func otherVersion(t *testing.T, s Searched) {
	must(t, s.Prepare(background, 1))
	commit(t, s, create(room, "ann"))
	fill(t, s, room, 0, search.BlockSize)
	sign(t, s, room)
	must(t, s.Prepare(background, 1))
	unsigned(t, s)
	must(t, s.Prepare(background, 2))
	unsigned(t, s, room)
}

func rooms(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann", "bob"), create(hall, "ann"), create(pair, "ann", "bob"))
	fill(t, s, room, 0, 5)
	late := says(room)
	late.Members = []*actors.MemberRow{{User: "eve", Inviter: "ann", Order: 3, JoinedAt: 2000, Floor: 4}}
	dead := says(hall)
	dead.Info = &protocol.SessionInfo{Session: hall, SessionType: protocol.SessionType_GROUP, Dead: true}
	commit(t, s, late, dead)
	ask := func(user protocol.UserID, only protocol.SessionID) (found []search.Room) {
		t.Helper()
		must(t, s.Look(background, func(r search.Reader) (err error) {
			found, err = r.Rooms(user, only)
			return err
		}))
		return found
	}
	equal(t, "eve's", ask("eve", ""), []search.Room{{Session: room, From: 4, Head: 5}})
	equal(t, "bob's", len(ask("bob", "")), 2)
	equal(t, "bob's pair", ask("bob", pair), []search.Room{{Session: pair, From: 1}})
	equal(t, "a stranger's", len(ask("mallory", ""))+len(ask("mallory", room))+len(ask("bob", "s_none"))+len(ask("bob", hall)), 0)
	equal(t, "a dead one", len(ask("ann", hall)), 0)
	gone := says(room)
	gone.Removed = []protocol.UserID{"bob"}
	commit(t, s, gone)
	equal(t, "one that bob has left", len(ask("bob", room)), 0)
}

func messagesBackward(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann"))
	fill(t, s, room, 0, 4)
	join := &protocol.Entry{Seq: 5, Kind: protocol.Kind_JOIN, Sender: "ann", CreatedAt: 1005, Members: []string{"bob"}}
	last := message(6, "bob", "x")
	last.Expire = 60
	recalled := message(2, "ann", room+"2")
	recalled.Content, recalled.Recalled = nil, true
	change := says(room, join, last)
	change.Rewrites = []*protocol.Entry{recalled}
	commit(t, s, change)
	read := func(from, to int64, n int) string {
		var all []string
		must(t, s.Look(background, func(r search.Reader) error {
			return r.Messages(room, from, to, func(m *search.Message) bool {
				all = append(all, fmt.Sprintf("%s+%d", texts([]search.Message{*m}), m.Expire))
				return len(all) < n
			})
		}))
		return strings.Join(all, ", ")
	}
	equal(t, "all", read(1, 100, 100), "6 1006 bob bob says 6+60, 4 1004 ann ann says 4+0, 3 1003 ann ann says 3+0, 1 1001 ann ann says 1+0")
	equal(t, "some", read(2, 4, 100), "4 1004 ann ann says 4+0, 3 1003 ann ann says 3+0")
	equal(t, "one", read(1, 100, 1), "6 1006 bob bob says 6+60")
	equal(t, "none", read(5, 4, 1)+read(5, 5, 1)+read(100, 200, 1), "")
}

func readAgain(t *testing.T, s Searched) {
	commit(t, s, create(room, "ann", "bob"), create(hall, "ann"), create(pair, "ann", "bob"))
	fill(t, s, room, 0, 4)
	fill(t, s, hall, 0, 1)
	fill(t, s, pair, 0, 1)
	recalled := message(2, "ann", room+"2")
	recalled.Content, recalled.Recalled = nil, true
	over := message(5, "ann", "over")
	over.Expire = 1 // of a time long ago
	change := says(room, over)
	change.Rewrites = []*protocol.Entry{recalled}
	change.Members = []*actors.MemberRow{{User: "eve", Inviter: "ann", Order: 3, JoinedAt: 2000, Floor: 4}}
	dead := says(hall)
	dead.Info = &protocol.SessionInfo{Session: hall, SessionType: protocol.SessionType_GROUP, Dead: true}
	commit(t, s, change, dead)
	ask := func(user protocol.UserID) (all []string) {
		found, err := s.Read(background, user, []search.Place{{Session: room, Seq: 1}, {Session: room, Seq: 2}, {Session: room, Seq: 4}, {Session: room, Seq: 5},
			{Session: hall, Seq: 1}, {Session: pair, Seq: 1}, {Session: room, Seq: 99}, {Session: "s_none", Seq: 1}})
		must(t, err)
		equal(t, "answers", len(found), 8)
		for _, f := range found {
			if f == nil {
				all = append(all, "-")
				continue
			}
			all = append(all, fmt.Sprintf("%s %d", f.Info.Name, len(f.Info.Members)))
		}
		return all
	}
	equal(t, "ann's", ask("ann"), []string{"the " + room + " 0", "-", "the " + room + " 0", "-", "-", "the " + pair + " 2", "-", "-"})
	equal(t, "eve's", ask("eve"), []string{"-", "-", "the " + room + " 0", "-", "-", "-", "-", "-"})
	equal(t, "a stranger's", ask("mallory"), []string{"-", "-", "-", "-", "-", "-", "-", "-"})
}
