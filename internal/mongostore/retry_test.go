package mongostore

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestADatabaseThatDoesNotAnswerInTheTimeOfWhoAsksIsBusy(t *testing.T) {
	s, w, _ := twoWays(t)
	w.on(func(string, string) fault { return broken })
	defer w.on(nil)
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if _, err := s.User(ctx, "ann"); !protocol.Code_BUSY.Is(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("User = %v, want BUSY, and why", err)
	}
	if s.Ready() != nil {
		t.Error("the database counts as away, though one caller alone had too little time")
	}
}

func TestADatabaseThatIsSlowWithOneQueryIsNotAwayForTheOthers(t *testing.T) {
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri), Patience: 3 * time.Second})
	commit(t, s, creation(room, "ann"))
	asked := make(chan struct{})
	first := sync.OnceFunc(func() { close(asked) })
	w.on(func(command, collection string) fault {
		if command == "find" && collection == inUsers {
			first()
			return broken
		}
		return none
	})
	defer w.on(nil)
	ended := make(chan [2]error, 1)
	go func() {
		_, err := s.User(background, "ann")
		ended <- [2]error{err, s.Ready()}
	}()
	<-asked
	if _, err := s.Load(background, room); err != nil {
		t.Error(err)
	}
	if is := <-ended; !protocol.Code_BUSY.Is(is[0]) || is[1] != nil {
		t.Errorf("the slow query ends with %v, and all others are told %v; want BUSY for it alone", is[0], is[1])
	}
}
