package actors_test

import (
	"context"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// theirs knows whose each file is; a link is everybody's.
type theirs struct {
	mu    sync.Mutex
	files map[string]protocol.UserID
	asked int
}

func (f *theirs) Readable(_ context.Context, user protocol.UserID, names []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	for _, name := range names {
		if !protocol.IsLink(name) && f.files[name] != user {
			return protocol.NotFound("file %s", name)
		}
	}
	return nil
}

// SessionAvatar makes of ann's file a the picture of a session.
func (f *theirs) SessionAvatar(ctx context.Context, user protocol.UserID, session protocol.SessionID, file protocol.FileID) (string, error) {
	if err := f.Readable(ctx, user, []string{file}); err != nil {
		return "", err
	}
	return protocol.NewAvatar(), nil
}

func (*theirs) Pass(user protocol.UserID) string { return user + ".pass" }

func picture(session protocol.SessionID, id string, files ...string) *protocol.Frame {
	f := send(session, id, "")
	f.GetMsgSend().Content = &protocol.Content{Type: protocol.ContentType_IMAGE, File: files[0], Files: files[1:]}
	return f
}

func TestAGroupWhoseAvatarIsAFileOfOldIsShownByItsMembers(t *testing.T) {
	s := newStage(t, actors.Config{})
	id := s.dial("ann", "d").group(&protocol.SessionCreate{Members: []string{"bob"}, Avatar: protocol.NewFileID()})
	s.restart() // with what makes pictures of files
	s.node.UseFiles(&theirs{})
	bob := s.dial("bob", "d")
	want := protocol.AvatarPath + id + ".bob.pass"
	if got := bob.row(id).GetAvatar(); got != want {
		t.Errorf("in a list it is %q, want %q", got, want)
	}
	if got := bob.about(id).GetAvatar(); got != want {
		t.Errorf("by itself it is %q, want %q", got, want)
	}
}

func TestAMessageNamesOnlyFilesThatItsSenderMayRead(t *testing.T) {
	s := newStage(t, actors.Config{})
	files := &theirs{files: map[string]protocol.UserID{"a": "ann", "b": "bob"}}
	s.node.UseFiles(files)
	ann := s.dial("ann", "d")
	room := ann.p2p("bob")
	for says, c := range map[string]struct {
		frame *protocol.Frame
		code  protocol.Code
	}{
		"one's own":         {picture(room, "1", "a"), 0},
		"a link":            {picture(room, "2", "https://example.com/a"), 0},
		"another's":         {picture(room, "3", "b"), protocol.Code_NOT_FOUND},
		"another's with it": {picture(room, "4", "a", "b"), protocol.Code_NOT_FOUND},
		"none":              {picture(room, "5", "x"), protocol.Code_NOT_FOUND},
	} {
		if a := ann.answer(ann.post(c.frame)); a.Errcode != int32(c.code) {
			t.Errorf("%s: %d %s, want %v", says, a.Errcode, a.Error, c.code)
		}
	}
	asked := files.asked
	ann.send(room, "6", "text")
	if files.asked != asked {
		t.Error("a message without files was asked about")
	}
}

func TestARetryOfAMessageWithAFileIsAnsweredThoughTheFileIsGone(t *testing.T) {
	s := newStage(t, actors.Config{})
	files := &theirs{files: map[string]protocol.UserID{"a": "ann"}}
	s.node.UseFiles(files)
	ann := s.dial("ann", "d")
	room := ann.p2p("bob")
	first := ann.answer(ann.post(picture(room, "1", "a"))).GetMsgSendReply()
	files.mu.Lock()
	delete(files.files, "a")
	files.mu.Unlock()
	if again := ann.answer(ann.post(picture(room, "1", "a"))).GetMsgSendReply(); again.GetSeq() != first.GetSeq() || !again.GetDuplicate() {
		t.Errorf("the answer is %v, and was %v", again, first)
	}
}

func TestMessagesBehindOneWithAFileKeepTheirOrder(t *testing.T) {
	s := newStage(t, actors.Config{})
	s.node.UseFiles(&theirs{files: map[string]protocol.UserID{"a": "ann"}})
	ann := s.dial("ann", "d")
	room := ann.p2p("bob")
	var ids []string
	for i := range 60 {
		f := picture(room, string(rune('A'+i)), "a")
		if i%3 != 0 {
			f = send(room, string(rune('A'+i)), "text")
		}
		ids = append(ids, ann.post(f))
	}
	last := int64(0)
	for i, id := range ids {
		seq := ann.answer(id).GetMsgSendReply().GetSeq()
		if seq != last+1 {
			t.Fatalf("message %d has seq %d behind %d", i, seq, last)
		}
		last = seq
	}
}

func TestAnEditNamesOnlyFilesThatItsSenderMayRead(t *testing.T) {
	s := newStage(t, actors.Config{})
	s.node.UseFiles(&theirs{files: map[string]protocol.UserID{"a": "ann", "a2": "ann", "b": "bob"}})
	ann := s.dial("ann", "d")
	room := ann.p2p("bob")
	sent := ann.answer(ann.post(picture(room, "1", "a"))).GetMsgSendReply()
	edit := func(file string) *protocol.Frame {
		return ann.answer(ann.post(&protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{
			Session: room, MessagerecvId: sent.MessagerecvId, Content: &protocol.Content{Type: protocol.ContentType_IMAGE, File: file},
		}}}))
	}
	if a := edit("b"); a.Errcode != int32(protocol.Code_NOT_FOUND) {
		t.Errorf("another's: %d %s", a.Errcode, a.Error)
	}
	if a := edit("a2"); a.Errcode != 0 {
		t.Errorf("one's own: %d %s", a.Errcode, a.Error)
	}
}
