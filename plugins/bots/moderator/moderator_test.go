package moderator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/bots/moderator"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func TestWordsAreFoundHoweverTheyAreHidden(t *testing.T) {
	h := bottest.Config{Config: `{"hide":["spam","坏话","two words"],"hold":["赌博"],"reject":["ass"],"flood":0,"same":0}`}.New(t, moderator.New()).In("team")
	for text, want := range map[string]string{
		"spam":                    "****",
		"No SPAM here":            "No **** here",
		"ｓｐａｍ and Ｓpam":           "**** and ****",
		"s p a m!":                "* * * *!",
		"s.p.a.m, s-p_a*m":        "*******, *******",
		"spaaaaam":                "********",
		"sp\u200bam":              "*****",
		"sp4m $pam":               "**** ****",
		"spám":                    "",
		"spam\u0301":              "****\u0301",
		"two words":               "*** *****",
		"two  Words":              "***  *****",
		"说坏话的人":                   "说**的人",
		"坏 话":                     "* *",
		"坏*话":                     "***",
		"坏。话":                     "", // two sentences
		"赌博":                      "hold",
		"赌 博":                     "hold",
		"赌-博":                     "hold",
		"我爱赌。博客很好":                "",
		"ass":                     "reject",
		"a s s":                   "reject",
		"a$$":                     "reject",
		"class passes":            "",
		"as soon as she":          "",
		"was sick":                "",
		"glass, as silver":        "",
		"455":                     "",
		"spams":                   "",
		"antispam":                "",
		"hello":                   "",
		"":                        "",
		"他在班上，as 说过":              "",
		"很好的s p a m话":             "很好的* * * *话",
		"spam 和 坏话":               "**** 和 **",
		"坏话 and ass":              "reject", // the worst wins
		"赌博 and spam":             "hold",
		strings.Repeat("a", 8000): "",
	} {
		v := h.Moderate(text)
		got := v.Word()
		switch got {
		case "allow":
			got = ""
		case "rewrite":
			got = v.Text()
		}
		if got != want {
			t.Errorf("%q becomes %q (%s), want %q", text, v.Text(), v.Word(), want)
		}
	}
}

func TestTheBuiltinWordsCanBeAllowed(t *testing.T) {
	h := bottest.New(t, moderator.New()).In("team")
	if v := h.Moderate("what the FUCK"); v.Word() != "rewrite" || v.Text() != "what the ****" || v.Reason() == "" {
		t.Errorf("%v", v)
	}
	if v := h.Moderate("你这个傻 逼"); v.Word() != "rewrite" || v.Text() != "你这个* *" {
		t.Errorf("%v", v)
	}
	without := bottest.Config{Config: `{"builtin":false}`}.New(t, moderator.New())
	if v := without.Moderate("what the fuck"); v.Word() != "allow" {
		t.Errorf("without built-in words: %v", v)
	}
	allowed := bottest.Config{Config: `{"allow":["shit"]}`}.New(t, moderator.New())
	if v := allowed.Moderate("shit"); v.Word() != "allow" {
		t.Errorf("an allowed word: %v", v)
	}
}

func TestFloodsRepeatsAndLinksAreStopped(t *testing.T) {
	h := bottest.Config{Locale: "zh-CN"}.New(t, moderator.New()).In("team").By("bob")
	for i := range 10 {
		if v := h.Moderate(strings.Repeat("x", i+1)); v.Word() != "allow" {
			t.Fatalf("message %d: %v", i+1, v)
		}
	}
	if v := h.Moderate("eleven"); v.Word() != "reject" || !strings.Contains(v.Reason(), "太快") {
		t.Errorf("the eleventh in no time: %v", v)
	}
	if v := h.By("carol").Moderate("hello"); v.Word() != "allow" {
		t.Errorf("somebody else: %v", v)
	}
	h.Advance(11 * time.Second)
	for range 3 {
		if v := h.Moderate("hi"); v.Word() != "allow" {
			t.Fatalf("after a break: %v", v)
		}
	}
	if v := h.Moderate("hi"); v.Word() != "reject" {
		t.Errorf("the same for the fourth time: %v", v)
	}
	links := strings.Repeat("see https://example.com/x ", 6)
	if v := h.Moderate(links); v.Word() != "hold" {
		t.Errorf("six links: %v", v)
	}
	if v := h.By("ann").Role("owner").Moderate(links); v.Word() != "allow" {
		t.Errorf("six links of the owner: %v", v)
	}
}

func TestAdministratorsSetTheRulesOfTheirSession(t *testing.T) {
	h := bottest.Config{Config: `{"flood":0,"same":0}`}.New(t, moderator.New()).In("team")
	h.By("bob").Command("/mod hide durian").Expect("Only administrators")
	h.Command("/mod hide Durian").Expect("| hide | Durian")
	h.Command("/mod reject 榴莲").Expect("| hide | Durian", "| reject | 榴莲")
	h.Command("/mod links 0").Expect("Links in a message | 0")
	check := func(want ...string) {
		t.Helper()
		for i, text := range []string{"d u r i a n", "吃榴 莲", "www.example.com"} {
			if v := h.By("bob").Moderate(text); v.Word() != want[i] {
				t.Errorf("%q: %v, want %s", text, v, want[i])
			}
		}
	}
	check("rewrite", "reject", "hold")
	h.Crash() // what was set is kept
	check("rewrite", "reject", "hold")
	if v := h.In("other").By("bob").Moderate("durian"); v.Word() != "allow" {
		t.Errorf("in another session: %v", v)
	}
	h.Command("/mod allow DURIAN").Expect("| allow | DURIAN")
	h.Command("/mod links -1").Expect("Links in a message | any number")
	check("allow", "reject", "allow")
	h.Command("/mod off").Expect("Off")
	check("allow", "allow", "allow")
	h.Command("/mod on")
	check("allow", "reject", "allow")
	h.Command("/mod links many").Expect("a number")
	h.Command("/mod hide ...").Expect("a word")
	if v := h.By("bob").Moderate("shit"); v.Word() != "rewrite" {
		t.Errorf("the built-in words went missing: %v", v)
	}
}

// Whatever is written, judging it ends, and what is starred has as many letters.
func FuzzModerate(f *testing.F) {
	for _, s := range []string{"s p a m", "ｓｐａｍ", "赌*博", "\xff", "a\u0301\u200b", "ﷺ", "5pa\x00m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := bottest.Config{Config: `{"hide":["spam","坏话"]}`}.New(t, moderator.New()).In("team")
		v := h.Moderate(strings.ToValidUTF8(text, "?"))
		if v.Word() == "rewrite" && len([]rune(v.Text())) != len([]rune(strings.ToValidUTF8(text, "?"))) {
			t.Errorf("%q becomes %q", text, v.Text())
		}
	})
}

func TestWhatIsNotTheTextIsLookedAtToo(t *testing.T) {
	h := bottest.New(t, moderator.New())
	for content, want := range map[string]string{
		`{"type":"card","title":"what the fuck","data":{}}`:                        "hold",
		`{"type":"card","title":"fine","data":{"rows":[{"label":"F U C K"}]}}`:     "hold",
		`{"type":"file","file":"f_1","name":"fuck.pdf"}`:                           "hold",
		`{"type":"card","title":"Lunch?","data":{"rows":[{"label":"noodles"}]}}`:   "allow",
		`{"type":"card","data":{"troupe":{"action":"vote:1","values":{"a":"b"}}}}`: "allow",
	} {
		if v := h.ModerateContent("", content); v.Word() != want {
			t.Errorf("%s: %s, want %s", content, v.Word(), want)
		}
	}
}
