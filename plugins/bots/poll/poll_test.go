package poll_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/plugins/bots/poll"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func TestAPollCountsOneVoteOfEach(t *testing.T) {
	h := bottest.New(t, poll.New()).In("team")
	card := h.Command(`/poll "Lunch?" noodles rice "fried rice"`).
		Expect("[Lunch?]", "0 votes", "| noodles | 0", "<noodles> <rice> <fried rice> <Close>").CardMessage()
	vote := func(i int) string { return card.Card().Buttons[i].Action }
	h.Click(card, vote(0)).Expect("1 vote ·", "| noodles | ▇▇▇▇▇▇▇▇▇▇ 1", "| rice | 0")
	h.By("bob").Click(card, vote(2)).Expect("2 votes", "| noodles | ▇▇▇▇▇ 1", "| fried rice | ▇▇▇▇▇ 1")
	h.By("bob").Click(card, vote(0)).Expect("2 votes", "| noodles | ▇▇▇▇▇▇▇▇▇▇ 2", "| fried rice | 0")
	h.Click(card, vote(0)).Expect("2 votes", "| noodles | ▇▇▇▇▇▇▇▇▇▇ 2")

	h.By("bob").Click(card, card.Card().Buttons[3].Action).Expect("Only who asked can close the poll.")
	late := *card // as Bob still sees it
	h.Click(card, card.Card().Buttons[3].Action).Expect("2 votes · Closed.", "(done: close:")
	if len(card.Card().Buttons) != 0 {
		t.Errorf("a closed poll has the buttons %v", card.Card().Buttons)
	}
	h.By("bob").Click(&late, late.Card().Buttons[1].Action).Expect("The poll is over.")
}

func TestAPollIsAskedOnceHoweverOftenTheBotDies(t *testing.T) {
	h := bottest.New(t, poll.New()).In("team")
	h.CrashAfter(2)
	h.Begin(`/poll “午饭？” 面 饭`)
	card := h.Crash().CardMessage()
	h.Click(card, card.Card().Buttons[1].Action).Expect("| 饭 | ▇▇▇▇▇▇▇▇▇▇ 1")
	h.Crash()
	h.By("bob").Click(card, card.Card().Buttons[1].Action).Expect("2 votes", "| 饭 | ▇▇▇▇▇▇▇▇▇▇ 2")
}

func TestPeopleWhoVoteAtOnceAreAllCounted(t *testing.T) {
	h := bottest.New(t, poll.New()).In("team")
	card := h.Command(`/poll "?" a b`).CardMessage()
	action := card.Card().Buttons[0].Action
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { h.By(fmt.Sprintf("p%d", i)).Click(card, action) })
	}
	all.Wait()
	if text := card.Card().Text; !strings.HasPrefix(text, "20 votes") {
		t.Errorf("after 20 votes at once there are %s", text)
	}
}

func TestAPollThatMakesNoSenseIsRefusedInPrivate(t *testing.T) {
	h := bottest.New(t, poll.New()).In("team")
	h.Say(`/poll "Lunch?" noodles`).Expect("two answers at least")
	h.Say(`/poll "Lunch?" a a`).Expect(`"a" is there twice`)
	h.Say(`/poll "Lunch?" ` + strings.Repeat("x y", 30)).Expect("20 answers at most")
	if n := len(h.Messages()); n != 3 {
		t.Errorf("the group has %d messages, and should have what Ann said alone", n)
	}
	zh := bottest.Config{Locale: "zh-CN"}.New(t, poll.New()).In("team")
	zh.Say(`/poll 午饭 面`).Expect("至少要有两个选项")
	zh.Command(`/poll 午饭 面 饭`).Expect("0 票", "<结束>")
}
