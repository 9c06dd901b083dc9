package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// BotStore is a store of bots with the sessions that they are in.
type BotStore interface {
	desk.Store
	actors.Journal
}

// Bots checks what a desk.Store promises. open gives an empty store each time.
func Bots(t *testing.T, open func(t *testing.T) BotStore) {
	for name, test := range map[string]func(*testing.T, BotStore){
		"a cursor comes back as it was written":      botCursors,
		"sessions with something new are found":      botsBehind,
		"what is kept of a bot in a session ends":    botForgotten,
		"a state is kept until it says nothing":      botStates,
		"dead letters are listed page by page":       botDeads,
		"a key is compared and set":                  botKeyIsCompared,
		"a key's time ends":                          botKeyEnds,
		"keys of a plugin are bounded together":      botKeysAreBounded,
		"keys are listed by prefix in their room":    botKeysAreListed,
		"schedules are due in their order, and move": botSchedules,
		"schedules that are late are found":          botSchedulesThatAreLate,
		"a wish is kept until its time is over":      botWishes,
		"sessions that a bot is gone from are found": botsGone,
		"tries are kept until they end":              botTries,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const robot = "b_echo"

// botSession makes a session that robot is in, with n messages.
func botSession(t *testing.T, s BotStore, n int) protocol.SessionID {
	t.Helper()
	id := protocol.NewSessionID()
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true,
		Info:    &protocol.SessionInfo{Session: id, SessionType: protocol.SessionType_GROUP, Creator: "ann", CreatedAt: 1},
		Members: []*actors.MemberRow{{User: "ann", Order: 1, Floor: 1}, {User: robot, Order: 2, Floor: 1}},
	}
	for i := range n {
		a.Entries = append(a.Entries, &protocol.Entry{
			Session: id, Seq: int64(i + 1), MessagerecvId: protocol.MessageID(id, int64(i+1)), Sender: "ann", ClientMsgId: fmt.Sprint(i),
			Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hi"}, CreatedAt: 1,
		})
		a.Hashes = append(a.Hashes, [8]byte{byte(i)})
	}
	must(t, s.Commit([]*actors.Append{a}))
	must(t, a.Err)
	return id
}

func botCursors(t *testing.T, s BotStore) {
	one, two := protocol.NewSessionID(), protocol.P2PSessionID("a", robot)
	got, err := s.BotCursor(background, robot, one)
	if must(t, err); got != nil {
		t.Errorf("there is a cursor: %+v", got)
	}
	must(t, s.PutBotCursors(background, []*desk.Cursor{
		{Bot: robot, Session: one, Seq: 7}, {Bot: robot, Session: two, Seq: 3, Ahead: []int64{5, 9}}, {Bot: "b_echo.x", Session: one, Seq: -1},
	}))
	for _, want := range []*desk.Cursor{{Bot: robot, Session: one, Seq: 7}, {Bot: robot, Session: two, Seq: 3, Ahead: []int64{5, 9}}, {Bot: "b_echo.x", Session: one, Seq: -1}} {
		got, err := s.BotCursor(background, want.Bot, want.Session)
		must(t, err)
		equal(t, "cursor", fmt.Sprint(*got), fmt.Sprint(*want))
	}
	must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: two, Seq: 9}}))
	got, err = s.BotCursor(background, robot, two)
	must(t, err)
	equal(t, "cursor", fmt.Sprint(*got), fmt.Sprint(desk.Cursor{Bot: robot, Session: two, Seq: 9}))
}

func botsBehind(t *testing.T, s BotStore) {
	want := map[string]desk.Behind{}
	for n := range 7 {
		id := botSession(t, s, n)
		b := desk.Behind{Session: id, Head: int64(n), New: true}
		if n%2 == 1 {
			must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: id, Seq: int64(n - n%3)}}))
			b.New, b.Seq = false, int64(n-n%3)
		}
		if b.New || b.Seq < b.Head {
			want[id] = b
		}
	}
	untold := botSession(t, s, 0) // nothing was said in it, and the bot was not told that it is in it
	must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: untold, Seq: -1}}))
	want[untold] = desk.Behind{Session: untold, Seq: -1}
	got := map[string]desk.Behind{}
	for after, pages := "", 0; ; pages++ {
		all, next, err := s.BotsBehind(background, robot, after, 2)
		must(t, err)
		if len(all) > 2 || pages > 10 {
			t.Fatalf("page %d has %d", pages, len(all))
		}
		for _, b := range all {
			got[b.Session] = b
		}
		if after = next; next == "" {
			break
		}
	}
	equal(t, "behind", fmt.Sprint(got), fmt.Sprint(want))
	all, _, err := s.BotsBehind(background, "b_other", "", 10)
	must(t, err)
	equal(t, "of another bot", fmt.Sprint(all), "[]")
}

func botForgotten(t *testing.T, s BotStore) {
	one, two := protocol.NewSessionID(), protocol.NewSessionID()
	for _, id := range []string{one, two} {
		must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: id, Seq: 7}}))
		must(t, s.PutBotState(background, robot, id, desk.State{Human: true}))
		must(t, s.PutBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: id, ID: "s", At: 5, Kind: "schedule"}, 10))
	}
	must(t, s.ForgetBot(background, robot, "echo", one))
	for id, there := range map[string]bool{one: false, two: true} {
		c, err := s.BotCursor(background, robot, id)
		must(t, err)
		state, err := s.BotState(background, robot, id)
		must(t, err)
		if (c != nil) != there || state.Human != there {
			t.Errorf("of %s there is %v, %v", id, c, state)
		}
	}
	due, _, err := s.DueBotSchedules(background, "echo", time.UnixMilli(9), 9)
	must(t, err)
	if len(due) != 1 || due[0].Session != two {
		t.Errorf("due is %v", due)
	}
}

func botStates(t *testing.T, s BotStore) {
	one, two := protocol.NewSessionID(), protocol.P2PSessionID("a", robot)
	must(t, s.PutBotState(background, robot, one, desk.State{Consent: "allowed", By: "ann", MutedTill: 9}))
	must(t, s.PutBotState(background, robot, two, desk.State{Human: true}))
	must(t, s.PutBotState(background, "b_other", two, desk.State{Human: true}))
	got := map[string]desk.State{}
	must(t, s.BotStates(background, robot, func(session string, state desk.State) error { got[session] = state; return nil }))
	equal(t, "states", fmt.Sprint(got), fmt.Sprint(map[string]desk.State{one: {Consent: "allowed", By: "ann", MutedTill: 9}, two: {Human: true}}))
	must(t, s.PutBotState(background, robot, one, desk.State{}))
	state, err := s.BotState(background, robot, one)
	must(t, err)
	equal(t, "state", fmt.Sprint(state), fmt.Sprint(desk.State{}))
}

func botDeads(t *testing.T, s BotStore) {
	for _, l := range []*desk.DeadLetter{{Plugin: "b", Event: "1"}, {Plugin: "a", Event: "2", Why: "POISON", Body: []byte{1}}, {Plugin: "a", Event: "1", Seq: 4}} {
		must(t, s.PutBotDead(background, l))
	}
	names := func(plugin string, after *desk.DeadLetter, limit int) (names []string) {
		all, err := s.BotDeads(background, plugin, after, limit)
		must(t, err)
		for _, l := range all {
			names = append(names, l.Plugin+l.Event)
		}
		return names
	}
	equal(t, "all", fmt.Sprint(names("", nil, 9)), "[a1 a2 b1]")
	equal(t, "of a", fmt.Sprint(names("a", nil, 9)), "[a1 a2]")
	equal(t, "behind a1", fmt.Sprint(names("", &desk.DeadLetter{Plugin: "a", Event: "1"}, 1)), "[a2]")
	l, err := s.BotDead(background, "a", "2")
	must(t, err)
	if l.Why != "POISON" || !bytes.Equal(l.Body, []byte{1}) {
		t.Errorf("it came back as %+v", l)
	}
	must(t, s.DropBotDead(background, "a", "2"))
	_, err = s.BotDead(background, "a", "2")
	wants(t, err, protocol.Code_NOT_FOUND)
}

var botNow = time.UnixMilli(1_000_000)

func setKey(t *testing.T, s BotStore, at desk.KeyAt, w desk.KeyWrite) desk.KeyItem {
	t.Helper()
	item, err := s.SetBotKey(background, at, w, 1<<20, botNow)
	must(t, err)
	return item
}

func botKeyIsCompared(t *testing.T, s BotStore) {
	at := desk.KeyAt{Plugin: "echo", Room: "-", Key: "k"}
	none, first := int64(0), setKey(t, s, at, desk.KeyWrite{Value: []byte("one"), If: new(int64)})
	if first.Version == 0 {
		t.Fatal("a key that is there has the version 0")
	}
	_, err := s.SetBotKey(background, at, desk.KeyWrite{Value: []byte("two"), If: &none}, 1<<20, botNow)
	wants(t, err, protocol.Code_CONFLICT)
	second := setKey(t, s, at, desk.KeyWrite{Value: []byte("two"), If: &first.Version})
	_, err = s.SetBotKey(background, at, desk.KeyWrite{Value: []byte("three"), If: &first.Version}, 1<<20, botNow)
	wants(t, err, protocol.Code_CONFLICT)
	got, err := s.BotKey(background, at, botNow)
	must(t, err)
	equal(t, "the key", fmt.Sprint(got), fmt.Sprint(second))
	_, err = s.SetBotKey(background, at, desk.KeyWrite{Remove: true, If: &first.Version}, 1<<20, botNow)
	wants(t, err, protocol.Code_CONFLICT)
	setKey(t, s, at, desk.KeyWrite{Remove: true, If: &second.Version})
	setKey(t, s, at, desk.KeyWrite{Remove: true})
	got, err = s.BotKey(background, at, botNow)
	must(t, err)
	equal(t, "version of what is not there", fmt.Sprint(got.Version), "0")
	if again := setKey(t, s, at, desk.KeyWrite{If: &none}); again.Version <= second.Version {
		t.Errorf("versions are %d, and after it was removed %d", second.Version, again.Version)
	}
}

func botKeyEnds(t *testing.T, s BotStore) {
	at := desk.KeyAt{Plugin: "echo", Room: "-", Key: "k"}
	end := botNow.UnixMilli() + 10
	setKey(t, s, at, desk.KeyWrite{Value: []byte("v"), Expires: end})
	setKey(t, s, desk.KeyAt{Plugin: "echo", Room: "-", Key: "stays"}, desk.KeyWrite{Value: []byte("v")})
	late := botNow.Add(10 * time.Millisecond)
	got, err := s.BotKey(background, at, late)
	must(t, err)
	list, err := s.BotKeys(background, desk.KeyAt{Plugin: "echo", Room: "-"}, "", 9, late)
	must(t, err)
	if got.Version != 0 || len(list) != 1 {
		t.Errorf("behind its time it is %v, listed are %v", got, list)
	}
	n, err := s.SweepBotKeys(background, botNow, 10)
	must(t, err)
	equal(t, "swept too early", fmt.Sprint(n), "0")
	n, err = s.SweepBotKeys(background, late, 10)
	must(t, err)
	equal(t, "swept", fmt.Sprint(n), "1")
	if n, err = s.SweepBotKeys(background, late, 10); n != 0 || err != nil {
		t.Errorf("swept once more: %d, %v", n, err)
	}
	_, err = s.SetBotKey(background, at, desk.KeyWrite{Value: []byte("v"), If: new(int64)}, int64(len("stays")+1+len("k")+1), late)
	must(t, err) // its room is free again
}

func botKeysAreBounded(t *testing.T, s BotStore) {
	at := func(room, key string) desk.KeyAt { return desk.KeyAt{Plugin: "echo", Room: room, Key: key} }
	value := []byte(strings.Repeat("v", 9))
	for i := range 4 {
		_, err := s.SetBotKey(background, at("-", fmt.Sprint(i)), desk.KeyWrite{Value: value}, 40, botNow)
		must(t, err)
	}
	_, err := s.SetBotKey(background, at(protocol.NewSessionID(), "5"), desk.KeyWrite{}, 40, botNow)
	wants(t, err, protocol.Code_QUOTA)
	_, err = s.SetBotKey(background, at("-", "0"), desk.KeyWrite{Value: value[:8]}, 40, botNow)
	must(t, err)
	_, err = s.SetBotKey(background, at("-", "5"), desk.KeyWrite{}, 40, botNow)
	must(t, err)
	_, err = s.SetBotKey(background, desk.KeyAt{Plugin: "other", Room: "-", Key: "0"}, desk.KeyWrite{Value: value}, 40, botNow)
	must(t, err)
}

func botKeysAreListed(t *testing.T, s BotStore) {
	room := protocol.NewSessionID()
	for _, key := range []string{"a", "ab", "b/1", "b/2", "b/3", "c"} {
		setKey(t, s, desk.KeyAt{Plugin: "echo", Room: room, Key: key}, desk.KeyWrite{Value: []byte(key)})
		setKey(t, s, desk.KeyAt{Plugin: "echo", Room: "-", Key: key + "x"}, desk.KeyWrite{})
		setKey(t, s, desk.KeyAt{Plugin: "echo2", Room: room, Key: key + "y"}, desk.KeyWrite{})
	}
	list := func(prefix, after string, limit int) (keys []string) {
		all, err := s.BotKeys(background, desk.KeyAt{Plugin: "echo", Room: room, Key: prefix}, after, limit, botNow)
		must(t, err)
		for _, i := range all {
			if string(i.Value) != i.Key {
				t.Errorf("%s has %q", i.Key, i.Value)
			}
			keys = append(keys, i.Key)
		}
		return keys
	}
	equal(t, "all", fmt.Sprint(list("", "", 9)), "[a ab b/1 b/2 b/3 c]")
	equal(t, "of b", fmt.Sprint(list("b/", "", 2)), "[b/1 b/2]")
	equal(t, "of b from 2 on", fmt.Sprint(list("b/", "b/2", 9)), "[b/3]")
	equal(t, "of b from a on", fmt.Sprint(list("b/", "a", 9)), "[b/1 b/2 b/3]")
}

func botSchedules(t *testing.T, s BotStore) {
	put := func(id string, at int64) error {
		return s.PutBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: "-", ID: id, At: at, Body: id, Kind: "schedule"}, 3)
	}
	due := func(at int64) string {
		t.Helper()
		all, next, err := s.DueBotSchedules(background, "echo", time.UnixMilli(at), 9)
		must(t, err)
		var ids []string
		for _, d := range all {
			ids = append(ids, d.ID)
		}
		return fmt.Sprint(ids, next)
	}
	must(t, put("c", 30))
	must(t, put("a", 10))
	must(t, put("b", 20))
	wants(t, put("d", 1), protocol.Code_TOO_MANY)
	equal(t, "due", due(20), "[a b] 30")
	must(t, put("a", 25))
	equal(t, "due", due(20), "[b] 25")
	wants(t, s.DropBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: "-", ID: "a"}, 10), protocol.Code_NOT_FOUND)
	must(t, s.DropBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: "-", ID: "a"}, 25))
	must(t, s.DropBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: "-", ID: "b"}, 0))
	equal(t, "due", due(99), "[c] 0")
	all, _, err := s.DueBotSchedules(background, "other", time.UnixMilli(99), 9)
	must(t, err)
	equal(t, "of another plugin", fmt.Sprint(len(all)), "0")
}

func botSchedulesThatAreLate(t *testing.T, s BotStore) {
	for _, r := range []desk.Schedule{
		{Plugin: "a", ID: "1", At: 5, Until: 10}, {Plugin: "a", ID: "2", At: 6}, {Plugin: "a", ID: "3", At: 40, Until: 9},
		{Plugin: "b", ID: "4", At: 30}, {Plugin: "c", ID: "5", At: 7, Until: 20}, {Plugin: "c", ID: "6", At: 8, Until: 21},
	} {
		r.Bot, r.Session, r.Kind = "b_"+r.Plugin, "-", "command"
		must(t, s.PutBotSchedule(background, &r, 9))
	}
	late := func(at int64, limit int) string {
		t.Helper()
		all, err := s.LateBotSchedules(background, time.UnixMilli(at), limit)
		must(t, err)
		var ids []string
		for _, r := range all {
			ids = append(ids, r.ID)
		}
		return fmt.Sprint(ids)
	}
	equal(t, "late at 10", late(10, 9), "[]")
	equal(t, "late at 21", late(21, 9), "[1 5]")
	equal(t, "late at 22", late(22, 9), "[1 5 6]")
	equal(t, "two of them", late(22, 2), "[1 5]")
}

func botWishes(t *testing.T, s BotStore) {
	want := &desk.Wish{Plugin: "p", Bot: robot, Asker: "ann", Target: "b_poll", Command: "close", Args: `{"a":1}`, Hops: 1, Expires: 5}
	must(t, s.PutBotWish(background, "m.1", want))
	must(t, s.PutBotWish(background, "m.2", &desk.Wish{Expires: 9}))
	for _, want.Click = range []string{"", "m.7"} {
		must(t, s.PutBotWish(background, "m.1", want))
		got, err := s.BotWish(background, "m.1")
		must(t, err)
		equal(t, "the wish", fmt.Sprint(*got), fmt.Sprint(*want))
	}
	_, err := s.BotWish(background, "m.3")
	wants(t, err, protocol.Code_NOT_FOUND)
	for at, ended := range []int{4: 0, 5: 1, 6: 0, 9: 1} {
		n, err := s.SweepBotWishes(background, time.UnixMilli(int64(at)), 10)
		if must(t, err); n != ended {
			t.Errorf("at %d %d end, want %d", at, n, ended)
		}
	}
	_, err = s.BotWish(background, "m.1")
	wants(t, err, protocol.Code_NOT_FOUND)
}

func botsGone(t *testing.T, s BotStore) {
	in := botSession(t, s, 1)
	cursors := []*desk.Cursor{{Bot: robot, Session: in, Seq: 1}, {Bot: "b_echo.x", Session: protocol.NewSessionID(), Seq: 1}}
	want := map[string]int64{}
	for i := range 5 {
		id := protocol.NewSessionID()
		if i == 4 {
			id = protocol.P2PSessionID("a", robot)
		}
		want[id] = int64(i) - 1
		cursors = append(cursors, &desk.Cursor{Bot: robot, Session: id, Seq: want[id]})
	}
	must(t, s.PutBotCursors(background, cursors))
	got := map[string]int64{}
	for after, pages := "", 0; ; pages++ {
		all, next, err := s.BotsGone(background, robot, after, 2)
		must(t, err)
		if len(all) > 2 || pages > 10 {
			t.Fatalf("page %d has %d", pages, len(all))
		}
		for _, c := range all {
			if got[c.Session] = c.Seq; c.Bot != robot {
				t.Errorf("it is %s's", c.Bot)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	equal(t, "gone from", fmt.Sprint(got), fmt.Sprint(want))
}

func botTries(t *testing.T, s BotStore) {
	is := func(plugin, want string) {
		t.Helper()
		all, err := s.BotTries(background, plugin)
		must(t, err)
		equal(t, plugin+"'s", fmt.Sprint(all), want)
	}
	is("echo", "[]")
	must(t, s.PutBotTries(background, "echo", []desk.Tries{{Event: "s.2@b", Attempt: 1, Crashes: 1, At: 5}, {Event: "s.1@b", Attempt: 4, At: 6}}))
	must(t, s.PutBotTries(background, "echo2", []desk.Tries{{Event: "s.1@b", Attempt: 2, At: 7}}))
	is("echo", "[{s.1@b 4 0 6} {s.2@b 1 1 5}]")
	must(t, s.PutBotTries(background, "echo", []desk.Tries{{Event: "s.1@b"}, {Event: "s.2@b", Attempt: 2, Crashes: 2, At: 8}, {Event: "s.9@b"}}))
	is("echo", "[{s.2@b 2 2 8}]")
	is("echo2", "[{s.1@b 2 0 7}]")
}
