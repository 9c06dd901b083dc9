package actors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// hears waits until what is said in a session comes to the client: a message that comes
// sooner is read from the log, a draft is not.
func (c *client) hears(t *testing.T, id protocol.SessionID) protocol.SessionID {
	t.Helper()
	eventually(t, c.user+" hears "+id, func() bool { return c.row(id) != nil })
	return id
}

// streams takes the frames of drafts that have come.
func (c *client) streams() (all []*protocol.MsgStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = slices.DeleteFunc(c.frames, func(f *protocol.Frame) bool {
		if m := f.GetMsgStream(); m != nil {
			all = append(all, m)
			return true
		}
		return false
	})
	return all
}

func (c *client) stream() *protocol.MsgStream {
	c.t.Helper()
	return c.wait("a frame of a draft", func(f *protocol.Frame) bool { return f.GetMsgStream() != nil }).GetMsgStream()
}

// drawn is a draft as a client has it after these frames.
func drawn(t *testing.T, draft []uint16, frames ...*protocol.MsgStream) []uint16 {
	t.Helper()
	for _, m := range frames {
		if m.At > int64(len(draft)) {
			t.Errorf("the frame with rev %d begins at %d, and there are %d units", m.Rev, m.At, len(draft))
			continue
		}
		draft = append(draft[:m.At:m.At], utf16.Encode([]rune(m.Text))...)
	}
	return draft
}

func caughtUp(session protocol.SessionID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, AfterSeq: new(int64)}}}
}

func stopIt(session protocol.SessionID, what string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: session, MessagerecvId: what}}}
}

func TestADraftBecomesTheMessageOfItsName(t *testing.T) {
	s, _ := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.hears(t, ann.p2p("b_echo"))
	asked := ann.send(id, "1", "hi").MessagerecvId
	s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", ReplyTo: asked, Text: "one "})
	first := ann.stream()
	if first.Text != "one " || first.At != 0 || first.Sender != "b_echo" || first.ReplyTo != asked || first.CreatedAt == 0 {
		t.Errorf("the first frame is %v", first)
	}
	s.says("b_echo", id, "s1", "one two")
	ann.push(2)
	last := ann.wait("the end of the draft", func(f *protocol.Frame) bool { return f.GetMsgStream().GetDone() }).GetMsgStream()
	if last.Seq != 2 || last.StreamId != "s1" || last.Rev <= first.Rev {
		t.Errorf("the draft ends with %v", last)
	}
	if got := ann.must(caughtUp(id)).GetSyncReply(); len(got.Streams) != 0 {
		t.Errorf("what is a message is a draft too: %v", got.Streams)
	}
	// One who did not know begins again: it shows nothing, and says where the message is.
	s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", Text: "one "})
	if a := s.says("b_echo", id, "s1", "one two"); !a.Duplicate || a.Seq != 2 {
		t.Errorf("the same message again is answered %v", a)
	}
	ann.must(caughtUp(id))
	if got := ann.streams(); len(got) != 0 {
		t.Errorf("a draft of what is a message is shown: %v", got)
	}
}

func TestADraftIsToldInFewFramesThatGiveItsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := robotic(t, actors.Config{})
		ann := s.dial("ann", "d")
		id := ann.hears(t, ann.p2p("b_echo"))
		want := ""
		for i := range 200 { // in two seconds
			word := fmt.Sprintf("Wort %d 你好 😀 ", i)
			s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", At: int64(len(want)), Text: word})
			want += word
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		frames := ann.streams()
		if n := len(frames); n < 30 || n > 42 {
			t.Errorf("a draft of 2 s is told in %d frames", n)
		}
		if frames[0].Text != "Wort 0 你好 😀 " {
			t.Errorf("the first word comes alone and at once, not %q", frames[0].Text)
		}
		got := drawn(t, nil, frames...)
		if string(utf16.Decode(got)) != want {
			t.Errorf("clients have %q", string(utf16.Decode(got)))
		}
		for i, m := range frames {
			if m.Rev != int64(i+1) {
				t.Errorf("frame %d has the rev %d", i, m.Rev)
			}
		}
		// Written over from the middle on.
		at := strings.Index(want, "Wort 100")
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", At: int64(at), Text: "Ende"})
		time.Sleep(100 * time.Millisecond)
		got = drawn(t, got, ann.streams()...)
		if string(utf16.Decode(got)) != want[:at]+"Ende" {
			t.Errorf("after a change clients have %q", string(utf16.Decode(got)))
		}
	})
}

func TestWhoComesLateGetsTheDraftWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := robotic(t, actors.Config{})
		ann := s.dial("ann", "d")
		id := ann.hears(t, ann.p2p("b_echo"))
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", Text: "😀 one"})
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", At: 8, Text: " two"})
		late := s.dial("ann", "late")
		streams := late.must(caughtUp(id)).GetSyncReply().Streams
		if len(streams) != 1 || streams[0].Text != "😀 one two" || streams[0].At != 0 || streams[0].StreamId != "s1" {
			t.Fatalf("sync gives %v", streams)
		}
		late.streams()
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", At: 12, Text: " three"})
		time.Sleep(time.Second)
		got := drawn(t, drawn(t, nil, streams...), late.streams()...)
		if string(utf16.Decode(got)) != "😀 one two three" {
			t.Errorf("who came late has %q", string(utf16.Decode(got)))
		}
	})
}

func TestADraftThatNobodyGoesOnWritingHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := robotic(t, actors.Config{SessionIdle: time.Second})
		ann := s.dial("ann", "d")
		id := ann.hears(t, ann.create(protocol.SessionType_GROUP, "bob", "b_echo", "b_other"))
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", Text: "one"})
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_other", Stream: "s2", Text: "one"})
		time.Sleep(40 * time.Second)
		s.node.Draft(&actors.Draft{Session: id, Bot: "b_other", Stream: "s2", At: 3, Text: " two"})
		time.Sleep(19 * time.Second)
		if got := ann.streams(); len(got) != 3 {
			t.Errorf("before a minute is over there are %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := ann.streams(); len(got) != 1 || !got[0].Failed || got[0].StreamId != "s1" {
			t.Errorf("after a minute there are %v", got)
		}
		ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"b_other"}}}})
		synctest.Wait()
		if got := ann.streams(); len(got) != 1 || !got[0].Failed || got[0].StreamId != "s2" {
			t.Errorf("of a bot that was removed there are %v", got)
		}
	})
}

func TestDraftsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := robotic(t, actors.Config{MaxText: 16})
		ann := s.dial("ann", "d")
		id := ann.hears(t, ann.p2p("b_echo"))
		for i := range 20 {
			s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: fmt.Sprint("s", i), Text: strings.Repeat("你", 40)})
		}
		streams := ann.must(caughtUp(id)).GetSyncReply().Streams
		if len(streams) != 8 {
			t.Errorf("%d drafts are there at once", len(streams))
		}
		for _, m := range streams {
			if m.Text != strings.Repeat("你", 21) {
				t.Errorf("a draft has %d bytes: %q", len(m.Text), m.Text)
			}
		}
		ann.streams()
		for _, d := range []actors.Draft{
			{Bot: "b_echo", Stream: "s0", At: 1000, Text: "a hole"},
			{Bot: "b_echo", Stream: "s9", At: 3, Text: "no beginning"},
			{Bot: "b_other", Stream: "x", Text: "no member"},
			{Bot: "ann", Stream: "x", Text: "no bot"},
			{Bot: "b_other", Stream: "s0", Text: "another's"},
		} {
			d.Session = id
			s.node.Draft(&d)
		}
		s.node.Draft(&actors.Draft{Session: "p_aaaaaaaaaaaaaaaa", Bot: "b_echo", Stream: "x", Text: "nowhere"})
		s.node.Draft(&actors.Draft{Session: "nonsense", Bot: "b_echo", Stream: "x", Text: "nowhere"})
		time.Sleep(time.Second)
		if got := ann.streams(); len(got) != 0 {
			t.Errorf("what is no part of a draft is told: %v", got)
		}
	})
}

func TestADraftInALargeSessionIsToldLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := robotic(t, actors.Config{ReceiptSize: 2})
		ann := s.dial("ann", "d")
		id := ann.hears(t, ann.create(protocol.SessionType_GROUP, "b_echo", "c", "d", "e", "f", "g", "h"))
		for i := range 100 {
			s.node.Draft(&actors.Draft{Session: id, Bot: "b_echo", Stream: "s1", At: int64(i), Text: "x"})
			time.Sleep(10 * time.Millisecond)
		}
		if got := ann.streams(); len(got) > 6 {
			t.Errorf("in a second %d frames are told to four times as many as get receipts", len(got))
		}
	})
}

func TestADraftIsStoppedByWhoAskedForIt(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	ann, bob, eve := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("eve", "d")
	group := eve.hears(t, ann.create(protocol.SessionType_GROUP, "bob", "eve", "b_echo"))
	asked := bob.send(group, "1", "what is it").MessagerecvId
	s.node.Draft(&actors.Draft{Session: group, Bot: "b_echo", Stream: "s1", ReplyTo: asked, Text: "it is"})
	eve.stream()
	eve.refused(stopIt(group, "s1"), protocol.Code_DENIED)
	if got := bob.must(stopIt(group, "s1")).GetMsgCancelReply(); got.MessagerecvId != "s1" || got.Session != group {
		t.Errorf("it is answered with %v", got)
	}
	ann.must(stopIt(group, "s1")) // the owner
	pair := eve.hears(t, eve.p2p("b_echo"))
	s.node.Draft(&actors.Draft{Session: pair, Bot: "b_echo", Stream: "s2", Text: "it is"})
	eve.stream()
	eve.must(stopIt(pair, "s2"))
	want := []string{"b_echo s1 by bob", "b_echo s1 by ann", "b_echo s2 by eve"}
	if got := r.stops(); !slices.Equal(got, want) {
		t.Errorf("told to stop are %v, want %v", got, want)
	}
	s.node.Draft(&actors.Draft{Session: pair, Bot: "b_echo", Stream: "s2", Over: "cancelled"})
	if got := eve.stream(); !got.Cancelled || got.Failed || got.Done {
		t.Errorf("it ends with %v", got)
	}
	eve.refused(stopIt(pair, "s2"), protocol.Code_BAD_REQUEST)
}
