package gateway

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Original and Decide fill Moderation: there is one message that is held back.
func (d *desk) Original(_ context.Context, who protocol.Identity, message string) (*protocol.Entry, error) {
	if message != ours+".3" {
		return nil, protocol.NotFound("message %s", message)
	}
	return &protocol.Entry{Session: ours, Seq: 3, MessagerecvId: message, Sender: who.User, CreatedAt: 1,
		Content: &protocol.Content{Text: "hello"}, Deal: &protocol.Deal{State: "held", By: "b_mod", Reason: "why", At: 1760000000000}}, nil
}

// Held has seven, of which each page takes the next ones.
func (d *desk) Held(_ context.Context, who protocol.Identity, session protocol.SessionID, before int64, limit int) (held []*protocol.Entry, next int64, err error) {
	if session != ours {
		return nil, 0, protocol.NotFound("session %s", session)
	}
	if before == 0 {
		before = 8
	}
	for seq := before - 1; seq > 0; seq-- {
		if len(held) == limit {
			return held, seq + 1, nil
		}
		held = append(held, &protocol.Entry{Session: ours, Seq: seq, MessagerecvId: protocol.MessageID(ours, seq), Sender: who.User, CreatedAt: 1, Deal: &protocol.Deal{State: "held", By: "b_mod"}})
	}
	return held, 0, nil
}

func (d *desk) Decide(_ context.Context, _ protocol.Identity, message, verdict, reason string) error {
	if message != ours+".3" {
		return protocol.NotFound("message %s", message)
	}
	d.decided = append(d.decided, verdict+reason)
	return nil
}

func TestWhatIsHeldBackIsReadAndDecidedOn(t *testing.T) {
	d := newDesk(t, Config{})
	status, got := d.do("GET", "/api/v2/messages/"+ours+".3/original", "")
	deal, _ := got["deal"].(map[string]any)
	if status != http.StatusOK || got["content"].(map[string]any)["text"] != "hello" || deal["state"] != "held" || deal["reason"] != "why" || deal["at"] != "2025-10-09T08:53:20Z" {
		t.Errorf("%d %v", status, got)
	}
	if status, _ := d.do("GET", "/api/v2/messages/"+ours+".4/original", ""); status != http.StatusNotFound {
		t.Errorf("of another message: %d", status)
	}
	if status, got := d.do("POST", "/api/v2/messages/"+ours+".3/deal", `{"verdict":"allow"}`); status != http.StatusNoContent || len(d.decided) != 1 || d.decided[0] != "allow" {
		t.Errorf("%d %v, decided is %v", status, got, d.decided)
	}
	if status, got := d.do("POST", "/api/v2/messages/"+ours+".3/deal", `{"verdict":"reject","reason":", as it is rude"}`); status != http.StatusNoContent || d.decided[1] != "reject, as it is rude" {
		t.Errorf("%d %v, decided is %v", status, got, d.decided)
	}
	cursor, ids := "", ""
	for range 3 {
		status, got := d.do("GET", "/api/v2/sessions/"+ours+"/held?limit=3&cursor="+cursor, "")
		if status != http.StatusOK {
			t.Fatalf("what is held: %d %v", status, got)
		}
		for _, m := range got["items"].([]any) {
			ids += fmt.Sprint(m.(map[string]any)["seq"])
		}
		cursor, _ = got["next"].(string)
	}
	if ids != "7654321" || cursor != "" {
		t.Errorf("held are %s, and then %q", ids, cursor)
	}
	for path, want := range map[string]int{ours + "/held?cursor=x": http.StatusBadRequest, "s_bbbbbbbbbbbbbbbb/held": http.StatusNotFound} {
		if status, _ := d.do("GET", "/api/v2/sessions/"+path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _ := d.do("POST", "/api/v2/messages/"+ours+".3/deal", `{"verdict":"perhaps"}`); status != http.StatusBadRequest {
		t.Errorf("no verdict: %d", status)
	}
}
