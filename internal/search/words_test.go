package search

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

func content(c *protocol.Content) []byte {
	b, err := proto.Marshal(c)
	if err != nil {
		panic(err)
	}
	return b
}

func says(text string) []byte { return content(&protocol.Content{Text: text}) }

func TestWordsAreFoundHoweverTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		query, text string
		want        bool
	}{
		{"hello", "Hello, world", true},
		{"HELLO", "hello", true},
		{"mee", "the meeting", true},
		{"eet", "the meeting", true},
		{"meeting notes", "Notes of the meeting", true},
		{"meeting notes", "the meeting", false},
		{`"the meeting"`, "at the  meeting", true},
		{`"the meeting"`, "the long meeting", false},
		{`“the meeting”`, "the\nmeeting", true},
		{`lunch "the meeting`, "the meeting, then lunch", true},
		{"今晚", "今晚七点在老地方见", true},
		{"老地方", "今晚七点在老地方见", true},
		{"老方", "今晚七点在老地方见", false},
		{"点", "今晚七点在老地方见", true},
		{"晚 见", "今晚七点在老地方见", true},
		{"tokyo 会议", "Tokyo的会议", true},
		{"ＡＢＣ１２３", "abc123", true},
		{"abc123", "ＡＢＣ１２３", true},
		{"cafe", "Café", true},
		{"café", "CAFE", true},
		{"cafe", "cafe\u0301", true},
		{"strasse", "Straße", true},
		{"istanbul", "İstanbul", true},
		{"σοφος", "ΣΟΦΌΣ", true},
		{"ガス", "ｶﾞｽ", true},
		{"カス", "ガス", false},
		{"서울", "서울에서", true},
		{"москва", "В Москве", false},
		{"москв", "В МОСКВЕ", true},
		{"👍", "好的👍🏽", true},
		{"👍🏿", "好的👍", true},
		{"❤", "I ❤\ufe0f it", true},
		{"🎉", "好的👍", false},
		{"pass", "pa\u200bss", true},
		{"c++", "in C++ or Go", true},
		{"100%", "it is 100% so", true},
		{"㈱", "(株)", true},
		{"ﬁne", "fine", true},
	} {
		q, err := parse(c.query)
		if err != nil {
			t.Fatalf("%q: %v", c.query, err)
		}
		if got := q.in(says(c.text)); got != c.want {
			t.Errorf("%q in %q: %v", c.query, c.text, got)
		}
		s := (&signer{}).sign([]Message{{CreatedAt: 1, Content: says(c.text)}})
		if _, may, ok := signed(s, q.grams); !ok || c.want && !may {
			t.Errorf("%q in %q is found, but its signature says that it cannot be", c.query, c.text)
		}
	}
}

func TestEveryTextOfAContentIsSearched(t *testing.T) {
	c := content(&protocol.Content{Type: protocol.ContentType_CARD, Text: "the text", Name: "report.pdf", Title: "Visit", Digest: "a digest",
		Url: "https://example.com/path", Data: `{"patient":"canary"}`, File: "f_canary", Mime: "canary/x",
		Forwarded: []*protocol.Forwarded{{Sender: "u_canary", Text: "one"}, {Text: "another"}}})
	for word, want := range map[string]string{
		"the text": "text", "report": "name", "visit": "title", "digest": "digest", "another": "forwarded", "one": "forwarded",
		"canary": "", "example": "", "report another": "name", "text visit": "text",
	} {
		q, err := parse(word)
		if err != nil {
			t.Fatal(err)
		}
		if found := q.in(c); found != (want != "") {
			t.Errorf("%q is found: %v", word, found)
		} else if found {
			if h := q.hit(Found{}, c); h.Field != want || len(h.Marks) == 0 {
				t.Errorf("%q is found in %+v, want %s", word, h, want)
			}
		}
	}
}

func TestAQueryNeedsWordsAndNotTooMany(t *testing.T) {
	for _, q := range []string{"", "  ", "\u200b", `""`, `" "`, strings.Repeat("字", 257), "a b c d e f g h i j k l m n o p q", "\xff"} {
		if _, err := parse(q); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%.20q: %v", q, err)
		}
	}
	q, err := parse(`a "b c" ""d"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.Join(q.words, []byte("|"))); got != "b c|a|d" {
		t.Errorf("the words are %q", got)
	}
}

func TestMarksAreWhereTheWordsStand(t *testing.T) {
	long := strings.Repeat("很长的话。", 60)
	for _, c := range []struct{ query, text, want string }{
		{"hello", "Hello, hello!", "[Hello], [hello]!"},
		{"地方 老地", "在老地方见", "在[老地方]见"},
		{"b", "👍a👍b", "👍a👍[b]"},
		{"👍", "好👍🏽!", "好[👍]\U0001f3fd!"},
		{"cafe", "un cafe\u0301.", "un [cafe]\u0301."},
		{"fine", "a ﬁne day", "a [ﬁne] day"},
		{"i", "ﬁ", "[ﬁ]"},
		{`"a b"`, "x a\n\n b", "x [a   b]"},
		{"here", long + "here" + long, "…" + string([]rune(long)[270:]) + "[here]" + string([]rune(long)[:86]) + "…"},
		{"here", "here" + long, "[here]" + string([]rune(long)[:116]) + "…"},
	} {
		q, err := parse(c.query)
		if err != nil {
			t.Fatal(err)
		}
		h := q.hit(Found{}, says(c.text))
		if got := marked(h.Snippet, h.Marks); got != c.want {
			t.Errorf("%q in %q:\n%s, want\n%s", c.query, c.text, got, c.want)
		}
	}
}

// marked puts brackets around the marks, as a JavaScript client would.
func marked(snippet string, marks [][2]int) string {
	units, out, at := utf16.Encode([]rune(snippet)), "", 0
	for _, m := range marks {
		out += string(utf16.Decode(units[at:m[0]])) + "[" + string(utf16.Decode(units[m[0]:m[1]])) + "]"
		at = m[1]
	}
	return out + string(utf16.Decode(units[at:]))
}

// FuzzWords holds a piece of a text against it: it is found, its signature lets it, and marks are in the snippet.
func FuzzWords(f *testing.F) {
	f.Add("今晚七点在老地方见,别迟到 ok?", 3, 9)
	f.Add("Straße ﬁ ㈱ cafe\u0301 👨‍👩‍👧 ｶﾞ \u200b\x00 \xff", 0, 30)
	f.Add("a\u0301\u0301b \" c", 1, 4)
	f.Add("他们在饕餮盛宴,ＯＫ。", 3, 4)
	f.Add("今\u200b晚\u3038\uf900㊀", 0, 4)
	f.Fuzz(func(t *testing.T, text string, from, to int) {
		text = strings.ToValidUTF8(text, "")
		runes := []rune(text)
		if from < 0 || to > len(runes) || from >= to || to-from > 50 {
			return
		}
		piece := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"“”„«»「」\x00", r) {
				return -1
			}
			return r
		}, string(runes[from:to]))
		q, err := parse(`"` + piece + `"`)
		if err != nil || !strings.Contains(text, piece) {
			return
		}
		c := says(text)
		if !q.in(c) {
			t.Fatalf("%q is not found in %q", piece, text)
		}
		if _, may, _ := signed((&signer{}).sign([]Message{{CreatedAt: 1, Content: c}}), q.grams); !may {
			t.Fatalf("the signature of %q says that %q is not in it", text, piece)
		}
		h := q.hit(Found{}, c)
		n := len(utf16.Encode([]rune(h.Snippet)))
		last := 0
		for _, m := range h.Marks {
			if m[0] < last || m[1] <= m[0] || m[1] > n {
				t.Fatalf("%q in %q: marks %v of %d", piece, text, h.Marks, n)
			}
			last = m[1]
		}
		if len(h.Marks) == 0 || !utf8.ValidString(h.Snippet) {
			t.Fatalf("%q in %q: %+v", piece, text, h)
		}
	})
}

func TestASignatureSaysMostlyWhereAWordIsNot(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rune3 := func() string {
		return string([]rune{rune(0x4e00 + random.IntN(3000)), rune(0x4e00 + random.IntN(3000)), rune(0x4e00 + random.IntN(3000))})
	}
	wrong, size, n := 0, 0, 300
	for range n {
		var block []Message
		for range BlockSize {
			block = append(block, Message{CreatedAt: 1, Content: says(rune3() + rune3() + rune3() + rune3() + rune3() + rune3())})
		}
		s := (&signer{}).sign(block)
		size += len(s)
		q, err := parse(rune3())
		if err != nil {
			t.Fatal(err)
		}
		if _, may, _ := signed(s, q.grams); may {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d signatures could not tell that a word of three is not there", wrong, n)
	}
	t.Logf("%d of %d could not tell; %d bytes a message", wrong, n, size/n/BlockSize)
}
