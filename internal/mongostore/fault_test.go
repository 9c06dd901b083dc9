package mongostore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	room = "s_aaaaaaaaaaaaaaaa"
	hall = "s_bbbbbbbbbbbbbbbb"
)

func creation(id protocol.SessionID, users ...protocol.UserID) *actors.Append {
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true,
		Info: &protocol.SessionInfo{Session: id, SessionType: protocol.SessionType_GROUP, Name: "a room", Creator: users[0], CreatedAt: 1000}}
	for i, user := range users {
		a.Members = append(a.Members, &actors.MemberRow{User: user, Order: int64(i + 1), JoinedAt: 1000, Floor: 1})
	}
	return a
}

func said(seq int64, sender protocol.UserID, id, text string) *protocol.Entry {
	return &protocol.Entry{Seq: seq, Sender: sender, ClientMsgId: id, CreatedAt: 1000 + seq, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}}
}

func saying(id protocol.SessionID, epoch int64, entries ...*protocol.Entry) *actors.Append {
	return &actors.Append{Session: id, Epoch: epoch, Entries: entries, Hashes: make([][8]byte, len(entries))}
}

func commit(t testing.TB, s *Store, batch ...*actors.Append) {
	t.Helper()
	if err := s.Commit(batch); err != nil {
		t.Fatal(err)
	}
	for i, a := range batch {
		if a.Err != nil {
			t.Fatalf("append %d of %d: %v", i+1, len(batch), a.Err)
		}
	}
}

// writer is an activation of a session that sends its messages until they are acknowledged.
type writer struct {
	t     testing.TB
	s     *Store
	id    protocol.SessionID
	name  string
	epoch int64
	head  int64
	acked map[string]int64 // client message id → seq
}

// load takes a new epoch; false: it cannot now.
func (w *writer) load() bool {
	stored, err := w.s.Load(background, w.id)
	if err != nil {
		return false
	}
	a := &actors.Append{Session: w.id, Epoch: stored.Epoch + 1, Claim: true, Head: stored.Head}
	if err := w.s.Commit([]*actors.Append{a}); err != nil {
		w.t.Error(err)
	}
	w.epoch, w.head = stored.Epoch+1, stored.Head
	return a.Err == nil
}

// say sends one message until it is acknowledged, as a client does.
func (w *writer) say(id string) {
	deadline := time.Now().Add(2 * time.Minute)
	for ok := w.epoch > 0; ; {
		if time.Now().After(deadline) {
			w.t.Errorf("%s is not acknowledged", id)
			return
		}
		if !ok && !w.load() {
			continue
		}
		a := saying(w.id, w.epoch, said(w.head+1, w.name, id, "I am "+id))
		if err := w.s.Commit([]*actors.Append{a}); err != nil {
			w.t.Error(err)
			return
		}
		var again *actors.DuplicateError
		switch {
		case a.Err == nil:
			w.head++
			w.acked[id] = w.head
			return
		case errors.As(a.Err, &again):
			w.acked[id] = again.Sent.Seq
			return
		}
		ok = false
	}
}

// compare compares a session's log and row with what was acknowledged.
func compare(t testing.TB, s *Store, id protocol.SessionID, acked map[string]int64) {
	t.Helper()
	stored, err := s.Load(background, id)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.Range(background, id, 1, 1<<50, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int64{}
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has seq %d", i+1, e.Seq)
		}
		if at[e.ClientMsgId] != 0 {
			t.Errorf("%s is there at %d and at %d", e.ClientMsgId, at[e.ClientMsgId], e.Seq)
		}
		at[e.ClientMsgId] = e.Seq
	}
	for word, seq := range acked {
		if at[word] != seq {
			t.Errorf("%s was acknowledged as %d and is at %d", word, seq, at[word])
		}
	}
	if len(at) != len(acked) || stored.Head != int64(len(entries)) {
		t.Errorf("%d entries, head %d, %d acknowledged", len(entries), stored.Head, len(acked))
	}
	row, err := s.HomeOf(background, "ann", id, "")
	if err != nil || row.Head != stored.Head || row.Last.GetSeq() != stored.Head {
		t.Errorf("the home row has head %d and last %d, %v; want %d", row.Head, row.Last.GetSeq(), err, stored.Head)
	}
}

func TestNothingIsLostOrDoubledByWhatAWireDoes(t *testing.T) {
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	direct := openAt(t, Options{URI: uri})
	commit(t, direct, creation(room, "ann"))
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri), Timeout: 5 * time.Second, Patience: time.Minute})
	dice := rand.New(rand.NewPCG(7, 7))
	w.on(func(command, collection string) fault {
		writes := command == "insert" || command == "update"
		if !writes && command != "find" || dice.IntN(3) > 0 {
			return none
		}
		f := fault(dice.IntN(int(faults)))
		if !writes && f == unsettled {
			return none
		}
		return f
	})
	writer := &writer{t: t, s: s, id: room, name: "ann", acked: map[string]int64{}}
	for i := range 15 {
		writer.say(fmt.Sprint("m", i))
	}
	w.on(nil)
	compare(t, direct, room, writer.acked)
	for f := broken; f < faults; f++ {
		if w.done[f] == 0 {
			t.Errorf("fault %d never happened", f)
		}
	}
}

func TestACommitWhoseAnswerIsLostIsFoundAgain(t *testing.T) {
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri)})
	commit(t, s, creation(room, "ann", "bob"))
	for i, f := range []fault{swallowed, steppedOut, unsettled, broken, notPrimary} {
		once := true
		w.on(func(command, collection string) fault {
			if once && command == "insert" && collection == inCommits {
				once = false
				return f
			}
			return none
		})
		seq := int64(i + 1)
		commit(t, s, saying(room, 1, said(seq, "ann", fmt.Sprint(i), "hello")))
		if once {
			t.Errorf("fault %d did not happen", f)
		}
	}
	w.on(nil)
	compare(t, s, room, map[string]int64{"0": 1, "1": 2, "2": 3, "3": 4, "4": 5})
}

func TestAnOutageIsBusyAndEnds(t *testing.T) {
	server := mongotest.Start(t)
	s := openAt(t, Options{URI: server.URI() + "?directConnection=true", Timeout: 300 * time.Millisecond, Patience: 500 * time.Millisecond})
	commit(t, s, creation(room, "ann"), saying(room, 1, said(1, "ann", "a", "hello")))
	server.Kill()
	a := saying(room, 1, said(2, "ann", "b", "hello"))
	for range 3 {
		if err := s.Commit([]*actors.Append{a}); err != nil {
			t.Fatalf("Commit = %v, which ends a process", err)
		}
		if !protocol.Code_BUSY.Is(a.Err) && !errors.Is(a.Err, actors.ErrUnknown) {
			t.Errorf("the append = %v, want BUSY, or that it is not known", a.Err)
		}
	}
	if !protocol.Code_BUSY.Is(a.Err) || !protocol.Code_BUSY.Is(s.Ready()) {
		t.Errorf("during an outage the append = %v, Ready = %v, want BUSY", a.Err, s.Ready())
	}
	if _, err := s.Load(background, room); !protocol.Code_BUSY.Is(err) {
		t.Errorf("Load = %v, want BUSY", err)
	}
	server.Again(t)
	eventually(t, func() bool { return s.Ready() == nil })
	w := &writer{t: t, s: s, id: room, name: "ann", acked: map[string]int64{"a": 1}}
	w.say("b")
	compare(t, s, room, w.acked)
}

// eventually waits for what must come.
func eventually(t testing.TB, until func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !until(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come")
		}
		tick := time.NewTimer(5 * time.Millisecond)
		<-tick.C
	}
}

func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	server := mongotest.Start(t)
	uri := server.URI()
	s := openAt(t, Options{URI: uri + "?directConnection=true", Timeout: time.Second, Patience: time.Minute})
	commit(t, s, creation(room, "ann"), creation(hall, "ann"))
	writers := []*writer{
		{t: t, s: s, id: room, name: "ann", acked: map[string]int64{}},
		{t: t, s: s, id: hall, name: "ann", acked: map[string]int64{}},
	}
	var all sync.WaitGroup
	said := make(chan bool, 100)
	for _, w := range writers {
		all.Go(func() {
			for i := range 20 {
				w.say(fmt.Sprint("m", i))
				said <- true
			}
		})
	}
	for range 3 {
		for range 8 {
			<-said
		}
		server.Kill()
		server.Again(t)
	}
	all.Wait()
	for _, w := range writers {
		compare(t, openAt(t, Options{URI: uri}), w.id, w.acked)
	}
}

func TestOfTwoNodesOneWrites(t *testing.T) {
	uri := mongotest.URI(t)
	nodes := []*Store{openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})}
	commit(t, nodes[0], creation(room, "ann"))
	all := map[string]int64{}
	var mu sync.Mutex
	var done sync.WaitGroup
	for n, s := range nodes {
		done.Go(func() {
			w := &writer{t: t, s: s, id: room, name: "ann", acked: map[string]int64{}}
			for i := range 15 {
				w.say(fmt.Sprint(n, "-", i))
			}
			mu.Lock()
			defer mu.Unlock()
			for id, seq := range w.acked {
				all[id] = seq
			}
		})
	}
	done.Wait()
	for _, s := range nodes {
		compare(t, s, room, all)
	}
}

func TestAnActivationThatWasPausedWritesNothing(t *testing.T) {
	uri := mongotest.URI(t)
	old, now := openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})
	commit(t, old, creation(room, "ann", "bob"), saying(room, 1, said(1, "ann", "a", "hello")))
	if _, err := now.Load(background, room); err != nil {
		t.Fatal(err)
	}
	commit(t, now, &actors.Append{Session: room, Epoch: 2, Claim: true, Head: 1}, saying(room, 2, said(2, "ann", "b", "hello")),
		&actors.Append{Session: room, Epoch: 2, Removed: []protocol.UserID{"bob"}})
	late := saying(room, 1, said(2, "ann", "c", "hello"))
	back := &actors.Append{Session: room, Epoch: 1, Members: []*actors.MemberRow{{User: "bob", Order: 2, Floor: 1}}}
	if err := old.Commit([]*actors.Append{late, back}); err != nil || late.Err == nil || back.Err == nil {
		t.Errorf("Commit = %v, %v, %v, want both refused", err, late.Err, back.Err)
	}
	// Who claims with what it read before somebody else wrote has to read again.
	if _, err := old.Load(background, room); err != nil {
		t.Fatal(err)
	}
	commit(t, now, saying(room, 2, said(3, "ann", "d", "hello")))
	claim := &actors.Append{Session: room, Epoch: 3, Claim: true, Head: 2}
	if err := old.Commit([]*actors.Append{claim}); err != nil || !errors.Is(claim.Err, actors.ErrStale) {
		t.Errorf("the claim = %v, %v, want ErrStale", err, claim.Err)
	}
	compare(t, now, room, map[string]int64{"a": 1, "b": 2, "d": 3})
	if ids, err := now.SessionsOf(background, "bob"); err != nil || len(ids) != 0 {
		t.Errorf("bob is in %v, %v", ids, err)
	}
}

func TestWhatAWriterDidNotLiveToFinishIsDoneByTheNext(t *testing.T) {
	uri := mongotest.URI(t)
	dead, next := openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})
	commit(t, dead, creation(room, "ann", "bob"), saying(room, 1, said(1, "ann", "a", "hello")))
	recall := said(1, "ann", "a", "")
	recall.Content, recall.Recalled = nil, true
	w := &work{session: room, appends: []*actors.Append{{Session: room, Epoch: 1,
		Entries: []*protocol.Entry{said(2, "ann", "b", "bye")}, Hashes: make([][8]byte, 1), Rewrites: []*protocol.Entry{recall},
		Info:    &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_GROUP, Name: "renamed", Until: 77},
		Removed: []protocol.UserID{"bob"}, Marks: []actors.Mark{{User: "ann", ReadSeq: 2}},
		Members: []*actors.MemberRow{{User: "cid", Order: 3, Floor: 2}}}}}
	dead.prepare(background, w)
	if err := dead.insertCommits(background, []*commitDoc{w.doc})[0]; err != nil {
		t.Fatal(err)
	}
	stored, err := next.Load(background, room)
	if err != nil || stored.Head != 2 || stored.Info.Name != "renamed" || len(stored.Members) != 2 || stored.Members[0].ReadSeq != 2 {
		t.Errorf("Load = %+v, %v", stored, err)
	}
	if due, err := next.DueSessions(background, time.UnixMilli(100), 5); err != nil || !slices.Equal(due, []string{room}) {
		t.Errorf("DueSessions = %v, %v", due, err)
	}
	entries, err := next.Range(background, room, 1, 9, 9, 1<<20)
	if err != nil || len(entries) != 2 || !entries[0].Recalled || entries[0].Content != nil {
		t.Errorf("Range = %v, %v", entries, err)
	}
	for user, want := range map[string]int{"ann": 1, "bob": 0, "cid": 1} {
		if ids, err := next.SessionsOf(background, user); err != nil || len(ids) != want {
			t.Errorf("%s is in %v, %v", user, ids, err)
		}
	}
}

func TestAPendingCommitIsDecidedByWhoeverComesFirst(t *testing.T) {
	uri := mongotest.URI(t)
	dead, next := openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})
	for i, good := range []bool{true, false} {
		id := []string{room, hall}[i]
		commit(t, dead, creation(id, "ann"))
		row := &actors.ContactRow{User: "ann", Other: "bob" + id, Friend: true}
		a := saying(id, 1, said(1, "ann", "a", "hello"))
		a.Contacts = &actors.ContactChange{Contacts: []*actors.ContactRow{row}}
		w := &work{session: id, appends: []*actors.Append{a}, alone: true}
		dead.prepare(background, w)
		if err := dead.insertCommits(background, []*commitDoc{w.doc})[0]; err != nil {
			t.Fatal(err)
		}
		if !good {
			if err := next.CommitContacts(background, &actors.ContactChange{Contacts: []*actors.ContactRow{{User: "ann", Other: "bob" + id, Blocked: true}}}); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := next.Load(background, id)
		p, perr := next.Pair(background, "ann", "bob"+id)
		if err != nil || perr != nil || (stored.Head == 1) != good || p.Mine.Friend != good {
			t.Errorf("head %d, friends %v, %v, %v; want it written: %v", stored.Head, p.Mine.Friend, err, perr, good)
		}
		// The one that was thought dead is told the same.
		dead.settlePending(background, w)
		if (a.Err == nil) != good || !good && !errors.Is(a.Err, actors.ErrChanged) {
			t.Errorf("the writer is told %v, want it written: %v", a.Err, good)
		}
		commit(t, dead, saying(id, 1, said(stored.Head+1, "ann", "b", "hello")))
	}
}

func TestWhatWasRecalledOrEditedIsNowhere(t *testing.T) {
	s := open(t)
	commit(t, s, creation(room, "ann"), creation(hall, "ann"))
	commit(t, s, saying(room, 1, said(1, "ann", "a", "first-secret")), saying(hall, 1, said(1, "ann", "a", "fourth-secret")))
	edit := said(1, "ann", "a", "second-secret")
	edit.EditedAt = 9
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{edit}})
	again := said(1, "ann", "a", "third-secret")
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{again}, Original: &actors.Original{Seq: 1, Content: edit.Content}})
	for _, id := range []string{room, hall} {
		recall := said(1, "ann", "a", "")
		recall.Content, recall.Recalled = nil, true
		commit(t, s, &actors.Append{Session: id, Epoch: 1, Rewrites: []*protocol.Entry{recall}, Original: &actors.Original{Seq: 1}})
	}
	everywhere(t, s, func(collection string, doc bson.Raw) {
		if strings.Contains(string(doc), "-secret") {
			t.Errorf("in %s there is %s", collection, doc)
		}
	})
}

// everywhere calls use with every document of the database.
func everywhere(t testing.TB, s *Store, use func(collection string, doc bson.Raw)) {
	t.Helper()
	names, err := s.db.ListCollectionNames(background, bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		cursor, err := s.db.Collection(name).Find(background, bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		for cursor.Next(background) {
			use(name, cursor.Current)
		}
		if err := cursor.Close(background); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStrippedCommitsKeepTheirNumbersAndEntries(t *testing.T) {
	uri := mongotest.URI(t)
	s := openAt(t, Options{URI: uri})
	commit(t, s, creation(room, "ann"), saying(room, 1, said(1, "ann", "a", "hello")))
	if err := s.stripNow(background, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	c, err := get[commitDoc](background, s, inCommits, commitID(room, 1))
	if err != nil || c == nil || c.Rest != nil || c.Done != 0 {
		t.Errorf("the commit is %+v, %v, want its number without the rest", c, err)
	}
	compare(t, openAt(t, Options{URI: uri}), room, map[string]int64{"a": 1})
}

func TestStandingsKeepWhatWasChosen(t *testing.T) {
	s := open(t)
	keep := func(all ...actors.Standing) {
		t.Helper()
		if err := s.KeepStandings(background, all); err != nil {
			t.Fatal(err)
		}
	}
	keep(actors.Standing{User: "ann", Status: "away", LastActive: 5}, actors.Standing{User: "bob", LastActive: 7})
	keep(actors.Standing{User: "ann", LastActive: 3}, actors.Standing{User: "bob", Status: "busy", LastActive: 9})
	got, err := s.Standings(context.Background(), []string{"ann", "bob", "cid"})
	slices.SortFunc(got, func(a, b actors.Standing) int { return strings.Compare(a.User, b.User) })
	if want := []actors.Standing{{User: "ann", Status: "away", LastActive: 5}, {User: "bob", Status: "busy", LastActive: 9}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Standings = %v, %v, want %v", got, err, want)
	}
}

func TestACommitThatIsGivenUpEndsAndIsNotSaidToBeUndone(t *testing.T) {
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri), Patience: time.Hour})
	commit(t, s, creation(room, "ann"))
	seen := make(chan struct{}, 1)
	w.on(func(command, collection string) fault {
		if command == "insert" && collection == inCommits {
			select {
			case seen <- struct{}{}:
			default:
			}
			return swallowed
		}
		return broken
	})
	go func() {
		<-seen
		s.GiveUp()
	}()
	a := saying(room, 1, said(1, "ann", "a", "hello"))
	if err := s.Commit([]*actors.Append{a}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(a.Err, actors.ErrUnknown) {
		t.Errorf("it says %v, which is definite", a.Err)
	}
}
