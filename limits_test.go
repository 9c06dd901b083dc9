package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// answer is what these tests read of a frame.
type answer struct {
	Type         string   `json:"type"`
	ID           string   `json:"id"`
	Errcode      int      `json:"errcode"`
	Code         string   `json:"code"`
	Error        string   `json:"error"`
	RetryAfterMs int64    `json:"retryAfterMs"`
	UserID       string   `json:"userId"`
	Result       []string `json:"result"`
	Seq          int64    `json:"seq"`
	HeadSeq      int64    `json:"headSeq"`
	ReadSeq      int64    `json:"readSeq"`
	ID2          string   `json:"messagerecvId"`
}

// wire is a bare connection that says what it is told to, byte by byte.
type wire struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, s *server) *wire {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+s.address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &wire{t, conn}
}

// as is a new connection that is authenticated as user.
func as(t *testing.T, s *server, user string) *wire {
	t.Helper()
	w := dial(t, s)
	if a := w.ask(fmt.Sprintf(`{"type":"auth","id":"0","token":%q}`, s.token(user, time.Hour))); a.UserID != user {
		t.Fatalf("auth as %s: %+v", user, a)
	}
	return w
}

func (w *wire) say(text string) {
	w.t.Helper()
	if err := w.conn.Write(w.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

// hear gives the next answer or error; what is pushed in between is skipped.
func (w *wire) hear() (answer, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, data, err := w.conn.Read(ctx)
		if err != nil {
			return answer{}, err
		}
		var a answer
		if err := json.Unmarshal(data, &a); err != nil {
			return a, fmt.Errorf("%w: %s", err, data)
		}
		if a.Type == "error" || strings.HasSuffix(a.Type, "_reply") && a.Type != "msg_editing_reply" || a.ID != "" {
			return a, nil
		}
	}
}

func (w *wire) ask(text string) answer {
	w.t.Helper()
	w.say(text)
	a, err := w.hear()
	if err != nil {
		w.t.Fatalf("no answer to %.200s: %v", text, err)
	}
	return a
}

// send sends a plain message and gives its seq.
func (w *wire) send(session, cmid string) answer {
	w.t.Helper()
	a := w.ask(fmt.Sprintf(`{"type":"msg_send","id":"send","session":%q,"clientMsgId":%q,"content":{"type":"text","text":"hi"}}`, session, cmid))
	if a.Errcode != 0 || a.Seq == 0 {
		w.t.Fatalf("msg_send: %+v", a)
	}
	return a
}

// head is what the log's head is now.
func (w *wire) head(session string) int64 {
	w.t.Helper()
	a := w.ask(fmt.Sprintf(`{"type":"sync","id":"head","session":%q,"afterSeq":0,"limit":1}`, session))
	if a.Type != "sync_reply" || a.Errcode != 0 {
		w.t.Fatalf("sync: %+v", a)
	}
	return a.HeadSeq
}

func (w *wire) create(members ...string) string {
	w.t.Helper()
	list, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	a := w.ask(fmt.Sprintf(`{"type":"session_create","id":"make","sessionType":"group","members":%s}`, list))
	if len(a.Result) != 1 {
		w.t.Fatalf("session_create: %+v", a)
	}
	return a.Result[0]
}

func text(size int) string { return strings.Repeat("x", size) }

func send(session, cmid, content string) string {
	return fmt.Sprintf(`{"type":"msg_send","id":"1","session":%s,"clientMsgId":%s,"content":%s}`, session, cmid, content)
}

func TestBadInputIsAnsweredAndWritesNothing(t *testing.T) {
	s := startServer(t)
	as(t, s, "bob")
	ann, eve := as(t, s, "ann"), as(t, s, "eve")
	room, hers := ann.create("bob"), eve.create()
	eve.send(hers, "e1")
	theirs := eve.send(hers, "e2").ID2
	ours := ann.send(room, "a1").ID2
	q := func(s string) string { return fmt.Sprintf("%q", s) }
	members := make([]string, 501)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d"`, i)
	}
	for name, c := range map[string]struct{ frame, code string }{
		"cut off":                          {`{"type":"msg_send","id":"1"`, "BAD_REQUEST"},
		"no JSON":                          {`hello`, "BAD_REQUEST"},
		"nothing":                          {``, "BAD_REQUEST"},
		"an array":                         {`[1]`, "BAD_REQUEST"},
		"two objects":                      {`{"type":"heartbeat"}{"type":"heartbeat"}`, "BAD_REQUEST"},
		"a key twice":                      {`{"type":"heartbeat","id":"1","id":"2"}`, "BAD_REQUEST"},
		"no type":                          {`{"id":"1"}`, "BAD_REQUEST"},
		"an unknown type":                  {`{"type":"msg_sing","id":"1"}`, "UNKNOWN_TYPE"},
		"a type of the server's":           {`{"type":"msg_push","id":"1","session":"x","seq":1,"messagerecvId":"x.1","sender":"ann","createdAt":1}`, "UNKNOWN_TYPE"},
		"10,000 brackets":                  {strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "BAD_REQUEST"},
		"10,000 brackets in a field":       {`{"type":"heartbeat","id":"1","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, "BAD_REQUEST"},
		"10,000 brackets that never close": {`{"type":"heartbeat","x":` + strings.Repeat(`{"a":`, 10_000), "BAD_REQUEST"},
		"a session that is a number":       {send(`5`, `"c1"`, `{"type":"text","text":"x"}`), "BAD_REQUEST"},
		"a client id that is a list":       {send(q(room), `["c1"]`, `{"type":"text","text":"x"}`), "BAD_REQUEST"},
		"content that is a text":           {send(q(room), `"c1"`, `"x"`), "BAD_REQUEST"},
		"text that is a number":            {send(q(room), `"c1"`, `{"type":"text","text":1}`), "BAD_REQUEST"},
		"a seq that is a text":             {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":"1"}`, room), "BAD_REQUEST"},
		"a seq with a fraction":            {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":1.5}`, room), "BAD_REQUEST"},
		"half a surrogate pair":            {send(q(room), `"c1"`, `{"type":"text","text":"\ud800"}`), "BAD_REQUEST"},
		"no session":                       {`{"type":"msg_send","id":"1","clientMsgId":"c1","content":{"type":"text","text":"x"}}`, "BAD_REQUEST"},
		"no client id":                     {fmt.Sprintf(`{"type":"msg_send","id":"1","session":%q,"content":{"type":"text","text":"x"}}`, room), "BAD_REQUEST"},
		"an empty client id":               {send(q(room), `""`, `{"type":"text","text":"x"}`), "BAD_REQUEST"},
		"a client id of 129 bytes":         {send(q(room), q(text(129)), `{"type":"text","text":"x"}`), "BAD_REQUEST"},
		"no content":                       {fmt.Sprintf(`{"type":"msg_send","id":"1","session":%q,"clientMsgId":"c1"}`, room), "BAD_REQUEST"},
		"empty content":                    {send(q(room), `"c1"`, `{}`), "BAD_REQUEST"},
		"empty text":                       {send(q(room), `"c1"`, `{"type":"text","text":""}`), "BAD_REQUEST"},
		"a type of content nobody knows":   {send(q(room), `"c1"`, `{"type":"smell","text":"x"}`), "BAD_REQUEST"},
		"a reserved type of content":       {send(q(room), `"c1"`, `{"type":11,"text":"x"}`), "UNSUPPORTED"},
		"the server's type of content":     {send(q(room), `"c1"`, `{"type":0,"text":"x"}`), "UNSUPPORTED"},
		"text over 8 KiB":                  {send(q(room), `"c1"`, `{"type":"text","text":"`+text(8<<10+1)+`"}`), "TOO_LARGE"},
		"a client id used for other text":  {send(q(room), `"a1"`, `{"type":"text","text":"other"}`), "CONFLICT"},
		"a negative expiry":                {fmt.Sprintf(`{"type":"msg_send","id":"1","session":%q,"clientMsgId":"c1","expire":-1,"content":{"type":"text","text":"x"}}`, room), "OUT_OF_RANGE"},
		"an answer to another session":     {fmt.Sprintf(`{"type":"msg_send","id":"1","session":%q,"clientMsgId":"c1","replyTo":%q,"content":{"type":"text","text":"x"}}`, room, theirs), "BAD_REQUEST"},
		"a session that is none":           {send(`"no such session"`, `"c1"`, `{"type":"text","text":"x"}`), "NOT_FOUND"},
		"a session nobody made":            {send(`"s_aaaaaaaaaaaaaaaa"`, `"c1"`, `{"type":"text","text":"x"}`), "NOT_FOUND"},
		"a session one is not in":          {send(q(hers), `"c1"`, `{"type":"text","text":"x"}`), "NOT_FOUND"},
		"reading what one is not in":       {fmt.Sprintf(`{"type":"sync","id":"1","session":%q,"afterSeq":0}`, hers), "NOT_FOUND"},
		"a message of another session":     {fmt.Sprintf(`{"type":"msg_cancel","id":"1","session":%q,"messagerecvId":%q}`, room, theirs), "NOT_FOUND"},
		"editing in another session":       {fmt.Sprintf(`{"type":"msg_edit","id":"1","session":%q,"messagerecvId":%q,"content":{"type":"text","text":"x"}}`, room, theirs), "NOT_FOUND"},
		"a message to come":                {fmt.Sprintf(`{"type":"msg_react","id":"1","session":%q,"messagerecvId":"%s.99","reaction":"x"}`, room, room), "NOT_FOUND"},
		"no message id":                    {fmt.Sprintf(`{"type":"msg_cancel","id":"1","session":%q,"messagerecvId":"what"}`, room), "BAD_REQUEST"},
		"an empty reaction":                {fmt.Sprintf(`{"type":"msg_react","id":"1","session":%q,"messagerecvId":%q,"reaction":""}`, room, ours), "BAD_REQUEST"},
		"reading up to -1":                 {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":-1}`, room), "OUT_OF_RANGE"},
		"reading up to what is to come":    {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":1000}`, room), "OUT_OF_RANGE"},
		"reading up to 2^53":               {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":9007199254740992}`, room), "OUT_OF_RANGE"},
		"reading up to 2^70":               {fmt.Sprintf(`{"type":"msg_read","id":"1","session":%q,"seq":1180591620717411303424}`, room), "OUT_OF_RANGE"},
		"having up to -1":                  {fmt.Sprintf(`{"type":"msg_recv","id":"1","session":%q,"seq":-1}`, room), "OUT_OF_RANGE"},
		"having what is to come":           {fmt.Sprintf(`{"type":"msg_recv","id":"1","session":%q,"seq":1000}`, room), "OUT_OF_RANGE"},
		"syncing after -1":                 {fmt.Sprintf(`{"type":"sync","id":"1","session":%q,"afterSeq":-1}`, room), "OUT_OF_RANGE"},
		"syncing with a limit of -1":       {fmt.Sprintf(`{"type":"sync","id":"1","session":%q,"afterSeq":0,"limit":-1}`, room), "OUT_OF_RANGE"},
		"adding 501 members":               {fmt.Sprintf(`{"type":"session_add_user","id":"1","session":%q,"members":[%s]}`, room, strings.Join(members, ",")), "TOO_MANY"},
		"creating with 501 members":        {fmt.Sprintf(`{"type":"session_create","id":"1","sessionType":"group","members":[%s]}`, strings.Join(members, ",")), "TOO_MANY"},
		"adding nobody":                    {fmt.Sprintf(`{"type":"session_add_user","id":"1","session":%q,"members":[]}`, room), "BAD_REQUEST"},
		"adding whom nobody knows":         {fmt.Sprintf(`{"type":"session_add_user","id":"1","session":%q,"members":["ghost"]}`, room), "NOT_FOUND"},
		"removing whom one may not":        {fmt.Sprintf(`{"type":"session_remove_user","id":"1","session":%q,"members":["bob"]}`, hers), "NOT_FOUND"},
		"a name of 129 characters":         {fmt.Sprintf(`{"type":"session_create","id":"1","sessionType":"group","name":%q}`, strings.Repeat("界", 129)), "TOO_LARGE"},
		"naming with 129 characters":       {fmt.Sprintf(`{"type":"session_set","id":"1","session":%q,"name":%q}`, room, text(129)), "TOO_LARGE"},
		"auth as somebody else":            {fmt.Sprintf(`{"type":"auth","id":"1","token":%q}`, s.token("eve", time.Hour)), "DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{t, ann.conn}
			before, foreign := w.head(room), (&wire{t, eve.conn}).head(hers)
			a := w.ask(c.frame)
			if a.Errcode == 0 || a.Code != c.code || a.Error == "" {
				t.Errorf("answer = %+v, want %s with a text", a, c.code)
			}
			if strings.Contains(c.frame, `"id":"1"`) && a.Type != "error" && a.ID != "1" {
				t.Errorf("answer %+v does not carry the request's id", a)
			}
			if w.head(room) != before || (&wire{t, eve.conn}).head(hers) != foreign {
				t.Error("something was written")
			}
		})
	}
	if a := ann.ask(`{"type":"session_list","id":"9"}`); a.Errcode != 0 {
		t.Errorf("ann is %+v after all that", a)
	}
}

func TestWhatIsJustAllowedIsTaken(t *testing.T) {
	s := startServer(t)
	ann := as(t, s, "ann")
	room := ann.create()
	for name, frame := range map[string]string{
		"text of 8 KiB":            send(fmt.Sprintf("%q", room), `"c1"`, `{"type":"text","text":"`+text(8<<10)+`"}`),
		"a client id of 128 bytes": send(fmt.Sprintf("%q", room), fmt.Sprintf("%q", text(128)), `{"type":"text","text":"x"}`),
		"a name of 128 characters": fmt.Sprintf(`{"type":"session_create","id":"1","sessionType":"group","name":%q}`, strings.Repeat("界", 128)),
		"a field nobody knows":     `{"type":"heartbeat","id":"1","weather":{"rain":[true,null]}}`,
		"depth 16":                 `{"type":"heartbeat","id":"1","x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			if a := (&wire{t, ann.conn}).ask(frame); a.Errcode != 0 {
				t.Errorf("answer = %+v", a)
			}
		})
	}
}

func TestWhatClosesAConnectionSaysWhy(t *testing.T) {
	s := startServer(t)
	for name, c := range map[string]struct {
		stranger bool // before auth
		frame    string
		binary   bool
		close    websocket.StatusCode
	}{
		"a frame over 64 KiB":             {false, `{"type":"heartbeat","x":"` + text(64<<10) + `"}`, false, 1009},
		"a frame over 4 KiB before auth":  {true, `{"type":"heartbeat","x":"` + text(4<<10) + `"}`, false, 1009},
		"text that is no UTF-8":           {false, "{\"type\":\"heartbeat\",\"x\":\"\xff\"}", false, 1007},
		"another frame than auth":         {true, `{"type":"heartbeat","id":"1"}`, false, 4501},
		"a token that is none":            {true, `{"type":"auth","id":"1","token":"what"}`, false, 4501},
		"a token signed by somebody else": {true, fmt.Sprintf(`{"type":"auth","token":%q}`, sign("another secret of thirty-two bytes", "ann", time.Hour)), false, 4501},
		"a token of yesterday":            {true, fmt.Sprintf(`{"type":"auth","token":%q}`, s.token("ann", -24*time.Hour)), false, 4001},
	} {
		t.Run(name, func(t *testing.T) {
			var w *wire
			if c.stranger {
				w = dial(t, s)
			} else {
				w = as(t, s, "ann")
			}
			w.say(c.frame)
			var err error
			for err == nil {
				var a answer
				if a, err = w.hear(); err == nil && a.Errcode == 0 {
					t.Errorf("answered with %+v", a)
				}
			}
			var closed websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != c.close || closed.Reason == "" && c.close != 1007 {
				t.Errorf("ended with %v, want close code %d and a reason", err, c.close)
			}
		})
	}
}

func TestTooManyMessagesAreSlowedDown(t *testing.T) {
	s := startServer(t, "TROUPE_RATE=1", "TROUPE_RATE_BURST=5")
	ann := as(t, s, "ann")
	room := ann.create() // the first of the burst
	before := ann.head(room)
	taken, slowed := int64(0), 0
	for i := range 10 {
		a := ann.ask(send(fmt.Sprintf("%q", room), fmt.Sprintf(`"c%d"`, i), `{"type":"text","text":"x"}`))
		switch {
		case a.Errcode == 0:
			taken++
		case a.Code == "RATE_LIMITED" && a.RetryAfterMs > 0 && a.ID == "1":
			slowed++
		default:
			t.Fatalf("answer %d = %+v", i, a)
		}
	}
	if taken == 0 || slowed == 0 {
		t.Errorf("%d taken, %d slowed down", taken, slowed)
	}
	if head := ann.head(room); head != before+taken {
		t.Errorf("the head went from %d to %d by %d messages", before, head, taken)
	}
}
