package protocol_test

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAPressIsACardWithADeed(t *testing.T) {
	card, text := protocol.ContentType_CARD, protocol.ContentType_TEXT
	for _, x := range []struct {
		content *protocol.Content
		want    bool
	}{
		{nil, false},
		{&protocol.Content{Type: card}, false},
		{&protocol.Content{Type: card, Title: "vote", Data: `{"troupe":{"action":"vote:1"}}`}, true},
		{&protocol.Content{Type: card, Data: `{"troupe":{"action":"ask","values":{"a":[1]}},"x":1}`}, true},
		{&protocol.Content{Type: card, Data: `{"troupe":{"action":""}}`}, false},
		{&protocol.Content{Type: card, Data: `{"troupe":{"action":7}}`}, false},
		{&protocol.Content{Type: card, Data: `{"troupe":"vote"}`}, false},
		{&protocol.Content{Type: card, Data: `["troupe"]`}, false},
		{&protocol.Content{Type: card, Data: `{"buttons":[{"action":"vote","label":"Vote"}]}`}, false},
		{&protocol.Content{Type: text, Text: "/vote", Data: `{"troupe":{"action":"vote:1"}}`}, false},
	} {
		if got := x.content.IsPress(); got != x.want {
			t.Errorf("IsPress of %v = %v", x.content, got)
		}
	}
}

func TestWhatCountsAsUnread(t *testing.T) {
	for _, x := range []struct {
		entry         *protocol.Entry
		shows, counts bool
	}{
		{&protocol.Entry{}, true, true},
		{&protocol.Entry{Recalled: true}, true, false},
		{&protocol.Entry{Expired: true}, true, false},
		{&protocol.Entry{Quiet: true}, false, false},
		{&protocol.Entry{Kind: protocol.Kind_EDIT}, false, false},
	} {
		if x.entry.Shows() != x.shows || x.entry.Counts() != x.counts {
			t.Errorf("%v: shows %v, counts %v", x.entry, x.entry.Shows(), x.entry.Counts())
		}
	}
}
