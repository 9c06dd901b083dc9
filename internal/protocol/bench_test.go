package protocol_test

import (
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// A typical message of 169 bytes.
	benchSend  = `{"type":"msg_send","id":"42","session":"s_abcdefghijklmnop","clientMsgId":"0192f0c1-7b3e-7cc3","content":{"type":"text","text":"今晚七点在老地方见,别迟到 ok? map"}}`
	benchReply = `{"type":"msg_send_reply","id":"42","errcode":0,"session":"s_abcdefghijklmnop","clientMsgId":"0192f0c1-7b3e-7cc3","messagerecvId":"s_abcdefghijklmnop.1017","seq":1017,"createdAt":1760000000000}`
)

// BenchmarkMsgSendJSON reads and writes one frame.
func BenchmarkMsgSendJSON(b *testing.B) { benchJSON(b, benchSend) }

// BenchmarkLongMsgSendJSON is of 128 characters of ASCII, as troupe load sends them.
func BenchmarkLongMsgSendJSON(b *testing.B) {
	benchJSON(b, strings.Replace(benchSend, "今晚", strings.Repeat("see you tonight ", 8), 1))
}

func BenchmarkMsgSendReplyJSON(b *testing.B) { benchJSON(b, benchReply) }

func BenchmarkMsgPushJSON(b *testing.B) { benchJSON(b, pushJSON) }

func benchJSON(b *testing.B, frame string) {
	data, room := []byte(frame), make([]byte, 0, 1024)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := protocol.DecodeJSON(data)
		if err != nil {
			b.Fatal(err)
		}
		room = protocol.AppendJSON(room[:0], f)
	}
}

func BenchmarkMsgSendBinary(b *testing.B) { benchBinary(b, benchSend) }

func BenchmarkMsgSendReplyBinary(b *testing.B) { benchBinary(b, benchReply) }

func BenchmarkMsgPushBinary(b *testing.B) { benchBinary(b, pushJSON) }

func benchBinary(b *testing.B, frame string) {
	data, room := protocol.AppendBinary(nil, decode(b, frame)), make([]byte, 0, 1024)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := protocol.DecodeBinary(data)
		if err != nil {
			b.Fatal(err)
		}
		room = protocol.AppendBinary(room[:0], f)
	}
}

// BenchmarkSharedTailJSON is what one more receiver of a push costs.
func BenchmarkSharedTailJSON(b *testing.B) {
	shared := protocol.NewShared(withoutTail(decode(b, pushJSON)))
	room := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		room = shared.AppendJSON(room[:0], "u_bcdefghijklmnopq", 1043)
	}
}
