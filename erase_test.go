package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
	"github.com/troupe-im/troupe/userctr"
)

// rawly gives the files under dir that have any of words in them.
func rawly(t *testing.T, dir string, words ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSocket != 0 {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // the store tidies up
		}
		for _, w := range words {
			if bytes.Contains(text, []byte(w)) {
				found = append(found, filepath.Base(path)+" has "+w)
			}
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

// archive is a server with somebody in it who is to be erased.
type archive struct {
	*house
	cfg      *Config
	ann, bob protocol.Identity
	group    string
	p2p      string
	files    []string // of ann's, one that was sent and one that was not
}

// The words that are to be found nowhere afterwards.
var annsWords = []string{"Annabella Canary", "annabella", "first canary text", "second canary text", "edited canary text", "a canary note", "my canary friend", "a canary letter", "a canary draft"}

func openArchive(t *testing.T) *archive {
	l, err := loadConfig([]string{"--data", t.TempDir(), "--listen", "127.0.0.1:0", "--register", "open", "--rate", "0", "--bots", "off"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Users.Argon2 = userctr.Argon2{Memory: 64, Passes: 1, Threads: 1}
	a := &archive{cfg: &l.Config, house: &house{t: t}}
	a.restart()
	t.Cleanup(func() {
		if err := a.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	grant, err := a.users.SignUp(t.Context(), userctr.NewUser{Name: "annabella", Password: "correct horse", Nickname: "Annabella Canary"}, userctr.Client{Device: "d", Name: "annabella's phone"})
	if err != nil {
		t.Fatal(err)
	}
	bob, err := a.users.CreateUser(t.Context(), userctr.NewUser{Name: "bob", Password: "correct horse", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	a.ann, a.bob = protocol.Identity{User: grant.User.ID}, protocol.Identity{User: bob.ID}
	create := func(typ protocol.SessionType) string {
		return a.must(a.ann.User, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: typ, Members: []string{bob.ID}}}}).GetSessionCreateReply().Result[0]
	}
	a.group, a.p2p = create(protocol.SessionType_GROUP), create(protocol.SessionType_P2P)
	say := func(who protocol.Identity, session, id string, c *protocol.Content) {
		a.must(who.User, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: session, ClientMsgId: id, Content: c}}})
	}
	text := func(s string) *protocol.Content { return &protocol.Content{Type: protocol.ContentType_TEXT, Text: s} }
	say(a.ann, a.group, "1", text("first canary text"))
	say(a.bob, a.group, "1", text("what bob said"))
	say(a.ann, a.p2p, "1", text("second canary text"))
	for _, content := range []string{"a canary letter", "a canary draft"} {
		f, err := a.server.files.Take(t.Context(), filectr.Upload{Owner: a.ann.User, Name: content + ".txt", Size: int64(len(content))}, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		a.files = append(a.files, f.ID)
	}
	say(a.ann, a.p2p, "2", &protocol.Content{Type: protocol.ContentType_FILE, File: a.files[0]})
	a.must(a.ann.User, &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: a.group, MessagerecvId: protocol.MessageID(a.group, 1), Content: text("edited canary text")}}})
	say(a.bob, a.group, "2", &protocol.Content{Type: protocol.ContentType_FORWARD, Forwarded: []*protocol.Forwarded{
		{MessagerecvId: protocol.MessageID(a.p2p, 1)}, {MessagerecvId: protocol.MessageID(a.group, 2)},
	}})
	asked := a.must(a.ann.User, &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Target: bob.ID, Note: "a canary note"}}})
	a.must(bob.ID, &protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{Request: asked.GetRequestSendReply().Request.Id, CallBackType: 2}}})
	a.must(bob.ID, &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: a.ann.User, Remark: ptr("my canary friend")}}})
	return a
}

// restart starts the server on its data; one that runs is stopped before.
func (a *archive) restart() {
	a.t.Helper()
	if a.server != nil {
		if err := a.stop(context.Background()); err != nil {
			a.t.Fatal(err)
		}
	}
	cfg := *a.cfg
	s, err := start(&cfg, slog.New(slog.DiscardHandler), func(err error) { panic(err) })
	if err != nil {
		a.t.Fatal(err)
	}
	a.server = s
}

func (a *archive) texts(session string) string {
	reply := a.must(a.bob.User, &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session}}})
	var all []string
	for _, e := range reply.GetSyncReply().Messages {
		said := e.Content.GetText()
		for _, f := range e.Content.GetForwarded() {
			said += "[" + f.Text + "]"
		}
		all = append(all, fmt.Sprintf("%v %s %s", e.Kind, e.Sender[:1], said))
	}
	return strings.Join(all, "\n")
}

// gone checks that nothing is left of ann, in what is answered and in the files.
func (a *archive) gone() {
	a.t.Helper()
	p, err := a.users.Profiles(a.t.Context(), []protocol.UserID{a.ann.User})
	if err != nil || len(p) != 1 || !p[0].Gone || p[0].Nickname != "" || p[0].Name != "" {
		a.t.Errorf("ann's profile is %v, %v", p, err)
	}
	if _, err := a.users.Login(a.t.Context(), "annabella", "correct horse", userctr.Client{}); !protocol.Code_UNAUTHORIZED.Is(err) {
		a.t.Errorf("ann signs in: %v", err)
	}
	info := a.must(a.bob.User, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: a.group}}}).GetSessionGetReply().Info
	if len(info.Members) != 1 || info.Owner != a.bob.User {
		a.t.Errorf("the group has %v", info)
	}
	list := a.must(a.bob.User, &protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{}}})
	if got := list.GetContactListReply().Contacts; len(got) != 0 {
		a.t.Errorf("bob keeps %v", got)
	}
	want := "MESSAGE u \nMESSAGE u what bob said\nEDIT u \nMESSAGE u [][what bob said]\nEDIT s [][what bob said]"
	if got := a.texts(a.group); !strings.HasPrefix(got, "MESSAGE u \nMESSAGE u what bob said\nEDIT u \nMESSAGE u [][what bob said]\n") || !strings.Contains(got, "RECALL s") || !strings.Contains(got, "EDIT s [][what bob said]") {
		a.t.Errorf("the group's log is\n%s\nwant\n%s\nand a recall", got, want)
	}
	if page, err := a.search.Find(a.t.Context(), a.bob.User, search.Query{Words: "canary", Limit: 10}); err != nil || len(page.Hits) != 0 {
		a.t.Errorf("a search finds %v, %v", page, err)
	}
	left := []string{"?"}
	for end := time.Now().Add(20 * time.Second); len(left) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // files are removed behind
		left = rawly(a.t, a.cfg.Data, annsWords...)
	}
	if len(left) > 0 {
		a.t.Errorf("in the files there is still: %v", left)
	}
	if again, err := a.users.Erasures(a.t.Context()); err != nil || len(again) != 0 {
		a.t.Errorf("the erasure goes on: %v, %v", again, err)
	}
}

func TestNothingIsLeftOfWhoWasErased(t *testing.T) {
	a := openArchive(t)
	if page, err := a.search.Find(t.Context(), a.bob.User, search.Query{Words: "canary", Limit: 10}); err != nil || len(page.Hits) != 3 {
		t.Fatalf("before it, a search finds %+v, %v", page, err)
	}
	if left := rawly(t, a.cfg.Data, annsWords...); len(left) < len(annsWords) {
		t.Fatalf("before it, the files have only %v", left)
	}
	if err := a.operator().eraseUser(t.Context(), userctr.ByOperator, a.ann.User, ""); err != nil {
		t.Fatal(err)
	}
	a.gone()
	if err := a.operator().eraseUser(t.Context(), userctr.ByOperator, a.ann.User, ""); err != nil {
		t.Errorf("once more: %v", err)
	}
	a.restart()
	a.gone()
	if _, err := a.users.CreateUser(t.Context(), userctr.NewUser{Name: "annabella", Password: "correct horse"}); err != nil {
		t.Errorf("the name is not free: %v", err)
	}
	if err := a.users.SetDisabled(t.Context(), userctr.ByOperator, a.ann.User, false); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("who was erased is let in again: %v", err)
	}
}

func TestAnErasureGoesOnAfterACrash(t *testing.T) {
	for steps := range 3 {
		a := openArchive(t)
		if _, err := a.users.BeginErasure(t.Context(), userctr.ByOperator, a.ann.User, userctr.TombstoneMessages); err != nil {
			t.Fatal(err)
		}
		if steps > 0 {
			if err := a.operator().eraseMessages(t.Context(), a.ann.User); err != nil {
				t.Fatal(err)
			}
		}
		if steps > 1 {
			if err := a.users.Forget(t.Context(), a.ann.User); err != nil {
				t.Fatal(err)
			}
		}
		a.restart()
		soon(t, "the erasure to be finished", func() bool {
			left, err := a.users.Erasures(t.Context())
			return err == nil && len(left) == 0
		})
		a.gone()
	}
}

func TestWhoIsBeingErasedIsShutOutFirst(t *testing.T) {
	a := openArchive(t)
	e := &userctr.Erasure{User: a.ann.User, By: userctr.ByOperator, Messages: userctr.TombstoneMessages}
	if err := a.store.BeginErasure(t.Context(), e); err != nil { // and there the server was killed
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it was, once more
	if err := a.operator().goOn(ctx, e); err == nil {
		t.Fatal("it went on without its sessions")
	}
	if u, err := a.users.User(t.Context(), a.ann.User); err != nil || !u.Disabled {
		t.Errorf("ann is %+v, %v", u, err)
	}
	a.restart()
	soon(t, "the erasure to be finished", func() bool {
		left, err := a.users.Erasures(t.Context())
		return err == nil && len(left) == 0
	})
	a.gone()
}

func TestMessagesOfAGroupOfOneAreErased(t *testing.T) {
	a := openArchive(t)
	alone := a.must(a.ann.User, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}}}).GetSessionCreateReply().Result[0]
	a.must(a.ann.User, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: alone, ClientMsgId: "1", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "second canary text"}}}})
	if err := a.operator().eraseUser(t.Context(), userctr.ByOperator, a.ann.User, ""); err != nil {
		t.Fatal(err)
	}
	a.gone()
}

func TestTheGuestsThatSomebodyWasAreErasedToo(t *testing.T) {
	a := openArchive(t)
	root := protocol.Identity{User: a.bob.User, Admin: true}
	app, _, err := a.users.MakeApp(t.Context(), root, userctr.App{Name: "shop", Guests: true, Members: []string{a.bob.User}})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := a.users.Visit(t.Context(), app.ID, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	who, err := a.users.Authenticate(t.Context(), guest.Token)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.node.Ask(t.Context(), who, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_MUC}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.node.Ask(t.Context(), who, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: made.GetSessionCreateReply().Result[0], ClientMsgId: "1", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "second canary text"}}}}); err != nil {
		t.Fatal(err)
	}
	if err := a.users.MergeGuest(t.Context(), a.ann, "", guest.Token); err != nil {
		t.Fatal(err)
	}
	if err := a.operator().eraseUser(t.Context(), userctr.ByOperator, a.ann.User, ""); err != nil {
		t.Fatal(err)
	}
	a.gone()
	if u, err := a.users.User(t.Context(), guest.User.ID); err != nil || !u.Gone || u.Nickname != "" {
		t.Errorf("the guest is %+v, %v", u, err)
	}
}

func TestMessagesMayStayByNobody(t *testing.T) {
	a := openArchive(t)
	if err := a.operator().eraseUser(t.Context(), userctr.ByOperator, a.ann.User, userctr.KeepMessages); err != nil {
		t.Fatal(err)
	}
	if got := a.texts(a.group); !strings.Contains(got, "edited canary text") {
		t.Errorf("the group's log is\n%s", got)
	}
	if left := rawly(t, a.cfg.Data, "Annabella Canary", "a canary draft"); len(left) > 0 {
		t.Errorf("her name, or what she did not send, is in %v", left)
	}
	if err := a.server.files.Readable(t.Context(), a.bob.User, a.files[:1]); err != nil {
		t.Errorf("bob reads what she sent: %v", err)
	}
}

// exported is what an operator gets of all that is kept of ann.
func (a *archive) exported(t *testing.T) *zip.Reader {
	t.Helper()
	var b bytes.Buffer
	if err := a.operator().export(t.Context(), a.ann.User, &b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestAnExportHasWhatIsKeptOfOne(t *testing.T) {
	a := openArchive(t)
	z := a.exported(t)
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	for file, word := range map[string]string{
		"profile.json": "Annabella Canary", "contacts.jsonl": a.bob.User, "requests.jsonl": "a canary note",
		"sessions.jsonl": a.group, "messages.jsonl": "second canary text",
		"files.jsonl": `"content":"files/` + a.files[1] + "/a canary draft.txt\"", "files/" + a.files[0] + "/a canary letter.txt": "a canary letter",
	} {
		if !strings.Contains(files[file], word) {
			t.Errorf("%s has no %q: %s", file, word, files[file])
		}
	}
	if all := fmt.Sprint(files); strings.Contains(all, "what bob said") || strings.Contains(all, "argon2") {
		t.Errorf("the export has what others said, or a password: %s", all)
	}
}

func TestAnExportIsWrittenAsFramesAndAnswersAre(t *testing.T) {
	a := openArchive(t)
	z := a.exported(t)
	first := func(file string, into any) {
		r, err := z.Open(file)
		if err == nil {
			err = json.NewDecoder(r).Decode(into)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	var message struct {
		Seq       int64
		CreatedAt int64
		Content   struct{ Type string }
	}
	if first("messages.jsonl", &message); message.Seq != 1 || message.CreatedAt == 0 || message.Content.Type != "text" {
		t.Errorf("the first message is %+v", message)
	}
	var request struct{ CallBackType, CreateTime int64 }
	if first("requests.jsonl", &request); request.CallBackType != 2 || request.CreateTime == 0 {
		t.Errorf("the request is %+v", request)
	}
	var session struct{ CreatedAt time.Time }
	if first("sessions.jsonl", &session); time.Since(session.CreatedAt) > time.Hour {
		t.Errorf("the session is of %v", session.CreatedAt)
	}
}

func TestWhatCannotBeTakenAwayIsNotWrittenDownAsTaken(t *testing.T) {
	a := openArchive(t)
	before := a.audited()
	for _, message := range []string{protocol.MessageID(a.group, 99), protocol.MessageID(a.group, 3), "s_nosuchsession.1", "nothing"} {
		if err := a.operator().recall(t.Context(), userctr.ByOperator, message); !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("recall of %s: %v", message, err)
		}
	}
	if err := a.operator().dissolve(t.Context(), userctr.ByOperator, a.p2p); !protocol.Code_DENIED.Is(err) {
		t.Errorf("two people's session is dissolved: %v", err)
	}
	if got := a.audited(); got != before {
		t.Errorf("the audit log went from row %d to %d", before, got)
	}
	if err := a.operator().recall(t.Context(), userctr.ByOperator, protocol.MessageID(a.group, 1)); err != nil {
		t.Error(err)
	}
	if got := a.audited(); got != before+1 {
		t.Errorf("the audit log went from row %d to %d, want one more", before, got)
	}
}

// audited is the seq of the audit log's newest row.
func (a *archive) audited() int64 {
	a.t.Helper()
	c, err := a.users.CheckAudit(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	return c.Last
}
