package desk

import (
	"strings"
	"testing"
)

func TestAnArgumentIsShownWholeOrAsTwoEnds(t *testing.T) {
	whole := strings.Repeat("é", maxShown)
	for _, c := range []struct {
		given any
		want  string
	}{
		{whole, whole},
		{"two\nlines", "two\nlines"},
		{3.5, "3.5"},
		{[]any{"a", 1.0}, `["a",1]`},
		{"a" + whole + "z", "a" + strings.Repeat("é", 299) + " […2 more letters…] " + strings.Repeat("é", 99) + "z"},
	} {
		if got := shown(c.given, &english); got != c.want {
			t.Errorf("%.20v is shown as %q", c.given, got)
		}
	}
}
