package chat

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestChangesOfAGroupAsLines(t *testing.T) {
	word := func(s string) *string { return &s }
	number := func(n int64) *int64 { return &n }
	yes, open := true, protocol.JoinPolicy_OPEN
	for _, x := range []struct {
		e    *protocol.Entry
		want string
	}{
		{&protocol.Entry{Name: "a\x1bb", Members: []string{"bob"}, Role: protocol.Role_ADMIN}, "named this ab, made bob admin"},
		{&protocol.Entry{Members: []string{"bob"}, Change: &protocol.SessionChange{SilencedUntil: number(0)}}, "lets bob write again"},
		{&protocol.Entry{Members: []string{"bob"}, Change: &protocol.SessionChange{SilencedUntil: number(forever)}}, "silenced bob"},
		{&protocol.Entry{Change: &protocol.SessionChange{Announcement: word("eat\x07"), Avatar: word("a"), JoinPolicy: &open}}, "announces: eat, changed the picture, lets people in: all"},
		{&protocol.Entry{Change: &protocol.SessionChange{Announcement: word(""), ReadOnly: &yes, SilenceAll: &yes}}, "took the announcement down, silenced everybody, made this a broadcast"},
		{&protocol.Entry{Change: &protocol.SessionChange{Dissolved: true}}, "dissolved this"},
		{&protocol.Entry{}, "changed something"},
	} {
		c := &chat{names: map[protocol.UserID]string{"bob": "bob"}}
		if got := c.changed(x.e); got != x.want {
			t.Errorf("%v is shown as %q, want %q", x.e, got, x.want)
		}
	}
}
