package main

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// judges lets those decide on messages who lead their sessions, and administrators as the
// store has them now, and writes into the audit log what they did.
type judges struct {
	node  *actors.Node
	users *userctr.Center
}

// Original fills gateway.Moderation. That an administrator reads one is written down.
func (j judges) Original(ctx context.Context, who protocol.Identity, message string) (*protocol.Entry, error) {
	who, err := j.asks(ctx, who)
	if err != nil {
		return nil, err
	}
	e, err := j.node.Original(ctx, who, message)
	if err == nil && who.Admin {
		err = j.users.Record(ctx, userctr.Record{Action: "original-read", By: who.User, About: message})
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Held fills gateway.Moderation.
func (j judges) Held(ctx context.Context, who protocol.Identity, session protocol.SessionID, before int64, limit int) ([]*protocol.Entry, int64, error) {
	who, err := j.asks(ctx, who)
	if err != nil {
		return nil, 0, err
	}
	return j.node.Held(ctx, who, session, before, limit)
}

// Decide fills gateway.Moderation.
func (j judges) Decide(ctx context.Context, who protocol.Identity, message, verdict, reason string) error {
	who, err := j.asks(ctx, who)
	if err != nil {
		return err
	}
	if err := j.node.Decide(ctx, who, message, verdict, reason); err != nil {
		return err
	}
	return j.decided(ctx, who.User, message, verdict)
}

func (j judges) decided(ctx context.Context, by, message, verdict string) error {
	action := "message-let-through"
	if verdict == actors.VerdictReject {
		action = "message-rejected"
	}
	return j.users.Record(ctx, userctr.Record{Action: action, By: by, About: message})
}

// asks is who, an administrator only as long as the store says so.
func (j judges) asks(ctx context.Context, who protocol.Identity) (protocol.Identity, error) {
	if !who.Admin {
		return who, nil
	}
	_, err := j.users.Administer(ctx, access.AdminSessions)
	if who.Admin = err == nil; protocol.Code_DENIED.Is(err) {
		err = nil
	}
	return who, err
}

// heldMessages are what the operator's command shows.
type heldMessages struct {
	Items []heldMessage `json:"items"`
	More  bool          `json:"more,omitempty"`
}

type heldMessage struct {
	Message string    `json:"message"`
	Sender  string    `json:"sender"`
	At      time.Time `json:"at"`
	By      string    `json:"by"` // the moderator
	Reason  string    `json:"reason,omitempty"`
}

func (o *operator) held(ctx context.Context, session protocol.SessionID) (out heldMessages, err error) {
	entries, next, err := o.node.Held(ctx, protocol.Identity{User: actors.System, Admin: true}, session, 0, 200)
	out.Items, out.More = []heldMessage{}, next > 0
	for _, e := range entries {
		out.Items = append(out.Items, heldMessage{e.MessagerecvId, e.Sender, time.UnixMilli(e.CreatedAt).UTC(), e.Deal.By, e.Deal.Reason})
	}
	return out, err
}

// decide is what the operator's command does: as an administrator who is nobody's member.
func (o *operator) decide(ctx context.Context, message, verdict string) error {
	if err := o.node.Decide(ctx, protocol.Identity{User: actors.System, Admin: true}, message, verdict, ""); err != nil {
		return err
	}
	return judges{o.node, o.users}.decided(ctx, userctr.ByOperator, message, verdict)
}
