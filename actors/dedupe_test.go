package actors

import (
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTheFilterNeverForgetsAndSeldomErrs(t *testing.T) {
	var f filter
	const n = 50_000
	for i := range n {
		f.add(protocol.SentKey("ann", fmt.Sprint(i)))
	}
	wrong := 0
	for i := range n {
		if !f.mayHold(protocol.SentKey("ann", fmt.Sprint(i))) {
			t.Fatalf("key %d is forgotten", i)
		}
		if f.mayHold(protocol.SentKey("bob", fmt.Sprint(i))) {
			wrong++
		}
	}
	// Eight full layers of 1 in 1,700 are 0.5 %.
	if wrong > n/100 {
		t.Errorf("%d of %d keys that were never added are held", wrong, n)
	}
}

func TestTheWindowKeepsWhatIsNotDurable(t *testing.T) {
	w := newWindow()
	w.complete = true
	first := protocol.SentKey("ann", "first")
	w.add(&known{key: first, waiting: &pending{}})
	for i := range 2 * windowSize {
		w.add(&known{key: protocol.SentKey("ann", fmt.Sprint(i)), Sent: Sent{Seq: int64(i + 2)}})
	}
	if k, _ := w.find(first); k == nil {
		t.Error("a message that waits for its commit left the window")
	}
	w.recent[first].waiting = nil
	last := &known{key: protocol.SentKey("ann", "last")}
	w.add(last)
	if k, perhaps := w.find(first); k != nil || !perhaps {
		t.Error("an old durable message is not in the filter")
	}
	if len(w.order) != windowSize {
		t.Errorf("the window holds %d", len(w.order))
	}
	w.forget(last)
	if k, perhaps := w.find(last.key); k != nil || perhaps {
		t.Error("a message that was taken back is known")
	}
}
