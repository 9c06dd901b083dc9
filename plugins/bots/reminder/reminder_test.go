package reminder_test

import (
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/bots/reminder"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func TestAReminderComesAtItsTime(t *testing.T) {
	h := bottest.New(t, reminder.New())
	h.Command("/remind 10m tea").Expect("[In 10 minutes: tea]", "<Cancel>")
	if turns := h.Advance(9 * time.Minute); len(turns) != 0 {
		t.Errorf("a minute too early there were %d", len(turns))
	}
	turns := h.Advance(time.Minute)
	if len(turns) != 1 {
		t.Fatalf("after ten minutes %d came", len(turns))
	}
	turns[0].Expect("⏰ tea")
	h.Say("/reminders").Expect("You have no reminders.")
}

func TestRemindersOutliveTheBot(t *testing.T) {
	h := bottest.New(t, reminder.New()).In("team")
	h.CrashAfter(3)
	h.Begin("/remind 1h stand up")
	h.Crash()
	h.Crash()
	h.By("bob").Command("/remind 30m coffee")
	h.Crash()
	turns := h.Advance(2 * time.Hour)
	if len(turns) != 2 {
		t.Fatalf("%d reminders came, not 2", len(turns))
	}
	turns[0].Expect("⏰ @Bob coffee")
	turns[1].Expect("⏰ @Ann stand up")
	if m := turns[1].Said()[0]; len(m.Mentions) != 1 || m.Mentions[0] != "u_ann" {
		t.Errorf("the reminder mentions %v", m.Mentions)
	}
	h.Crash().ExpectNothing() // it was said
}

func TestAReminderIsCancelledByWhoAskedForIt(t *testing.T) {
	h := bottest.New(t, reminder.New()).In("team")
	card := h.Command("/remind 10m tea").CardMessage()
	action := card.Card().Buttons[0].Action
	h.By("bob").Click(card, action).Expect("somebody else's")
	h.Click(card, action).Expect("[Cancelled: tea]", "(done: ")
	if turns := h.Advance(time.Hour); len(turns) != 0 {
		t.Errorf("a cancelled reminder came %d times", len(turns))
	}

	h.Command("/remind 2h bread")
	h.Command("/remind 1h30m milk")
	h.Say("/reminders").Expect("[Your reminders]", "| 1. milk | in 1 hour 30 minutes", "| 2. bread | in 2 hours")
	h.Command("/unremind 1").Expect("Cancelled: milk")
	h.Command("/unremind 2").Expect("no such reminder")
	h.Say("/reminders").Expect("| 1. bread |")
	h.By("bob").Say("/reminders").Expect("You have no reminders.")
}

func TestInPrivateTheListHasButtons(t *testing.T) {
	h := bottest.New(t, reminder.New())
	h.Command("/remind 2h bread")
	h.Command("/remind 90m milk")
	list := h.Say("/reminders").Expect("<Cancel: milk> <Cancel: bread>").CardMessage()
	cancel := list.Card().Buttons[0].Action
	stale := *list // as another device of hers still shows it
	h.Click(list, cancel).Expect("[Cancelled: milk]")
	h.Click(&stale, cancel).Expect("gone already")
	if turns := h.Advance(3 * time.Hour); len(turns) != 1 {
		t.Errorf("%d reminders came, not 1", len(turns))
	}
}

func TestRemindersSpeakChinese(t *testing.T) {
	h := bottest.Config{Locale: "zh-CN"}.New(t, reminder.New())
	h.Command("/remind 1小时30分钟 喝茶").Expect("1小时30分钟后提醒：喝茶", "<取消>")
	h.Say("/remind 400d 喝茶").Expect("一秒到一年")
	h.Say("/reminders").Expect("| 1. 喝茶 | 1小时30分钟后")
	h.Say("你好").Expect("/remind 10m 喝茶")
}

func TestSpanNamesTheTwoLargestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "1 minute 30 seconds", 10 * time.Minute: "10 minutes",
		26*time.Hour + time.Minute: "1 day 2 hours", 0: "1 second",
	} {
		if got := reminder.Span(d, "en"); got != want {
			t.Errorf("Span(%v) = %s, want %s", d, got, want)
		}
	}
}
