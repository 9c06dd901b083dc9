package chat

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestContactsAsLines(t *testing.T) {
	for _, x := range []struct {
		contact *protocol.Contact
		want    string
	}{
		{&protocol.Contact{Friend: true}, "friend"},
		{&protocol.Contact{Blocked: true}, "blocked"},
		{&protocol.Contact{Friend: true, Blocked: true, Remark: "Bob\x1b[2Jby", Tags: []string{"chess", "work"}}, "friend blocked “Bob[2Jby” #chess #work"},
	} {
		if got := contactLine(x.contact); got != x.want {
			t.Errorf("a contact is shown as %q, want %q", got, x.want)
		}
	}
}
