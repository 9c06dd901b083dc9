package protocol_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What is accepted encoding/json finds valid too, and what is written of it is
// read again to the same frame.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range samples(f) {
		f.Add([]byte(s.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := protocol.DecodeJSON(data)
		if err != nil {
			e := protocol.AsError(err)
			if e.Code == protocol.Code_INTERNAL || e.Detail == "" || !utf8.ValidString(e.Detail) {
				t.Fatalf("refused with %v", err)
			}
			answer := protocol.AppendJSON(nil, protocol.Fail(frame, err))
			if !json.Valid(answer) {
				t.Fatalf("the answer is %s", answer)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is not JSON: %q", data)
		}
		once := protocol.AppendJSON(nil, frame)
		if !json.Valid(once) {
			t.Fatalf("wrote what is not JSON: %q", once)
		}
		again, err := protocol.DecodeJSON(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice := protocol.AppendJSON(nil, again); string(once) != string(twice) {
			t.Fatalf("wrote\n%s\nthen\n%s", once, twice)
		}
		// A client gets as binary what it would have got as text.
		if frame, err = protocol.DecodeBinary(protocol.AppendBinary(nil, again)); err != nil {
			t.Fatalf("%s as binary: %v", once, err)
		}
		if binary := protocol.AppendJSON(nil, frame); string(binary) != string(once) {
			t.Fatalf("as text\n%s\nas binary\n%s", once, binary)
		}
	})
}

func FuzzDecodeBinary(f *testing.F) {
	for _, s := range samples(f) {
		if frame, err := protocol.DecodeJSON([]byte(s.in)); err == nil {
			f.Add(protocol.AppendBinary(nil, frame))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := protocol.DecodeBinary(data)
		if err != nil {
			return
		}
		once := protocol.AppendBinary(nil, frame)
		again, err := protocol.DecodeBinary(once)
		if err != nil {
			t.Fatalf("%x: %v", once, err)
		}
		text := protocol.AppendJSON(nil, frame)
		if !json.Valid(text) {
			t.Fatalf("wrote what is not JSON: %q", text)
		}
		if twice := protocol.AppendJSON(nil, again); string(text) != string(twice) {
			t.Fatalf("wrote\n%s\nthen\n%s", text, twice)
		}
		if _, err := protocol.DecodeJSON(text); err != nil {
			t.Fatalf("what came as binary is refused as text: %s: %v", text, err)
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add("s_abcdefghijklmnop.17@u_ann")
	f.Fuzz(func(t *testing.T, in string) {
		if session, seq, err := protocol.ParseMessageID(in); err == nil {
			id := protocol.MessageID(session, seq)
			if len(in) < len(id) || in[:len(id)] != id {
				t.Fatalf("%q is %s %d", in, session, seq)
			}
		}
		if id, err := protocol.ParseSessionID(in); err == nil && (len(id) != 18 || id != in) {
			t.Fatalf("%q", in)
		}
	})
}
