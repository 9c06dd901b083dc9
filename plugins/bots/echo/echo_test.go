package echo_test

import (
	"testing"
	"testing/synctest"

	"github.com/troupe-im/troupe/plugins/bots/echo"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func TestEchoSaysWhatItHears(t *testing.T) {
	h := bottest.New(t, echo.New())
	h.Say("hello").Expect("hello")
	h.Say("你好 🦜").Expect("你好 🦜")
	h.Command("/echo a  b").Expect("a  b")
	h.SayIn("team", "hello").ExpectNothing()
	h.Mention("hello").Expect("hello")
	h.In("team").Added().Expect("Mention me")
	h.Added().Expect("I say what you say")
	bottest.Config{Locale: "zh-CN"}.New(t, echo.New()).In("team").Added().Expect("大家好")
}

func TestEchoStreamsWordsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bottest.New(t, echo.New())
		for _, text := range []string{"one two three", "很长的一句话没有空格所以一个字一个字", "x"} {
			turn := h.Command("/stream " + text).Expect(text)
			if m := turn.Said()[0]; !m.Streamed || m.Finish != "stop" {
				t.Errorf("%s: it is not a stream: %+v", text, m)
			}
		}
		turn := h.Begin("/stream one two three four five").Drafted("one two ").Stop()
		if err := turn.Err(); err != nil {
			t.Error(err)
		}
		if m := turn.Said()[0]; m.Finish != "cancelled" || m.Text == "one two three four five" {
			t.Errorf("after Stop it is %+v", m)
		}
	})
}
