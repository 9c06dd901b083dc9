package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	ours    = "s_aaaaaaaaaaaaaaaa"
	foreign = "s_bbbbbbbbbbbbbbbb"
)

// A desk is a server with REST only; what it is asked is written down.
type desk struct {
	t     *testing.T
	srv   *Server
	stage *stage
	asked []*protocol.Frame
	reply func(*protocol.Frame) (*protocol.Frame, error)
	logs  *strings.Builder

	decided []string // verdicts
}

type shelf struct{}

func (shelf) HomeOf(_ context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if session != ours {
		return nil, protocol.NotFound("session %s", session)
	}
	return &actors.HomeRow{Head: 9, Unread: 4, Mentioned: true, DeviceRecv: 8, Member: actors.MemberRow{User: user, ReadSeq: 5, Sticky: true}}, nil
}

func (shelf) Avatars(_ context.Context, ids []protocol.UserID) (map[protocol.UserID]string, error) {
	return map[protocol.UserID]string{"bob": "https://example.com/bob.png"}, nil
}

func newDesk(t *testing.T, cfg Config) *desk {
	t.Helper()
	d := &desk{t: t, stage: &stage{}, logs: &strings.Builder{}}
	d.stage.onAsk = func(who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
		d.asked = append(d.asked, f)
		if d.reply != nil {
			return d.reply(f)
		}
		if f.GetSessionList() != nil {
			return &protocol.Frame{Body: &protocol.Frame_SessionListReply{SessionListReply: &protocol.SessionListReply{}}}, nil
		}
		if f.GetContactList() != nil {
			return &protocol.Frame{Body: &protocol.Frame_ContactListReply{ContactListReply: &protocol.ContactListReply{}}}, nil
		}
		return nil, protocol.NotFound("session")
	}
	if cfg.Rate == 0 {
		cfg.Rate = -1
	}
	srv, err := New(cfg, Needs{Actors: d.stage, Auth: &doorman{admin: true}, Home: shelf{}, Profiles: shelf{}, Notices: d, Judges: d, Log: slog.New(slog.NewTextHandler(d.logs, nil)),
		Ready: map[string]func(context.Context) error{"store": func(context.Context) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	d.srv = srv
	return d
}

// do asks as ann, and reads the answer into a map.
func (d *desk) do(method, path, body string, headers ...string) (int, map[string]any) {
	d.t.Helper()
	w := d.raw(method, path, body, append([]string{"Authorization: Bearer user:ann"}, headers...)...)
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil && w.Body.Len() > 0 {
		d.t.Errorf("%s %s answered %q", method, path, w.Body)
	}
	return w.Code, m
}

func (d *desk) raw(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	d.srv.ServeHTTP(w, r)
	described(d.t, d.srv, method, path, w.Code)
	return w
}

func (d *desk) last() *protocol.Frame {
	d.t.Helper()
	if len(d.asked) == 0 {
		d.t.Fatal("no frame was asked")
	}
	return d.asked[len(d.asked)-1]
}

// bodies is a good body for every operation that needs one, so that what refuses a
// request below is the token or the session, and not its form.
var bodies = map[string]string{
	"create-session":          `{"sessionType":"group","members":["bob"]}`,
	"change-session":          `{"name":"n"}`,
	"set-session-avatar":      `{"file":"f_aaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
	"mark-read":               `{"seq":3}`,
	"mark-received":           `{"seq":3}`,
	"send-message":            `{"clientMsgId":"c1","content":{"type":"text","text":"hi"}}`,
	"edit-message":            `{"content":{"type":"text","text":"hi"}}`,
	"replace-members":         `{"remove":["x"],"add":["y"]}`,
	"replace-members-by-post": `{"remove":["x"],"add":["y"]}`,
	"add-members":             `{"members":["y"]}`,
	"put-member":              `{"role":"admin"}`,
	"join-by-code":            `{"code":"c"}`,
	"create-link":             `{"uses":1}`,
	"set-friend":              `{"remark":"Bobby"}`,
	"send-request":            `{"target":"bob"}`,
	"answer-request":          `{"callBackType":2}`,
	"send-notice":             `{"users":["bob"],"clientMsgId":"k","content":{"type":"system","text":"hi"}}`,
}

func operations(s *Server) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for _, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete, item.Patch} {
			if op != nil {
				all[op.OperationID] = op
			}
		}
	}
	return all
}

func TestEveryOperationNeedsATokenAndAMember(t *testing.T) {
	d := newDesk(t, Config{})
	path := func(p, session string) string {
		p = strings.NewReplacer("{session_id}", session, "{message_id}", session+".3", "{participant_id}", "bob", "{reaction}", "%F0%9F%91%8D").Replace(p)
		if strings.HasSuffix(p, "/participants") {
			p += "?members=bob"
		}
		return p
	}
	ops := operations(d.srv)
	if len(ops) < 33 {
		t.Fatalf("only %d operations", len(ops))
	}
	for id, op := range ops {
		for _, token := range []string{"", "Bearer nonsense", "Basic user:ann", "Bearer old"} {
			w := d.raw(op.Method, path(op.Path, foreign), bodies[id], "Authorization: "+token)
			var p Problem
			if json.Unmarshal(w.Body.Bytes(), &p); w.Code != 401 || p.Status != 401 || (p.Code != "UNAUTHORIZED" && p.Code != "TOKEN_EXPIRED") ||
				w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d %q %s", id, token, w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		}
		if len(d.asked) != 0 {
			t.Fatalf("%s reached the actors without a token", id)
		}
		if !strings.Contains(op.Path, "{session_id}") {
			continue
		}
		for _, session := range []string{foreign, "nonsense", "s_%20"} {
			status, p := d.do(op.Method, path(op.Path, session), bodies[id])
			if status != 404 || p["code"] != "NOT_FOUND" || p["errcode"] != 6.0 || p["status"] != 404.0 {
				t.Errorf("%s on %s: %d %v, want a 404 problem", id, session, status, p)
			}
		}
		d.asked = nil
	}
}

func TestStaticSegmentsWinOverParameters(t *testing.T) {
	d := newDesk(t, Config{})
	d.reply = func(f *protocol.Frame) (*protocol.Frame, error) {
		switch f.Body.(type) {
		case *protocol.Frame_SessionList:
			return &protocol.Frame{Body: &protocol.Frame_SessionListReply{SessionListReply: &protocol.SessionListReply{UnreadTotal: 12}}}, nil
		case *protocol.Frame_SessionGet:
			return &protocol.Frame{Body: &protocol.Frame_SessionGetReply{SessionGetReply: &protocol.SessionGetReply{Info: &protocol.SessionInfo{Session: ours, Members: []*protocol.Member{{User: "bob"}, {User: "a b/c"}}}}}}, nil
		}
		return &protocol.Frame{Body: &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{Session: ours, HeadSeq: 9, Messages: []*protocol.Entry{
			{Session: ours, Seq: 6, MessagerecvId: ours + ".6", Sender: "bob", CreatedAt: 1700000000123, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hi"}},
			{Session: ours, Seq: 7, MessagerecvId: ours + ".7", Sender: "ann", CreatedAt: 1},
			{Session: ours, Seq: 8, MessagerecvId: ours + ".8", Sender: "bob", Recalled: true, CreatedAt: 1},
		}}}}, nil
	}
	const base = "/api/v2/sessions/"
	if _, m := d.do("GET", base+"unread_message_count", ""); m["count"] != 12.0 {
		t.Errorf("unread_message_count = %v", m)
	}
	if _, m := d.do("GET", "/api/v2/application/badge_no", ""); m["badge"] != 12.0 {
		t.Errorf("badge_no = %v", m)
	}
	if _, m := d.do("GET", base+"recent?type=1&business_type=2&limit=7&cursor=zz", ""); m["unreadTotal"] != 12.0 || m["items"] == nil {
		t.Errorf("recent = %v", m)
	} else if f := d.last().GetSessionList(); f.SessionType != protocol.SessionType_MUC || !f.Filter || f.BusinessType != 2 || f.Limit != 7 || f.Cursor != "zz" {
		t.Errorf("recent asked %v", f)
	}
	if _, m := d.do("GET", base+ours+"/unread_message_count", ""); m["count"] != 4.0 || m["session"] != ours {
		t.Errorf("unread of a session = %v", m)
	}
	_, m := d.do("GET", base+ours+"/messages/unread", "")
	items, _ := m["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("messages/unread = %v, want the one of bob's that is not recalled", m)
	}
	first := items[0].(map[string]any)
	if first["messagerecvId"] != ours+".6" || first["createdAt"] != "2023-11-14T22:13:20.123Z" || first["kind"] != "message" ||
		first["content"].(map[string]any)["type"] != "text" {
		t.Errorf("message = %v", first)
	}
	if f := d.last().GetSync(); *f.AfterSeq != 5 {
		t.Errorf("read from %v, want from the read mark", f)
	}
	if _, m := d.do("GET", base+ours+"/messages/"+ours+".6", ""); m["seq"] != 6.0 {
		t.Errorf("messages/id = %v", m)
	}
	if status, _ := d.do("GET", base+ours+"/messages/"+foreign+".6", ""); status != 404 {
		t.Errorf("a message of another session = %d", status)
	}
	if _, m := d.do("GET", base+ours+"/participants/avatars", ""); len(m["items"].([]any)) != 2 {
		t.Errorf("avatars = %v", m)
	}
	if _, m := d.do("GET", base+ours+"/participants/bob", ""); m["user"] != "bob" || m["role"] != "member" {
		t.Errorf("participants/bob = %v", m)
	}
	if _, m := d.do("GET", base+ours+"/participants/bob/avatars", ""); m["avatar"] != "https://example.com/bob.png" {
		t.Errorf("bob's avatar = %v", m)
	}
	if _, m := d.do("GET", base+ours+"/participants/a%20b%2Fc", ""); m["user"] != "a b/c" {
		t.Errorf("an escaped id = %v", m)
	}
	if _, m := d.do("GET", base+ours+"/session", ""); m["session"] != ours || m["mine"].(map[string]any)["sticky"] != true {
		t.Errorf("session = %v", m)
	}
}

func TestRESTAsksTheFrameItMeans(t *testing.T) {
	d := newDesk(t, Config{})
	const s = "/api/v2/sessions/" + ours
	replies := map[string]*protocol.Frame{
		"session_set_reply":         {Body: &protocol.Frame_SessionSetReply{SessionSetReply: &protocol.SessionSetReply{}}},
		"msg_read_reply":            {Body: &protocol.Frame_MsgReadReply{MsgReadReply: &protocol.MsgReadReply{}}},
		"msg_recv_reply":            {Body: &protocol.Frame_MsgRecvReply{MsgRecvReply: &protocol.MsgRecvReply{}}},
		"session_exit_reply":        {Body: &protocol.Frame_SessionExitReply{SessionExitReply: &protocol.SessionExitReply{}}},
		"msg_send_reply":            {Body: &protocol.Frame_MsgSendReply{MsgSendReply: &protocol.MsgSendReply{MessagerecvId: ours + ".10", Seq: 10, CreatedAt: 5}}},
		"msg_edit_reply":            {Body: &protocol.Frame_MsgEditReply{MsgEditReply: &protocol.MsgEditReply{}}},
		"msg_cancel_reply":          {Body: &protocol.Frame_MsgCancelReply{MsgCancelReply: &protocol.MsgCancelReply{}}},
		"msg_react_reply":           {Body: &protocol.Frame_MsgReactReply{MsgReactReply: &protocol.MsgReactReply{}}},
		"session_add_user_reply":    {Body: &protocol.Frame_SessionAddUserReply{SessionAddUserReply: &protocol.SessionAddUserReply{}}},
		"session_remove_user_reply": {Body: &protocol.Frame_SessionRemoveUserReply{SessionRemoveUserReply: &protocol.SessionRemoveUserReply{Members: []string{"x"}}}},
		"session_join_reply":        {Body: &protocol.Frame_SessionJoinReply{SessionJoinReply: &protocol.SessionJoinReply{}}},
		"session_dissolve_reply":    {Body: &protocol.Frame_SessionDissolveReply{SessionDissolveReply: &protocol.SessionDissolveReply{}}},
		"link_get_reply":            {Body: &protocol.Frame_LinkGetReply{LinkGetReply: &protocol.LinkGetReply{}}},
		"link_list_reply":           {Body: &protocol.Frame_LinkListReply{LinkListReply: &protocol.LinkListReply{Links: []*protocol.Link{{Link: "l_x"}}}}},
		"link_create_reply":         {Body: &protocol.Frame_LinkCreateReply{LinkCreateReply: &protocol.LinkCreateReply{Link: &protocol.Link{Code: "c"}}}},
		"link_revoke_reply":         {Body: &protocol.Frame_LinkRevokeReply{LinkRevokeReply: &protocol.LinkRevokeReply{}}},
		"sync_reply":                {Body: &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{HeadSeq: 1}}},
	}
	yes := func(body string) *protocol.Frame {
		f, err := protocol.DecodeJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, row := range []struct{ method, path, body, frame, reply string }{
		{"PUT", "/sticky", "", `{"type":"session_set","session":"` + ours + `","sticky":true}`, "session_set_reply"},
		{"DELETE", "/sticky", "", `{"type":"session_set","session":"` + ours + `","sticky":false}`, "session_set_reply"},
		{"PUT", "/mute", "", `{"type":"session_set","session":"` + ours + `","muted":true}`, "session_set_reply"},
		{"DELETE", "/mute", "", `{"type":"session_set","session":"` + ours + `","muted":false}`, "session_set_reply"},
		{"PUT", "", `{"name":"new","owner":"bob"}`, `{"type":"session_set","session":"` + ours + `","name":"new","owner":"bob"}`, "session_set_reply"},
		{"PUT", "", `{"avatar":"a","announcement":"","joinPolicy":"ask","invitePolicy":"admins","readOnly":false,"silenceAll":true,"until":"1970-01-01T00:00:05Z"}`,
			`{"type":"session_set","session":"` + ours + `","avatar":"a","announcement":"","joinPolicy":"ask","invitePolicy":"admins","silenceAll":true,"readOnly":false,"until":5000}`, "session_set_reply"},
		{"PUT", "", `{"until":""}`, `{"type":"session_set","session":"` + ours + `","until":0}`, "session_set_reply"},
		{"DELETE", "", "", `{"type":"session_dissolve","session":"` + ours + `"}`, "session_dissolve_reply"},
		{"POST", "/join", "", `{"type":"session_join","session":"` + ours + `"}`, "session_join_reply"},
		{"POST", "/../join", `{"code":"c"}`, `{"type":"session_join","code":"c"}`, "session_join_reply"},
		{"GET", "/../links/c", "", `{"type":"link_get","code":"c"}`, "link_get_reply"},
		{"GET", "/links?limit=7&cursor=x", "", `{"type":"link_list","session":"` + ours + `","cursor":"x","limit":7}`, "link_list_reply"},
		{"POST", "/links", `{"uses":3,"expiresIn":60}`, `{"type":"link_create","session":"` + ours + `","uses":3,"expiresIn":60}`, "link_create_reply"},
		{"DELETE", "/links/l_x", "", `{"type":"link_revoke","session":"` + ours + `","link":"l_x"}`, "link_revoke_reply"},
		{"PUT", "/read", `{"seq":3}`, `{"type":"msg_read","session":"` + ours + `","seq":3}`, "msg_read_reply"},
		{"PUT", "/read", `{}`, `{"type":"msg_read","session":"` + ours + `","seq":9}`, "msg_read_reply"},
		{"PUT", "/recv", `{"seq":3}`, `{"type":"msg_recv","session":"` + ours + `","seq":3}`, "msg_recv_reply"},
		{"POST", "/exit", "", `{"type":"session_exit","session":"` + ours + `"}`, "session_exit_reply"},
		{"POST", "/messages", `{"clientMsgId":"c","content":{"type":1,"text":"hi","data":{"a":[1]}},"replyTo":"` + ours + `.1","mentions":["*"],"expire":5}`,
			`{"type":"msg_send","session":"` + ours + `","clientMsgId":"c","content":{"type":"text","text":"hi","data":{"a":[1]}},"replyTo":"` + ours + `.1","mentions":["*"],"expire":5}`,
			"msg_send_reply"},
		{"POST", "/messages", `{"clientMsgId":"c","content":{"type":"forward","forwarded":[{"messagerecvId":"` + ours + `.2"}]}}`,
			`{"type":"msg_send","session":"` + ours + `","clientMsgId":"c","content":{"type":"forward","forwarded":[{"messagerecvId":"` + ours + `.2"}]}}`, "msg_send_reply"},
		{"PUT", "/messages/" + ours + ".3", `{"content":{"type":"text","text":"hi"}}`, `{"type":"msg_edit","session":"` + ours + `","messagerecvId":"` + ours + `.3","content":{"type":"text","text":"hi"}}`, "msg_edit_reply"},
		{"DELETE", "/messages/" + ours + ".3", "", `{"type":"msg_cancel","session":"` + ours + `","messagerecvId":"` + ours + `.3"}`, "msg_cancel_reply"},
		{"PUT", "/messages/" + ours + ".3/reactions/%F0%9F%91%8D", "", `{"type":"msg_react","session":"` + ours + `","messagerecvId":"` + ours + `.3","reaction":"👍"}`, "msg_react_reply"},
		{"DELETE", "/messages/" + ours + ".3/reactions/%F0%9F%91%8D", "", `{"type":"msg_react","session":"` + ours + `","messagerecvId":"` + ours + `.3","reaction":"👍","removed":true}`, "msg_react_reply"},
		{"POST", "/participants", `{"members":["x","y"]}`, `{"type":"session_add_user","session":"` + ours + `","members":["x","y"]}`, "session_add_user_reply"},
		{"DELETE", "/participants?members=x,y", "", `{"type":"session_remove_user","session":"` + ours + `","members":["x","y"]}`, "session_remove_user_reply"},
		{"DELETE", "/participants/x", "", `{"type":"session_remove_user","session":"` + ours + `","members":["x"]}`, "session_remove_user_reply"},
		{"POST", "/participant/update", `{"remove":["x"]}`, `{"type":"session_remove_user","session":"` + ours + `","members":["x"]}`, "session_remove_user_reply"},
		{"PUT", "/participant/update", `{"add":["x"]}`, `{"type":"session_add_user","session":"` + ours + `","members":["x"]}`, "session_add_user_reply"},
		{"GET", "/messages", "", `{"type":"sync","session":"` + ours + `","limit":50}`, "sync_reply"},
		{"GET", "/messages?after=0&limit=2", "", `{"type":"sync","session":"` + ours + `","afterSeq":0,"limit":2}`, "sync_reply"},
		{"GET", "/messages?before=7", "", `{"type":"sync","session":"` + ours + `","beforeSeq":7,"limit":50}`, "sync_reply"},
		{"GET", "/messages?cursor=b7", "", `{"type":"sync","session":"` + ours + `","beforeSeq":7,"limit":50}`, "sync_reply"},
	} {
		d.reply = func(*protocol.Frame) (*protocol.Frame, error) { return replies[row.reply], nil }
		status, m := d.do(row.method, strings.Replace(s+row.path, ours+"/../", "", 1), row.body)
		if status >= 300 {
			t.Errorf("%s %s = %d %v", row.method, row.path, status, m)
			continue
		}
		if got := string(protocol.AppendJSON(nil, d.last())); got != string(protocol.AppendJSON(nil, yes(row.frame))) {
			t.Errorf("%s %s asked\n %s, want\n %s", row.method, row.path, got, row.frame)
		}
	}
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) {
		return &protocol.Frame{Body: &protocol.Frame_MsgSendReply{MsgSendReply: &protocol.MsgSendReply{MessagerecvId: ours + ".10", Seq: 10, Duplicate: true}}}, nil
	}
	status, m := d.do("POST", s+"/messages", `{"clientMsgId":"c","content":{"type":"text","text":"hi"}}`)
	if status != 200 || m["duplicate"] != true || m["messagerecvId"] != ours+".10" {
		t.Errorf("sent again = %d %v, want 200 and the first answer", status, m)
	}
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) {
		return &protocol.Frame{Body: &protocol.Frame_SessionCreateReply{SessionCreateReply: &protocol.SessionCreateReply{
			Entities: &protocol.Entities{Session: map[string]*protocol.SessionInfo{ours: {Session: ours, SessionType: protocol.SessionType_GROUP, Creator: "ann", CreatedAt: 5}}}}}}, nil
	}
	for _, typ := range []string{`"group"`, `3`} {
		status, m = d.do("POST", "/api/v2/sessions", `{"sessionType":`+typ+`,"members":["bob"],"clientMsgId":"k"}`)
		if status != 201 || m["session"] != ours || m["sessionType"] != "group" {
			t.Errorf("create = %d %v", status, m)
		}
		if f := d.last().GetSessionCreate(); f.SessionType != protocol.SessionType_GROUP || f.ClientMsgId != "k" {
			t.Errorf("create asked %v", f)
		}
	}
}

func TestProblems(t *testing.T) {
	d := newDesk(t, Config{})
	const send = "/api/v2/sessions/" + ours + "/messages"
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		code, field              string
	}{
		{"an unknown path", "GET", "/api/v2/nothing", "", 404, "NOT_FOUND", ""},
		{"another method", "PATCH", "/api/v2/sessions/recent", "", 405, "METHOD_NOT_ALLOWED", ""},
		{"no JSON", "POST", send, `{"a"`, 400, "BAD_REQUEST", "body"},
		{"a key in another letter case", "POST", send, `{"clientMsgId":"a","content":{"type":"text","text":"x"},"ReplyTo":"m"}`, 400, "BAD_REQUEST", "body"},
		{"a key twice", "POST", send, `{"clientMsgId":"a","clientMsgId":"b","content":{"type":"text"}}`, 400, "BAD_REQUEST", "body"},
		{"invalid UTF-8", "POST", send, "{\"clientMsgId\":\"\xff\"}", 400, "BAD_REQUEST", "body"},
		{"too deep", "POST", send, strings.Repeat("[", 10_000), 400, "BAD_REQUEST", "body"},
		{"a field missing", "POST", send, `{"content":{"type":"text","text":"x"}}`, 400, "BAD_REQUEST", "body"},
		{"a wrong type", "POST", send, `{"clientMsgId":5,"content":{"type":"text","text":"x"}}`, 400, "BAD_REQUEST", "body.clientMsgId"},
		{"an unknown content type", "POST", send, `{"clientMsgId":"c","content":{"type":"smell"}}`, 400, "BAD_REQUEST", ""},
		{"a reserved content type", "POST", send, `{"clientMsgId":"c","content":{"type":11}}`, 422, "UNSUPPORTED", ""},
		{"too large a limit", "GET", send + "?limit=201", "", 400, "BAD_REQUEST", "query.limit"},
		{"a negative limit", "GET", send + "?limit=-1", "", 400, "BAD_REQUEST", "query.limit"},
		{"before and after", "GET", send + "?before=1&after=1", "", 400, "BAD_REQUEST", ""},
		{"a bad cursor", "GET", send + "?cursor=x", "", 400, "BAD_REQUEST", ""},
		{"a bad type", "GET", "/api/v2/sessions/recent?type=x%22", "", 400, "BAD_REQUEST", ""},
		{"too long a body", "POST", send, `{"clientMsgId":"c","content":{"type":"text","text":"` + strings.Repeat("x", 70<<10) + `"}}`, 413, "TOO_LARGE", ""},
		{"another media type", "POST", send, "<a/>", 415, "BAD_REQUEST", ""},
	} {
		headers := []string{}
		if row.status == 415 {
			headers = append(headers, "Content-Type: text/xml")
		}
		status, p := d.do(row.method, row.path, row.body, headers...)
		if status != row.status || p["code"] != row.code || p["status"] != float64(status) || p["title"] == "" || p["detail"] == "" {
			t.Errorf("%s: %d %v, want %d %s", row.name, status, p, row.status, row.code)
		}
		fields, _ := p["fields"].([]any)
		if row.field != "" && (len(fields) == 0 || fields[0].(map[string]any)["location"] != row.field) {
			t.Errorf("%s: fields = %v, want %s", row.name, fields, row.field)
		}
	}
	if len(d.asked) != 0 {
		t.Errorf("%d bad requests reached the actors", len(d.asked))
	}
	if allow := d.raw("PATCH", send, "").Header().Get("Allow"); allow != "GET, POST" {
		t.Errorf("Allow = %q", allow)
	}
}

func TestDetailOfAProblemNamesTheField(t *testing.T) {
	d := newDesk(t, Config{})
	const send = "/api/v2/sessions/" + ours + "/messages"
	for _, row := range [][4]string{
		{"POST", send, `{"clientMsgId":"","content":{"type":"text","text":"x"}}`, "clientMsgId: expected length >= 1"},
		{"POST", send, `{"clientMsgId":5,"content":{"type":"text","size":-1}}`, "clientMsgId: expected string; content.size: expected number >= 0"},
		{"POST", send, `{"content":{"type":"text","text":"x"}}`, "expected required property clientMsgId to be present"},
		{"POST", send, `{"clientMsgId":"c","content":{"type":"smell"}}`, "content.type: wrong type, or a word that is not known"},
		{"POST", send, `{"clientMsgId":"c","content":{"type":"text","Text":"x"}}`, "content.Text: other letter case: it is text"},
		{"POST", send, `{"clientMsgId":"c","clientMsgId":"d"}`, "clientMsgId: stands twice"},
		{"GET", send + "?limit=0", "", "limit: expected number >= 1"},
		{"GET", send + "?limit=x&before=y&after=z&cursor=" + strings.Repeat("x", 300), "", "limit: invalid integer; cursor: expected length <= 256; before: invalid integer; and 1 more"},
	} {
		status, p := d.do(row[0], row[1], row[2])
		if status != 400 || p["detail"] != row[3] {
			t.Errorf("%s %s %s answered %d %q, want %q", row[0], row[1], row[2], status, p["detail"], row[3])
		}
	}
}

func TestForeignErrorStaysInTheLog(t *testing.T) {
	d := newDesk(t, Config{})
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) { return nil, errors.New("dial tcp 10.0.0.7: secret") }
	status, p := d.do("GET", "/api/v2/sessions/recent", "")
	if status != 500 || p["code"] != "INTERNAL" || p["detail"] != "internal error" || p["fields"] != nil {
		t.Errorf("answer = %d %v", status, p)
	}
	if !strings.Contains(d.logs.String(), "10.0.0.7: secret") {
		t.Errorf("the log says %q", d.logs)
	}
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) { panic("a bug with a secret") }
	status, p = d.do("GET", "/api/v2/sessions/recent", "")
	if status != 500 || p["code"] != "INTERNAL" || p["detail"] != "internal error" || !strings.Contains(d.logs.String(), "a bug with a secret") {
		t.Errorf("after a panic: %d %v", status, p)
	}
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) {
		return nil, &protocol.Error{Code: protocol.Code_RATE_LIMITED, Detail: "slow", RetryAfterMs: 1500}
	}
	w := d.raw("GET", "/api/v2/sessions/recent", "", "Authorization: bearer user:ann")
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), `"retryAfterMs":1500`) {
		t.Errorf("rate limited: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestWhoGoesIsNoErrorOfTheServer(t *testing.T) {
	d := newDesk(t, Config{})
	ctx, leave := context.WithCancel(t.Context())
	d.reply = func(*protocol.Frame) (*protocol.Frame, error) {
		leave()
		return nil, errors.New("broken off")
	}
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v2/sessions/recent", nil)
	r.Header.Set("Authorization", "Bearer user:ann")
	d.srv.ServeHTTP(httptest.NewRecorder(), r)
	if log := d.logs.String(); strings.Contains(log, "level=ERROR") || !strings.Contains(log, "broken off") {
		t.Errorf("the log says %q", log)
	}
}

func TestWritesByRESTAreLimitedPerUser(t *testing.T) {
	d := newDesk(t, Config{Rate: 1, RateBurst: 3})
	put := func(user string) int {
		return d.raw("PUT", "/api/v2/sessions/"+ours+"/sticky", "", "Authorization: Bearer user:"+user).Code
	}
	for range 3 {
		if got := put("ann"); got != 404 {
			t.Errorf("within the burst = %d", got)
		}
	}
	if got := put("ann"); got != 429 {
		t.Errorf("over it = %d, want 429", got)
	}
	if got := put("bob"); got != 404 {
		t.Errorf("somebody else = %d", got)
	}
}

func TestPagesAndHeaders(t *testing.T) {
	d := newDesk(t, Config{})
	for path, kind := range map[string]string{
		"/docs": "text/html; charset=utf-8", "/docs/docs.js": "text/javascript; charset=utf-8", "/docs/docs.css": "text/css; charset=utf-8",
		"/openapi.json": "application/openapi+json", "/healthz": "text/plain; charset=utf-8", "/readyz": "text/plain; charset=utf-8", "/metrics": "",
		"/api/v2/sessions/recent": "application/problem+json", "/nothing": "application/problem+json",
	} {
		w := d.raw("GET", path, "")
		h := w.Header()
		if kind != "" && h.Get("Content-Type") != kind {
			t.Errorf("%s: Content-Type = %q, want %q", path, h.Get("Content-Type"), kind)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("Cross-Origin-Opener-Policy") != "same-origin" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src") ||
			strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: headers %v", path, h)
		}
		if strings.HasPrefix(path, "/api") && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", path)
		}
		if strings.HasPrefix(path, "/docs") && strings.Contains(w.Body.String(), "https://") {
			t.Errorf("%s needs something from elsewhere", path)
		}
	}
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-Proto", "https")
	w := httptest.NewRecorder()
	if d.srv.ServeHTTP(w, r); w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS behind TLS")
	}
	var api struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(d.raw("GET", "/openapi.json", "").Body.Bytes(), &api); err != nil || api.OpenAPI != "3.1.0" {
		t.Fatalf("openapi.json: %v %v", api.OpenAPI, err)
	}
	op := api.Paths["/api/v2/sessions/{session_id}/messages"]["post"]
	responses, _ := op["responses"].(map[string]any)
	if op["requestBody"] == nil || responses["400"] == nil || responses["401"] == nil {
		t.Errorf("send-message is described as %v", op)
	}
	if m := d.raw("GET", "/metrics", "").Body.String(); !strings.Contains(m, "troupe_connections 0") || !strings.Contains(m, `troupe_frames_received_total{type="msg_send"} 0`) {
		t.Errorf("metrics: %.300s", m)
	}
}

func TestReadyNamesWhatIsNot(t *testing.T) {
	d := newDesk(t, Config{})
	d.srv.need.Ready["streams"] = func(context.Context) error { return errors.New("secret") }
	w := d.raw("GET", "/readyz", "")
	if w.Code != 503 || !strings.Contains(w.Body.String(), "streams") || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("readyz = %d %s", w.Code, w.Body)
	}
	delete(d.srv.need.Ready, "streams")
	d.srv.Refuse()
	if w := d.raw("GET", "/readyz", ""); w.Code != 503 {
		t.Errorf("readyz while draining = %d", w.Code)
	}
}

func TestANodeThatIsCutOffSendsWhoeverComesElsewhere(t *testing.T) {
	d := newDesk(t, Config{})
	is := true
	d.srv.ws.cutOff = func() bool { return is }
	for _, path := range []string{"/readyz", "/api/v2/sessions/s_1/messages", "/ws"} {
		w := d.raw("GET", path, "", "Authorization: Bearer user:ann", "Connection: Upgrade", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if w.Code != 503 || !strings.Contains(w.Body.String(), "cut off") {
			t.Errorf("%s = %d %s", path, w.Code, w.Body)
		}
	}
	if w := d.raw("GET", "/healthz", ""); w.Code != 200 { // it lives: to end it would help nobody
		t.Errorf("healthz = %d", w.Code)
	}
	is = false
	if w := d.raw("GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("readyz when it is over = %d %s", w.Code, w.Body)
	}
}

// A scarce listener is out of file descriptors now and then.
type scarce struct {
	net.Listener
	failures atomic.Int32
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

func TestServerOutOfFileDescriptorsGoesOnLater(t *testing.T) {
	d := newDesk(t, Config{})
	l := &scarce{Listener: httptest.NewUnstartedServer(nil).Listener}
	l.failures.Store(3)
	go d.srv.Serve(l)
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestAllConnectionsTogetherAreCounted(t *testing.T) {
	d := newDesk(t, Config{MaxConnections: 2})
	l := httptest.NewUnstartedServer(nil).Listener
	go d.srv.Serve(l)
	var kept []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	soon(t, "two connections", func() bool { return d.srv.open.Load() == 2 })
	third, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection too many: %v, want it closed", err)
	}
	third.Close()
	for _, c := range kept {
		c.Close()
	}
	soon(t, "room again", func() bool { return d.srv.open.Load() == 0 })
}

func TestServerServesBothOnOneListener(t *testing.T) {
	d := newDesk(t, Config{})
	l := httptest.NewUnstartedServer(nil).Listener
	done := make(chan error, 1)
	go func() { done <- d.srv.Serve(l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "ok\n" {
		t.Errorf("healthz = %q", b)
	}
	resp.Body.Close()
	r := &rig{t: t, stage: d.stage, http: &httptest.Server{Listener: l}}
	w := r.signedIn()
	w.say(beat)
	if f := w.frame(); f["type"] != "heartbeat_reply" {
		t.Errorf("frame = %v", f)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	go d.srv.Shutdown(ctx)
	if code, _ := w.closedWith(); code != 4000 {
		t.Errorf("close = %d, want 4000", code)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// Send and Read fill Notices: they answer as the desk's actors do.
func (d *desk) Send(_ context.Context, by string, id string, users []string, c *protocol.Content) (*actors.NoticeRow, error) {
	f := &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: by, ClientMsgId: id, Mentions: users, Content: c}}}
	d.asked = append(d.asked, f)
	if d.reply == nil {
		return &actors.NoticeRow{ID: "n_a", By: by, Users: users}, nil
	}
	_, err := d.reply(f)
	return &actors.NoticeRow{}, err
}

func (d *desk) Read(ctx context.Context, id string) (*actors.NoticeRow, error) {
	if id != "n_a" {
		return nil, protocol.NotFound("notice %s", id)
	}
	return d.Send(ctx, "root", "k", nil, nil)
}

func TestWhoeverChecksATokenKnowsTheAddress(t *testing.T) {
	d := newDesk(t, Config{})
	if w := d.raw("POST", "/api/v2/sessions", "{}", "Authorization: Bearer where"); !strings.Contains(w.Body.String(), "it came from 192.0.2.1") {
		t.Errorf("REST: %s", w.Body)
	}
	w := newRig(t, Config{}).dial("X-Forwarded-For: 203.0.113.7")
	w.say(`{"type":"auth","token":"where"}`)
	if got := fmt.Sprint(w.frame()); !strings.Contains(got, "it came from 203.0.113.7") {
		t.Errorf("WebSocket: %s", got)
	}
}
