package actors

import (
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// frozen is an event as the first version wrote it. It never changes: nodes of
// different versions run side by side while one takes the place of the other.
const frozen = "0a15aa05120a03616e6e1204627573791880d095ffbc31" +
	"10011a03626f6222036361742a0364616e2a0365766530808080808080808020"

func anEvent() *Event {
	return &Event{
		Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_Presence{Presence: &protocol.Presence{
			UserId: "ann", Status: "busy", LastActiveAt: 1700000000000,
		}}}),
		Ephemeral: true, Only: "bob", Not: "cat", Hidden: map[protocol.UserID]bool{"eve": true, "dan": true}, Skip: 1 << 61,
	}
}

func TestAnEventIsWrittenAsEveryVersionReadsIt(t *testing.T) {
	if got := hex.EncodeToString(AppendEvent(nil, anEvent())); got != frozen {
		t.Errorf("written as\n%s, want\n%s", got, frozen)
	}
	raw, err := hex.DecodeString(frozen)
	if err != nil {
		t.Fatal(err)
	}
	// A field that a later version may add.
	raw = append(raw, 0xfa, 0x01, 0x03, 'n', 'e', 'w', 0xf5, 0x01, 1, 2, 3, 4)
	e, err := ReadEvent(raw)
	if err != nil {
		t.Fatal(err)
	}
	sameEvent(t, e, anEvent())
}

func sameEvent(t *testing.T, got, want *Event) {
	t.Helper()
	if !proto.Equal(got.Shared.Frame, want.Shared.Frame) {
		t.Errorf("frame %v, want %v", got.Shared.Frame, want.Shared.Frame)
	}
	a, b := *got, *want
	a.Shared, b.Shared = nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("event %+v, want %+v", a, b)
	}
}

func TestEveryFrameOfTheCorpusComesThroughAsItWas(t *testing.T) {
	frames := 0
	for _, file := range []string{"requests.txt", "answers.txt", "pushes.txt"} {
		data, err := os.ReadFile("../internal/protocol/testdata/frames/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			f, err := protocol.DecodeJSON([]byte(strings.TrimLeft(line, "<> ")))
			if err != nil {
				continue // a remark, or not a frame by itself
			}
			frames++
			want := &Event{Shared: protocol.NewShared(f)}
			got, err := ReadEvent(AppendEvent(nil, want))
			if err != nil {
				t.Fatalf("%s: %s: %v", file, line, err)
			}
			sameEvent(t, got, want)
		}
	}
	if frames < 50 {
		t.Errorf("%d frames were tried", frames)
	}
}

func TestAFrameOfALaterVersionIsLeftOut(t *testing.T) {
	// Field 4000 of the frame, which no version of ours knows.
	if _, err := ReadEvent([]byte{0x0a, 0x04, 0x82, 0xfa, 0x01, 0x00}); !errors.Is(err, ErrUnknownFrame) {
		t.Errorf("err = %v, want ErrUnknownFrame", err)
	}
}

func FuzzReadEvent(f *testing.F) {
	f.Add(AppendEvent(nil, anEvent()))
	f.Add([]byte{0x0a, 0x05, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEvent(b)
		if err != nil {
			return
		}
		again, err := ReadEvent(AppendEvent(nil, e))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		sameEvent(t, again, e)
	})
}

func TestConnectionsOfTwoNodesHaveDifferentNumbers(t *testing.T) {
	a, b := firstConnection(), firstConnection()
	const crowd = 1 << 40 // connections that a node may see
	if d := a - b; d > -crowd && d < crowd {
		t.Errorf("nodes number from %d and from %d", a, b)
	}
	if a <= 0 || a+crowd <= 0 {
		t.Errorf("a node numbers from %d", a)
	}
}
