package gateway

import "testing"

func TestCrowdIsTidiedUpOnceItHasSettled(t *testing.T) {
	var c crowd
	for i, step := range []struct {
		n    int
		want bool
	}{
		{0, false}, {100, false}, {100, false}, // too few
		{700, false}, {1000, false}, {1000, true}, {1000, false}, // once
		{1400, false}, {1400, false}, {1500, false}, {1500, true},
		{10, false}, {10, false}, {600, false}, {600, true}, // they left, others came
		{10_000, false}, {10_000, true}, {12_000, false}, {12_000, false}, {12_500, false}, {12_500, true},
	} {
		if got := c.settled(step.n); got != step.want {
			t.Errorf("step %d, %d there: %v, want %v", i, step.n, got, step.want)
		}
	}
}
