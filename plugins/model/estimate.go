package model

import (
	"encoding/json"
	"unicode/utf8"
)

// What a request takes is not known before its answer, and tokenizers differ. These are on
// the safe side for the ones that are known: 3 bytes of ASCII a token (English has 4), four
// tokens to three other characters (Chinese has about one to one), 8 a message.
const (
	perMessage = 8
	perPicture = 1600 // the most that a large picture takes at OpenAI
)

// tokensOf estimates a text's tokens from above.
func tokensOf(text string) int64 {
	var ascii, other int64
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			ascii++
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		other++
		i += n
	}
	return (ascii+2)/3 + (other*4+2)/3
}

// promptOf estimates what a request's prompt takes.
func promptOf(asked map[string]json.RawMessage) int64 {
	n := tokensOf(string(asked["tools"])) + tokensOf(string(asked["response_format"]))
	var messages []struct {
		Content json.RawMessage `json:"content"`
		Calls   json.RawMessage `json:"tool_calls"`
		Name    string          `json:"name"`
	}
	if json.Unmarshal(asked["messages"], &messages) != nil {
		return n + tokensOf(string(asked["messages"]))
	}
	for _, m := range messages {
		n += perMessage + tokensOf(m.Name) + tokensOf(string(m.Calls))
		var text string
		if json.Unmarshal(m.Content, &text) == nil {
			n += tokensOf(text)
			continue
		}
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if json.Unmarshal(m.Content, &parts) != nil {
			n += tokensOf(string(m.Content))
			continue
		}
		for _, p := range parts {
			if n += tokensOf(p.Text); p.Type != "text" {
				n += perPicture
			}
		}
	}
	return n
}
