package assistant

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// Without a model the assistant answers by these rules. The same words at the same time get
// the same answer; another answer (the nth variant) is put in other words.

// rule answers. first is the answer of which this is another, "" for none.
func (b *bot) rule(c *sdk.Ctx, text string, nth int, first, replyTo string) error {
	words := b.ruled(text, c.Locale, len(c.Files) > 0, nth, c.Now())
	s := c.Stream()
	s.ReplyTo, s.VariantOf = replyTo, first
	pace := time.NewTicker(max(time.Duration(b.cfg.Pace)*time.Millisecond, time.Nanosecond))
	defer pace.Stop()
	for i, w := range split(words) {
		if i > 0 && b.cfg.Pace > 0 {
			select {
			case <-pace.C:
			case <-c.Done():
				return c.Err() // the SDK keeps what was said, if it was a Stop
			}
		}
		if _, err := s.WriteString(w); err != nil {
			return err
		}
	}
	_, err := s.Finish(sdk.End{Model: "rules"})
	return err
}

// ruled is the answer.
func (b *bot) ruled(text, locale string, files bool, nth int, now time.Time) string {
	l := tongueOf(text, locale)
	plain := strings.ToLower(strings.TrimSpace(text))
	pick := func(all ...string) string {
		h := fnv.New32a()
		h.Write([]byte(plain))
		return all[(int(h.Sum32()%uint32(len(all)))+nth)%len(all)]
	}
	has := func(words ...string) bool {
		for _, w := range words {
			if contains(plain, w) {
				return true
			}
		}
		return false
	}
	short := utf8.RuneCountInString(plain) <= 24
	switch {
	case plain == "" && files:
		return l.say("我看不了文件和图片：我只按规则回答，不是人工智能。", "I cannot look at files: I answer by rules and am no AI.")
	case plain == "":
		return l.say("请说点什么。发送「帮助」看看我会什么。", "Say something. “help” tells what I can do.")
	case short && has("help", "帮助", "你会什么", "你能做什么", "what can you do"):
		return l.say("我按规则回答，不是人工智能。我会：\n• 回答关于 Troupe 的常见问题，例如「怎么撤回消息」\n• 告诉你时间和日期\n• 打个招呼，说句名言\n输入 / 可以看到其他机器人的命令。管理员配置模型后，我就能聊得更多。",
			"I answer by rules and am no AI. I can:\n• answer common questions about Troupe, like “how do I recall a message”\n• tell the time and the date\n• say hello, and a quotation\nWrite / to see the other bots' commands. Once an administrator sets a model I can talk about more.")
	case has("你是谁", "你叫什么", "who are you", "your name", "你是人", "你是机器人", "are you a bot", "are you human", "are you an ai", "are you ai", "人工智能吗", "是ai", "是 ai"):
		return l.say("我是 Troupe 的助手。我不是人，也不是人工智能：这里没有配置模型，我只按几条规则回答。", "I am Troupe's assistant. I am no human and no AI: this installation has no model, so I answer by a few rules.")
	case short && has("几点", "时间", "what time", "the time", "时候了"):
		return fmt.Sprintf(l.say("现在是 %s（%s）。", "It is %s (%s)."), now.In(b.zone()).Format("15:04"), b.cfg.TimeZone)
	case short && has("几号", "星期几", "日期", "今天是", "what day", "the date", "today's date", "which day"):
		at := now.In(b.zone())
		return fmt.Sprintf(l.say("今天是 %s，星期%s。", "Today is %s, a %s."), at.Format("2006-01-02"), l.say([]string{"日", "一", "二", "三", "四", "五", "六"}[at.Weekday()], at.Weekday().String()))
	case short && has("名言", "quote", "quotation", "鸡汤", "joke", "笑话"):
		q := quotes[l.String()]
		return pick(q...)
	case short && has("谢谢", "多谢", "thanks", "thank you", "thx"):
		return pick(l.say("不客气。", "You are welcome."), l.say("能帮上忙就好。", "Glad to help."))
	case short && has("再见", "拜拜", "晚安", "bye", "goodbye", "good night", "see you"):
		return pick(l.say("再见！", "Goodbye!"), l.say("回头见。", "See you."))
	case short && has("你好吗", "how are you", "最近怎么样"):
		return l.say("我是一段程序，按规则运行，一切正常。你呢？", "I am a program that follows rules, and all of it runs. And you?")
	case short && has("你好", "您好", "hello", "hi", "hey", "嗨", "哈喽", "早上好", "晚上好", "good morning", "good evening"):
		return pick(l.say("你好！我按规则回答问题，不是人工智能。发送「帮助」看看我会什么。", "Hello! I answer by rules and am no AI. “help” tells what I can do."),
			l.say("你好，很高兴见到你。我不是人工智能，只会按规则回答，可以问我怎么使用 Troupe。", "Hello, nice to meet you. I am no AI and follow rules only; ask me how to use Troupe."))
	}
	if i, score := b.faq[l.String()].find(text); score >= good[l.String()] {
		e := corpus[i]
		return l.say(e.zh, e.en)
	}
	said := []rune(strings.Join(strings.Fields(text), " "))
	if len(said) > 60 {
		said = append(said[:60], '…')
	}
	return fmt.Sprintf(pick(
		l.say("你说：「%s」。我不是人工智能，只按规则回答，这个我不懂。可以问我怎么使用 Troupe，或发送「帮助」。", "You say “%s”. I am no AI and answer by rules; this I do not understand. Ask me how to use Troupe, or send “help”."),
		l.say("「%s」——这超出了我的规则。我不是人工智能；管理员配置模型后我才能聊这些。", "“%s” is beyond my rules. I am no AI; once an administrator sets a model I can talk about such things."),
	), string(said))
}

// contains finds a word: among Latin letters as a whole one, in Chinese anywhere.
func contains(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		at := from + i
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(word):])
		first, _ := utf8.DecodeRuneInString(word)
		if isHan(first) || !joins(before) && !joins(after) {
			return true
		}
		from = at + 1
		for from < len(text) && !utf8.RuneStart(text[from]) {
			from++
		}
	}
}

func joins(r rune) bool {
	return r != utf8.RuneError && !isHan(r) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// split cuts an answer into what is said at a time: a word with what follows it, or two Chinese letters.
func split(text string) (all []string) {
	from, han := 0, 0
	for i, r := range text {
		cut := false
		if isHan(r) {
			cut = han%2 == 0
			han++
		} else {
			han = 0
			if i > 0 && !unicode.IsSpace(r) {
				last, _ := utf8.DecodeLastRuneInString(text[:i])
				cut = unicode.IsSpace(last)
			}
		}
		if cut && i > from {
			all = append(all, text[from:i])
			from = i
		}
	}
	return append(all, text[from:])
}

// quotes are old enough to be everybody's.
var quotes = map[string][]string{
	"zh": {"「学而不思则罔，思而不学则殆。」——《论语》", "「千里之行，始于足下。」——《老子》", "「三人行，必有我师焉。」——《论语》", "「路漫漫其修远兮，吾将上下而求索。」——屈原《离骚》"},
	"en": {"“Brevity is the soul of wit.” Shakespeare, Hamlet", "“All the world's a stage, and all the men and women merely players.” Shakespeare, As You Like It", "“Well begun is half done.” Aristotle quotes it as a proverb", "“Festina lente”: make haste slowly. Augustus, says Suetonius"},
}
