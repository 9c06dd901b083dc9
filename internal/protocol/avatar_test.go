package protocol

import (
	"strings"
	"testing"
)

func TestAnIdInAPathComesBack(t *testing.T) {
	for _, id := range []string{"u_47xs3g2d7tjd2z34", "s_01", "ann@example.org", "陈美", "..", "~x", "a?b#c%d", strings.Repeat("x", 128)} {
		code, ok := strings.CutPrefix(MadeAvatar(id), AvatarPath)
		if !ok || strings.ContainsAny(code, "/?#%") {
			t.Errorf("%q has the path %q", id, MadeAvatar(id))
		}
		if got, ok := MadeFrom(code); !ok || got != id {
			t.Errorf("%q came back as %q", id, got)
		}
	}
	for _, code := range []string{"made.", "made.~", "made.a.b", "made.~YQ", "made.~!!", "a_x", "", "made." + strings.Repeat("x", 129)} {
		if id, ok := MadeFrom(code); ok {
			t.Errorf("%q is the picture of %q", code, id)
		}
	}
}

func TestAnAvatarThatWasShownIsSetAsItIs(t *testing.T) {
	mine, other := NewAvatar(), NewAvatar()
	for _, c := range []struct {
		is, want, kept string
		ok             bool
	}{
		{"", "https://example.org/a", "https://example.org/a", true},
		{mine, mine, mine, true},
		{mine, "", "", true},
		{"", MadeAvatar("ann"), "", true},
		{mine, "/pictures/a.png", "/pictures/a.png", true},
		{mine, other, "", false},
		{"", mine, "", false},
	} {
		if kept, err := KeptAvatar(c.is, c.want); kept != c.kept || (err == nil) != c.ok {
			t.Errorf("%q where %q was: %q, %v", c.want, c.is, kept, err)
		}
	}
	if got := ShownAvatar("f_47xs3g2d7tjd2z34dsu6bfgyui", "ann"); got != MadeAvatar("ann") {
		t.Errorf("a file's id is shown as %q", got)
	}
}
