package gateway

import (
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestANoticeIsSentByREST(t *testing.T) {
	d := newDesk(t, Config{})
	status, m := d.do("POST", "/api/v2/notices", `{"everybody":true,"clientMsgId":"k","content":{"type":"system","text":"hi"}}`)
	if status != 202 || m["notice"] != "n_a" || m["everybody"] != true || m["doneAt"] != nil {
		t.Errorf("everybody: %d %v", status, m)
	}
	if f := d.last().GetMsgSend(); f.Session != "ann" || f.ClientMsgId != "k" || f.Mentions != nil || f.Content.Type != protocol.ContentType_SYSTEM || f.Content.Text != "hi" {
		t.Errorf("sent %v", f)
	}
	if status, m = d.do("POST", "/api/v2/notices", `{"users":["bob","eve"],"clientMsgId":"k","content":{"type":"text","text":"hi"}}`); status != 202 || m["users"] != 2.0 {
		t.Errorf("two: %d %v", status, m)
	}
	if status, m = d.do("GET", "/api/v2/notices/n_a", ""); status != 200 || m["told"] != 0.0 {
		t.Errorf("read: %d %v", status, m)
	}
	for body, want := range map[string]int{
		`{"clientMsgId":"k","content":{"type":"text","text":"hi"}}`:                                      400,
		`{"users":["bob"],"everybody":true,"clientMsgId":"k","content":{"type":"text","text":"hi"}}`:     400,
		`{"everybody":true,"content":{"type":"text","text":"hi"}}`:                                       400,
		`{"users":[` + strings.Repeat(`"u",`, 500) + `"u"],"clientMsgId":"k","content":{"type":"text"}}`: 400,
	} {
		if status, m := d.do("POST", "/api/v2/notices", body); status != want {
			t.Errorf("%.60s: %d %v, want %d", body, status, m, want)
		}
	}
	d.srv.need.Auth.(*doorman).admin = false
	for _, method := range []string{"POST /api/v2/notices", "GET /api/v2/notices/n_a"} {
		method, path, _ := strings.Cut(method, " ")
		if status, m := d.do(method, path, `{}`); status != 403 {
			t.Errorf("%s by somebody: %d %v", method, status, m)
		}
	}
}
