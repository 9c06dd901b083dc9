package access_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// requests gives every type of frame that a client sends, from the wire's description.
func requests() []string {
	var all []string
	fields := (&protocol.Frame{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range fields.Len() {
		f := &protocol.Frame{}
		body := f.ProtoReflect()
		body.Set(fields.Get(i), protoreflect.ValueOfMessage(body.NewField(fields.Get(i)).Message()))
		if protocol.IsRequest(f) {
			all = append(all, f.Type())
		}
	}
	return all
}

func TestEveryFrameAClientSendsHasARow(t *testing.T) {
	all := requests()
	if len(all) < 30 {
		t.Fatalf("only %d requests were found: %v", len(all), all)
	}
	for _, typ := range all {
		if access.Frame(typ) == nil {
			t.Errorf("%s has no row: add it to frames.go", typ)
		}
	}
	for _, typ := range access.Frames() {
		if !slices.Contains(all, typ) {
			t.Errorf("frames.go has %s, which no client sends", typ)
		}
	}
}

func TestWhatIsInNoTableIsDenied(t *testing.T) {
	admin := &protocol.Identity{User: "root", Admin: true}
	for name, err := range map[string]error{
		"an operation":               access.MayCall("make-coffee", admin),
		"no action":                  access.Decide(access.None, access.Owner, admin),
		"another action":             access.Decide(200, access.Owner, admin),
		"another subject":            access.Decide(access.Read, 200, admin),
		"a policy that nobody asked": access.Decide(access.AddMembers, access.Member, admin),
	} {
		if !protocol.Code_DENIED.Is(err) {
			t.Errorf("%s: %v, want DENIED", name, err)
		}
	}
	if err := access.MayAsk("msg_push", admin); !protocol.Code_UNKNOWN_TYPE.Is(err) {
		t.Errorf("msg_push: %v, want UNKNOWN_TYPE", err)
	}
}

func TestWhoStandsHow(t *testing.T) {
	person, root := &protocol.Identity{User: "ann"}, &protocol.Identity{User: "root", Admin: true}
	guest, bot := &protocol.Identity{User: "g", Kind: "guest"}, &protocol.Identity{User: "b", Kind: "bot"}
	key := &protocol.Identity{Kind: "key"}
	const member, admin, owner = protocol.Role_MEMBER, protocol.Role_ADMIN, protocol.Role_OWNER
	for _, c := range []struct {
		who  *protocol.Identity
		in   bool
		role protocol.Role
		want access.Subject
	}{
		{nil, false, 0, access.Nobody},
		{&protocol.Identity{}, true, owner, access.Nobody},
		{person, false, 0, access.Stranger},
		{person, true, member, access.Member},
		{person, true, admin, access.Moderator},
		{person, true, owner, access.Owner},
		{root, false, 0, access.Stranger}, // an administrator reads nobody's sessions
		{root, true, member, access.Member},
		{guest, false, 0, access.Stranger},
		{guest, true, owner, access.Guest},
		{bot, true, admin, access.Bot},
		{bot, false, 0, access.Stranger},
		{key, false, 0, access.Key},
	} {
		if got := access.Standing(c.who, c.in, c.role); got != c.want {
			t.Errorf("%+v, in it: %v, role %v, stands as %v; want %v", c.who, c.in, c.role, got, c.want)
		}
	}
}

func TestAScopeIsNeeded(t *testing.T) {
	bot := &protocol.Identity{User: "b", Kind: "bot"}
	if err := access.Decide(access.Send, access.Bot, bot); !protocol.Code_DENIED.Is(err) {
		t.Errorf("a bot without a scope writes: %v", err)
	}
	bot.Scopes = []string{access.ScopeSend}
	if err := access.Decide(access.Send, access.Bot, bot); err != nil {
		t.Errorf("a bot with the scope does not write: %v", err)
	}
	if err := access.Decide(access.RecallOthers, access.Bot, bot); !protocol.Code_DENIED.Is(err) {
		t.Errorf("a bot that may write recalls others' messages: %v", err)
	}
}

func TestKindsThatCanNeverDoItAreTurnedAwayAtTheDoor(t *testing.T) {
	person, root := &protocol.Identity{User: "ann"}, &protocol.Identity{User: "root", Admin: true}
	guest := &protocol.Identity{User: "g", Kind: "guest"}
	for _, c := range []struct {
		who  *protocol.Identity
		op   string
		want protocol.Code
	}{
		{nil, "login", 0},
		{nil, "get-me", protocol.Code_UNAUTHORIZED},
		{nil, "list-messages", protocol.Code_UNAUTHORIZED},
		{guest, "list-messages", 0},
		{guest, "find-users", protocol.Code_DENIED},
		{guest, "set-password", protocol.Code_DENIED},
		{person, "list-messages", 0}, // whether of this session is for the session to say
		{person, "make-invite", protocol.Code_DENIED},
		{root, "make-invite", 0},
		{root, "send-message", 0},
	} {
		err := access.MayCall(c.op, c.who)
		if c.want == 0 && err != nil || c.want != 0 && !c.want.Is(err) {
			t.Errorf("%s by %+v: %v, want %v", c.op, c.who, err, c.want)
		}
	}
}

func TestTheDocumentHasTheTable(t *testing.T) {
	const doc = "../../docs/access.md"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- the table: TROUPE_WRITE_DOCS=1 go test ./internal/access writes it -->\n", "<!-- end of the table -->"
	head, rest, ok := strings.Cut(string(text), from)
	old, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", doc)
	}
	if old == access.Markdown() {
		return
	}
	if os.Getenv("TROUPE_WRITE_DOCS") == "" {
		t.Fatalf("the table in %s is another: TROUPE_WRITE_DOCS=1 go test ./internal/access writes it", doc)
	}
	if err := os.WriteFile(doc, []byte(head+from+access.Markdown()+to+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
