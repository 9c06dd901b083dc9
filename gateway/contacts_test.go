package gateway

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestContactsAndRequestsAreFrames(t *testing.T) {
	d := newDesk(t, Config{})
	request := &protocol.Request{Id: "r_1", From: "ann", Target: "bob", CallBackType: 2, State: true, CreateTime: 1000, UpdateTime: 2000, ExpireTime: 3000, UserName: "Ann"}
	contact := &protocol.Contact{User: "bob", Friend: true, Remark: "Bobby", Since: 1000, Session: "p_x", Profile: &protocol.Profile{UserId: "bob", Nickname: "Bob", Kind: "human"}}
	replies := map[string]*protocol.Frame{
		"contact_list":   {Body: &protocol.Frame_ContactListReply{ContactListReply: &protocol.ContactListReply{Contacts: []*protocol.Contact{contact}, Next: "n"}}},
		"contact_set":    {Body: &protocol.Frame_ContactSetReply{ContactSetReply: &protocol.ContactSetReply{Contact: contact}}},
		"contact_remove": {Body: &protocol.Frame_ContactRemoveReply{ContactRemoveReply: &protocol.ContactRemoveReply{User: "bob"}}},
		"request_list":   {Body: &protocol.Frame_RequestListReply{RequestListReply: &protocol.RequestListReply{Requests: []*protocol.Request{request}, Next: "n"}}},
		"request_send":   {Body: &protocol.Frame_RequestSendReply{RequestSendReply: &protocol.RequestSendReply{Request: request}}},
		"request_answer": {Body: &protocol.Frame_RequestAnswerReply{RequestAnswerReply: &protocol.RequestAnswerReply{Request: request}}},
	}
	d.reply = func(f *protocol.Frame) (*protocol.Frame, error) { return replies[f.Type()], nil }
	for _, row := range []struct {
		method, path, body string
		status             int
		frame              string
	}{
		{"GET", "/friends?limit=7&cursor=c", "", 200, `{"type":"contact_list","cursor":"c","limit":7,"only":"friends"}`},
		{"GET", "/blocks", "", 200, `{"type":"contact_list","limit":50,"only":"blocked"}`},
		{"PUT", "/friends/bob", `{"remark":"Bobby"}`, 200, `{"type":"contact_set","user":"bob","remark":"Bobby"}`},
		{"PUT", "/friends/bob", `{"tags":[]}`, 200, `{"type":"contact_set","user":"bob","setTags":true}`},
		{"PUT", "/friends/bob", `{"tags":["a","b"],"remark":""}`, 200, `{"type":"contact_set","user":"bob","remark":"","tags":["a","b"],"setTags":true}`},
		{"DELETE", "/friends/bob", "", 204, `{"type":"contact_remove","user":"bob"}`},
		{"PUT", "/blocks/bob", "", 200, `{"type":"contact_set","user":"bob","blocked":true}`},
		{"DELETE", "/blocks/bob", "", 200, `{"type":"contact_set","user":"bob","blocked":false}`},
		{"GET", "/requests?waiting=true", "", 200, `{"type":"request_list","limit":50,"waiting":true}`},
		{"GET", "/requests?session=" + ours + "&cursor=c", "", 200, `{"type":"request_list","limit":50,"cursor":"c","session":"` + ours + `"}`},
		{"POST", "/requests", `{"target":"bob","note":"hi"}`, 201, `{"type":"request_send","target":"bob","kind":"FRIEND","note":"hi"}`},
		{"POST", "/requests", `{"target":"` + ours + `","kind":"GROUP","user":"bob"}`, 201, `{"type":"request_send","target":"` + ours + `","kind":"GROUP","user":"bob"}`},
		{"PUT", "/requests/r_1", `{"callBackType":2}`, 200, `{"type":"request_answer","request":"r_1","callBackType":2}`},
	} {
		status, m := d.do(row.method, "/api/v2/users"+row.path, row.body)
		if status != row.status {
			t.Errorf("%s %s = %d %v, want %d", row.method, row.path, status, m, row.status)
			continue
		}
		want, err := protocol.DecodeJSON([]byte(row.frame))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(protocol.AppendJSON(nil, d.last())), string(protocol.AppendJSON(nil, want)); got != want {
			t.Errorf("%s %s asked\n %s, want\n %s", row.method, row.path, got, want)
		}
		if items, ok := m["items"].([]any); ok {
			if m["next"] != "n" || len(items) != 1 {
				t.Errorf("%s %s gives %v", row.method, row.path, m)
				continue
			}
			m = items[0].(map[string]any)
		}
		switch {
		case status == 204:
		case m["id"] != nil:
			if m["id"] != "r_1" || m["kind"] != "FRIEND" || m["callBackType"] != 2.0 || m["state"] != true || m["createTime"] != "1970-01-01T00:00:01Z" || m["userName"] != "Ann" {
				t.Errorf("%s %s gives %v", row.method, row.path, m)
			}
		case m["user"] != "bob" || m["friend"] != true || m["since"] != "1970-01-01T00:00:01Z" || m["profile"].(map[string]any)["nickname"] != "Bob":
			t.Errorf("%s %s gives %v", row.method, row.path, m)
		}
	}
	for _, row := range []struct{ method, path, body string }{
		{"POST", "/requests", `{}`},
		{"POST", "/requests", `{"target":"bob","kind":"FOE"}`},
		{"PUT", "/requests/r_1", `{"callBackType":1}`},
		{"GET", "/friends?limit=201", ""},
	} {
		d.asked = nil
		if status, m := d.do(row.method, "/api/v2/users"+row.path, row.body); status != 400 || len(d.asked) != 0 {
			t.Errorf("%s %s %s = %d %v, want 400", row.method, row.path, row.body, status, m)
		}
	}
}
