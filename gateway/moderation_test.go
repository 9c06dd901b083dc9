package gateway

import (
	"context"
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

func (d *desk) Decide(_ context.Context, _ protocol.Identity, message, verdict string) error {
	if message != ours+".3" {
		return protocol.NotFound("message %s", message)
	}
	d.decided = append(d.decided, verdict)
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
	if status, _ := d.do("POST", "/api/v2/messages/"+ours+".3/deal", `{"verdict":"perhaps"}`); status != http.StatusBadRequest {
		t.Errorf("no verdict: %d", status)
	}
}
