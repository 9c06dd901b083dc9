package desk_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// failing is a store that refuses some writes at first.
type failing struct {
	*pebblestore.Store
	cursors, wishes atomic.Int32 // writes that fail, less those that were tried
}

var errFull = protocol.Errorf(protocol.Code_BUSY, "the disk is full")

func (f *failing) PutBotCursors(ctx context.Context, all []*desk.Cursor) error {
	if f.cursors.Add(-1) >= 0 {
		return errFull
	}
	return f.Store.PutBotCursors(ctx, all)
}

func (f *failing) PutBotWish(ctx context.Context, card string, w *desk.Wish) error {
	if f.wishes.Add(-1) >= 0 {
		return errFull
	}
	return f.Store.PutBotWish(ctx, card, w)
}

// balky is a node that takes what the desk itself says only the second time.
type balky struct {
	*told
	refused atomic.Int32
}

func (b *balky) Ask(ctx context.Context, who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
	if m := f.GetMsgSend(); m != nil && strings.HasPrefix(m.ClientMsgId, "desk.") && b.refused.Add(1)%2 == 1 {
		return nil, errFull
	}
	return b.told.Ask(ctx, who, f)
}

// anew puts another desk in the place of the stage's, as a server does that starts again.
func (s *stage) anew(cfg desk.Config, store desk.Store, actors desk.Actors) {
	s.desks.Close()
	s.desks = desk.New(cfg, desk.Needs{Actors: actors, Users: crowd{}, Store: store, Log: slog.New(slog.DiscardHandler), Now: s.now})
	s.node.UseRobots(s.desks)
	s.t.Cleanup(s.desks.Close)
}

func TestABotHearsOfASessionOnceItsPlaceThereIsDurable(t *testing.T) {
	s := newStage(t, quick)
	store := &failing{Store: s.store}
	store.cursors.Store(1 << 20)
	s.anew(quick, store, s.told)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "b_echo")
	eventually(t, "its place is tried to be written", func() bool { return store.cursors.Load() < 1<<20-3 })
	select {
	case e := <-c.events:
		t.Errorf("it is told %v", e)
	default:
	}
	store.cursors.Store(0)
	if e := c.event("added"); e.Session != id {
		t.Errorf("it is told %v", e)
	} else {
		c.done(e)
	}
}

func TestWhatACardAllowsIsDurableBeforeTheCardIsSeen(t *testing.T) {
	s := newStage(t, quick)
	store := &failing{Store: s.store}
	store.wishes.Store(1)
	s.anew(quick, store, s.told)
	rem := reminder("rem")
	rem.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "command" {
			w.call(post(e.Id, 1, "wiped"))
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	s.enter(rem)
	c := s.caller(aBot("ai"))
	id := s.create(protocol.SessionType_GROUP, "b_rem", "b_ai")
	s.say("ann", id, "@ai", mention("b_ai"))
	e := c.event("message")
	wipe := func() *botv1.Call {
		return &botv1.Call{Event: e.Id, Do: &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: "rem__wipe", Args: `{"what":"all"}`}}}
	}
	c.fails("BUSY", wipe())
	for _, entry := range s.log(id) {
		if entry.Content.GetType() == protocol.ContentType_CARD {
			t.Fatalf("the card is seen: %v", entry)
		}
	}
	c.ok(wipe())
	s.click("ann", id, s.card(id, "b_ai", "troupe.tool.run").MessagerecvId, "troupe.tool.run")
	s.saysInTheEnd(id, "b_rem", "wiped")
	c.ok(wipe()) // the event may come again when it was decided already: nothing is asked once more
	eventually(t, "the card offers nothing more", func() bool {
		_, err := s.as("ann", pressOf(id, s.card(id, "b_ai", "troupe.tool.run").MessagerecvId, "troupe.tool.run"))
		return protocol.Code_BAD_REQUEST.Is(err)
	})
	if got := s.texts(id, "b_rem"); !slices.Equal(got, []string{"wiped"}) {
		t.Errorf("the bot says %q", got)
	}
}

func TestPeopleAreToldThatTheyTakeOverThoughItFailsAtFirst(t *testing.T) {
	s := newStage(t, quick)
	s.anew(quick, s.store, &balky{told: s.told})
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
	s.say("bob", id, "@echo help", mention("b_echo"))
	e := c.event("message")
	handoff := func() *botv1.Call {
		return &botv1.Call{Event: e.Id, Do: &botv1.Call_Handoff{Handoff: &botv1.Handoff{To: "human", Summary: "bob needs help"}}}
	}
	c.fails("BUSY", handoff())
	c.ok(handoff())
	c.done(e)
	if !slices.Contains(s.told.whispered(), "The bot asks you to take over: bob needs help") {
		t.Errorf("nobody is asked: %q", s.told.whispered())
	}
	s.say("bob", id, "/bot")
	s.saysInTheEnd(id, "b_echo", "People take over here. /bot brings the bot back.", "The bot is back.")
	s.say("bob", id, "@echo and now?", mention("b_echo"))
	if e := c.event("message"); e.Text != "and now?" {
		t.Errorf("it is given %v", e)
	}
}

// A command that somebody allowed, whose bot does not come after the server's start: it
// was taken away, or waits for approval.
func TestWhoAllowedACommandIsToldThatItsBotDoesNotComeBack(t *testing.T) {
	s := newStage(t, quick)
	var ahead atomic.Int64
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s.anew(quick, s.store, s.told)
	rem := s.caller(reminder("rem"))
	c := s.caller(aBot("ai"))
	id := s.create(protocol.SessionType_GROUP, "b_rem", "b_ai")
	s.say("ann", id, "@ai", mention("b_ai"))
	e := c.event("message")
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: "rem__wipe", Args: `{"what":"all"}`}}})
	s.click("ann", id, s.card(id, "b_ai", "troupe.tool.run").MessagerecvId, "troupe.tool.run")
	rem.event("command")
	for _, bot := range []*caller{rem, c} {
		bot.Close("the server stops")
		<-bot.visit.done
	}
	s.anew(quick, s.store, s.told) // nobody comes to this one
	ahead.Store(int64(time.Hour))
	eventually(t, "ann is told", func() bool {
		return slices.Contains(s.told.whispered(), "This came too late: the bot was away.")
	})
	eventually(t, "it is not kept any more", func() bool {
		due, _, err := s.store.DueBotSchedules(t.Context(), "rem", s.now(), 9)
		return err == nil && len(due) == 0
	})
}
