package protocol_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAFailingAnswerHasTheTypeAndIDOfItsRequest(t *testing.T) {
	busy := &protocol.Error{Code: protocol.Code_BUSY, Detail: "later", RetryAfterMs: 250}
	for _, c := range []struct {
		in   string
		err  error
		want string
	}{
		{`{"type":"msg_read","id":"7","session":"s","seq":1}`, protocol.NotFound("session s"),
			`{"type":"msg_read_reply","id":"7","errcode":6,"code":"NOT_FOUND","error":"session s"}`},
		{`{"type":"heatbeat"}`, fmt.Errorf("wrapped: %w", busy),
			`{"type":"heartbeat_reply","errcode":10,"code":"BUSY","error":"later","retryAfterMs":250}`},
		{`{"type":"nope","id":"7"}`, protocol.BadRequest("x"), `{"type":"error","id":"7","errcode":2,"code":"BAD_REQUEST","error":"x"}`},
		{`{"type":"receipt","id":"7","session":"s","userId":"u"}`, protocol.BadRequest("x"),
			`{"type":"error","id":"7","errcode":2,"code":"BAD_REQUEST","error":"x"}`},
		{`[`, errors.New("the disk's name"), `{"type":"error","errcode":1,"code":"INTERNAL","error":"internal error"}`},
	} {
		req, _ := protocol.DecodeJSON([]byte(c.in))
		answer := protocol.Fail(req, c.err)
		if got := string(protocol.AppendJSON(nil, answer)); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
		if e := answer.Err(); e == nil || e.Code != protocol.AsError(c.err).Code || e.RetryAfterMs != protocol.AsError(c.err).RetryAfterMs {
			t.Errorf("%s: read back as %v", c.in, e)
		}
	}
	if got := protocol.Fail(nil, busy); got.Type() != "error" || got.Id != "" {
		t.Errorf("without a request: %v", got)
	}
	if e := decode(t, `{"type":"logout_reply","errcode":0}`).Err(); e != nil {
		t.Errorf("an answer that is ok: %v", e)
	}
}

func TestRequestsAreTheFramesThatHaveAnAnswer(t *testing.T) {
	members := (&protocol.Frame{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for _, s := range samples(t) {
		f, err := protocol.DecodeJSON([]byte(s.in))
		if err != nil {
			continue
		}
		answered := members.ByName("x") != nil
		for i := range members.Len() {
			answered = answered || string(members.Get(i).Name()) == f.Type()+"_reply"
		}
		if protocol.IsRequest(f) != answered {
			t.Errorf("%s: a request: %v", f.Type(), protocol.IsRequest(f))
		}
		if protocol.IsReply(f) != strings.HasSuffix(f.Type(), "_reply") {
			t.Errorf("%s: an answer: %v", f.Type(), protocol.IsReply(f))
		}
	}
	if protocol.IsRequest(nil) || protocol.IsRequest(&protocol.Frame{}) {
		t.Error("nothing is no request")
	}
}

func TestEachCodeHasAWordAndAStatus(t *testing.T) {
	for n, name := range protocol.Code_name {
		c := protocol.Code(n)
		if c.Word() != name || c.HTTPStatus() < 200 || c.HTTPStatus() > 599 {
			t.Errorf("%s: %q %d", name, c.Word(), c.HTTPStatus())
		}
		if at := c.CloseCode(); at != 0 && at != 1009 && (at < 4000 || at > 4999) {
			t.Errorf("%s closes with %d", name, at)
		}
	}
	if protocol.Code_TOO_SLOW.CloseCode() != 4003 || protocol.Code_NOT_FOUND.HTTPStatus() != 404 {
		t.Error("the table is another one")
	}
	if protocol.Code(999).Word() != "" || protocol.Code(999).HTTPStatus() != 0 {
		t.Error("an unknown code has a row")
	}
}

func TestContentTypesThatAreReserved(t *testing.T) {
	for n := range protocol.ContentType_name {
		want := n == 0 || n == 11 || n == 13
		if got := protocol.ContentType(n).Reserved(); got != want {
			t.Errorf("%d: reserved %v", n, got)
		}
	}
}
