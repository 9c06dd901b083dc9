package actors

import (
	"encoding/hex"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

func someone() *protocol.Identity {
	return &protocol.Identity{
		User: "ann", Device: "phone", Login: "l", Platform: "web", Version: "1.2", Expires: time.UnixMilli(1_700_000_000_123), Leeway: time.Minute,
		Admin: true, Kind: "human", App: "a", Scopes: []string{"send", ""},
	}
}

// errands are one of each kind that nodes give each other.
func errands() []*errand {
	send := &protocol.Frame{Id: "7", Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: "s_abcdefghijklmnop", ClientMsgId: "c", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello"}}}}
	set := &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "bob", Remark: proto.String("Bobby")}}}
	join := &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Code: "code"}}}
	whisper := &protocol.Frame{Body: &protocol.Frame_MsgWhisper{MsgWhisper: &protocol.MsgWhisper{Session: "s_abcdefghijklmnop", WhisperId: "w", Sender: "b_x"}}}
	all := []any{
		&request{who: someone(), conn: 1 << 60, frame: send},
		&request{who: &protocol.Identity{User: System, Kind: "system"}, frame: send, notice: &notice{to: "ann"}, drawn: true},
		&petition{r: &request{who: someone(), frame: set}, other: "bob", about: &protocol.Request{Id: "r", From: "ann", Target: "bob"}},
		&byCode{r: &request{who: someone(), frame: join}, link: "l_1"},
		&decree{what: edictDissolve},
		&decree{what: edictRecall, seqs: []int64{9}},
		&decree{what: edictErase, user: "ann", seqs: []int64{1, 2, 1 << 50}},
		&decree{what: edictJudge, who: someone()},
		&decree{what: edictDecide, who: someone(), seqs: []int64{3}, verdict: VerdictReject, reason: "no"},
		&decree{what: edictWhisper, user: "ann", frame: whisper},
		&decree{what: edictReplace, user: "ann", then: "bob"},
	}
	var out []*errand
	for i, m := range all {
		out = append(out, &errand{number: uint64(i + 1), session: "s_abcdefghijklmnop", m: m})
	}
	return out
}

func TestWhatNodesAskEachOtherIsReadAsItWasWritten(t *testing.T) {
	for _, e := range errands() {
		record := appendAsk(nil, e, 42)
		what, fields := recordOf(record)
		if what != recordAsk {
			t.Fatalf("a record of kind %d", what)
		}
		a, err := readAsk(fields)
		if err != nil {
			t.Errorf("errand %d: %v", e.number, err)
			continue
		}
		if a.number != e.number || a.session != e.session || a.view != 42 {
			t.Errorf("errand %d is read as %+v", e.number, a)
		}
		if again := appendAsk(nil, &errand{number: a.number, session: a.session, m: a.m}, a.view); !slices.Equal(again, record) {
			t.Errorf("errand %d is written as %x, and once more as %x", e.number, record, again)
		}
	}
	who, err := readWho(appendWho(nil, someone()))
	if err != nil || !reflect.DeepEqual(who, someone()) {
		t.Errorf("an identity is read as %+v, %v", who, err)
	}
	if v := reflect.ValueOf(*someone()); true { // all of it was tried
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the identity that is tried has no %s", v.Type().Field(i).Name)
			}
		}
	}
	if who, _ := readWho(appendWho(nil, &protocol.Identity{User: "b", Scopes: []string{}})); who.Scopes == nil {
		t.Error("no scopes have become any scope")
	}
}

func TestAnswersAreReadAsTheyWereWritten(t *testing.T) {
	frame := &protocol.Frame{Id: "1", Body: &protocol.Frame_MsgSendReply{MsgSendReply: &protocol.MsgSendReply{Session: "s_abcdefghijklmnop", Seq: 4}}}
	all := []answer{{number: 1, frame: frame}, {number: 2, err: &protocol.Error{Code: protocol.Code_BUSY, Detail: "later", RetryAfterMs: 50}}, {number: 3}}
	_, fields := recordOf(appendAnswers(nil, all))
	got, err := readAnswers(fields)
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	if !proto.Equal(got[0].frame, frame) || !proto.Equal(got[1].err, all[1].err) || got[2].frame != nil || got[2].err != nil || got[2].number != 3 {
		t.Errorf("read as %+v", got)
	}
}

// What nodes of the first release with several of them say. It stays as it is: nodes of
// both versions run side by side while one takes the other's place.
func TestWhatTheFirstReleaseSaysIsUnderstood(t *testing.T) {
	const file = "testdata/errands.hex"
	if os.Getenv("TROUPE_WRITE_ERRANDS") != "" {
		var b strings.Builder
		for _, e := range errands() {
			b.WriteString(hex.EncodeToString(appendAsk(nil, e, 42)) + "\n")
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, e := range errands()[:len(lines)] {
		was, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if is := appendAsk(nil, e, 42); !slices.Equal(is, was) {
			t.Errorf("errand %d is %x, was %x", e.number, is, was)
		}
		_, fields := recordOf(was)
		if _, err := readAsk(fields); err != nil {
			t.Errorf("errand %d: %v", e.number, err)
		}
	}
}

// Inquiries came with a later release: the bytes of its first one.
func TestInquiriesAreWhatTheyWereAtFirst(t *testing.T) {
	q := &inquiry{number: 7, kind: "verdict", about: "mod", body: []byte{1, 2}, within: 300 * time.Millisecond}
	given := &inquiry{number: 7, kind: inquiryGiven, about: "s_abcdefghijklmnop", body: ofView(300), within: 400 * time.Millisecond}
	for _, c := range []struct {
		is  []byte
		was string
	}{
		{appendInquiry(nil, q), "0708071207766572646963741a036d6f642202010228ac02"},
		{appendFound(nil, &found{number: 7, body: []byte{3}}), "080807120103"},
		{appendInquiry(nil, given), "0708071205676976656e1a12735f6162636465666768696a6b6c6d6e6f702202ac02289003"},
		{appendFound(nil, &found{number: 7, body: []byte{stillHere}}), "080807120101"},
		{appendFound(nil, &found{number: 7, err: protocol.NotFound("x")}), "0808071806220178"},
	} {
		if got := hex.EncodeToString(c.is); got != c.was {
			t.Errorf("written as %s, was %s", got, c.was)
		}
	}
	_, fields := recordOf(appendInquiry(nil, q))
	if got, err := readInquiry(fields); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("an inquiry is read as %+v, %v", got, err)
	}
	for _, f := range []*found{{number: 7, body: []byte{3}}, {number: 7, err: &protocol.Error{Code: protocol.Code_NOT_FOUND, Detail: "x"}}} {
		_, fields := recordOf(appendFound(nil, f))
		if got, err := readFound(fields); err != nil || got.number != 7 || !slices.Equal(got.body, f.body) || !proto.Equal(got.err, f.err) {
			t.Errorf("an answer is read as %+v, %v", got, err)
		}
	}
}

func TestSessionsFallToNodesEvenlyAndAlike(t *testing.T) {
	v := View{Members: []Member{{ID: "0011223344556677"}, {ID: "0011223344556678"}, {ID: "0011223344556679"}}}
	p := placesOf(v, "")
	fewer := placesOf(View{Members: v.Members[:2]}, "")
	counts := map[string]int{}
	var first strings.Builder
	const n = 30_000
	for i := range n {
		id := protocol.NamedSessionID("ann", string(rune('a'+i%26))+hex.EncodeToString([]byte{byte(i), byte(i >> 8)}))
		to := p.owner(id)
		counts[to]++
		if to != "0011223344556679" && fewer.owner(id) != to {
			t.Fatalf("%s moves though its node stays", id)
		}
		if i < 24 {
			first.WriteString(to[15:])
		}
	}
	for id, c := range counts {
		if c < n/3*95/100 || c > n/3*105/100 {
			t.Errorf("%d of %d fall to %s", c, n, id)
		}
	}
	// All versions have to agree: it is what the first one said.
	if want := "977989799889989898987777"; first.String() != want {
		t.Errorf("the first ones fall to %s, want %s", first.String(), want)
	}
}

func FuzzRecord(f *testing.F) {
	for _, e := range errands() {
		f.Add(appendAsk(nil, e, 1))
	}
	f.Add(appendAnswers(nil, []answer{{number: 1, err: protocol.NotFound("x")}}))
	f.Add(appendRefusal(nil, 1, 2))
	f.Add(appendInquiry(nil, &inquiry{number: 1, kind: "verdict", about: "mod", body: []byte("x"), within: time.Second}))
	f.Add(appendFound(nil, &found{number: 1, err: protocol.NotFound("x")}))
	f.Add(appendDraft(nil, &Draft{Session: "s_abcdefghijklmnop", Bot: "b_x", Text: "hello"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, fields := recordOf(b)
		if a, err := readAsk(fields); err == nil {
			if a.m == nil {
				t.Fatal("nothing is asked, and that is no error")
			}
			appendAsk(nil, &errand{number: a.number, session: a.session, m: a.m}, a.view)
		}
		readAnswers(fields)
		readRefusal(fields)
		readDraft(fields)
		readInquiry(fields)
		readFound(fields)
	})
}

func TestANodeIsToldOfARequestThatMayHaveBeenDone(t *testing.T) {
	for _, e := range []*errand{
		{number: 1, session: "s_abcdefghijklmnop", given: 1, m: &request{who: someone(), frame: errands()[0].m.(*request).frame}},
		{number: 1, session: "s_abcdefghijklmnop", m: &request{who: someone(), frame: errands()[0].m.(*request).frame, unsure: true}},
	} {
		_, fields := recordOf(appendAsk(nil, e, 1))
		if a, err := readAsk(fields); err != nil || !a.m.(*request).unsure {
			t.Errorf("it is read as %+v, %v", a, err)
		}
	}
}
