package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/openaistub"
	"github.com/troupe-im/troupe/internal/protocol"
)

// TestAPersonTalksToAModelAndStopsIt goes all the way: a client, the session, the assistant in a
// process of its own, the gateway, a provider, and back.
func TestAPersonTalksToAModelAndStopsIt(t *testing.T) {
	stub := openaistub.Start(openaistub.TrapStall(), openaistub.Answer(70, 30, "All ", "of ", "it."))
	defer stub.Close()
	s := startServer(t, "TROUPE_BOTS=assistant", "TROUPE_MODEL_URL="+stub.URL, "TROUPE_MODEL=stub-1", "TROUPE_MODEL_KEY=sk-canary-of-the-key", "TROUPE_LOG=debug")
	ann := s.join("ann", "phone")
	var session protocol.SessionID
	soon(t, "the assistant to be there", func() bool {
		status, made := s.asks(s.token("ann"), "POST", "/sessions", map[string]any{"sessionType": "p2p", "members": []string{"b_assistant"}})
		session, _ = made["session"].(string)
		return status == 201
	})
	ann.say(session, "1", "canary of a question")
	var stream string
	soon(t, "the draft to be seen", func() bool {
		return ann.saw(func(f *protocol.Frame) bool {
			d := f.GetMsgStream()
			if d.GetText() == "wait " && d.Sender == "b_assistant" {
				stream = d.StreamId
			}
			return stream != ""
		})
	})
	ann.ask(&protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: session, MessagerecvId: stream}}})
	<-stub.Asked()[0].Gone // the stop reached the provider
	soon(t, "what was written to stay", func() bool { return strings.Contains(fmt.Sprint(ann.heard(session)), "wait ") })

	ann.say(session, "2", "and now?")
	soon(t, "a whole answer", func() bool { return strings.Contains(fmt.Sprint(ann.heard(session)), "All of it.") })
	if h := stub.Asked()[1].Header; h.Get("Authorization") != "Bearer sk-canary-of-the-key" || h.Get("Traceparent") == "" {
		t.Errorf("the provider is told %v", h)
	}
	var used map[string]any
	root := s.administrator("root")
	soon(t, "the account", func() bool {
		_, used = s.asks(root, "GET", "/admin/models/usage?by=user", nil)
		return strings.Contains(fmt.Sprint(used), "requests:2")
	})
	if text := fmt.Sprint(used); !strings.Contains(text, "bot:b_assistant") || !strings.Contains(text, "failed:1") || !strings.Contains(text, "user:ann") {
		t.Errorf("used: %s", text)
	}
	if text := s.log.String(); strings.Contains(text, "canary") {
		t.Errorf("the log has a key or a question: %s", around(text, "canary"))
	}
}
