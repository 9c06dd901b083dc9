package actors_test

import (
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestOnlyWhatABotsCardOffersIsPressed(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.p2p("b_echo")
	post := func(key string, c *protocol.Content) string {
		t.Helper()
		a, err := s.node.Ask(t.Context(), protocol.Identity{User: "b_echo", Kind: "bot", Scopes: []string{"send", "write"}},
			&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: key, Content: c}}})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetMsgSendReply().MessagerecvId
	}
	card := func(data string) *protocol.Content {
		return &protocol.Content{Type: protocol.ContentType_CARD, Title: "vote", Data: data}
	}
	open := post("1", card(`{"buttons":[{"action":"yes"},{"url":"https://example.org"}],"form":{"action":"why"}}`))
	done := post("2", card(`{"buttons":[{"action":"yes"}],"done":{"action":"yes"}}`))
	text := post("3", &protocol.Content{Type: protocol.ContentType_TEXT, Text: "an answer"})
	own := ann.must(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: "own", Content: card(`{"x":1}`)}}}).GetMsgSendReply().MessagerecvId
	n := 0
	for _, c := range []struct {
		on, action string
		ok         bool
	}{
		{open, "yes", true}, {open, "why", true}, {open, "no", false}, {open, "troupe.tool.run", false}, {open, "regenerate", false},
		{done, "yes", false}, {text, "yes", false}, {text, "regenerate", true}, {own, "yes", true}, // an application's own card
	} {
		n++
		a := ann.ask(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: id, ClientMsgId: fmt.Sprint("press", n), ReplyTo: c.on, Content: card(`{"troupe":{"action":"` + c.action + `"}}`),
		}}})
		if ok := a.Errcode == 0; ok != c.ok || !ok && a.Code != protocol.Code_BAD_REQUEST.Word() {
			t.Errorf("%s on %s: %v", c.action, c.on, a)
		}
	}
	eventually(t, "what was pressed is offered", func() bool { return len(r.entries(id)) == 8 })
}
