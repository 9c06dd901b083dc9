package actors

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// presses says whether m is a press of what may be a bot's card, so that the card is
// looked at first (Node.offered). It is the same whatever way it came.
func (s *Session) presses(m *protocol.MsgSend) bool {
	return len(s.bots) > 0 && m.ReplyTo != "" && m.Content.IsPress()
}

// anotherAnswer is the word by which people want another answer of a bot, to a message that is no card.
const anotherAnswer = "regenerate"

// offered refuses a press that the card as it stands does not offer: BAD_REQUEST. So a bot
// never hears of an action that it did not offer, or does not any more. Cards of people are
// their applications' own matter.
func (n *Node) offered(ctx context.Context, session protocol.SessionID, m *protocol.MsgSend) error {
	of, seq, err := protocol.ParseMessageID(m.ReplyTo)
	if err != nil || of != session {
		return nil // it is refused, or another session's: no bot gets it
	}
	found, err := n.journal.Range(ctx, session, seq, seq, 1, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 || !protocol.IsBot(found[0].Sender) {
		return nil
	}
	card := found[0]
	ends := card.Expire > 0 && time.Now().UnixMilli() >= card.CreatedAt+card.Expire*1000
	action := m.Content.Press()
	switch {
	case card.Recalled || card.Expired || ends || card.Content == nil:
	case card.Content.Offers(action), card.Content.Type != protocol.ContentType_CARD && action == anotherAnswer:
		return nil
	}
	return protocol.BadRequest("content.data.troupe.action: message %.80q does not offer %.64q", m.ReplyTo, action)
}
