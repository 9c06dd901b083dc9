package protocol_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestParseSessionID(t *testing.T) {
	for in, ok := range map[string]bool{
		"s_abcdefghijklmnop":   true,
		"p_234567abcdefghij":   true,
		"":                     false,
		"s_":                   false,
		"s_abcdefghijklmno":    false, // too short
		"s_abcdefghijklmnopq":  false,
		"s_ABCDEFGHIJKLMNOP":   false, // upper case would be a second name of the same
		"s_abcdefghijklmno1":   false, // 1 is no digit of base32
		"s_abcdefgh\nijklmno":  false,
		"u_abcdefghijklmnop":   false,
		"recent":               false, // path segments of the REST API
		"topics":               false,
		"unread_message_count": false,
	} {
		if _, err := protocol.ParseSessionID(in); (err == nil) != ok {
			t.Errorf("ParseSessionID(%q) = %v, want ok = %v", in, err, ok)
		}
	}
}

func TestParseUserID(t *testing.T) {
	for in, ok := range map[string]bool{
		"u_abcdefghijklmnop":     true,
		"医生 7":                   true,
		"auth0|5f7":              true,
		strings.Repeat("x", 128): true,
		"":                       false,
		strings.Repeat("x", 129): false,
		"a/b":                    false,
		"a\nb":                   false,
		"a\u0085b":               false,
		"a\xff":                  false,
	} {
		if _, err := protocol.ParseUserID(in); (err == nil) != ok {
			t.Errorf("ParseUserID(%q) = %v, want ok = %v", in, err, ok)
		}
	}
}

func TestParseClientMsgID(t *testing.T) {
	for in, ok := range map[string]bool{
		"1":                      true,
		strings.Repeat("x", 128): true,
		"":                       false,
		strings.Repeat("x", 129): false,
		"a\x00":                  false,
	} {
		if _, err := protocol.ParseClientMsgID(in); (err == nil) != ok {
			t.Errorf("ParseClientMsgID(%q) = %v, want ok = %v", in, err, ok)
		}
	}
}

func TestNewIDsAreParsedAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s, u := protocol.NewSessionID(), protocol.NewUserID()
		if _, err := protocol.ParseSessionID(s); err != nil || protocol.IsP2P(s) {
			t.Fatal(s, err)
		}
		if _, err := protocol.ParseUserID(u); err != nil {
			t.Fatal(u, err)
		}
		if seen[s] || seen[u] {
			t.Fatal("twice: ", s, u)
		}
		seen[s], seen[u] = true, true
	}
}

func TestTwoPeopleHaveOneSession(t *testing.T) {
	id := protocol.P2PSessionID("u_ann", "u_bob")
	if _, err := protocol.ParseSessionID(id); err != nil || !protocol.IsP2P(id) {
		t.Errorf("%s: %v", id, err)
	}
	if protocol.P2PSessionID("u_bob", "u_ann") != id {
		t.Error("the order of the two matters")
	}
	for _, other := range [][2]string{{"u_ann", "u_bo"}, {"u_annu", "_bob"}, {"u_an", "nu_bob"}, {"u_ann", "u_ann"}} {
		if protocol.P2PSessionID(other[0], other[1]) == id {
			t.Errorf("%v have it too", other)
		}
	}
}

func TestMessageIDsAreReadBack(t *testing.T) {
	for _, seq := range []int64{1, 9, 10, 1 << 53} {
		id := protocol.MessageID("s_abcdefghijklmnop", seq)
		for _, in := range []string{id, protocol.DeliveryID(id, "u@x.7")} {
			if s, n, err := protocol.ParseMessageID(in); s != "s_abcdefghijklmnop" || n != seq || err != nil {
				t.Errorf("%s: %s %d %v", in, s, n, err)
			}
		}
	}
	for _, in := range []string{
		"", ".", "s_abcdefghijklmnop", "s_abcdefghijklmnop.", "s_abcdefghijklmnop.0", "s_abcdefghijklmnop.-1", "s_abcdefghijklmnop.+1",
		"s_abcdefghijklmnop.01", "s_abcdefghijklmnop.9007199254740993", "s_abcdefghijklmnop.1 ", "x.1", "@s_abcdefghijklmnop.1", "s_abcdefghijklmnop.1.2",
	} {
		if s, n, err := protocol.ParseMessageID(in); err == nil {
			t.Errorf("%q is %s %d", in, s, n)
		}
	}
}

func TestSendHashTellsARetryFromAnotherMessage(t *testing.T) {
	hash := func(body string) [8]byte {
		return protocol.SendHash(decode(t, `{"type":"msg_send","session":"s","clientMsgId":"c",`+body+`}`).GetMsgSend())
	}
	first := hash(`"content":{"type":"text","text":"a"}`)
	for _, same := range []string{
		`"content":{"text":"a","type":1}`,
		`"content":{"type":"text","text":"\u0061"},"mentions":[],"expire":0`,
	} {
		if hash(same) != first {
			t.Errorf("%s is taken for another message", same)
		}
	}
	for _, other := range []string{
		`"content":{"type":"text","text":"b"}`,
		`"content":{"type":"link","text":"a"}`,
		`"content":{"type":"text","text":"a","data":{}}`,
		`"content":{"type":"text","text":"a"},"expire":1`,
		`"content":{"type":"text","text":"a"},"replyTo":"x"`,
		`"content":{"type":"text","text":"a"},"mentions":["x"]`,
	} {
		if hash(other) == first {
			t.Errorf("%s is taken for a retry", other)
		}
	}
	m := decode(t, sendJSON).GetMsgSend()
	before := protocol.SendHash(m)
	m.Session, m.ClientMsgId = "other", "other"
	if protocol.SendHash(m) != before {
		t.Error("session and clientMsgId are part of it")
	}
	// It is kept with each message: what was stored before has to be told from another message, too.
	sum := sha256.Sum256(protocol.AppendJSON(nil, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Content: m.Content, Expire: m.Expire, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
	}}}))
	if before != [8]byte(sum[:8]) {
		t.Error("it is not the hash of a frame with these fields")
	}
}

func TestASessionMadeByAClientMsgIDIsFoundAgain(t *testing.T) {
	id := protocol.NamedSessionID("u_ann", "c1")
	if _, err := protocol.ParseSessionID(id); err != nil || protocol.NamedSessionID("u_ann", "c1") != id {
		t.Errorf("%s: %v", id, err)
	}
	if protocol.NamedSessionID("u_bob", "c1") == id || protocol.NamedSessionID("u_ann", "c2") == id {
		t.Error("another one's request has the same session")
	}
}

func TestSentKeysDifferBySenderAndID(t *testing.T) {
	seen := map[[16]byte]bool{}
	for _, in := range [][2]string{{"ann", "1"}, {"ann", "2"}, {"bob", "1"}, {"an", "n1"}, {"ann1", ""}, {"", "ann1"}} {
		key := protocol.SentKey(in[0], in[1])
		if seen[key] {
			t.Errorf("%v is taken for another message", in)
		}
		seen[key] = true
	}
}
