package summariser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/openaistub"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func start(t *testing.T, turns ...openaistub.Turn) (*bottest.Host, *openaistub.Server) {
	t.Helper()
	s := openaistub.Start(turns...)
	t.Cleanup(s.Close)
	return bottest.Config{Model: s}.New(t, New()), s
}

func TestItSumsUpForWhoAsksOrForAll(t *testing.T) {
	h, s := start(t, openaistub.Answer(1, 1, "• they met"))
	team := h.In("team")
	for i := range 30 {
		team.By([]string{"ann", "bob"}[i%2]).Say(fmt.Sprintf("fact %02d", i))
	}
	said := team.Command("/summary 10").Expect("The last 10 messages", "they met").Said()[0]
	if said.To != "u_ann" {
		t.Errorf("a summary for one is told to %q", said.To)
	}
	text := s.Asked()[0].Chat.Messages[1].Text()
	if strings.Contains(text, "fact 19") || !strings.Contains(text, `"fact 29"`) || !strings.Contains(text, `"from":"Bob"`) {
		t.Errorf("the model is shown %s", text)
	}
	said = team.Command("/summary 500 all").Expect("The last 30 messages").Said()[0]
	if said.To != "" || !said.Streamed {
		t.Errorf("a summary for all is %+v", said)
	}
	team.Command("/summary soon").Expect("how many messages")
	team.Command("/summary -3").Expect("how many messages")
}

func TestBySelfItIsWhatOneMissed(t *testing.T) {
	h, s := start(t, openaistub.Answer(1, 1, "• much"))
	team := h.In("team")
	team.Say("before")
	team.Say("my last words")
	for i := range 70 {
		team.By("bob").Say(fmt.Sprintf("missed %02d", i))
	}
	team.Command("/summary").Expect("The last 70 messages")
	if text := s.Asked()[0].Chat.Messages[1].Text(); strings.Contains(text, "my last words") || !strings.Contains(text, "missed 00") {
		t.Errorf("the model is shown %s", text)
	}
}

func TestALongConversationIsSummedUpInParts(t *testing.T) {
	h, s := start(t, openaistub.Answer(1, 1, "• a part"))
	for i := range 30 {
		h.In("team").Say(fmt.Sprintf("%d %s", i, strings.Repeat("blah ", 500)))
	}
	h.In("team").Command("/summary 100").Expect("a part")
	if n := len(s.Asked()); n < 4 || n > 5 {
		t.Errorf("the model was asked %d times", n)
	}
	if last := s.Asked()[len(s.Asked())-1].Chat.Messages[1].Text(); !strings.HasPrefix(last, "• a part") {
		t.Errorf("at last it is shown %.80q", last)
	}
}

func TestFailuresAreTold(t *testing.T) {
	h, _ := start(t, openaistub.TrapBroken())
	h.In("team").Say("a")
	h.In("team").Command("/summary 5").Expect("cannot be reached")
	h.Command("/summary 5").Expect("nothing to sum up")
	bottest.New(t, New()).Command("/summary").Expect("has no model")
}

func TestASpanIsReadOrRefused(t *testing.T) {
	for word, want := range map[string]span{"": {}, "unread": {}, "50": {lines: 50}, "9999": {lines: maxLines}, "2h": {since: 2 * time.Hour}, "3d": {since: 72 * time.Hour}} {
		if got, err := parse(word); got != want || err != nil {
			t.Errorf("%q: %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{"0", "-1", "x", "31d", "-2h", "1e9", "99999h"} {
		if _, err := parse(word); err == nil {
			t.Errorf("%q is a span", word)
		}
	}
}
