package mongostore

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestADatabaseThatIsOutOfSightIsYieldedAndComesBack(t *testing.T) {
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri), Patience: time.Hour})
	commit(t, s, creation(room, "ann"))
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	w.on(func(string, string) fault { return broken })
	a := saying(room, 1, said(1, "ann", "a", "hello"))
	ended := make(chan error)
	go func() { ended <- s.Commit([]*actors.Append{a}) }()
	until("it is lost", func() bool { return s.Silent() > 2*time.Second })
	s.Yield()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !errors.Is(a.Err, actors.ErrUnknown) && !protocol.Code_BUSY.Is(a.Err) {
		t.Errorf("the commit ends with %v", a.Err)
	}
	w.on(nil)
	until("it is there again", func() bool { return s.Silent() < time.Second && s.Ready() == nil })
	again := &writer{t: t, s: s, id: room, name: "ann", acked: map[string]int64{}}
	again.say("b")
	if stored, err := s.Load(background, room); err != nil || stored.Head < 1 {
		t.Errorf("the log ends at %v, %v", stored, err)
	}
}
