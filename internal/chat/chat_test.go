package chat

import (
	"bytes"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestCleanTakesOutWhatATerminalWouldActOn(t *testing.T) {
	for in, want := range map[string]string{
		"hello, 世界":        "hello, 世界",
		"\x1b[2Jgone":      "[2Jgone",
		"a\nb\tc":          "a b c",
		"a\u202etxt.exe":   "atxt.exe",
		"\u009b31mred\x07": "31mred",
		"👍🏽 \u200dz":       "👍🏽 \u200dz",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEntriesAsLines(t *testing.T) {
	c := newChat(nil, nil)
	c.names = map[string]string{"u1": "ann", "u2": "bob", "u3": "cem"}
	text := func(s string) *protocol.Content { return &protocol.Content{Type: protocol.ContentType_TEXT, Text: s} }
	for _, x := range []struct {
		entry *protocol.Entry
		want  string
	}{
		{&protocol.Entry{Content: text("hi")}, "ann: hi"},
		{&protocol.Entry{Content: text("hi"), EditedAt: 5, ReplyTo: "s.3", Reactions: []*protocol.Reaction{{Reaction: "👍", Users: []string{"u2", "u3"}}}}, "ann: hi (to #3) (edited) 👍2"},
		{&protocol.Entry{Content: &protocol.Content{Type: protocol.ContentType_FILE, Name: "a.pdf", File: "f1"}}, "ann: [file] a.pdf f1"},
		{&protocol.Entry{Recalled: true}, "ann took a message back"},
		{&protocol.Entry{Expired: true}, "ann: (expired)"},
		{&protocol.Entry{Kind: protocol.Kind_RECALL, Target: 4}, "ann took #4 back"},
		{&protocol.Entry{Kind: protocol.Kind_EDIT, Target: 4, Content: text("new")}, "ann changed #4 to: new"},
		{&protocol.Entry{Kind: protocol.Kind_REACT, Target: 4, Reaction: "👍"}, "ann put 👍 on #4"},
		{&protocol.Entry{Kind: protocol.Kind_REACT, Target: 4, Reaction: "👍", Removed: true}, "ann took 👍 off #4"},
		{&protocol.Entry{Kind: protocol.Kind_JOIN, Members: []string{"u2", "u3"}}, "ann brought in bob, cem"},
		{&protocol.Entry{Kind: protocol.Kind_LEAVE, Members: []string{"u1"}}, "ann left"},
		{&protocol.Entry{Kind: protocol.Kind_LEAVE, Members: []string{"u2"}}, "ann removed bob"},
		{&protocol.Entry{Kind: protocol.Kind_CHANGE, Name: "Family"}, "ann named this Family"},
	} {
		x.entry.Seq, x.entry.Sender = 7, "u1"
		if got := c.show(x.entry); !strings.HasSuffix(got, " #7 "+x.want) {
			t.Errorf("show = %q, want …%q", got, x.want)
		}
	}
}

func TestChatSaysWhatIsMissing(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "--user",
		"--user ann --url tcp://x":      "server address",
		"--user ann --url http://h --x": "flag provided but not defined",
	} {
		err := Main(t.Context(), strings.Fields(args), strings.NewReader(""), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("chat %s: %v, want something about %q", args, err, want)
		}
	}
}
