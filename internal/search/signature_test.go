package search

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// gramsOf are the different grams of a text, folded and read rune by rune.
func gramsOf(text string) map[uint64]bool {
	var f folder
	f.fold([]byte(text), false)
	all := map[uint64]bool{}
	for _, h := range appendGrams(nil, f.text) {
		all[h] = true
	}
	return all
}

func TestATextOfASCIIAloneHasTheGramsThatFoldingFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := make([]byte, random.IntN(60))
		for i := range text {
			text[i] = byte(random.IntN(128))
			if random.IntN(3) > 0 {
				text[i] = "abcXYZ019 \t-\x7f"[random.IntN(13)]
			}
		}
		for _, behind := range []string{"", "é", "\u0301s", "\u200bss", "会议", "\xff"} {
			said := string(text) + behind
			var s signer
			if plain := s.addASCII([]byte(said)); plain != (behind == "") {
				t.Fatalf("%q is nothing but ASCII: %v", said, plain)
			}
			want := gramsOf(said)
			for _, h := range s.seen {
				if !want[h] {
					t.Fatalf("%q has a gram too many", said)
				}
			}
			if behind == "" && len(s.seen) != len(want) {
				t.Fatalf("%q has %d grams, want %d", said, len(s.seen), len(want))
			}
		}
	}
}

func TestABlockOfBothKindsOfTextSaysEachGramOnce(t *testing.T) {
	texts := []string{"Notes of the meeting", "notes: the MEETING, at 10", "Notes von Übermorgen", "the meeting 会议", "会议 notes"}
	var s signer
	var block []Message
	want := map[uint64]bool{}
	for _, text := range texts {
		block = append(block, Message{CreatedAt: 1, Content: says(text)})
		maps.Copy(want, gramsOf(text))
	}
	for range 2 { // the second time with the room of the first
		s.sign(block)
		seen := map[uint64]bool{}
		for _, h := range s.seen {
			seen[h] = true
		}
		if len(s.seen) != len(want) || !maps.Equal(seen, want) {
			t.Fatalf("%d grams, %d of them different, want %d", len(s.seen), len(seen), len(want))
		}
	}
}

// BenchmarkSign signs a block of 64 messages.
func BenchmarkSign(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("we will meet again tomorrow at ten in the old place bring your notes and tell Jim about it thanks see you then")
	text := func(of []string, between string) string {
		var said []string
		for range 24 {
			said = append(said, of[random.IntN(len(of))])
		}
		return strings.Join(said, between)
	}
	for name, one := range map[string]func() string{
		"words":   func() string { return text(words, " ") },
		"numbers": func() string { return fmt.Sprintf("%060d %060d", random.Uint64(), random.Uint64()) },
		"chinese": func() string {
			return text(strings.Split("今晚七点在老地方见面请带上会议记录谢谢大家", ""), "")
		},
	} {
		b.Run(name, func(b *testing.B) {
			var block []Message
			for range BlockSize {
				block = append(block, Message{CreatedAt: 1, Content: says(one())})
			}
			var s signer
			for b.Loop() {
				s.sign(block)
			}
		})
	}
}
