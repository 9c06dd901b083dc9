package desk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

func TestABotAnswersInAPrivateChat(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	bot.on = echo
	s.enter(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	s.say("ann", id, "there")
	s.saysInTheEnd(id, "b_echo", "echo hi", "echo there")
	if got := s.told.seen["b_echo"]; got != "online" {
		t.Errorf("it is seen %s", got)
	}
}

func TestABotThatComesLaterCatchesUp(t *testing.T) {
	s := newStage(t, quick)
	id := s.p2p("b_echo")
	for i := range 150 {
		s.say("ann", id, fmt.Sprint(i))
	}
	bot := aBot("echo")
	bot.on = echo
	s.enter(bot)
	var want []string
	for i := range 150 {
		want = append(want, fmt.Sprint("echo ", i))
	}
	s.saysInTheEnd(id, "b_echo", want...)
}

func TestInAGroupABotHearsOnlyWhatIsMeantForIt(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	bot.on = echo
	s.enter(bot)
	id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
	s.say("ann", id, "nobody's business")
	s.say("bob", id, "@echo one", mention("b_echo"))
	s.saysInTheEnd(id, "b_echo", "echo one")
	answer := s.log(id)[len(s.log(id))-1]
	if answer.ReplyTo == "" {
		t.Error("in a group an answer stands under nothing")
	}
	s.say("ann", id, "two", answering(answer.MessagerecvId))
	s.say("ann", id, "@everybody three", mention("*"))
	s.say("ann", id, "four @Echo", mention("b_echo"))
	s.saysInTheEnd(id, "b_echo", "echo one", "echo two", "echo four")
}

func TestUnderCrashesNothingIsLostSaidTwiceOrOutOfOrder(t *testing.T) {
	const sessions, each = 30, 20
	cfg := quick
	cfg.Attempts = 20
	s := newStage(t, cfg)
	bot := aBot("echo")
	bot.plugin.Remote = true // what is cut is the wire: nobody is to blame
	var left atomic.Int64    // acknowledgements until it is
	ack := func(w *wire, e *botv1.Event) {
		if w.ack(&botv1.Ack{Event: e.Id}) && left.Add(-1) == 0 {
			w.Close("crash")
		}
	}
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Kind != "message" {
			ack(w, e)
			return
		}
		go func() { // several at once, as an SDK has it
			if e.Seq%2 == 0 {
				for i := range 10 {
					text := fmt.Sprint("echo ", e.Text)
					at := len(text) * i / 10
					if !w.call(&botv1.Call{Event: e.Id, Do: &botv1.Call_Delta{Delta: &botv1.StreamDelta{N: 1, Offset: int64(at), Text: text[at : len(text)*(i+1)/10]}}}) {
						return
					}
				}
				w.call(&botv1.Call{Event: e.Id, Do: &botv1.Call_End{End: &botv1.StreamEnd{N: 1, Text: "echo " + e.Text, Finish: "stop"}}})
			} else {
				w.call(post(e.Id, 1, "echo "+e.Text))
			}
			ack(w, e)
		}()
	}
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = s.must(fmt.Sprint("u", i), &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_P2P, Members: []string{"b_echo"}}}}).GetSessionCreateReply().Result[0]
	}
	over := make(chan struct{})
	var crashes int
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			left.Store(1 + rand.Int64N(120))
			v := s.serve(bot)
			select {
			case <-v.done:
				crashes++
			case <-over:
				return
			}
		}
	})
	for i, id := range ids {
		wait.Go(func() {
			for n := range each {
				s.say(fmt.Sprint("u", i), id, fmt.Sprint(n))
			}
		})
	}
	var want []string
	for n := range each {
		want = append(want, fmt.Sprint("echo ", n))
	}
	read := func(i int) (texts []string) {
		after := int64(0)
		r := s.must(fmt.Sprint("u", i), &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: ids[i], AfterSeq: &after}}}).GetSyncReply()
		for _, e := range r.Messages {
			if e.Sender == "b_echo" {
				texts = append(texts, e.Content.GetText())
			}
		}
		return texts
	}
	defer func() {
		for i := range ids {
			if got := read(i); !slices.Equal(got, want) {
				t.Errorf("u%d: %q", i, got)
			}
		}
		t.Logf("%d crashes; %+v", crashes, s.desks.Status()[0])
	}()
	eventually(t, "all is answered", func() bool {
		for i := range ids {
			if len(read(i)) < each {
				return false
			}
		}
		return true
	})
	close(over)
	wait.Wait()
}

func TestWhatIsNotAcknowledgedComesAgainAndIsGivenUpInTheEnd(t *testing.T) {
	cfg := quick
	cfg.Attempts = 3
	s := newStage(t, cfg)
	bot := aBot("echo")
	var mu sync.Mutex
	var attempts []uint32
	broken := true
	bot.on = func(w *wire, e *botv1.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == "message" && e.Text == "bad" {
			attempts = append(attempts, e.Attempt)
			if broken {
				w.ack(&botv1.Ack{Event: e.Id, Error: "no"})
				return
			}
		}
		echo(w, e)
	}
	s.enter(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "bad")
	s.say("ann", id, "good")
	s.saysInTheEnd(id, "b_echo", "echo good")
	mu.Lock()
	if !slices.Equal(attempts, []uint32{1, 2, 3}) {
		t.Errorf("attempts were %d", attempts)
	}
	broken = false
	mu.Unlock()
	dead, err := s.desks.DeadLetters(t.Context(), "echo", nil, 10)
	if err != nil || len(dead) != 1 || dead[0].Why != "FAILED" || dead[0].Attempts != 3 || dead[0].Error != "no" {
		t.Fatalf("dead letters: %+v, %v", dead, err)
	}
	if err := s.desks.Replay(t.Context(), "echo", dead[0].Event); err != nil {
		t.Fatal(err)
	}
	s.saysInTheEnd(id, "b_echo", "echo good", "echo bad")
	eventually(t, "it is no dead letter any more", func() bool {
		dead, err := s.desks.DeadLetters(t.Context(), "", nil, 10)
		return err == nil && len(dead) == 0
	})
}

func TestAnEventThatCrashesTheBotTwiceIsGivenUp(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Text == "poison" {
			w.Close("crash")
			return
		}
		echo(w, e)
	}
	id, other := s.p2p("b_echo"), s.create(protocol.SessionType_GROUP, "b_echo")
	s.say("ann", id, "poison")
	s.say("ann", id, "well")
	s.say("ann", other, "well", mention("b_echo"))
	for range 2 {
		<-s.serve(bot).done
	}
	s.enter(bot)
	s.saysInTheEnd(id, "b_echo", "echo well")
	s.saysInTheEnd(other, "b_echo", "echo well")
	dead, err := s.desks.DeadLetters(t.Context(), "", nil, 10)
	if err != nil || len(dead) != 1 || dead[0].Why != "POISON" {
		t.Errorf("dead letters: %+v, %v", dead, err)
	}
}

// A server that is started again and again has long answers begun anew, and none given up for it.
func TestWhatABotHasInHandIsNotToBlameWhenItIsStopped(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	inHand := make(chan *botv1.Event)
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "message" && e.Attempt < 4 {
			inHand <- e
			return
		}
		echo(w, e)
	}
	bot.frame = func(w *wire, f *botv1.HostFrame) bool {
		if f.GetDrain() != nil {
			w.Close("it took too long and was killed")
		}
		return f.GetDrain() != nil
	}
	id := s.p2p("b_echo")
	s.say("ann", id, "a long story")
	for range 3 {
		v := s.enter(bot)
		select {
		case <-inHand:
		case <-time.After(time.Minute):
			t.Fatal("it is not given")
		}
		v.stop()
		<-v.done
	}
	s.enter(bot)
	s.saysInTheEnd(id, "b_echo", "echo a long story")
}

func TestASlowAnswerHoldsUpNeitherCommandsNorOtherSessions(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	bot.says.Parallel = 4
	bot.says.Commands = []*botv1.Command{{Name: "now"}}
	bot.on = func(w *wire, e *botv1.Event) {
		switch {
		case strings.HasPrefix(e.Text, "slow"):
		case e.Kind == "command":
			w.call(post(e.Id, 1, "now"))
			w.ack(&botv1.Ack{Event: e.Id})
		default:
			echo(w, e)
		}
	}
	s.enter(bot)
	for range 6 { // more groups than credits
		id := s.create(protocol.SessionType_GROUP, "b_echo")
		s.say("ann", id, "slow", mention("b_echo"))
	}
	id := s.create(protocol.SessionType_GROUP, "b_echo")
	s.say("ann", id, "slow", mention("b_echo"))
	s.say("ann", id, "quick, but behind it", mention("b_echo"))
	s.say("ann", id, "/now")
	s.saysInTheEnd(id, "b_echo", "now")
	p2p := s.p2p("b_echo")
	s.say("ann", p2p, "hi")
	s.saysInTheEnd(p2p, "b_echo", "echo hi")
}

func TestOldEventsAreNotAnswered(t *testing.T) {
	cfg := quick
	cfg.MaxAge = time.Nanosecond
	s := newStage(t, cfg)
	id := s.p2p("b_echo")
	s.say("ann", id, "old")
	last := s.say("ann", id, "/now")
	bot := aBot("echo")
	bot.says.Commands = []*botv1.Command{{Name: "now"}}
	bot.on = echo
	eventually(t, "they are old", func() bool { return time.Now().UnixMilli() > last.CreatedAt })
	v := s.enter(bot)
	eventually(t, "who called a command is told", func() bool { return slices.Contains(s.told.whispered(), "This came too late: the bot was away.") })
	v.Close("")
	<-v.done
	bot.says.MaxEventAgeMs = -1
	late := make(chan bool, 9)
	bot.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "message" {
			late <- e.Late
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	s.enter(bot)
	s.say("ann", id, "new")
	<-late
}

func TestWhoIsNoGoodIsRefused(t *testing.T) {
	s := newStage(t, quick)
	for name, x := range map[string]struct {
		change func(*robot)
		code   string
	}{
		"another protocol":   {func(r *robot) { r.says.Protocol = 9 }, "PROTOCOL"},
		"another id":         {func(r *robot) { r.says.Id = "other" }, "WRONG_ID"},
		"a bad command":      {func(r *robot) { r.says.Commands = []*botv1.Command{{Name: "Bad Name"}} }, "BAD_DESCRIBE"},
		"the host's command": {func(r *robot) { r.says.Commands = []*botv1.Command{{Name: "consent"}} }, "BAD_DESCRIBE"},
		"a handle twice":     {func(r *robot) { r.says.Personas = []*botv1.Persona{{Handle: "a"}, {Handle: "a"}} }, "BAD_DESCRIBE"},
		"an unknown type": {func(r *robot) {
			r.says.Commands = []*botv1.Command{{Name: "x", Args: []*botv1.Argument{{Name: "a", Type: "colour"}}}}
		}, "BAD_DESCRIBE"},
	} {
		t.Run(name, func(t *testing.T) {
			bot := aBot("echo")
			x.change(bot)
			v := s.serve(bot)
			<-v.done
			var no *desk.RefusedError
			if !errors.As(v.err, &no) || no.Code != x.code {
				t.Errorf("it ends with %v, want %s", v.err, x.code)
			}
		})
	}
}

func TestANewVersionTakesOverFromTheOld(t *testing.T) {
	s := newStage(t, quick)
	id := s.p2p("b_echo")
	held := make(chan *botv1.Event, 1)
	old := aBot("echo")
	drained := make(chan struct{})
	old.on = func(w *wire, e *botv1.Event) {
		if e.Kind == "message" {
			held <- e
			return
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	old.frame = func(w *wire, f *botv1.HostFrame) bool {
		if f.GetDrain() != nil {
			close(drained)
			return true
		}
		return false
	}
	first := s.enter(old)
	s.say("ann", id, "one")
	e := <-held
	bot := aBot("echo")
	bot.on = echo
	s.enter(bot)
	<-drained
	s.say("ann", id, "two")
	first.call(post(e.Id, 1, "old one"))
	first.ack(&botv1.Ack{Event: e.Id})
	first.send(&botv1.BotFrame{Body: &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}})
	<-first.done
	if first.err != nil {
		t.Errorf("the old one ends with %v", first.err)
	}
	s.saysInTheEnd(id, "b_echo", "old one", "echo two")
}

func TestASilentBotIsLetGo(t *testing.T) {
	cfg := quick
	cfg.Ping, cfg.Pong = time.Millisecond, time.Millisecond
	s := newStage(t, cfg)
	bot := aBot("echo")
	bot.frame = func(_ *wire, f *botv1.HostFrame) bool { return f.GetPing() != nil }
	v := s.enter(bot)
	<-v.done
	if v.err == nil || !strings.Contains(v.err.Error(), "NO_PONG") {
		t.Errorf("it ends with %v", v.err)
	}
	eventually(t, "it is seen offline", func() bool {
		s.told.mu.Lock()
		defer s.told.mu.Unlock()
		return s.told.seen["b_echo"] == "offline"
	})
}
