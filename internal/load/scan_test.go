package load

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestScannerGivesTheTopLevelMembers(t *testing.T) {
	s := scanner{b: []byte(` {"type" : "a", "n":12 ,"o":{"n":[1,{"x":"}\\\"]"}]},"s":"\\"} `)}
	want := [][2]string{{"type", `"a"`}, {"n", "12"}, {"o", `{"n":[1,{"x":"}\\\"]"}]}`}, {"s", `"\\"`}}
	for _, w := range want {
		k, v, ok := s.next()
		if !ok || string(k) != w[0] || string(v) != w[1] {
			t.Fatalf("next = %s %s %v, want %v", k, v, ok, w)
		}
	}
	if _, _, ok := s.next(); ok || s.bad {
		t.Errorf("after the last: ok %v, bad %v", ok, s.bad)
	}
}

func TestScannerEndsAtWhatIsNoObject(t *testing.T) {
	for in, bad := range map[string]bool{
		`{}`: false, `{"a":1}`: false,
		``: true, `[1]`: true, `{"a"`: true, `{"a":`: true, `{"a":1`: true, `{"a":"`: true, `{"a":1 "b":2}`: true, `{a:1}`: true,
	} {
		s := scanner{b: []byte(in)}
		for _, _, ok := s.next(); ok; _, _, ok = s.next() {
		}
		if s.bad != bad {
			t.Errorf("%s: bad = %v", in, s.bad)
		}
	}
}

func FuzzScannerAgreesWithEncodingJSON(f *testing.F) {
	f.Add([]byte(`{"type":"msg_push","seq":12,"content":{"type":"text","text":"a\"b"}}`))
	f.Add([]byte(`{"a":[{},[],"]",-1.5e3,null],"b":{"c":{}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := scanner{b: in}
		got := map[string][]byte{}
		for k, v, ok := s.next(); ok; k, v, ok = s.next() {
			var key string
			if json.Unmarshal([]byte(`"`+string(k)+`"`), &key) == nil {
				got[key] = v
			}
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(in, &want) != nil || want == nil {
			return // it may do anything but panic
		}
		if s.bad || len(got) != len(want) {
			t.Fatalf("%q: bad %v, %d members, want %d", in, s.bad, len(got), len(want))
		}
		for k, v := range want {
			if !bytes.Equal(bytes.TrimSpace(got[k]), v) {
				t.Errorf("%q: %s = %s, want %s", in, k, got[k], v)
			}
		}
	})
}

func TestFramesReadByTheirTypeFirst(t *testing.T) {
	w := &troupeWire{run: "r"}
	text := string(newText(7, 60))
	push := `{"type":"msg_push","session":"s","seq":5,"messagerecvId":"s.5","sender":"u","clientMsgId":"c","content":{"type":"text","text":"` + text + `"},"createdAt":1,"offset":9}`
	for in, want := range map[string]event{
		push: {kind: pushEvent, seq: 5, text: []byte(text)},
		`{"type":"msg_push","session":"s","seq":6,"kind":"join","sender":"u","members":["a"],"createdAt":1}`:                    {kind: pushEvent, seq: 6},
		`{"type":"msg_send_reply","id":"0000000012","errcode":0,"session":"s","clientMsgId":"c","messagerecvId":"s.5","seq":5}`: {kind: ackEvent, n: 12, seq: 5},
		`{"type":"msg_send_reply","id":"0000000013","errcode":9,"code":"RATE_LIMITED","error":"slow down","retryAfterMs":3}`:    {kind: refusedEvent, n: 13, why: "RATE_LIMITED"},
		`{"type":"sync_reply","id":"q1","errcode":0,"messages":[` + push + `],"headSeq":5,"hasMore":false}`:                     {},
		`{"type":"receipt","session":"s","userId":"u","readSeq":3}`:                                                             {},
		`{"type":"error","errcode":2,"code":"BAD_REQUEST"}`:                                                                     {},
	} {
		var e event
		if err := w.read([]byte(in), &e); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if e.kind != want.kind || e.n != want.n || e.seq != want.seq || e.why != want.why || !bytes.Equal(e.text, want.text) {
			t.Errorf("%s\n= %+v, want %+v", in, e, want)
		}
	}
}

func TestPageOfHistory(t *testing.T) {
	p, err := parsePage([]byte(`{"type":"sync_reply","messages":[{"seq":3,"kind":"join"},{"seq":4} , {"seq":5}],"headSeq":9,"hasMore":true}`))
	if want := (page{first: 3, last: 5, entries: 3, messages: 2, more: true}); err != nil || p != want {
		t.Errorf("page = %+v, %v, want %+v", p, err, want)
	}
	if _, err := parsePage([]byte(`{"messages":[{"seq":3},{"seq":5}]}`)); err == nil {
		t.Error("a page with a hole was taken")
	}
}

func TestFrameHeads(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		b := appendHead(nil, opText, n)
		b[1] &^= 0x80 // as a server would send it
		head := len(b) - 4
		b = append(b[:head], make([]byte, n+3)...)
		if _, p, rest, need, err := nextFrame(b); err != nil || need != 0 || len(p) != n || len(rest) != 3 {
			t.Errorf("%d bytes: payload %d, rest %d, need %d, %v", n, len(p), len(rest), need, err)
		}
		if _, _, _, need, _ := nextFrame(b[:head]); n > 0 && need != head+n {
			t.Errorf("%d bytes: need %d", n, need)
		}
	}
	for _, bad := range [][]byte{{0x01, 0}, {0xc1, 0}, {0x81, 0x80}, {0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}} {
		if _, _, _, _, err := nextFrame(bad); err == nil {
			t.Errorf("% x was taken", bad)
		}
	}
}
