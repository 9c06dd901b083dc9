package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/troupe-im/troupe/internal/protocol"
)

type searched struct {
	Items []struct {
		Message struct {
			MessagerecvID, Session, Sender string
			Content                        struct{ Text string }
		}
		Session struct {
			Session, SessionType, Name string
			Members                    []string
		}
		Field, Snippet string
		Marks          [][2]int
		Before, After  []struct {
			Seq     int64
			Content struct{ Text string }
		}
	}
	Next    string
	Partial bool
}

// finds searches for words, with filters like "limit=5".
func (s *testServer) finds(user, words string, filters ...string) (page searched) {
	s.t.Helper()
	s.get(user, "/api/v2/messages/search?q="+url.QueryEscape(words)+"&"+strings.Join(filters, "&"), &page)
	return page
}

func (p searched) texts() (all []string) {
	for _, h := range p.Items {
		all = append(all, h.Message.Content.Text)
	}
	return all
}

func (s *testServer) wantFound(user, words, want string, filters ...string) {
	s.t.Helper()
	if got := strings.Join(s.finds(user, words, filters...).texts(), " | "); got != want {
		s.t.Errorf("%s searches for %q (%s) and finds %q, want %q", user, words, filters, got, want)
	}
}

func TestMessagesAreFoundByTheirWords(t *testing.T) {
	s := startServer(t, "TROUPE_SEARCH_RATE=0")
	ann, bob := s.join("ann", "d"), s.join("bob", "d")
	s.join("cid", "d").Close()
	pair := s.pair(ann, "ann", "bob")
	made := ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, Name: "周末爬山", Members: []string{"bob"}, History: "joined"}}})
	group := made.GetSessionCreateReply().Result[0]
	for i := range 150 { // two blocks, and what is behind them
		ann.say(group, fmt.Sprint("filler ", i), fmt.Sprintf("第%d句话 number %d", i, i))
	}
	ann.say(pair, "1", "今晚七点在老地方见,别迟到 ok?")
	for said := time.Now().UnixMilli(); time.Now().UnixMilli() == said; { // of one millisecond, sessions come in another order
	}
	place := bob.say(group, "2", "老地方是哪里?👍🏽 The Café at noon")
	recalled := ann.say(group, "3", "老地方 to be recalled")
	edited := ann.say(group, "4", "老地方 before the edit")
	ann.say(group, "5", "behind all of it")

	s.wantFound("ann", "老地方", "老地方 before the edit | 老地方 to be recalled | 老地方是哪里?👍🏽 The Café at noon | 今晚七点在老地方见,别迟到 ok?")
	s.wantFound("bob", "CAFE 哪", "老地方是哪里?👍🏽 The Café at noon")
	s.wantFound("bob", `"at noon" 👍`, "老地方是哪里?👍🏽 The Café at noon")
	s.wantFound("bob", `"noon at"`, "")
	s.wantFound("ann", "别", "今晚七点在老地方见,别迟到 ok?")
	s.wantFound("ann", "number 17", "第117句话 number 117 | 第17句话 number 17")
	s.wantFound("ann", "第3句话", "第3句话 number 3")
	s.wantFound("ann", "老地方", "今晚七点在老地方见,别迟到 ok?", "session="+pair)
	s.wantFound("ann", "老地方", "老地方是哪里?👍🏽 The Café at noon", "sender=bob")
	s.wantFound("ann", "老地方", "", "type=file,image")
	s.wantFound("ann", "老地方", "", "before=2020-01-01T00:00:00Z")
	s.wantFound("ann", "老地方", "", "after=2120-01-01T00:00:00Z")
	s.wantFound("cid", "老地方", "")
	s.do("cid", "GET", "/api/v2/messages/search?q=a&session="+group, nil, http.StatusNotFound, nil)
	for _, bad := range []string{"", "q=", "q=+", "q=" + strings.Repeat("a", 300), "q=a&type=nonsense", "q=a&limit=0", "q=a&limit=101", "q=a&after=yesterday", "q=a&cursor=x", "q=a&context=6"} {
		s.do("ann", "GET", "/api/v2/messages/search?"+bad, nil, http.StatusBadRequest, nil)
	}

	one := s.finds("ann", "哪 noon", "context=2").Items[0]
	units := utf16.Encode([]rune(one.Snippet))
	var marked []string
	for _, m := range one.Marks {
		marked = append(marked, string(utf16.Decode(units[m[0]:m[1]])))
	}
	if strings.Join(marked, " ") != "哪 noon" || one.Field != "text" || one.Session.Name != "周末爬山" || one.Session.SessionType != "group" ||
		len(one.Before) != 2 || len(one.After) != 2 || one.Before[1].Seq != place-1 || one.After[0].Seq != recalled {
		t.Errorf("a hit is %+v, marked %q", one, marked)
	}
	if of := s.finds("bob", "别迟到").Items[0].Session; of.SessionType != "p2p" || len(of.Members) != 2 {
		t.Errorf("the session of a hit is %+v", of)
	}

	var all []string
	for next := ""; ; {
		page := s.finds("bob", "number", "limit=40", "cursor="+next)
		all = append(all, page.texts()...)
		if next = page.Next; next == "" {
			break
		}
	}
	if len(all) != 150 || all[0] != "第149句话 number 149" || all[149] != "第0句话 number 0" {
		t.Errorf("page by page %d are found: %q", len(all), all)
	}

	s.do("ann", "DELETE", "/api/v2/sessions/"+group+"/messages/"+protocol.MessageID(group, recalled), nil, http.StatusOK, nil)
	s.do("ann", "PUT", "/api/v2/sessions/"+group+"/messages/"+protocol.MessageID(group, edited), map[string]any{"content": map[string]string{"type": "text", "text": "山顶 after the edit"}}, http.StatusOK, nil)
	s.do("ann", "DELETE", "/api/v2/sessions/"+group+"/messages/"+protocol.MessageID(group, 5), nil, http.StatusOK, nil) // in a full block
	s.do("ann", "PUT", "/api/v2/sessions/"+group+"/messages/"+protocol.MessageID(group, 6), map[string]any{"content": map[string]string{"type": "text", "text": "改过的话"}}, http.StatusOK, nil)
	for range 2 {
		s.wantFound("bob", "老地方", "老地方是哪里?👍🏽 The Café at noon | 今晚七点在老地方见,别迟到 ok?")
		s.wantFound("bob", "edit", "山顶 after the edit")
		s.wantFound("bob", "第4句话", "")
		s.wantFound("bob", "改过的话", "改过的话")
		if n := len(s.finds("bob", "第5句话").Items); n != 0 {
			t.Errorf("what was edited is found by its old words %d times", n)
		}
		s.kill()
		s.start()
	}

	ann = s.join("ann", "d")
	ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: group, Members: []string{"cid"}}}})
	s.wantFound("cid", "老地方", "")
	s.join("ann", "d").say(group, "6", "老地方 for cid")
	s.wantFound("cid", "老地方", "老地方 for cid")
	ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: group, Members: []string{"bob"}}}})
	s.wantFound("bob", "老地方", "今晚七点在老地方见,别迟到 ok?")
	ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: group}}})
	s.wantFound("cid", "老地方", "")
	s.wantFound("ann", "老地方", "今晚七点在老地方见,别迟到 ok?")

	if _, err := ann.Send(t.Context(), &protocol.MsgSend{Session: pair, ClientMsgId: "brief", Expire: 1, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "老地方 for a second"}}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the message to expire", func() bool { return len(s.finds("ann", "for a second").Items) == 0 })
	s.wantFound("ann", "老地方", "今晚七点在老地方见,别迟到 ok?")
}

func TestSearchesAreLimitedForEachUser(t *testing.T) {
	s := startServer(t)
	status := http.StatusOK
	for i := 0; i < 100 && status == http.StatusOK; i++ {
		status, _, _ = s.ask("ann", "GET", "/api/v2/messages/search?q=a", nil)
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("a hundred searches are answered %d", status)
	}
	s.finds("bob", "a")
}
