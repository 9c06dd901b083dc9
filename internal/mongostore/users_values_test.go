package mongostore

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// odd are texts that a database could take for something else.
var odd = []string{`{"$gt":""}`, "$where", "$", "a.b", "$a.$b", ".", "_id", "x/y", "x%2Fy", "x+y z", "null", "[]", "\U0010ffff", `"\`, "*", "^.*$"}

// same checks that what was read is what was written, to the last byte.
func same[T any](t *testing.T, what, text string, got T, err error, want T) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s of %q is %+v, %v, want %+v", what, text, got, err, want)
	}
}

func TestNoTextOfARequestIsAnOperator(t *testing.T) {
	s, ctx := open(t), t.Context()
	must(t, s.AddUser(ctx, person("ann", "ann"), "")) // whom an operator would find
	for _, x := range odd {
		u := person(x, x)
		u.Nickname, u.Avatar, u.Outside, u.App, u.Password, u.Fields = x+" Anna", x, x, x, x, map[string]string{x: x, x + ".b": "", "$" + x: x}
		_, err := s.User(ctx, x)
		wants(t, err, protocol.Code_NOT_FOUND)
		_, err = s.UserByName(ctx, x)
		wants(t, err, protocol.Code_NOT_FOUND)
		must(t, s.AddInvite(ctx, &userctr.Invite{ID: x, By: x, Uses: 1, Created: then}))
		must(t, s.AddUser(ctx, u, x))
		must(t, s.UpdateUser(ctx, u))
		got, err := s.User(ctx, x)
		same(t, "the user", x, got, err, u)
		got, err = s.UserByName(ctx, x)
		same(t, "the user by name", x, got, err, u)
		i, err := s.Invite(ctx, x)
		same(t, "the invitation", x, i, err, &userctr.Invite{ID: x, By: x, Uses: 1, Used: 1, Created: then})

		d := &userctr.DeviceRow{User: x, Device: x, Name: x, Platform: x, Version: x, Created: then, LastSeen: then}
		l := &userctr.Login{ID: x, User: x, Device: x, Platform: x, Version: x, Created: then, Expires: then.Add(time.Hour)}
		must(t, s.AddLogin(ctx, l, &userctr.Refresh{Hash: userctr.Hash{1}, Login: x, Issued: then}, d))
		_, err = s.AddRefresh(ctx, &userctr.Refresh{Hash: userctr.Hash{2}, Parent: userctr.Hash{1}, Login: x, Issued: then})
		must(t, err)
		login, err := s.Login(ctx, x)
		same(t, "the login", x, login, err, l)
		logins, err := s.Logins(ctx, x)
		same(t, "the logins", x, logins, err, []*userctr.Login{l})
		must(t, s.SeeDevices(ctx, []*userctr.DeviceRow{d}, 5))
		must(t, s.SeenDevice(ctx, x, x, then))
		devices, err := s.Devices(ctx, x)
		same(t, "the devices", x, devices, err, []*userctr.DeviceRow{d})
		p := &userctr.Push{User: x, Device: x, Kind: x, Token: x, App: x, Created: then}
		must(t, s.PutPush(ctx, p))
		pushes, err := s.Pushes(ctx, x)
		same(t, "the pushes", x, pushes, err, []*userctr.Push{p})

		of := userctr.Subject{Realm: x, Sub: x}
		_, err = s.Subject(ctx, of)
		wants(t, err, protocol.Code_NOT_FOUND)
		_, err = s.AddSubject(ctx, of, person("subject "+x, ""))
		must(t, err)
		subjects, err := s.SubjectsOf(ctx, "subject "+x)
		same(t, "the subjects", x, subjects, err, []userctr.Subject{of})

		k := &userctr.Key{ID: x, User: "key " + x, Name: x, Scopes: []string{x}, By: x, Created: then}
		must(t, s.AddKey(ctx, k, person("key "+x, "")))
		key, err := s.Key(ctx, x)
		same(t, "the key", x, key, err, k)

		m := map[string]string{x: x, "." + x: x, "$" + x: x}
		a := &userctr.App{
			ID: x, Name: x, Origins: []string{x}, Colours: m, Texts: m, Features: []string{x}, Members: []string{x}, PublicKey: x,
			Files: userctr.FileLimits{Kinds: []string{x}, Types: []string{x}, Max: map[string]int64{x: 7, "$" + x: 8}}, By: x, Created: then,
			Secrets: []userctr.AppSecret{{ID: x, Sealed: []byte(x), Created: then}},
		}
		must(t, s.PutApp(ctx, a))
		apps, err := s.Apps(ctx)
		same(t, "the application", x, apps, err, []*userctr.App{a})
		must(t, s.RemoveApp(ctx, x))

		must(t, s.Spend(ctx, x, userctr.Hash{1}, then))
		wants(t, s.Spend(ctx, x, userctr.Hash{1}, then), protocol.Code_CONFLICT)
		g := person("guest "+x, "")
		must(t, s.AddGuest(ctx, g))
		merge := &userctr.Merge{Guest: g.ID, User: x, Begun: then}
		_, err = s.AddMerge(ctx, merge)
		must(t, err)
		merged, err := s.MergedInto(ctx, x)
		same(t, "the merges", x, merged, err, []string{g.ID})
		must(t, s.RemoveGuest(ctx, g.ID))

		r := &userctr.Record{Action: x, By: x, About: x, Note: x}
		must(t, s.AppendAudit(ctx, r))
		rows, err := s.AuditBack(ctx, 0, 1)
		same(t, "the audit log", x, rows, err, []*userctr.Record{r})
		e := &userctr.Erasure{User: x, By: x, Messages: x, Began: 7}
		must(t, s.BeginErasure(ctx, e))
		erasures, err := s.Erasures(ctx)
		same(t, "the erasures", x, erasures, err, []*userctr.Erasure{e})
		must(t, s.EndErasure(ctx, x))
	}
	missing, err := s.Missing(ctx, append(slices.Clone(odd), "$ne", `{"$ne":null}`))
	same(t, "who is missing", "", missing, err, []string{"$ne", `{"$ne":null}`})
	found := 0
	must(t, s.EachUser(ctx, "", func(*userctr.User) bool { found++; return true }))
	if want := 1 + 3*len(odd); found != want {
		t.Errorf("%d users are there, want %d", found, want)
	}
	for _, x := range odd {
		places, err := s.FindTerms(ctx, x, userctr.TermPlace{Term: x, User: x}, 100)
		if slices.ContainsFunc(places, func(p userctr.TermPlace) bool { return !strings.HasPrefix(p.Term, x) }) || err != nil {
			t.Errorf("terms that begin with %q: %v, %v", x, places, err)
		}
	}
}

func TestNothingIsLeftOfWhoIsErased(t *testing.T) {
	s, ctx := open(t), t.Context()
	ann, bob := person("u_ann", "annabella"), person("u_bob", "bob")
	ann.Nickname, ann.Fields, ann.Outside = "Canary Bird", map[string]string{"town": "Canary Wharf"}, "canary"
	must(t, s.AddUser(ctx, ann, ""))
	must(t, s.AddUser(ctx, bob, ""))
	ann.Nickname = "Canary Song"
	must(t, s.UpdateUser(ctx, ann))
	stray := &userDoc{Under: s.token(), User: ann.ID} // of a node that died
	must(t, s.addTerms(ctx, stray, []string{"canary", "stray"}))
	for _, id := range []string{"l_1", "l_2"} {
		must(t, s.AddLogin(ctx, &userctr.Login{ID: id, User: ann.ID, Device: "canary phone", Created: then, Expires: then.Add(time.Hour)},
			&userctr.Refresh{Hash: userctr.Hash{1}, Login: id, Issued: then}, &userctr.DeviceRow{User: ann.ID, Device: "canary phone", Name: "canary", LastSeen: then}))
	}
	must(t, s.RevokeLogin(ctx, "l_1", then))
	must(t, s.PutPush(ctx, &userctr.Push{User: ann.ID, Device: "canary phone", Kind: "fcm", Token: "canary token"}))
	subject := userctr.Subject{Realm: "iss:a", Sub: "canary"}
	mark := s.token()
	must(t, s.put(ctx, inSubjects, mark, mark, subjectDoc{ID: mark, Mark: mark, Key: subjectKey(subject), Realm: subject.Realm, Sub: subject.Sub, User: ann.ID}))

	words := []string{"canary", "Canary", "annabella"}
	if left := holding(t, s, words...); len(left) == 0 {
		t.Fatal("there is nothing to erase")
	}
	for range 2 { // it may be done again
		must(t, s.EraseUser(ctx, ann.ID, then.Add(time.Minute)))
	}
	if left := holding(t, s, words...); len(left) > 0 {
		t.Errorf("there is still: %q", left)
	}
	want := &userctr.User{ID: ann.ID, Version: 3, Kind: userctr.Human, Created: then, Disabled: true, Gone: true}
	got, err := s.User(ctx, ann.ID)
	same(t, "the user", ann.ID, got, err, want)
	ended, err := s.RevokedSince(ctx, then)
	same(t, "the ended logins", ann.ID, ended, err, map[string]time.Time{"l_1": then, "l_2": then.Add(time.Minute)})
	wants(t, s.EraseUser(ctx, "nobody", then), protocol.Code_NOT_FOUND)
	must(t, s.AddUser(ctx, person("u_new", "annabella"), "")) // the name is free
	must(t, s.EraseUser(ctx, ann.ID, then))
	if u, err := s.UserByName(ctx, "annabella"); err != nil || u.ID != "u_new" {
		t.Errorf("annabella is %+v, %v", u, err)
	}
}

// holding gives the documents that have one of words in them.
func holding(t *testing.T, s *Store, words ...string) (left []string) {
	t.Helper()
	names, err := s.db.ListCollectionNames(t.Context(), bson.D{})
	must(t, err)
	for _, name := range names {
		docs, err := find[bson.Raw](t.Context(), s, name, bson.D{})
		must(t, err)
		for _, d := range docs {
			text := d.String()
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
				left = append(left, name+": "+text)
			}
		}
	}
	return left
}

func TestAnErasureCanBeDoneTheOtherWay(t *testing.T) {
	s, ctx := open(t), t.Context()
	for _, how := range []string{userctr.KeepMessages, userctr.TombstoneMessages} {
		e := &userctr.Erasure{User: "u", By: "a", Messages: how, Began: 7}
		must(t, s.BeginErasure(ctx, e))
		all, err := s.Erasures(ctx)
		same(t, "the erasures", how, all, err, []*userctr.Erasure{e})
	}
	must(t, s.EndErasure(ctx, "u"))
	if all, err := s.Erasures(ctx); err != nil || len(all) != 0 {
		t.Errorf("left are %v, %v", all, err)
	}
}

func TestAGuestThatIsForgottenLeavesNothing(t *testing.T) {
	s, ctx := open(t), t.Context()
	g := person("g_canary", "")
	g.Kind = userctr.Guest
	must(t, s.AddGuest(ctx, g))
	must(t, s.UpdateUser(ctx, g))
	must(t, s.SeeDevices(ctx, []*userctr.DeviceRow{{User: g.ID, Device: "d", LastSeen: then}}, 5))
	must(t, s.PutPush(ctx, &userctr.Push{User: g.ID, Device: "d", Kind: "fcm", Token: "t"}))
	if ids, err := s.Guests(ctx, "", 10); err != nil || !slices.Equal(ids, []string{g.ID}) {
		t.Errorf("guests = %q, %v", ids, err)
	}
	must(t, s.RemoveGuest(ctx, g.ID))
	if left := holding(t, s, "g_canary"); len(left) > 0 {
		t.Errorf("there is still: %q", left)
	}
}
