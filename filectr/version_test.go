package filectr

import (
	"slices"
	"testing"
)

func TestVersionsComeInTheirOrder(t *testing.T) {
	// Each is older than the next.
	order := []string{
		"0", "0.9", "1.0-alpha", "1.0-alpha.1", "1.0-alpha.beta", "1.0-beta", "1.0-beta.2", "1.0-beta.11", "1.0-rc.1", "1", "1.0.0+7", "1+10",
		"1.0.1", "1.2", "1.10", "1.10.0.0.0.1", "2.0-1", "2.0-a", "2.0", "10402", "10403", "20261122.1",
	}
	all := make([]version, len(order))
	for i, text := range order {
		v, ok := parseVersion(text)
		if !ok {
			t.Fatalf("%q is no version", text)
		}
		all[i] = v
	}
	for i := range all {
		for j := range all {
			if got, want := all[i].compare(all[j]), compareInts(i, j); got != want {
				t.Errorf("%s compared with %s is %d, want %d", order[i], order[j], got, want)
			}
		}
	}
	if !slices.IsSortedFunc(all, version.compare) {
		t.Error("they are in no order")
	}
	for _, same := range [][2]string{{"1.2", "1.2.0"}, {"v1.2", "1.2"}, {"1.2+abc", "1.2"}, {"01.2", "1.2"}} {
		a, _ := parseVersion(same[0])
		if b, ok := parseVersion(same[1]); !ok || a.compare(b) != 0 {
			t.Errorf("%q and %q are two", same[0], same[1])
		}
	}
	has, _ := parseVersion("1.2")
	is, _ := parseVersion("1.2+5")
	if has.older(is) || is.older(has) {
		t.Error("one that says no build is told of another build")
	}
	for _, none := range []string{"", "v", "1.", ".1", "1..2", "1.x", "-1", "1-", "1+", "1-a..b", "1 2", "1.2.3.4.5.6.7", "1234567890123456", "1-ä", "1+a+b", "latest"} {
		if v, ok := parseVersion(none); ok {
			t.Errorf("%q is %+v", none, v)
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func FuzzVersions(f *testing.F) {
	f.Add("1.2.3", "1.2.3-rc.1+7")
	f.Add("v1", "2-0")
	f.Fuzz(func(t *testing.T, a, b string) {
		v, ok := parseVersion(a)
		w, fine := parseVersion(b)
		if !ok || !fine {
			return
		}
		if v.compare(w) != -w.compare(v) || v.compare(v) != 0 || v.older(w) && w.older(v) {
			t.Errorf("%q and %q have no order", a, b)
		}
	})
}
