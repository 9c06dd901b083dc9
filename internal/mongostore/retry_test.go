package mongostore

import (
	"context"
	"errors"
	"testing"
	"time"

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
