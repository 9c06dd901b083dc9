package main

import "testing"

func TestTheHeapGrowsByMoreWhileNobodyArrives(t *testing.T) {
	for _, c := range []struct {
		live, before uint64
		want         int
	}{
		{0, 0, 800}, {1 << 20, 0, 800}, {8 << 20, 1 << 20, 200}, {16 << 20, 8 << 20, 100}, {32 << 20, 16 << 20, 60}, {1 << 30, 1 << 29, 60}, // arriving
		{4 << 20, 4 << 20, 800}, {8 << 20, 8 << 20, 800}, {20 << 20, 19 << 20, 320}, {20 << 20, 30 << 20, 320}, {64 << 20, 60 << 20, 100}, {1 << 30, 1 << 30, 60},
	} {
		if got := growth(c.live, c.before); got != c.want {
			t.Errorf("with %d MB, and %d MB before, it grows by %d %%, want %d", c.live>>20, c.before>>20, got, c.want)
		}
	}
}
