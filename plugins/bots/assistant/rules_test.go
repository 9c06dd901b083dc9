package assistant

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/bottest"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

func quick(locale string) bottest.Config {
	return bottest.Config{Locale: locale, Config: `{"pace":0,"timeZone":"Asia/Shanghai"}`}
}

func TestWithoutAModelItSaysThatItIsNoAI(t *testing.T) {
	h := quick("zh-CN").New(t, New())
	for said, want := range map[string]string{
		"你好":             "不是人工智能",
		"hello":          "no AI",
		"你是谁":            "不是人，也不是人工智能",
		"are you an AI?": "no human and no AI",
		"帮助":             "不是人工智能",
		"help":           "no AI",
		"给我写一首关于量子的十四行诗":                 "不是人工智能",
		"why is the moon made of cheese": "no AI",
	} {
		h.Say(said).Expect(want)
	}
}

func TestWithoutAModelItAnswersWhatItKnows(t *testing.T) {
	h := quick("zh-CN").New(t, New())
	for said, want := range map[string]string{
		"现在几点了？":                                "现在是 17:00（Asia/Shanghai）",
		"what time is it":                       "It is 17:00",
		"今天星期几":                                 "2026-03-02，星期一",
		"what day is it?":                       "2026-03-02, a Monday",
		"怎么撤回一条消息？":                             "撤回",
		"how do I recall a message":             "two minutes",
		"忘记密码了怎么办":                              "管理员",
		"How can I create a group?":             "Choose New, then Group",
		"怎么建一个群":                                "选「群组」",
		"文件大小有限制吗":                              "20 MiB",
		"can I search old messages?":            "search field",
		"怎么接入大模型":                               "--model-url",
		"how to embed the chat into my website": "/playground",
		"谢谢":                                    "",
		"来句名言":                                  "——",
	} {
		turn := h.Say(said).Expect(want)
		if s := turn.Said(); len(s) != 1 || !s[0].Streamed || s[0].Model != "rules" {
			t.Errorf("%q: %+v", said, s)
		}
	}
}

func TestRulesAreTheSameEachTimeAndVariantsAreNot(t *testing.T) {
	b := &bot{faq: map[string]*index{"zh": newIndex(corpus, "zh"), "en": newIndex(corpus, "en")}, cfg: Config{TimeZone: "UTC"}}
	for _, text := range []string{"你好", "hello", "quote", "xyzzy plugh", "谢谢"} {
		if a, again := b.ruled(text, "en", false, 0, bottest.Start), b.ruled(text, "en", false, 0, bottest.Start.Add(time.Hour)); a != again {
			t.Errorf("%q is answered by %q and %q", text, a, again)
		}
		if a, other := b.ruled(text, "en", false, 0, bottest.Start), b.ruled(text, "en", false, 1, bottest.Start); a == other {
			t.Errorf("another answer to %q is the same: %q", text, a)
		}
	}
	h := quick("en").New(t, New())
	first := h.Say("hello").Said()[0]
	again := h.Event(&botv1.Event{Kind: "action", Action: "regenerate", ReplyTo: &botv1.Quote{Message: first.ID, Mine: true}, Seq: 3}).Wait().Said()
	if len(again) != 1 || again[0].Variant != first.ID || again[0].Text == first.Text {
		t.Errorf("another answer is %+v", again)
	}
}

func TestTheCorpusAnswersItsOwnQuestions(t *testing.T) {
	for _, language := range []string{"zh", "en"} {
		x := newIndex(corpus, language)
		for i, e := range corpus {
			asked := e.askEN
			if language == "zh" {
				asked = e.askZH
			}
			if best, score := x.find(asked); best != i || score < good[language] {
				t.Errorf("%q finds %d with %.1f, want %d", asked, best, score, i)
			}
		}
		for _, small := range []string{"the weather is nice today", "今天天气真好", "tell me a story about dragons", "我喜欢吃苹果", "我想聊聊人生", "how to cook rice", ""} {
			if best, score := x.find(small); score >= good[language] {
				t.Errorf("%q finds %d with %.1f", small, best, score)
			}
		}
	}
}

func TestAnAnswerIsSaidWordByWord(t *testing.T) {
	for _, text := range []string{"One two  three.", "你好，世界 hello 再见", "“x” • y\nz", "a", "混合mixed文字"} {
		parts := split(text)
		if strings.Join(parts, "") != text {
			t.Errorf("%q is cut into %q", text, parts)
		}
		if len([]rune(text)) > 4 && len(parts) < 2 {
			t.Errorf("%q is not cut", text)
		}
	}
	h := bottest.Config{Config: `{"pace":1000}`}.New(t, New())
	said := h.Begin("help").Drafted("I ").Stop().Said()
	if len(said) != 1 || said[0].Finish != "cancelled" || len(said[0].Text) > 40 {
		t.Errorf("after a stop it said %+v", said)
	}
}

func TestALatinWordIsFoundWhole(t *testing.T) {
	for text, want := range map[string]bool{"hi": true, "hi there": true, "this": false, "hi你": true, "oh, hi!": true, "chi hi": true, "": false} {
		if contains(text, "hi") != want {
			t.Errorf("hi in %q: %v", text, !want)
		}
	}
}
