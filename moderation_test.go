package main

import (
	"context"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// strict holds back what everybody says.
type strict struct{ actors.Robots }

func (strict) Offer(*actors.Offer) {}
func (strict) Judges(*protocol.SessionInfo, []protocol.UserID, protocol.UserID) bool {
	return true
}
func (strict) Rule(context.Context, *actors.Trial) (*actors.Ruling, error) {
	return &actors.Ruling{State: "held", By: "b_mod", Reason: "first of all"}, nil
}

func TestDecisionsOnMessagesAreWrittenDown(t *testing.T) {
	h := openHouse(t)
	h.node.UseRobots(strict{})
	made := h.must("owner", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, Members: []string{"member"}}}})
	session := made.GetSessionCreateReply().Result[0]
	say := func(id string) string {
		reply := h.must("member", &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: session, ClientMsgId: id, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello"}}}})
		return reply.GetMsgSendReply().MessagerecvId
	}
	one, two, three := say("1"), say("2"), say("3")
	if held, err := h.operator().held(t.Context(), session); err != nil || len(held.Items) != 3 || held.Items[0].Message != three || held.Items[0].Sender != "member" || held.Items[0].Reason != "first of all" || held.More {
		t.Errorf("held are %v, %v", held, err)
	}
	if held, _, err := (judges{h.node, h.users}).Held(t.Context(), protocol.Identity{User: "owner"}, session, 0, 9); err != nil || len(held) != 3 {
		t.Errorf("to the owner held are %v, %v", held, err)
	}
	j, ctx := judges{h.node, h.users}, t.Context()
	root := protocol.Identity{User: "root", Admin: true}
	asRoot := protocol.WithIdentity(ctx, root)
	if e, err := j.Original(ctx, protocol.Identity{User: "owner"}, one); err != nil || e.Content.Text != "hello" {
		t.Errorf("the owner reads %v, %v", e, err)
	}
	if e, err := j.Original(asRoot, root, one); err != nil || e.Content.Text != "hello" {
		t.Errorf("an administrator reads %v, %v", e, err)
	}
	if err := j.Decide(ctx, protocol.Identity{User: "owner"}, one, actors.VerdictAllow, ""); err != nil {
		t.Error(err)
	}
	if err := j.Decide(asRoot, root, two, actors.VerdictReject, ""); err != nil {
		t.Error(err)
	}
	if err := h.operator().decide(ctx, three, actors.VerdictAllow); err != nil {
		t.Error(err)
	}
	if err := j.Decide(ctx, protocol.Identity{User: "member"}, two, actors.VerdictAllow, ""); !protocol.Code_DENIED.Is(err) {
		t.Errorf("a member decides: %v", err)
	}
	// Who is an administrator by its token alone is none any more.
	was := protocol.Identity{User: "stranger", Admin: true}
	if err := j.Decide(protocol.WithIdentity(ctx, was), was, two, actors.VerdictAllow, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("a former administrator decides: %v", err)
	}
	rows, err := h.users.AuditPage(ctx, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []userctr.Record{
		{Action: "original-read", By: "root", About: one}, {Action: "message-let-through", By: "owner", About: one},
		{Action: "message-rejected", By: "root", About: two}, {Action: "message-let-through", By: userctr.ByOperator, About: three},
	} {
		n := 0
		for _, r := range rows {
			if r.Action == want.Action && r.By == want.By && r.About == want.About {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%v stands in the audit log %d times", want, n)
		}
	}
	if slices.ContainsFunc(rows, func(r *userctr.Record) bool { return r.Action == "original-read" && r.By == "owner" }) {
		t.Error("that an owner reads what is held back in its own session is in the audit log")
	}
}
