package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
)

// Whole is all that a store keeps.
type Whole interface {
	actors.Journal
	actors.NoticeStore
	actors.Standings
	userctr.Store
	filectr.Store
	preview.Store
	desk.Store
	remote.Store
	model.Store
}

// Releases are the releases whose stores are fixtures, the oldest first: what each wrote is
// in a store's testdata/releases, and what is read of it in WroteFile.
var Releases = []string{"0.1"}

// WriteRelease names the release whose fixture is to be written, "": none is. A fixture that is
// there is never written again.
func WriteRelease() string { return os.Getenv("TROUPE_WRITE_RELEASE") }

// wroteFile is what stores of a release have in them, for all stores alike.
func wroteFile(release string) string { return "../storetest/testdata/releases/" + release + ".txt" }

// Written checks that s, which a release wrote, is read as that release read it.
func Written(t *testing.T, release string, s Whole) {
	t.Helper()
	want, err := os.ReadFile(wroteFile(release))
	if err != nil {
		t.Fatal(err)
	}
	got := all(t, s)
	if got == string(want) {
		return
	}
	is, was := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(is), len(was)) {
		a, b := "", ""
		if i < len(is) {
			a = is[i]
		}
		if i < len(was) {
			b = was[i]
		}
		if a != b {
			t.Fatalf("line %d of what release %s wrote is read as\n%s\nand was\n%s", i+1, release, a, b)
		}
	}
}

// Write fills an empty s with what a release's fixture has in it, and notes what is read of it.
func Write(t *testing.T, release string, s Whole) {
	t.Helper()
	story(t, s)
	got := all(t, s)
	if want, err := os.ReadFile(wroteFile(release)); err == nil {
		if got != string(want) {
			t.Errorf("this store reads otherwise than the one before:\n%s", got)
		}
		return
	}
	must(t, os.MkdirAll("../storetest/testdata/releases", 0o755))
	must(t, os.WriteFile(wroteFile(release), []byte(got), 0o644))
}

const (
	releasedFileID = "f_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	releasedAvatar = protocol.AvatarPath + "a_aaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// story writes something of everything.
func story(t *testing.T, s Whole) {
	t.Helper()
	ctx, at := t.Context(), began
	for _, id := range []string{"ann", "bob"} {
		must(t, s.AddUser(ctx, user(id, "name of "+id), ""))
	}
	must(t, s.AddInvite(ctx, &userctr.Invite{ID: "i1", Hash: hash("code"), Uses: 3, By: "ann", Created: at, Expires: at.Add(time.Hour)}))
	guest := user("g_1", "")
	guest.Kind, guest.App, guest.Fields = userctr.Guest, "app_1", map[string]string{"locale": "de"}
	must(t, s.AddGuest(ctx, guest))
	_, err := s.AddMerge(ctx, &userctr.Merge{Guest: "g_1", User: "ann", Begun: at})
	must(t, err)
	_, err = s.AddSubject(ctx, userctr.Subject{Realm: "iss:a", Sub: "7"}, user("u_7", ""))
	must(t, err)
	must(t, s.AddLogin(ctx,
		&userctr.Login{ID: "l_1", User: "ann", Device: "phone", Platform: "web", Version: "1", Created: at, Expires: at.Add(time.Hour)},
		&userctr.Refresh{Hash: hash("l_1/0"), Login: "l_1", Issued: at},
		&userctr.DeviceRow{User: "ann", Device: "phone", Name: "Phone", Platform: "web", Version: "1", Created: at, LastSeen: at}))
	_, err = s.AddRefresh(ctx, &userctr.Refresh{Hash: hash("l_1/1"), Parent: hash("l_1/0"), Login: "l_1", Nonce: []byte("nonce"), Issued: at.Add(time.Minute)})
	must(t, err)
	must(t, s.PutPush(ctx, &userctr.Push{User: "ann", Device: "phone", Kind: "fcm", Token: "token", Created: at}))
	must(t, s.AddKey(ctx, &userctr.Key{ID: "k_1", Hash: hash("key"), User: "u_k", Name: "shop", Scopes: []string{"users"}, By: "ann", Created: at, Expires: at.Add(time.Hour)}, user("u_k", "")))
	must(t, s.PutApp(ctx, &userctr.App{
		ID: "app_1", Name: "Shop", Origins: []string{"https://a"}, Colours: map[string]string{"a": "b"}, Texts: map[string]string{"c": "d"}, Features: []string{"e"},
		Members: []string{"ann"}, Guests: true, PublicKey: "pem", Secrets: []userctr.AppSecret{{ID: "s_1", Sealed: []byte{1}, Created: at}}, By: "ann", Created: at,
	}))
	must(t, s.Spend(ctx, "app:a", hash("jti"), at.Add(time.Minute)))
	for i := range 3 {
		must(t, s.AppendAudit(ctx, &userctr.Record{At: at.UnixMilli() + int64(i), Action: "sign-in", By: "ann", Note: fmt.Sprint("note ", i)}))
	}
	must(t, s.KeepStandings(ctx, []actors.Standing{{User: "ann", Status: "busy", LastActive: 7}}))

	f := &filectr.File{
		ID: releasedFileID, Owner: "ann", App: "app_1", Name: "人.png", Mime: "image/png", Kind: filectr.Image, Size: 700, Sum: filectr.Sum{1},
		Created: at, Width: 30, Height: 20, Frames: 3, Placeholder: "LEHV6nWB2yk8", Duration: time.Second, Peaks: []byte{1, 2},
		Thumbs: []filectr.Thumb{{Size: filectr.Small, Sum: filectr.Sum{2}, Mime: "image/jpeg", Bytes: 200, Width: 3, Height: 2}},
		Deal:   &filectr.Deal{State: filectr.Pending, At: at, Due: at.Add(time.Second)},
	}
	for _, r := range []*filectr.Reservation{{ID: f.ID, User: "ann", App: "app_1", Bytes: 1000}, {ID: "u", User: "bob", Bytes: 50, Resumable: true, Node: "n", Created: at}} {
		must(t, s.Reserve(ctx, r, plenty))
	}
	must(t, s.Claim(ctx, f.Sums(), f.ID, at))
	must(t, s.AddFile(ctx, f, plenty))
	must(t, s.Claim(ctx, []filectr.Sum{{9}}, "somebody", at))
	a := &filectr.Avatar{Path: releasedAvatar, Of: filectr.Holder{User: "bob"}, Small: filectr.Sum{3}, Large: filectr.Sum{4}, Tile: filectr.Sum{5}, Created: at}
	must(t, s.Claim(ctx, a.Sums(), a.Path, at))
	must(t, s.AddAvatar(ctx, a))
	bob, err := s.User(ctx, "bob")
	must(t, err)
	bob.Avatar = a.Path
	must(t, s.UpdateUser(ctx, bob))
	_, err = s.PutPreview(ctx, previewOf("a", 0, 7), wide)
	must(t, err)

	reaction, edit, recall := message(5, "bob", "b5"), message(6, "ann", "a6"), message(7, "bob", "b7")
	reaction.Kind, reaction.Content, reaction.Target, reaction.Reaction = protocol.Kind_REACT, nil, 1, "👍"
	edit.Kind, edit.Target = protocol.Kind_EDIT, 2
	recall.Kind, recall.Content, recall.Target = protocol.Kind_RECALL, nil, 4
	picture, short := message(1, "ann", "a1"), message(3, "ann", "a3")
	picture.Content = &protocol.Content{Type: protocol.ContentType_IMAGE, File: f.ID, Text: "see"}
	picture.Mentions = []string{"bob"}
	short.Expire = 60
	commit(t, s, create(room, "ann", "bob", robot), create(pair, "ann", "bob"), create(hall, "bob"))
	commit(t, s, until(hall, 9000))
	commit(t, s, says(room, picture, message(2, "ann", "a2"), short, message(4, "bob", "b4")))
	seen, edited, gone := message(1, "ann", "a1"), message(2, "ann", "a2"), message(4, "bob", "b4")
	seen.Content, seen.Mentions = picture.Content, picture.Mentions
	seen.Reactions = []*protocol.Reaction{{Reaction: "👍", Count: 1}}
	edited.Content, edited.EditedAt = edit.Content, 1006
	gone.Content, gone.Recalled = nil, true
	change := says(room, reaction, edit, recall)
	change.Rewrites = []*protocol.Entry{seen, edited, gone}
	change.Marks = []actors.Mark{{User: "bob", Device: "phone", ReadSeq: 2, RecvSeq: 3}, {User: "ann", ReadSeq: 4}}
	change.Links = []*actors.LinkRow{{ID: "l_a", Hash: [32]byte{1}, Session: room, By: "ann", Uses: 5, Used: 1, CreatedAt: 100, ExpiresAt: 110}}
	change.Members = []*actors.MemberRow{{User: "bob", Role: protocol.Role_ADMIN, Inviter: "ann", Order: 2, JoinedAt: 1000, Floor: 1, Muted: true, SilencedUntil: 5}}
	change.Removed = []protocol.UserID{robot}
	commit(t, s, change)
	held := message(8, "bob", "b8")
	commit(t, s, says(room, held))
	away := message(8, "bob", "b8")
	away.Content, away.Deal = nil, &protocol.Deal{State: "held", By: "b_judge", Reason: "why"}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{away}, Original: &actors.Original{Seq: 8, Content: held.Content, Mentions: []string{"ann"}}})
	commit(t, s, &actors.Append{Session: room, Epoch: 7, Claim: true, Head: 8}, says(pair, message(1, "bob", "p1")))

	contact(t, s, &actors.ContactChange{Requests: []actors.RequestChange{{Request: asked("r_1", "ann", "bob", 100)}, {Request: into("r_2", "u_7", room, "ann", 200)}}})
	contact(t, s, &actors.ContactChange{Contacts: []*actors.ContactRow{kept("ann", "bob"), kept("bob", "ann")}})
	_, err = s.AddNotice(ctx, notice("n_a", 100, "ann", "bob"))
	must(t, err)

	must(t, s.PutBotCursors(ctx, []*desk.Cursor{{Bot: robot, Session: room, Seq: 3, Ahead: []int64{5, 9}}}))
	must(t, s.PutBotState(ctx, robot, room, desk.State{Consent: "allowed", By: "ann", MutedTill: 9}))
	_, err = s.SetBotKey(ctx, desk.KeyAt{Plugin: "echo", Room: room, Key: "k"}, desk.KeyWrite{Value: []byte("v")}, 1<<20, at)
	must(t, err)
	must(t, s.PutBotSchedule(ctx, &desk.Schedule{Plugin: "echo", Bot: robot, Session: room, ID: "s", At: 5, Body: "b", Kind: "schedule"}, 10))
	must(t, s.PutBotWish(ctx, "m.1", &desk.Wish{Plugin: "p", Bot: robot, Asker: "ann", Target: "b_poll", Command: "close", Args: `{"a":1}`, Hops: 1, Expires: 5}))
	must(t, s.PutBotTries(ctx, "echo", []desk.Tries{{Event: "s.1@b", Attempt: 2}}))
	must(t, s.PutBotDead(ctx, &desk.DeadLetter{Plugin: "echo", Event: "2", Why: "POISON", Body: []byte{1}}))
	must(t, s.KeepRemoteBot(ctx, &remote.Bot{ID: "far", Way: remote.Webhook, URL: "https://far.example/hook", Token: "aa", Secret: "bb", Scopes: []string{"write"}, Config: "{}", By: "ann", Created: at}))
	must(t, s.KeepHook(ctx, &remote.Hook{Token: "aa", ID: "h_1", Plugin: "bridge", Bot: "b_bridge", Session: room, Name: "ci", Created: at}))
	must(t, s.AddUsage(ctx, tookRow("2026-03-01", robot, "ann", room, 3)))
}

// all is everything that story wrote as it is read, a line for each question.
func all(t *testing.T, s Whole) string {
	t.Helper()
	ctx := t.Context()
	var out strings.Builder
	says := func(what string, v any, err error) {
		t.Helper()
		if err != nil && !errors.As(err, new(*protocol.Error)) {
			t.Fatalf("%s: %v", what, err)
		}
		fmt.Fprintf(&out, "%s: %s %v\n", what, plain(t, v), err)
	}
	for _, id := range []string{"ann", "bob", "g_1", "u_7", "u_k", "none"} {
		u, err := s.User(ctx, id)
		says("user "+id, u, err)
		devices, err := s.Devices(ctx, id)
		says("devices of "+id, devices, err)
		pushes, err := s.Pushes(ctx, id)
		says("pushes of "+id, pushes, err)
		logins, err := s.Logins(ctx, id)
		says("logins of "+id, logins, err)
		subjects, err := s.SubjectsOf(ctx, id)
		says("subjects of "+id, subjects, err)
		in, err := s.SessionsOf(ctx, id)
		slices.Sort(in)
		says("sessions of "+id, in, err)
		home, err := s.Home(ctx, id, "phone", nil)
		slices.SortFunc(home, func(a, b *actors.HomeRow) int { return strings.Compare(a.Info.Session, b.Info.Session) })
		for _, row := range home {
			row.LogEpoch, row.Info.Epoch = "", ""
		}
		says("home of "+id, home, err)
		contacts, _, err := s.ContactsOf(ctx, id, "", 10)
		says("contacts of "+id, contacts, err)
		requests, err := s.RequestsOf(ctx, id, actors.RequestPage{Limit: 10})
		says("requests of "+id, requests, err)
		files, err := s.Files(ctx, id, "", 10)
		says("files of "+id, files, err)
		used, err := s.Used(ctx, id)
		says("room of "+id, used, err)
	}
	byName, err := s.UserByName(ctx, "name of ann")
	says("who has a name", byName, err)
	terms, err := s.FindTerms(ctx, "name", userctr.TermPlace{}, 10)
	says("terms", terms, err)
	invite, err := s.Invite(ctx, "i1")
	says("an invite", invite, err)
	token, child, err := s.Refresh(ctx, "l_1", hash("l_1/0"))
	says("a refresh token", []any{token, child}, err)
	key, err := s.Key(ctx, "k_1")
	says("a key", key, err)
	apps, err := s.Apps(ctx)
	says("applications", apps, err)
	says("what was spent", nil, s.Spend(ctx, "app:a", hash("jti"), began))
	guests, err := s.Guests(ctx, "", 10)
	says("guests", guests, err)
	audit, err := s.AuditBack(ctx, 1<<40, 10)
	for _, r := range audit {
		says("an audit row", r, nil)
	}
	says("the audit log", len(audit), err)
	standings, err := s.Standings(ctx, []protocol.UserID{"ann", "bob"})
	says("standings", standings, err)

	for _, id := range []string{room, pair, hall} {
		stored, err := s.Load(ctx, id)
		var newest *protocol.Entry // is told with the others
		if err == nil {
			stored.LogEpoch, stored.Info.Epoch = "", ""
			newest, stored.Newest = stored.Newest, nil
		}
		says("session "+id, stored, err)
		entries, err := s.Range(ctx, id, 1, 100, 100, 1<<20)
		for _, e := range entries {
			says("an entry", e, nil)
		}
		if n := len(entries); n > 0 && !proto.Equal(newest, entries[n-1]) {
			says("the newest entry that comes with the session", newest, nil)
		}
		says("entries of "+id, len(entries), err)
		links, err := s.LinksOf(ctx, id, nil, 10)
		says("links of "+id, links, err)
		dealt, err := s.Dealt(ctx, id, 0, 10)
		says("dealt with in "+id, len(dealt), err)
		waiting, err := s.RequestsInto(ctx, id, actors.RequestPage{Limit: 10})
		says("requests into "+id, waiting, err)
	}
	sent, err := s.Sent(ctx, room, "ann", "a2")
	says("what was sent", sent, err)
	deeds, err := s.Deeds(ctx, room, 1, "bob")
	says("deeds", deeds, err)
	original, err := s.Original(ctx, room, 8)
	says("an original", original, err)
	due, err := s.Due(ctx, time.UnixMilli(1<<50), 10)
	says("due", due, err)
	ends, err := s.DueSessions(ctx, time.UnixMilli(1<<50), 10)
	says("sessions that end", ends, err)
	both, err := s.Pair(ctx, "ann", "bob")
	says("a pair", both, err)
	notices, err := s.OpenNotices(ctx)
	says("notices", notices, err)

	file, err := s.File(ctx, releasedFileID)
	says("a file", file, err)
	standing, err := s.Standing(ctx, releasedFileID, "bob", began)
	says("how bob stands to it", standing, err)
	reviews, next, err := s.Reviews(ctx, began.Add(time.Hour), 10)
	says("reviews", []any{reviews, next.IsZero()}, err)
	reserved, err := s.Reservations(ctx)
	says("reservations", reserved, err)
	doubtful, err := s.Doubtful(ctx, began.Add(time.Hour), 10)
	says("doubtful", doubtful, err)
	avatar, err := s.Avatar(ctx, releasedAvatar)
	says("an avatar", avatar, err)
	releases, err := s.Releases(ctx)
	says("releases", releases, err)
	link, err := s.Preview(ctx, sha256.Sum256([]byte("a")))
	says("a preview", link, err)

	cursor, err := s.BotCursor(ctx, robot, room)
	says("a cursor", cursor, err)
	state, err := s.BotState(ctx, robot, room)
	says("a bot's state", state, err)
	item, err := s.BotKey(ctx, desk.KeyAt{Plugin: "echo", Room: room, Key: "k"}, began)
	item.Version = 0 // of the change that wrote it
	says("a bot's key", item, err)
	schedules, _, err := s.DueBotSchedules(ctx, "echo", began, 10)
	says("schedules", schedules, err)
	wish, err := s.BotWish(ctx, "m.1")
	says("a wish", wish, err)
	tries, err := s.BotTries(ctx, "echo")
	says("tries", tries, err)
	dead, err := s.BotDead(ctx, "echo", "2")
	says("a dead letter", dead, err)
	bots, err := s.RemoteBots(ctx)
	says("remote bots", bots, err)
	hooks, err := s.Hooks(ctx)
	says("hooks", hooks, err)
	usage, err := s.UsageTotals(ctx, "2026-03-01", "2026-03-01")
	says("usage", usage, err)
	return out.String()
}

// plain is v as JSON with its times in UTC, wherever it is read, and without what says nothing:
// a field that a later version has, and that a release did not write.
func plain(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var any any
	must(t, d.Decode(&any))
	text, err = json.Marshal(plainly(any))
	must(t, err)
	return text
}

func plainly(v any) any {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			if at.IsZero() {
				return nil
			}
			return at.UTC().Format(time.RFC3339Nano)
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = plainly(v[i])
		}
	case map[string]any:
		for k := range v {
			switch v[k] = plainly(v[k]); v[k] {
			case nil, "", false, json.Number("0"):
				delete(v, k)
			}
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}
