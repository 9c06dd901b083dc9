package pebblestore

import "testing"

func TestReadersSeeWhatIsOnTheDisk(t *testing.T) {
	var h hidden
	k := sessionKey{id: [sessionBytes]byte{1}}
	at := func(last int64) map[sessionKey]head { return map[sessionKey]head{k: {last: last}} }
	want := func(what string, seq int64) {
		t.Helper()
		if got := h.synced(k, 100); got != seq {
			t.Errorf("%s: readers see up to %d, want %d", what, got, seq)
		}
	}
	want("nothing under way", 100)
	h.hide(at(5)) // 6 to 7
	want("one commit", 5)
	h.hide(at(7)) // 8 to 9, before the first is synced
	want("two commits", 5)
	h.show(at(7))
	want("the first is synced", 7)
	h.show(at(9))
	want("both are", 100)
}
