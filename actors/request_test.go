package actors

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

var noon = time.UnixMilli(1_700_000_000_000)

func TestARequestIsAnsweredOnceAndForGood(t *testing.T) {
	const before, after = -time.Second, time.Second
	for _, c := range []struct {
		was   int64
		as    side
		to    int64
		ends  time.Duration // from now
		code  protocol.Code // OK: it is
		state bool
		same  bool // the first answer again
	}{
		{was: waiting, as: answerer, to: accepted, ends: after, state: true},
		{was: waiting, as: answerer, to: refused, ends: after},
		{was: waiting, as: asker, to: takenBack, ends: after},
		{was: waiting, as: answerer, to: accepted, ends: before, code: protocol.Code_EXPIRED},
		{was: waiting, as: answerer, to: refused, ends: 0, code: protocol.Code_EXPIRED},
		{was: waiting, as: asker, to: takenBack, ends: before, code: protocol.Code_EXPIRED},
		{was: waiting, as: asker, to: accepted, ends: after, code: protocol.Code_DENIED},
		{was: waiting, as: asker, to: refused, ends: after, code: protocol.Code_DENIED},
		{was: waiting, as: answerer, to: takenBack, ends: after, code: protocol.Code_DENIED},
		{was: waiting, as: stranger, to: accepted, ends: after, code: protocol.Code_NOT_FOUND},
		{was: waiting, as: stranger, to: 17, ends: after, code: protocol.Code_NOT_FOUND},
		{was: waiting, as: answerer, to: waiting, ends: after, code: protocol.Code_BAD_REQUEST},
		{was: waiting, as: answerer, to: 0, ends: after, code: protocol.Code_BAD_REQUEST},
		{was: waiting, as: asker, to: 5, ends: after, code: protocol.Code_BAD_REQUEST},
		{was: accepted, as: answerer, to: accepted, ends: before, state: true, same: true},
		{was: refused, as: answerer, to: refused, ends: before, same: true},
		{was: takenBack, as: asker, to: takenBack, ends: before, same: true},
		{was: accepted, as: answerer, to: refused, ends: after, code: protocol.Code_CONFLICT},
		{was: accepted, as: asker, to: takenBack, ends: after, code: protocol.Code_CONFLICT},
		{was: refused, as: answerer, to: accepted, ends: after, code: protocol.Code_CONFLICT},
		{was: takenBack, as: answerer, to: accepted, ends: before, code: protocol.Code_CONFLICT},
	} {
		was := &protocol.Request{Id: "r_1", From: "ann", Target: "bob", CallBackType: c.was, State: c.was == accepted, UpdateTime: 7, ExpireTime: noon.Add(c.ends).UnixMilli()}
		kept := proto.CloneOf(was)
		next, err := transition(was, "bob", c.as, c.to, noon)
		if !proto.Equal(was, kept) {
			t.Errorf("%+v changed what was", c)
		}
		if c.code != protocol.Code_OK {
			if !c.code.Is(err) {
				t.Errorf("%+v is %v, want %s", c, err, c.code.Word())
			}
			continue
		}
		switch {
		case err != nil:
			t.Errorf("%+v is %v", c, err)
		case (next == was) != c.same, next.CallBackType != c.to, next.State != c.state:
			t.Errorf("%+v gives %v", c, next)
		case !c.same && (next.UpdateTime != noon.UnixMilli() || next.AnsweredBy != "bob"):
			t.Errorf("%+v does not say when and by whom: %v", c, next)
		}
	}
}

func TestARequestWaitsAsLongAsTheSettingSays(t *testing.T) {
	r := newRequest("ann", &protocol.RequestSend{Target: "bob", Note: "hello"}, noon, time.Hour)
	if !open(r, noon.Add(time.Hour-time.Millisecond)) || open(r, noon.Add(time.Hour)) {
		t.Errorf("%v does not wait for an hour", r)
	}
	if r.CallBackType != 1 || r.State || r.CreateTime != noon.UnixMilli() || r.UpdateTime != r.CreateTime || r.Note != "hello" {
		t.Errorf("a new request is %v", r)
	}
	if other := newRequest("ann", &protocol.RequestSend{Target: "bob"}, noon, time.Hour); other.Id == r.Id || len(r.Id) != 18 {
		t.Errorf("ids %s, %s", r.Id, other.Id)
	}
}
