package actors

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestADeliveryToWhoDidNotSendItAllocatesNothing(t *testing.T) {
	const session = "s_one"
	info := &protocol.SessionInfo{Session: session}
	u := &User{
		node: &Node{}, id: "ann", state: active, rows: map[protocol.SessionID]*row{session: {info: info}},
		conns: []attached{{conn: 7, link: &closing{}}, {conn: 8, link: &closing{}}},
	}
	seq := int64(0)
	d := &delivery{events: []*Event{{Skip: 9}}}
	shared := make([]*protocol.Shared, 0, 1000)
	for i := range cap(shared) {
		e := &protocol.Entry{Session: session, Seq: int64(i + 1), Sender: "bob", Kind: protocol.Kind_MESSAGE}
		shared = append(shared, protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: e}}))
	}
	one := func() {
		d.events[0].Shared = shared[seq]
		seq++
		u.deliver(d)
	}
	for range 3 * ringSize { // its ring and its room are made
		one()
	}
	if n := testing.AllocsPerRun(500, one); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := u.node.stats.Delivered.Load(); got != 2*seq {
		t.Errorf("%d frames for %d messages to 2 connections", got, seq)
	}
}
