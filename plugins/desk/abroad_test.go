package desk_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTheCommandsOfABotAtAnotherNodeAreListed(t *testing.T) {
	all, _ := newStages(t, 2, quick)
	here, far := all[0], all[1]
	rem := reminder("rem")
	rem.plugin.Remote, rem.plugin.Single = true, true
	visit := here.enter(rem)
	reached(t, all, "rem", 1)
	id := far.createAt(protocol.SessionType_GROUP, "bob", "b_rem")
	listed := func(s *stage, want string) {
		t.Helper()
		eventually(t, "the commands are "+want, func() bool {
			_, items := s.commands("bob", id, "")
			got := ""
			for _, i := range items {
				got += fmt.Sprintf("%v of %v (%v), ", i["name"], i["bot"], i["online"])
			}
			return got == want
		})
	}
	const three = "remind of b_rem (%v), set of b_rem (%v), wipe of b_rem (%v), "
	for _, s := range all {
		listed(s, fmt.Sprintf(three, true, true, true))
	}

	// It says something else.
	visit.Close("it goes")
	reached(t, all, "rem", 0)
	listed(far, fmt.Sprintf(three, false, false, false))
	rem.says.Commands = slices.Clone(rem.says.Commands[:1])
	here.enter(rem)
	for _, s := range all {
		listed(s, rem.says.Commands[0].Name+" of b_rem (true), ")
	}
}

func TestACommandOfTwoBotsAtTwoNodesIsAskedAbout(t *testing.T) {
	all, _ := newStages(t, 2, quick)
	one, two := reminder("one"), reminder("two")
	for i, bot := range []*robot{one, two} {
		bot.plugin.Remote, bot.plugin.Single = true, true
		all[i].enter(bot)
	}
	reached(t, all, "one", 1)
	reached(t, all, "two", 1)
	id := all[1].createAt(protocol.SessionType_GROUP, "b_one", "b_two")
	for _, s := range all {
		eventually(t, "it knows both", func() bool { _, items := s.commands("ann", id, ""); return len(items) == 6 })
	}
	all[1].say("ann", id, "/set 1")
	eventually(t, "it is asked which", func() bool {
		return slices.Contains(append(all[0].told.whispered(), all[1].told.whispered()...), "Several bots have this command. Say which: /set@one /set@two")
	})
}
