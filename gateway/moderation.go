package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Moderation decides on messages that moderation changed or holds back: for who leads their
// session, and for administrators. Who may is its to find out.
type Moderation interface {
	// Original gives a message with what was first written in it.
	Original(ctx context.Context, who protocol.Identity, message string) (*protocol.Entry, error)
	// Held gives messages that are held back in a session, newest first, below the seq before
	// (0: of all), and the seq to go on with, 0: there are no more.
	Held(ctx context.Context, who protocol.Identity, session protocol.SessionID, before int64, limit int) ([]*protocol.Entry, int64, error)
	// Decide has it stand so (allow), or never be seen (reject, for a reason or for the moderator's).
	Decide(ctx context.Context, who protocol.Identity, message, verdict, reason string) error
}

type moderation struct{ Moderation }

func (m moderation) register(api huma.API) {
	if m.Moderation == nil {
		return
	}
	huma.Register(api, operation("list-held", http.MethodGet, "/sessions/{session_id}/held",
		"List what moderation holds back in a session, newest first and without what it says (who leads the session, and administrators)", protocol.Code_DENIED, protocol.Code_NOT_FOUND), m.held)
	const one, denied, notFound = "/messages/{message_id}", protocol.Code_DENIED, protocol.Code_NOT_FOUND
	huma.Register(api, operation("get-original", http.MethodGet, one+"/original",
		"Read what a message said before moderation (who leads the session, and administrators)", denied, notFound), m.original)
	deal := operation("deal-message", http.MethodPost, one+"/deal",
		"Let a message stand that moderation changed or holds back, or take it away for good (who leads the session, and administrators)", denied, notFound, protocol.Code_CONFLICT)
	deal.DefaultStatus = http.StatusNoContent
	huma.Register(api, deal, m.deal)
}

// dealView is what moderation made of a message.
type dealView struct {
	State  string     `json:"state" enum:"rewritten,held,rejected" doc:"rewritten: the content is a moderator's; held: there is none until a moderator decides; rejected: there will be none"`
	By     string     `json:"by"`
	Reason string     `json:"reason,omitempty"`
	At     *time.Time `json:"at,omitempty"`
}

func viewDeal(d *protocol.Deal) *dealView {
	if d == nil {
		return nil
	}
	return &dealView{d.State, d.By, d.Reason, when(d.At)}
}

// OneMessage names a message; exported, as what reads inputs passes over other embedded ones.
type OneMessage struct {
	Message string `path:"message_id" maxLength:"128"`
}

type heldInput struct {
	InSession
	Paged
}

func (m moderation) held(ctx context.Context, in *heldInput) (*answer[List[messageView]], error) {
	var before int64
	if in.Cursor != "" {
		seq, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || seq < 1 {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
		before = seq
	}
	who, _ := protocol.IdentityFrom(ctx)
	entries, next, err := m.Held(ctx, who, in.Session, before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := List[messageView]{Items: []messageView{}}
	for _, e := range entries {
		out.Items = append(out.Items, viewMessage(e))
	}
	if next > 0 {
		out.Next = strconv.FormatInt(next, 10)
	}
	return &answer[List[messageView]]{out}, nil
}

func (m moderation) original(ctx context.Context, in *OneMessage) (*answer[messageView], error) {
	who, _ := protocol.IdentityFrom(ctx)
	e, err := m.Original(ctx, who, in.Message)
	if err != nil {
		return nil, err
	}
	return &answer[messageView]{viewMessage(e)}, nil
}

func (m moderation) deal(ctx context.Context, in *struct {
	OneMessage
	Body struct {
		Verdict string `json:"verdict" enum:"allow,reject" doc:"allow: it stands as it was written"`
		Reason  string `json:"reason,omitempty" maxLength:"500" doc:"With reject: what its writer is told. By default what the moderator said"`
	}
}) (*struct{}, error) {
	who, _ := protocol.IdentityFrom(ctx)
	return nil, m.Decide(ctx, who, in.Message, in.Body.Verdict, in.Body.Reason)
}
