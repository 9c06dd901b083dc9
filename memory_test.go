package main

import "testing"

func TestTheHeapOfASmallServerGrowsBySixteenMegabytes(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 8 << 20: 200, 16 << 20: 100, 32 << 20: 60, 1 << 30: 60} {
		if got := growth(live); got != want {
			t.Errorf("with %d MB it grows by %d %%, want %d", live>>20, got, want)
		}
	}
}
