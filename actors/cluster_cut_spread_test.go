package actors

import (
	"testing"
	"time"
)

func TestFewClientsThatAreSentAwayComeBackSoonerThanMany(t *testing.T) {
	for clients, want := range map[int]time.Duration{0: 20 * time.Millisecond, 1: 20 * time.Millisecond, 10: 200 * time.Millisecond, 100: 2 * time.Second, 20_000: 2 * time.Second} {
		if got := comeBackIn(clients); got != want {
			t.Errorf("%d clients are told to take %v, want %v", clients, got, want)
		}
	}
}
