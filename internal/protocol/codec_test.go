package protocol_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	sendJSON = `{"type":"msg_send","id":"42","session":"s_abcdefghijklmnop","clientMsgId":"0192f0c1-7b3e-7cc3-98c4","content":{"type":"text","text":"今晚七点在老地方见,别迟到 ok? bring the map"}}`
	pushJSON = `{"type":"msg_push","session":"s_abcdefghijklmnop","seq":1017,"messagerecvId":"s_abcdefghijklmnop.1017","sender":"u_abcdefghijklmnop","clientMsgId":"0192f0c1-7b3e-7cc3-98c4","content":{"type":"text","text":"今晚七点在老地方见,别迟到 ok? bring the map"},"createdAt":1760000000000,"messagesendId":"s_abcdefghijklmnop.1017@u_bcdefghijklmnopq","offset":1043}`
)

func decode(tb testing.TB, in string) *protocol.Frame {
	tb.Helper()
	f, err := protocol.DecodeJSON([]byte(in))
	if err != nil {
		tb.Fatalf("%s: %v", in, err)
	}
	return f
}

func TestADecodedFrameKeepsNothingOfTheInput(t *testing.T) {
	for _, s := range samples(t) {
		data := []byte(s.in)
		f, err := protocol.DecodeJSON(data)
		if err != nil {
			continue
		}
		for i := range data {
			data[i] = 'x'
		}
		if out := string(protocol.AppendJSON(nil, f)); out != s.out {
			t.Errorf("%s: after the buffer was used again it is %s", s.name, out)
		}
	}
}

func TestDeepNestingIsRefusedWithoutWork(t *testing.T) {
	for name, in := range map[string]string{
		"lists":   `{"type":"heartbeat","id":"1","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"objects": `{"type":"heartbeat","id":"1","x":` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat("}", 10_001),
		"bare":    strings.Repeat("[", 10_000),
		"no type": `{"x":` + strings.Repeat("[", 10_000),
	} {
		data := []byte(in)
		if _, err := protocol.DecodeJSON(data); err == nil || !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%s: %v", name, err)
		}
		// The answer's frame, the error and its text; nothing per bracket.
		if n := testing.AllocsPerRun(10, func() { protocol.DecodeJSON(data) }); n > 60 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestManyUnknownKeysCostNoMoreThanTheirNumber(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"type":"heartbeat"`)
	for range 20_000 { // compared each with each these would be 200 million comparisons
		b.WriteString(`,"k`)
		b.WriteString(strings.Repeat("y", 8))
		b.WriteString(protocol.NewUserID())
		b.WriteString(`":1`)
	}
	decode(t, b.String()+"}")
	if _, err := protocol.DecodeJSON([]byte(b.String() + `,"z":1,"z":2}`)); err == nil {
		t.Error("a key twice among many was accepted")
	}
}

func TestFirstFieldsAreTypeAndID(t *testing.T) {
	f := decode(t, `{"session":"s","id":"x","type":"msg_editing"}`)
	if out := string(protocol.AppendJSON(nil, f)); !strings.HasPrefix(out, `{"type":"msg_editing","id":"x",`) {
		t.Error(out)
	}
}

func TestOrdinaryDecodingAndEncodingAllocateLittle(t *testing.T) {
	data, room := []byte(sendJSON), make([]byte, 0, 1024)
	// Frame with body, session, clientMsgId, id, content, text; encoding adds nothing.
	if n := testing.AllocsPerRun(100, func() {
		f, _ := protocol.DecodeJSON(data)
		protocol.AppendJSON(room, f)
	}); n > 10 {
		t.Errorf("%v allocations, want 10 at most", n)
	}
	shared := protocol.NewShared(decode(t, pushJSON))
	if n := testing.AllocsPerRun(100, func() { shared.AppendJSON(room, "u_bcdefghijklmnopq", 7) }); n > 0 {
		t.Errorf("a shared frame's tail: %v allocations, want none", n)
	}
}

// withoutTail is a frame as Shared wants it.
func withoutTail(f *protocol.Frame) *protocol.Frame {
	f = proto.Clone(f).(*protocol.Frame)
	f.MessagesendId, f.Offset = "", 0
	return f
}

func TestASharedFrameWithItsTailIsTheWholeFrame(t *testing.T) {
	for _, s := range samples(t) {
		whole, err := protocol.DecodeJSON([]byte(s.in))
		if err != nil {
			continue
		}
		shared := protocol.NewShared(withoutTail(whole))
		for range 2 { // the second time from the bytes that were kept
			for _, offset := range []int64{0, 1, 1 << 53} {
				for _, to := range []string{"u_ann", `o"dd\é`} {
					whole.MessagesendId, whole.Offset = "", offset
					if push := whole.GetMsgPush(); push != nil {
						whole.MessagesendId = protocol.DeliveryID(push.MessagerecvId, to)
					}
					want := string(protocol.AppendJSON(nil, whole))
					if got := string(shared.AppendJSON(nil, to, offset)); got != want {
						t.Fatalf("%s: shared\n%s\nwhole\n%s", s.name, got, want)
					}
					f, err := protocol.DecodeBinary(shared.AppendBinary(nil, to, offset))
					if err != nil {
						t.Fatalf("%s: binary: %v", s.name, err)
					}
					if got := string(protocol.AppendJSON(nil, f)); got != want {
						t.Fatalf("%s: shared binary\n%s\nwhole\n%s", s.name, got, want)
					}
				}
			}
		}
		if n := len(shared.AppendBinary(nil, "", 0)); shared.Size() > n || shared.Size() < n-60 {
			t.Errorf("%s: %d bytes, said to be %d", s.name, n, shared.Size())
		}
		if n := len(shared.AppendJSON(nil, "", 0)); n > shared.Size()*3/2+200 && !strings.Contains(s.in, `_reply"`) { // an answer is nobody else's
			t.Errorf("%s: %d bytes of JSON, where %d are in binary", s.name, n, shared.Size())
		}
	}
}

func TestASharedFrameIsTheSameWhoeverAsksFirst(t *testing.T) {
	shared := protocol.NewShared(withoutTail(decode(t, pushJSON)))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if out := string(shared.AppendJSON(nil, "u_bcdefghijklmnopq", 1043)); out != pushJSON {
				t.Error(out)
			}
			if f, err := protocol.DecodeBinary(shared.AppendBinary(nil, "u_ann", 5)); err != nil || f.Offset != 5 {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
	all.Wait()
}

func TestAHalfBinaryFrameStillHasItsID(t *testing.T) {
	data := protocol.AppendBinary(nil, decode(t, `{"type":"msg_read","id":"9","session":"s","seq":5}`))
	f, err := protocol.DecodeBinary(data[:len(data)-1])
	if err == nil || f.GetId() != "9" {
		t.Errorf("%v, %v", f, err)
	}
}

func TestBinaryHasTheLimitsOfJSON(t *testing.T) {
	send := func(change func(*protocol.MsgSend)) *protocol.Frame {
		m := &protocol.MsgSend{Session: "s", ClientMsgId: "c", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "x"}}
		change(m)
		return &protocol.Frame{Id: "9", Body: &protocol.Frame_MsgSend{MsgSend: m}}
	}
	for name, c := range map[string]struct {
		frame *protocol.Frame
		want  string
	}{
		"integer past 2^53": {send(func(m *protocol.MsgSend) { m.Expire = 1<<53 + 1 }), "msg_send.expire: a whole number within 2^53 is needed"},
		"inner integer":     {send(func(m *protocol.MsgSend) { m.Content.Size = math.MinInt64 }), "msg_send.content.size: a whole number within 2^53 is needed"},
		"list of objects": {send(func(m *protocol.MsgSend) {
			m.Content.Forwarded = []*protocol.Forwarded{{}, {CreatedAt: math.MaxInt64}}
		}), "msg_send.content.forwarded[1].createdAt: a whole number within 2^53 is needed"},
		"no content":    {send(func(m *protocol.MsgSend) { m.Content = nil }), "msg_send.content: is missing"},
		"empty session": {send(func(m *protocol.MsgSend) { m.Session = "" }), "msg_send.session: may not be empty"},
		"unknown type":  {send(func(m *protocol.MsgSend) { m.Content.Type = 99 }), "msg_send.content.type: an unknown number"},
		"data that is not JSON": {send(func(m *protocol.MsgSend) { m.Content.Data = `{"a":1}x` }),
			"msg_send.content.data: not JSON: something follows at byte 7"},
		"data with a key twice": {send(func(m *protocol.MsgSend) { m.Content.Data = `{"a":1,"a":2}` }), "msg_send.content.data: a key stands twice"},
		"data that is deep":     {send(func(m *protocol.MsgSend) { m.Content.Data = strings.Repeat("[", 9) }), "msg_send.content.data: nested too deep"},
		"offset": {&protocol.Frame{Id: "9", Offset: math.MaxInt64, Body: &protocol.Frame_Heartbeat{Heartbeat: &protocol.Heartbeat{}}},
			"heartbeat.offset: a whole number within 2^53 is needed"},
		"map": {&protocol.Frame{Id: "9", Body: &protocol.Frame_HeartbeatReply{HeartbeatReply: &protocol.HeartbeatReply{
			Heads: map[string]int64{"s_1": math.MaxInt64}}}}, "heartbeat_reply.heads.s_1: a whole number within 2^53 is needed"},
		"double": {&protocol.Frame{Id: "9", Body: &protocol.Frame_Location{Location: &protocol.Location{Lat: math.NaN()}}},
			"location.lat: a finite number is needed"},
		"no body": {&protocol.Frame{Id: "9"}, "unknown type"},
	} {
		f, err := protocol.DecodeBinary(protocol.AppendBinary(nil, c.frame))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if e := protocol.AsError(err); e.Detail != c.want {
			t.Errorf("%s: %s, want %s", name, e.Detail, c.want)
		}
		if f.GetId() != "9" || f.Type() != c.frame.Type() {
			t.Errorf("%s: of it is known %q %q", name, f.Type(), f.GetId())
		}
	}
}

func TestBinaryRefusesWhatIsNoProtobufAndDropsWhatItDoesNotKnow(t *testing.T) {
	good := protocol.AppendBinary(nil, decode(t, sendJSON))
	stranger := protowire.AppendBytes(protowire.AppendTag(append([]byte{}, good...), 999, protowire.BytesType), []byte("kept?"))
	f, err := protocol.DecodeBinary(stranger)
	if err != nil || string(protocol.AppendBinary(nil, f)) != string(good) {
		t.Errorf("an unknown field: %v, %q", err, protocol.AppendBinary(nil, f))
	}
	notText, _ := proto.Marshal(durationpb.New(1)) // field 2 of a Frame is no string, but field 1 is no integer
	for name, in := range map[string][]byte{
		"half":         good[:len(good)-3],
		"wrong type":   protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.Fixed64Type), 1),
		"not UTF-8":    protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff"),
		"no body":      notText,
		"length of it": {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if _, err := protocol.DecodeBinary(in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAFailingBinaryAnswerHasNoFieldsOfItsOwn(t *testing.T) {
	f := &protocol.Frame{Id: "9", Errcode: 6, Body: &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{HeadSeq: 5}}}
	g, err := protocol.DecodeBinary(protocol.AppendBinary(nil, f))
	if err != nil || g.Type() != "sync_reply" || g.GetSyncReply().HeadSeq != 0 {
		t.Errorf("%v, %v", g, err)
	}
}

func TestEncodingJSONGoesThroughOurCodec(t *testing.T) {
	type page struct {
		Items []*protocol.Entry     `json:"items"`
		Kind  protocol.Kind         `json:"kind"`
		Info  *protocol.SessionInfo `json:"info"`
	}
	in := page{
		Items: []*protocol.Entry{{Session: "s", Seq: 1, MessagerecvId: "s.1", Sender: "u", ClientMsgId: "c", CreatedAt: 5}},
		Kind:  protocol.Kind_RECALL,
	}
	out, err := json.Marshal(in)
	want := `{"items":[{"session":"s","seq":1,"messagerecvId":"s.1","sender":"u","clientMsgId":"c","createdAt":5}],"kind":"recall","info":null}`
	if err != nil || string(out) != want {
		t.Errorf("%s, %v, want %s", out, err, want)
	}
	var back page
	if err := json.Unmarshal(out, &back); err != nil || !proto.Equal(back.Items[0], in.Items[0]) || back.Kind != in.Kind {
		t.Errorf("read again: %v, %v", back, err)
	}
	var e *protocol.Error
	if err := json.Unmarshal([]byte(`{"items":[{"client_msg_id":"x"}]}`), &back); !errors.As(err, &e) || e.Detail != "session: is missing" {
		t.Errorf("an entry without its fields: %v", err)
	}
	f := new(protocol.Frame)
	if err := json.Unmarshal([]byte(sendJSON), f); err != nil || f.GetMsgSend().GetContent().GetType() != protocol.ContentType_TEXT {
		t.Errorf("a frame: %v, %v", f, err)
	}
	if out, err := json.Marshal(f); err != nil || string(out) != sendJSON {
		t.Errorf("%s, %v", out, err)
	}
}

func TestEncodingJSONRefusesWhatOurCodecRefuses(t *testing.T) {
	for in, into := range map[string]any{
		`{"type":"msg_read"}`:           new(protocol.Frame),
		`{"type":"text","Text":"x"}`:    new(protocol.Content),
		`{"type":"text","size":1.5}`:    new(protocol.Content),
		`"nonsense"`:                    new(protocol.Kind),
		`77`:                            new(protocol.Role),
		`{"heads":{"a":1}}`:             new(protocol.HeartbeatReply),
		`{"session":"s","seq":1e400}`:   new(protocol.MsgRead),
		`{"session":"a","session":"b"}`: new(protocol.MsgEditing),
	} {
		if err := json.Unmarshal([]byte(in), into); err == nil {
			t.Errorf("%s is read as %v", in, into)
		}
	}
	kind := protocol.Kind_RECALL
	if err := json.Unmarshal([]byte(`null`), &kind); err != nil || kind != protocol.Kind_RECALL {
		t.Errorf("null: %v, %v", kind, err)
	}
	if out, err := json.Marshal([]any{protocol.Kind(99), &protocol.Location{UserId: "u", Lat: math.Inf(1)}, &protocol.Heartbeat{}}); err != nil ||
		string(out) != `[99,{"userId":"u","lat":0,"lng":0,"at":0},{}]` {
		t.Errorf("%s, %v", out, err)
	}
}

func TestEveryGeneratedTypeHasItsOwnJSON(t *testing.T) {
	messages := protocol.File_internal_protocol_troupe_proto.Messages()
	for i := range messages.Len() {
		if messages.Get(i).IsMapEntry() {
			continue
		}
		name := messages.Get(i).FullName()
		mt, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Fatal(err)
		}
		m := mt.New().Interface()
		if _, ok := m.(json.Marshaler); !ok {
			t.Errorf("%s: encoding/json would write it by its tags", name)
		}
		if _, ok := m.(json.Unmarshaler); !ok {
			t.Errorf("%s: encoding/json would read it by its tags", name)
		}
	}
}

func TestTextOfOursThatIsNotUTF8IsMended(t *testing.T) {
	f := &protocol.Frame{Id: "1", Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: "a\xffb"}}}
	if out := string(protocol.AppendJSON(nil, f)); out != `{"type":"msg_editing","id":"1","session":"a\ufffdb"}` {
		t.Error(out)
	}
	g, err := protocol.DecodeBinary(protocol.AppendBinary(nil, f))
	if err != nil || g.Id != "1" || g.GetMsgEditing().GetSession() != "a\ufffdb" {
		t.Errorf("%v, %v", g, err)
	}
}
