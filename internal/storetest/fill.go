package storetest

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
)

// Installation is all that one store keeps of an installation.
type Installation interface {
	actors.Journal
	actors.NoticeStore
	actors.Standings
	actors.Writings
	userctr.Store
	filectr.Store
	preview.Store
	desk.Store
	model.Store
	remote.Store
}

// Filled is what Fill put into a store: as much of it as Told asks for.
type Filled struct {
	sessions []protocol.SessionID
	users    []protocol.UserID
	files    []protocol.FileID
	avatars  []string
	messages map[protocol.SessionID]int64 // how many entries
}

// Fill puts something of every kind into an empty store, by what its interfaces say: logs of a few
// sessions at random, as likeTheModel does, and the rest as it comes to be.
func Fill(t *testing.T, s Installation) *Filled {
	f := &Filled{messages: map[protocol.SessionID]int64{}}
	f.people(t, s)
	f.logs(t, s)
	f.rooms(t, s)
	f.contacts(t, s)
	f.bots(t, s)
	f.rest(t, s)
	return f
}

// triesAtRandom is how many sets of three sessions are filled at random.
const triesAtRandom = 2

func (f *Filled) logs(t *testing.T, s Installation) {
	try := 0
	rapid.Check(t, func(r *rapid.T) {
		if try++; try > triesAtRandom {
			return
		}
		m := newMachine(Store{Journal: s}, try)
		for range rapid.IntRange(5, 12).Draw(r, "commits") {
			m.commit(r)
		}
		f.sessions, f.users = append(f.sessions, m.sessions...), append(f.users, m.users...)
	})
}

func (f *Filled) people(t *testing.T, s Installation) {
	ctx := t.Context()
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "i_1", Hash: hash("code"), Admin: true, Uses: 3, By: "u_0", Created: began, Expires: began.Add(1000 * time.Hour)}))
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "i_2", Hash: hash("other"), Uses: 1, Created: began}))
	for i, id := range []protocol.UserID{"ann", "bob", "cid", "dee", "eve", "root"} {
		invite := ""
		if i < 2 {
			invite = "i_1"
		}
		must(t, s.AddUser(ctx, user(id, "name "+id), invite))
		f.users = append(f.users, id)
	}
	u, err := s.User(ctx, "bob")
	must(t, err)
	u.Nickname, u.Fields, u.Findable = "Robert Ünlaut", map[string]string{"job": "站长", "": "?"}, userctr.Findable("nobody")
	must(t, s.UpdateUser(ctx, u))
	u.Admin, u.Disabled = false, true
	must(t, s.UpdateUser(ctx, u))
	for _, id := range []protocol.UserID{"g_1", "g_2", "g_3"} {
		g := user(id, "")
		g.Kind, g.App, g.Admin = userctr.Guest, "shop", false
		must(t, s.AddGuest(ctx, g))
		f.users = append(f.users, id)
	}
	must(t, s.RemoveGuest(ctx, "g_2"))
	_, err = s.AddSubject(ctx, userctr.Subject{Realm: "iss:https://a/b", Sub: "7/8 %"}, user("out", ""))
	must(t, err)
	f.users = append(f.users, "out", "u_k")
	addLogin(t, s, "l_1", "ann", "phone", began)
	addLogin(t, s, "l_2", "ann", "desk", began.Add(time.Minute))
	addLogin(t, s, "l_3", "bob", "phone", began)
	must(t, s.RevokeLogin(ctx, "l_3", began.Add(time.Hour)))
	for i, parent := range []string{"l_1/0", "1", "2"} {
		_, err := s.AddRefresh(ctx, child("l_1", parent, fmt.Sprint(i+1), began.Add(time.Duration(i+1)*time.Hour)))
		must(t, err)
	}
	must(t, s.Sweep(ctx, began.Add(-time.Hour), began.Add(2*time.Hour))) // the first token has gone
	for _, p := range []*userctr.Push{{User: "ann", Device: "phone", Kind: "apns", Token: "t 1", Created: began}, {User: "ann", Device: "desk", Kind: "webpush", Token: `{"a":1}`, App: "x", Created: began}} {
		must(t, s.PutPush(ctx, p))
	}
	must(t, s.AddKey(ctx, &userctr.Key{ID: "k_1", Hash: hash("key"), User: "u_k", Name: "shop", Scopes: []string{"users"}, By: "ann", Created: began, Expires: began.Add(time.Hour)}, user("u_k", "")))
	must(t, s.UsedKey(ctx, "k_1", began.Add(time.Second)))
	must(t, s.AddKey(ctx, &userctr.Key{ID: "k_2", Hash: hash("key2"), User: "u_k2", By: "ann", Created: began}, user("u_k2", "")))
	must(t, s.RevokeKey(ctx, "k_2", began.Add(time.Minute)))
	a := &userctr.App{
		ID: "shop", Name: "Shop", Origins: []string{"https://a"}, Colours: map[string]string{"a.b": "$c"}, Texts: map[string]string{"guest": "visitor"}, Features: []string{"e"},
		Members: []string{"ann"}, Guests: true, PublicKey: "pem", Secrets: []userctr.AppSecret{{ID: "s_1", Sealed: []byte{1, 0, 2}, Created: began}}, By: "ann", Created: began,
		Files: userctr.FileLimits{Kinds: []string{"image"}, Types: []string{"image/*"}, Max: map[string]int64{"image": 7, "video": 8}, Quota: 9, QuotaGuests: 1},
	}
	must(t, s.PutApp(ctx, a))
	must(t, s.PutApp(ctx, a))
	must(t, s.PutApp(ctx, &userctr.App{ID: "gone", Name: "Gone", By: "ann", Created: began}))
	must(t, s.RemoveApp(ctx, "gone"))
	must(t, s.Spend(ctx, "app:shop", hash("jti"), began.Add(time.Minute)))
	for _, m := range []*userctr.Merge{{Guest: "g_1", User: "ann", Begun: began}, {Guest: "g_3", User: "bob", Begun: began}} {
		_, err := s.AddMerge(ctx, m)
		must(t, err)
	}
	must(t, s.DoneMerge(ctx, "g_1", began.Add(time.Second)))
	rows := appendAudit(t, s, 6)
	must(t, s.PruneAudit(ctx, 4, &userctr.Record{Action: userctr.AuditRemoved, By: userctr.ByServer, Note: userctr.RemovedNote(4, rows[3].Hash)}))
	must(t, s.BeginErasure(ctx, &userctr.Erasure{User: "eve", By: "root", Messages: userctr.KeepMessages, Began: 7}))
	must(t, s.EraseUser(ctx, "dee", began.Add(time.Hour)))
	must(t, s.KeepStandings(ctx, []actors.Standing{{User: "ann", Status: "busy", LastActive: 5}, {User: "bob", LastActive: 6}}))
}

// rooms are sessions with what likeTheModel has none of: more entries than are moved at once, files, deeds.
func (f *Filled) rooms(t *testing.T, s Installation) {
	f.sessions = append(f.sessions, room, hall, pair)
	group := create(room, "ann", "bob", robot)
	group.Info.Avatar = protocol.NewAvatar()
	group.Members[1].Role = protocol.Role_ADMIN
	commit(t, s, group, create(hall, "ann"), create(pair, "ann", "bob"))
	pic, doc := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "bob", filectr.Sum{2})
	f.files = append(f.files, pic.ID, doc.ID)
	for seq := int64(1); seq <= 70; seq += 10 {
		var all []*protocol.Entry
		for n := seq; n < seq+10; n++ {
			all = append(all, message(n, []string{"ann", "bob"}[n%2], fmt.Sprint("m", n)))
		}
		commit(t, s, says(room, all...))
	}
	react := func(seq int64, word string, removed bool) *protocol.Entry {
		return &protocol.Entry{Seq: seq, Kind: protocol.Kind_REACT, Sender: "bob", Target: 40, Reaction: word, Removed: removed, CreatedAt: 2000}
	}
	answer := &protocol.Entry{Seq: 74, Kind: protocol.Kind_ANSWER, Sender: "bob", Target: 41, Answer: "yes", CreatedAt: 2000}
	commit(t, s, says(room, react(71, "+1", false), react(72, "-1", false), react(73, "-1", true), answer, picture(75, "ann", pic), picture(76, "bob", doc)))
	recalled := message(33, "bob", "m33")
	recalled.Recalled, recalled.Content = true, nil
	held := picture(76, "bob", doc)
	said := held.Content
	held.Content, held.Deal = nil, &protocol.Deal{State: "held", By: "b_mod"}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{recalled}},
		&actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{held}, Original: &actors.Original{Seq: 76, Content: said, Mentions: []string{"ann"}}})
	commit(t, s, &actors.Append{Session: room, Epoch: 4, Claim: true, Head: headOf(t, s, room), Marks: []actors.Mark{
		{User: "ann", Device: "phone", ReadSeq: 50, RecvSeq: 60}, {User: "ann", Device: "a.b$c", RecvSeq: 70}, {User: "bob", ReadSeq: 9}, {User: "eve", Device: "", RecvSeq: 3},
	}})
	f.messages[room], f.messages[hall], f.messages[pair] = 76, 0, 0
	a := avatar(t, s, filectr.Holder{User: "cid"}, 10)
	wears(t, s, "cid", a.Path)
	old := avatar(t, s, filectr.Holder{User: "cid"}, 20)
	f.avatars = append(f.avatars, a.Path, old.Path)
}

func (f *Filled) contacts(t *testing.T, s Installation) {
	c := kept("ann", "bob")
	c.Remark, c.Tags = "Bobby", []string{"x", "y z"}
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{c, kept("bob", "ann")}})
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{{User: "ann", Other: "eve", Blocked: true}}})
	r := asked("r_1", "cid", "ann", 10)
	keepRequests(t, s, r, asked("r_2", "ann", "root", 20), into("r_3", "root", room, "", 30), into("r_4", "ann", room, "root", 40))
	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{answered(r, 3, "ann")}})
}

func (f *Filled) bots(t *testing.T, s Installation) {
	must(t, s.PutBotCursors(background, []*desk.Cursor{{Bot: robot, Session: room, Seq: 60, Ahead: []int64{63, 65}}, {Bot: robot, Session: pair, Seq: -1}}))
	must(t, s.PutBotState(background, robot, room, desk.State{Consent: "allowed", By: "ann", Human: true, MutedTill: 8}))
	must(t, s.PutBotDead(background, &desk.DeadLetter{Plugin: "echo", Event: "1", Bot: robot, Session: room, Why: "POISON", Body: []byte{1}}))
	for i, key := range []string{"a", "b\x00c", "z"} {
		_, err := s.SetBotKey(background, desk.KeyAt{Plugin: "echo", Room: room, Key: key}, desk.KeyWrite{Value: []byte{byte(i), 0}, Expires: int64(1 + i*2e12)}, 1<<20, time.UnixMilli(0))
		must(t, err)
	}
	must(t, s.PutBotSchedule(background, &desk.Schedule{Plugin: "echo", Bot: robot, Session: room, ID: "s", At: 5, Body: "b", Kind: "schedule"}, 10))
	must(t, s.PutBotWish(background, "m.1", &desk.Wish{Plugin: "p", Bot: robot, Asker: "ann", Target: "b_poll", Command: "close", Args: `{"a":1}`, Hops: 1, Expires: 5}))
	must(t, s.PutBotTries(background, "echo", []desk.Tries{{Event: "s.2@b", Attempt: 1, Crashes: 1, At: 5}}))
	must(t, s.AddUsage(background, tookRow("2026-01-02", robot, "ann", room, 7)))
	must(t, s.AddUsage(background, tookRow("2026-01-03", robot, "bob", room, 9)))
	must(t, s.KeepRemoteBot(background, &remote.Bot{ID: "far", Way: remote.Webhook, URL: "https://far.example/hook", Token: "aa", Secret: "bb", Scopes: []string{"write"}, Config: "{}", By: "ann", Created: began}))
	must(t, s.KeepHook(background, &remote.Hook{Token: "aa", ID: "h_1", Plugin: "bridge", Bot: "b_bridge", Session: room, Name: "ci", Created: began}))
}

func (f *Filled) rest(t *testing.T, s Installation) {
	for _, n := range []*actors.NoticeRow{notice("n_1", 100, "ann", "bob"), notice("n_2", 200)} {
		_, err := s.AddNotice(background, n)
		must(t, err)
	}
	done := notice("n_1", 100)
	done.After, done.Told, done.Failed, done.DoneAt = "bob", 2, 1, 300
	must(t, s.MoveNotice(background, done))
	reserve(t, s, "ann", 77)
	guests := &filectr.File{ID: protocol.NewFileID(), Owner: "g_1", App: "shop", Guest: true, Size: 10, Kind: filectr.Package, Sum: filectr.Sum{3}, Created: fileTime}
	must(t, s.Reserve(background, &filectr.Reservation{ID: guests.ID, User: "g_1", App: "shop", Guest: true, Bytes: 10}, plenty))
	must(t, s.Claim(background, guests.Sums(), guests.ID, began))
	must(t, s.AddFile(background, guests, plenty))
	must(t, s.AddRelease(background, &filectr.Release{ID: "r_1", App: "shop", Platform: "android", Channel: "stable", Version: "1.2", Build: 3, Notes: map[string]string{"en": "new"},
		By: "ann", Created: began, File: guests.ID, Name: "a.apk", Mime: "m", Size: 10, Sum: filectr.Sum{3}}))
	waiting := keepDealt(t, s, "bob", filectr.Sum{4}, waits(time.Minute))
	f.files = append(f.files, guests.ID, waiting.ID)
	must(t, s.Claim(background, []filectr.Sum{{99}}, protocol.NewFileID(), began))
	putPreview(t, s, previewOf("a", 0, 7), wide)
	putPreview(t, s, previewOf("b", time.Hour, 0), wide)
}
