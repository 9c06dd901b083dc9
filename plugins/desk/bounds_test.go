package desk_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

func TestWhatADeskHasInMemoryIsBounded(t *testing.T) {
	cfg := quick
	cfg.Lanes, cfg.Held, cfg.Page, cfg.MaxAge = 8, 12, 4, time.Hour
	s := newStage(t, cfg)
	bot := aBot("echo")
	bot.says.Parallel = 3
	var mu sync.Mutex
	heard := map[string][]string{}
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "message" {
			mu.Lock()
			heard[e.Session] = append(heard[e.Session], e.Text)
			mu.Unlock()
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	var ids []string
	var want []string
	for n := range 30 {
		want = append(want, fmt.Sprint(n))
	}
	for i := range 40 {
		id := s.must(fmt.Sprint("u", i), &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_P2P, Members: []string{"b_echo"}}}}).GetSessionCreateReply().Result[0]
		ids = append(ids, id)
		for n := range 15 {
			s.say(fmt.Sprint("u", i), id, want[n])
		}
	}
	s.enter(bot)
	for i, id := range ids {
		for n := 15; n < 30; n++ {
			s.say(fmt.Sprint("u", i), id, want[n])
			if st := s.desks.Status()[0]; st.Lanes > 8 || st.Held > 12+3*8 || st.InHand > 3 {
				t.Fatalf("it has in memory: %+v", st)
			}
		}
	}
	eventually(t, "all is heard", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			if len(heard[id]) < 30 {
				return false
			}
		}
		return true
	})
	for _, id := range ids {
		if !slices.Equal(heard[id], want) {
			t.Errorf("in %s it heard %q", id, heard[id])
		}
	}
	eventually(t, "nothing stays in memory", func() bool { st := s.desks.Status()[0]; return st.Lanes == 0 && st.Held == 0 })
}

func TestADeadBotAndASlowOneCostOthersNothing(t *testing.T) {
	s := newStage(t, quick)
	slow, dead, well := aBot("slow"), aBot("dead"), aBot("well")
	slow.on = func(*wire, *botv1.Event) {}
	well.on = echo
	s.enter(slow)
	s.enter(well)
	deaf := newWire() // nobody reads what it is sent
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.desks.Serve(ctx, dead.plugin, deaf)
	}()
	deaf.send(&botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: dead.says}})
	eventually(t, "it is let in", func() bool {
		return slices.ContainsFunc(s.desks.Status(), func(st desk.Status) bool { return st.Plugin == "dead" && st.State == "online" })
	})
	id := s.create(protocol.SessionType_GROUP, "b_slow", "b_dead", "b_well")
	var want []string
	for n := range 40 {
		s.say("ann", id, fmt.Sprint("@well ", n), mention("b_slow", "b_dead", "b_well"))
		want = append(want, fmt.Sprint("echo ", n))
	}
	s.saysInTheEnd(id, "b_well", want...)
	deaf.Close("the test is over")
	stop()
	<-ended
}

func TestWhatWasDoneIsNotGivenAgainAfterARestart(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	c := s.caller(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "one")
	s.say("ann", id, "two")
	c.done(c.event("message"))
	two := c.event("message")
	c.Close("the server stops")
	<-c.visit.done
	s.desks.Close()
	s.desks = desk.New(quick, desk.Needs{Actors: s.told, Users: crowd{}, Store: s.store, Log: slog.New(slog.DiscardHandler)})
	s.node.UseRobots(s.desks)
	t.Cleanup(s.desks.Close)
	c = s.caller(bot)
	if e := c.event("message"); e.Id != two.Id || e.Text != "two" {
		t.Errorf("it is given %v", e)
	} else {
		c.done(e)
	}
}

func TestAnEventIsGivenAgainWhenNothingIsSaidAboutIt(t *testing.T) {
	cfg := quick
	cfg.Ack = 5 * time.Millisecond
	s := newStage(t, cfg)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	first, second := c.event("message"), c.event("message")
	if first.Id != second.Id || second.Attempt != first.Attempt+1 {
		t.Errorf("it came as %v, then %v", first, second)
	}
	c.done(second)
}

func TestWhoTakesTheQuestionBackWantsNoAnswer(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	m := s.say("ann", id, "hi")
	e := c.event("message")
	s.must("ann", &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: id, MessagerecvId: m.MessagerecvId}}})
	if f := c.frame(); f.GetCancel().GetEvent() != e.Id {
		t.Errorf("it is told %v", f)
	}
	c.done(e)
	if e := c.event("recalled"); e.Message != m.MessagerecvId {
		t.Errorf("then it is told %v", e)
	}
}

func TestAnOrderingSaysWhoWaitsForWhom(t *testing.T) {
	for ordering, want := range map[botv1.Ordering]int{botv1.Ordering_BY_SESSION: 1, botv1.Ordering_BY_USER: 2, botv1.Ordering_NONE: 4} {
		s := newStage(t, quick)
		bot := aBot("echo")
		bot.says.Ordering = ordering
		c := s.caller(bot)
		id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
		c.done(c.event("added"))
		for _, user := range []string{"ann", "ann", "bob", "bob"} {
			s.say(user, id, "hi", mention("b_echo"))
		}
		var got []*botv1.Event
		for range want {
			got = append(got, c.event("message"))
		}
		eventually(t, "all is read", func() bool { return s.desks.Status()[0].Held == 4 })
		if n := s.desks.Status()[0].InHand; n != want {
			t.Errorf("%v: %d in hand, want %d", ordering, n, want)
		}
		for _, e := range got {
			c.done(e)
		}
		for range 4 - want {
			c.done(c.event("message"))
		}
	}
}

func TestAnAcknowledgementWaitsForWhatWasCalledBefore(t *testing.T) {
	s := newStage(t, desk.Config{Retry: time.Millisecond, Flush: 20 * time.Millisecond, SessionRate: 1000, SessionBurst: 1, SessionMin: 1e6, BotRate: 1e6})
	bot := aBot("echo")
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "message" { // more at once than it may say: those come again
			for n := range 3 {
				w.call(post(e.Id, uint32(n), fmt.Sprint(e.Text, n)))
			}
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	s.enter(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "a")
	eventually(t, "all is said", func() bool { return len(s.texts(id, "b_echo")) == 3 })
}
