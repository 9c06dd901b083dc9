package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/plugins/model"
)

// Usage checks what a model.Store promises. open gives an empty store each time.
func Usage(t *testing.T, open func(t *testing.T) model.Store) {
	for name, test := range map[string]func(*testing.T, model.Store){
		"what is used adds up":                        usageAddsUp,
		"usage of a day has no other day's":           usageIsOfADay,
		"the sums of a bot are those of its sessions": usageHasTotals,
		"what is forgotten is gone, and nothing else": usageIsForgotten,
		"many who add at once lose nothing":           usageOfManyAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func tookRow(day, bot, user, session string, n int64) model.Row {
	return model.Row{Day: day, Bot: bot, User: user, Session: session, Prompt: n, Completion: 2 * n, Requests: 1, Cost: 5 * n}
}

func usageRows(t *testing.T, s model.Store, day string) (all []model.Row) {
	t.Helper()
	must(t, s.UsageOf(background, day, func(r model.Row) bool { all = append(all, r); return true }))
	return all
}

func usageAddsUp(t *testing.T, s model.Store) {
	a := tookRow("2026-01-02", "b_a", "u_1", "s_1", 7)
	must(t, s.AddUsage(background, a))
	a.Failed = 1
	must(t, s.AddUsage(background, a))
	got := usageRows(t, s, "2026-01-02")
	want := model.Row{Day: "2026-01-02", Bot: "b_a", User: "u_1", Session: "s_1", Prompt: 14, Completion: 28, Requests: 2, Failed: 1, Cost: 70}
	equal(t, "rows", fmt.Sprint(got), fmt.Sprint([]model.Row{want}))
	equal(t, "rows of another day", len(usageRows(t, s, "2026-01-03")), 0)
}

func usageIsOfADay(t *testing.T, s model.Store) {
	for _, r := range []model.Row{tookRow("2026-01-01", "b_z", "", "", 1), tookRow("2026-01-02", "b_a", "u_2", "s_1", 2), tookRow("2026-01-02", "b_a", "u_1", "s_2", 3),
		tookRow("2026-01-02", "b_a", "", "", 4), tookRow("2026-01-02", "b_a.x", "u_1", "s_1", 5), tookRow("2026-01-03", "b_a", "u_1", "s_1", 6)} {
		must(t, s.AddUsage(background, r))
	}
	var order []int64
	for _, r := range usageRows(t, s, "2026-01-02") {
		order = append(order, r.Prompt)
	}
	equal(t, "the rows, in order", fmt.Sprint(order), "[4 3 2 5]")
	n := 0
	must(t, s.UsageOf(background, "2026-01-02", func(model.Row) bool { n++; return n < 2 }))
	equal(t, "rows until it was enough", n, 2)
}

func usageHasTotals(t *testing.T, s model.Store) {
	for _, r := range []model.Row{tookRow("2026-01-01", "b_a", "u_1", "s_1", 1), tookRow("2026-01-02", "b_a", "u_1", "s_1", 2), tookRow("2026-01-02", "b_a", "u_2", "s_2", 3),
		tookRow("2026-01-02", "b_b", "u_1", "s_1", 4), tookRow("2026-01-03", "b_a", "u_1", "s_1", 5), tookRow("2026-01-04", "b_a", "u_1", "s_1", 6)} {
		must(t, s.AddUsage(background, r))
	}
	all, err := s.UsageTotals(background, "2026-01-02", "2026-01-03")
	must(t, err)
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprint(r.Day, " ", r.Bot, r.User, r.Session, " ", r.Prompt, " ", r.Requests))
	}
	equal(t, "totals", fmt.Sprint(got), "[2026-01-02 b_a 5 2 2026-01-02 b_b 4 1 2026-01-03 b_a 5 1]")
}

func usageIsForgotten(t *testing.T, s model.Store) {
	for _, day := range []string{"2025-12-31", "2026-01-01", "2026-01-02"} {
		must(t, s.AddUsage(background, tookRow(day, "b_a", "u_1", "s_1", 1)))
	}
	must(t, s.DropUsage(background, "2026-01-01"))
	must(t, s.DropUsage(background, "2026-01-01"))
	all, err := s.UsageTotals(background, "2025-01-01", "2027-01-01")
	must(t, err)
	equal(t, "days that are left", len(all), 2)
	equal(t, "rows of the day that is gone", len(usageRows(t, s, "2025-12-31")), 0)
	equal(t, "rows of the day that stays", len(usageRows(t, s, "2026-01-01")), 1)
}

func usageOfManyAtOnce(t *testing.T, s model.Store) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := s.AddUsage(background, tookRow("2026-01-01", "b_a", fmt.Sprint("u_", i%2), "s_1", 1)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rows, err := s.UsageTotals(background, "2026-01-01", "2026-01-01")
	must(t, err)
	equal(t, "requests", rows[0].Requests, int64(20))
}
