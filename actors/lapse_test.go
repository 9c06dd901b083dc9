package actors

import (
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// closing is a link that notes with what it was closed.
type closing struct{ code int }

func (*closing) Deliver([]Outgoing, *Burst) {}
func (c *closing) Close(code int, _ string) { c.code = code }

func TestAConnectionSaysWhenItsTokenEndsAndGivesItTheLeeway(t *testing.T) {
	link, ends := &closing{}, time.UnixMilli(1_700_000_000_000)
	c := &connection{
		node: &Node{cfg: Config{}.withDefaults()}, link: link,
		who: &protocol.Identity{User: "ann", Expires: ends, Leeway: time.Minute},
	}
	welcome := c.welcome(&protocol.Frame{Id: "1"}, false).GetAuthReply()
	if welcome.ExpiresAt != ends.UnixMilli() {
		t.Errorf("expiresAt = %d, the token says %d", welcome.ExpiresAt, ends.UnixMilli())
	}
	if c.lapse(&lapse{now: ends.Add(time.Minute)}); link.code != 0 {
		t.Errorf("closed with %d within the leeway", link.code)
	}
	if c.lapse(&lapse{now: ends.Add(time.Minute + 1)}); link.code != protocol.Code_TOKEN_EXPIRED.CloseCode() {
		t.Errorf("closed with %d after it", link.code)
	}
}
