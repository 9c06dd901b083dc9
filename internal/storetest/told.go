package storetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/userctr"
)

// Told is all that a store says of what Fill put into it, line by line, but for the logs' epoch and
// the versions of bots' keys.
func (f *Filled) Told(t *testing.T, s Installation) (lines []string) {
	tell := func(what string, got any, err error) {
		if err != nil && protocol.AsError(err).Code == protocol.Code_INTERNAL {
			t.Fatalf("%s: %v", what, err)
		}
		text, e := json.Marshal(got)
		must(t, e)
		if err != nil {
			text = []byte(word(err))
		}
		lines = append(lines, what+": "+string(text))
	}
	f.toldOfPeople(t, s, tell)
	f.toldOfSessions(t, s, tell)
	f.toldOfFiles(s, tell)
	f.toldOfBots(t, s, tell)
	return lines
}

func (f *Filled) toldOfPeople(t *testing.T, s Installation, tell func(what string, got any, err error)) {
	ctx := t.Context()
	for _, id := range f.users {
		u, err := s.User(ctx, id)
		tell("user "+id, u, err)
		devices, err := s.Devices(ctx, id)
		tell("devices of "+id, devices, err)
		logins, err := s.Logins(ctx, id)
		tell("logins of "+id, logins, err)
		pushes, err := s.Pushes(ctx, id)
		tell("pushes of "+id, pushes, err)
		subjects, err := s.SubjectsOf(ctx, id)
		tell("subjects of "+id, subjects, err)
		merge, err := s.MergeOf(ctx, id)
		tell("merge of "+id, merge, err)
		merged, err := s.MergedInto(ctx, id)
		tell("merged into "+id, merged, err)
		contacts, version, err := s.ContactsOf(ctx, id, "", 100)
		tell("contacts of "+id, []any{contacts, version}, err)
		blocked, err := s.Blocked(ctx, id, f.users)
		tell("blocked by "+id, blocked, err)
		for _, waiting := range []bool{false, true} {
			requests, err := s.RequestsOf(ctx, id, actors.RequestPage{Limit: 10, Waiting: waiting})
			tell("requests of "+id, printAll(requests), err)
		}
		p, err := s.Pair(ctx, id, "ann")
		if err == nil {
			tell("ann and "+id, []any{p.Mine, p.Theirs, print(p.Waiting)}, nil)
		}
		standings, err := s.Standings(ctx, []protocol.UserID{id})
		tell("standing of "+id, standings, err)
	}
	for _, name := range []string{"name ann", "name bob", "name dee", "nobody"} {
		u, err := s.UserByName(ctx, name)
		tell("by "+name, u, err)
	}
	for _, prefix := range []string{"n", "ro", "unl", ""} {
		places, err := s.FindTerms(ctx, prefix, userctr.TermPlace{}, 100)
		tell("found by "+prefix, places, err)
	}
	var all []*userctr.User
	must(t, s.EachUser(ctx, "", func(u *userctr.User) bool { all = append(all, u); return true }))
	tell("all users", all, nil)
	guests, err := s.Guests(ctx, "", 10)
	tell("guests", guests, err)
	for _, id := range []string{"l_1", "l_2", "l_3", "l_4"} {
		l, err := s.Login(ctx, id)
		tell("login "+id, l, err)
	}
	for _, name := range []string{"l_1/0", "1", "2", "3", "l_2/0"} {
		for _, login := range []string{"l_1", "l_2"} {
			r, child, err := s.Refresh(ctx, login, hash(name))
			tell("token "+name+" of "+login, []any{r, child}, err)
		}
	}
	ended, err := s.RevokedSince(ctx, time.Time{})
	tell("revoked", ended, err)
	for _, id := range []string{"i_1", "i_2", "i_3"} {
		i, err := s.Invite(ctx, id)
		tell("invitation "+id, i, err)
	}
	keys, err := s.Keys(ctx, "", 10)
	tell("keys", keys, err)
	apps, err := s.Apps(ctx)
	tell("applications", apps, err)
	open, err := s.OpenMerges(ctx, 10)
	tell("open merges", open, err)
	of, err := s.Subject(ctx, userctr.Subject{Realm: "iss:https://a/b", Sub: "7/8 %"})
	tell("subject", of, err)
	ends, err := s.AuditEnds(ctx)
	tell("ends of the audit log", ends, err)
	must(t, s.AuditRows(ctx, 0, func(seq int64, text []byte) bool { tell(fmt.Sprint("audit row ", seq), string(text), nil); return true }))
	sound(t, s, ends.Before+1, ends.Last)
	erasures, err := s.Erasures(ctx)
	tell("erasures", erasures, err)
	notices, err := s.OpenNotices(ctx)
	tell("open notices", len(notices), err)
	for _, id := range []string{"n_1", "n_2"} {
		n, err := s.Notice(ctx, id)
		must(t, err)
		content := print(n.Content)
		n.Content = nil
		tell("notice "+id, []any{n, content}, nil)
	}
	for _, id := range []string{"r_1", "r_2", "r_3", "r_4", "r_5"} {
		r, err := s.Request(ctx, id)
		tell("request "+id, print(r), err)
	}
}

func printAll[M proto.Message](all []M) (texts []string) {
	for _, m := range all {
		texts = append(texts, print(m))
	}
	return texts
}

func (f *Filled) toldOfSessions(t *testing.T, s Installation, tell func(what string, got any, err error)) {
	ctx := t.Context()
	for _, id := range f.sessions {
		tell("session "+id, everything(t, s, id), nil)
	}
	for _, id := range []protocol.SessionID{room, hall, pair} {
		n := f.messages[id]
		for target := int64(36); target <= min(n, 44); target++ {
			deeds, err := s.Deeds(ctx, id, target, "bob")
			slices.SortFunc(deeds, func(a, b actors.Deed) int { return cmp.Compare(a.Word, b.Word) })
			tell(fmt.Sprint("deeds on ", id, " ", target, ", ", len(deeds)), fmt.Sprint(deeds), err)
		}
		unread, mentioned, err := s.Unread(ctx, id, "ann", 0, n)
		tell("unread in "+id, []any{unread, mentioned}, err)
		requests, err := s.RequestsInto(ctx, id, actors.RequestPage{Limit: 10})
		tell("requests into "+id, printAll(requests), err)
	}
	waiting, err := s.WaitingInto(ctx, f.sessions, 10)
	tell("waiting", printAll(waiting), err)
	for _, id := range f.users {
		rows, err := s.Home(ctx, id, "phone", nil)
		slices.SortFunc(rows, func(a, b *actors.HomeRow) int { return cmp.Compare(a.Info.Session, b.Info.Session) })
		tell("home of "+id, homeText(rows), err)
		var said []string
		must(t, s.WrittenBy(ctx, id, func(session protocol.SessionID, e *protocol.Entry) error {
			said = append(said, fmt.Sprint(session, e.Seq))
			return nil
		}))
		slices.Sort(said)
		tell("said by "+id, said, nil)
	}
	due, err := s.Due(ctx, time.UnixMilli(1<<50), 1<<20)
	var texts []string
	for _, d := range due {
		texts = append(texts, fmt.Sprint(d.Session, d.Seq, d.At.UnixMilli()))
	}
	slices.Sort(texts)
	tell("due", texts, err)
	over, err := s.DueSessions(ctx, time.UnixMilli(1<<50), 1<<20)
	slices.Sort(over)
	tell("sessions that are due", over, err)
}

func (f *Filled) toldOfFiles(s Installation, tell func(what string, got any, err error)) {
	for _, id := range f.files {
		file, err := s.File(background, id)
		tell("file "+id, file, err)
		for _, user := range []string{"ann", "bob", "cid", "g_1"} {
			at, err := s.Standing(background, id, user, sooner)
			tell("how "+user+" stands to "+id, at, err)
		}
	}
	for _, user := range f.users {
		n, err := s.Used(background, user)
		tell("used by "+user, n, err)
		files, err := s.Files(background, user, "", 10)
		tell("files of "+user, files, err)
	}
	for _, guests := range []bool{false, true} {
		n, err := s.UsedIn(background, "shop", guests)
		tell("used in the shop", n, err)
	}
	n, err := s.Used(background, "")
	tell("used by all", n, err)
	reserved, err := s.Reservations(background)
	tell("reserved", reserved, err)
	doubtful, err := s.Doubtful(background, time.Now().Add(time.Hour), 100)
	slices.SortFunc(doubtful, func(a, b filectr.Sum) int { return cmp.Compare(a.String(), b.String()) })
	tell("doubtful", doubtful, err)
	loose, err := s.Loose(background, time.Now().Add(time.Hour), time.Now().Add(time.Hour), 100)
	slices.Sort(loose)
	tell("loose", loose, err)
	reviews, next, err := s.Reviews(background, fileTime.Add(time.Hour), 10)
	tell("reviews", []any{reviews, next.UnixNano()}, err)
	releases, err := s.Releases(background)
	tell("releases", releases, err)
	for _, path := range f.avatars {
		a, err := s.Avatar(background, path)
		tell("avatar "+path, a, err)
	}
	for _, link := range []string{"a", "b", "c"} {
		p, err := s.Preview(background, previewOf(link, 0, 0).Key)
		tell("preview "+link, p, err)
		pic, err := s.PreviewPicture(background, "pic"+link)
		tell("its picture", pic, err)
	}
}

func (f *Filled) toldOfBots(t *testing.T, s Installation, tell func(what string, got any, err error)) {
	for _, id := range f.sessions {
		c, err := s.BotCursor(background, robot, id)
		tell("cursor in "+id, c, err)
		state, err := s.BotState(background, robot, id)
		tell("state in "+id, state, err)
	}
	behind, _, err := s.BotsBehind(background, robot, "", 10)
	tell("behind", behind, err)
	gone, _, err := s.BotsGone(background, robot, "", 10)
	tell("gone", gone, err)
	states := map[string]desk.State{}
	must(t, s.BotStates(background, robot, func(session protocol.SessionID, state desk.State) error { states[session] = state; return nil }))
	tell("states", states, nil)
	dead, err := s.BotDeads(background, "", nil, 10)
	tell("dead letters", dead, err)
	items, err := s.BotKeys(background, desk.KeyAt{Plugin: "echo", Room: room}, "", 10, time.UnixMilli(1000))
	for i := range items {
		items[i].Version = min(items[i].Version, 1)
	}
	tell("keys of bots", items, err)
	due, next, err := s.DueBotSchedules(background, "echo", time.UnixMilli(9), 9)
	tell("schedules", []any{due, next}, err)
	wish, err := s.BotWish(background, "m.1")
	tell("wish", wish, err)
	tries, err := s.BotTries(background, "echo")
	tell("tries", tries, err)
	var used []model.Row
	must(t, s.UsageOf(background, "2026-01-02", func(r model.Row) bool { used = append(used, r); return true }))
	totals, err := s.UsageTotals(background, "2026-01-01", "2026-02-01")
	tell("usage", []any{used, totals}, err)
	remote, err := s.RemoteBots(background)
	tell("remote bots", remote, err)
	hooks, err := s.Hooks(background)
	tell("hooks", hooks, err)
}
