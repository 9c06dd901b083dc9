package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// membersPerCall is Troupe's limit on members in one frame.
const membersPerCall = 500

// troupeWire speaks Troupe's JSON frames. A user's token is minted here, with
// the secret of the server's outside identity, so that no user needs registering.
type troupeWire struct {
	secret  []byte
	run     string // makes this run's users and message ids its own
	payload int
}

func (w *troupeWire) path() string { return "/ws" }
func (w *troupeWire) opcode() byte { return opText }

func (w *troupeWire) user(n int) string { return "load-" + w.run + "-" + strconv.Itoa(n) }

// mint makes an HS256 token {sub, exp} for a user.
func (w *troupeWire) mint(n int) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": w.user(n), "exp": time.Now().Add(6 * time.Hour).Unix(),
	}).SignedString(w.secret)
}

func (w *troupeWire) hello(c *conn) error {
	if c.token == "" {
		var err error
		if c.token, err = w.mint(c.user); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	_, err := c.ask(map[string]any{"type": "auth", "token": c.token, "device": "load-" + strconv.Itoa(c.device), "platform": "load"})
	return err
}

func (w *troupeWire) open(members []*conn, group bool) (string, error) {
	kind := "p2p"
	if group {
		kind = "group"
	}
	var ids []string
	for _, m := range members[1:] {
		ids = append(ids, w.user(m.user))
	}
	first := ids[:min(len(ids), membersPerCall)]
	answer, err := members[0].ask(map[string]any{"type": "session_create", "sessionType": kind, "members": first})
	if err != nil {
		return "", err
	}
	var made struct{ Result []string }
	if err := json.Unmarshal(answer, &made); err != nil || len(made.Result) != 1 {
		return "", fmt.Errorf("session_create: no result in the answer")
	}
	for rest := ids[len(first):]; len(rest) > 0; {
		some := rest[:min(len(rest), membersPerCall)]
		rest = rest[len(some):]
		if _, err := members[0].ask(map[string]any{"type": "session_add_user", "session": made.Result[0], "members": some}); err != nil {
			return "", err
		}
	}
	return made.Result[0], nil
}

func (w *troupeWire) beat() []byte { return []byte(`{"type":"heartbeat"}`) }

func (w *troupeWire) template(f *flow) {
	text := newText(f.sender, w.payload)
	b := append([]byte(nil), `{"type":"msg_send","id":"`...)
	f.idAt = len(b)
	b = append(b, "0000000000"...)
	b = append(b, `","session":`...)
	b = strconv.AppendQuote(b, f.session)
	b = append(b, `,"clientMsgId":"`+w.run+`-`...)
	b = strconv.AppendInt(b, int64(f.sender), 10)
	b = append(b, '-')
	f.clientAt = len(b)
	b = append(b, "0000000000"...)
	b = append(b, `","content":{"type":"text","text":"`...)
	f.textAt = len(b)
	b = append(b, text...)
	f.message = append(b, `"}}`...)
}

func (w *troupeWire) stamp(f *flow, n uint32, sent int64) {
	digits(f.message[f.idAt:f.idAt+numberDigits], int64(n))
	digits(f.message[f.clientAt:f.clientAt+numberDigits], int64(n))
	stampText(f.message[f.textAt:], n, sent)
}

var (
	pushStart = []byte(`{"type":"msg_push"`)
	ackStart  = []byte(`{"type":"msg_send_reply"`)
	textKey   = []byte(`"text":"`)
)

// read goes by the first member, type: the entries in a sync_reply look like
// pushes and are none.
func (w *troupeWire) read(payload []byte, e *event) error {
	s := scanner{b: payload}
	switch {
	case bytes.HasPrefix(payload, pushStart):
		message := true
		for {
			key, v, ok := s.next()
			if !ok {
				break
			}
			switch string(key) {
			case "seq":
				e.seq = number(v)
			case "kind":
				message = string(v) == `"message"`
			case "content":
				if at := bytes.Index(v, textKey); at >= 0 {
					v = v[at+len(textKey):]
					e.text = v[:max(bytes.IndexByte(v, '"'), 0)]
				}
			}
		}
		e.kind = pushEvent
		if !message {
			e.text = nil
		}
	case bytes.HasPrefix(payload, ackStart):
		e.kind = ackEvent
		for {
			key, v, ok := s.next()
			if !ok {
				break
			}
			switch string(key) {
			case "id":
				e.n = uint32(number(unquote(v)))
			case "seq":
				e.seq = number(v)
			case "errcode":
				if string(v) != "0" {
					e.kind = refusedEvent
				}
			case "code":
				e.why = string(unquote(v))
			}
		}
	}
	if s.bad {
		return errors.New("a frame that is no JSON object")
	}
	return nil
}

// refusal is an answer with an errcode.
type refusal struct {
	Type         string `json:"type"`
	Errcode      int    `json:"errcode"`
	Code         string `json:"code"`
	Text         string `json:"error"`
	RetryAfterMs int64  `json:"retryAfterMs"`
}

func (r *refusal) Error() string { return r.Type + ": " + r.Code + " " + r.Text }

// ask sends one request and waits for its answer; what else arrives is dropped.
// It is for the time before and after the measuring.
func (c *conn) ask(frame map[string]any) ([]byte, error) {
	c.asked++
	id := "q" + strconv.Itoa(c.asked)
	frame["id"] = id
	b, err := json.Marshal(frame)
	if err != nil {
		return nil, err
	}
	c.nc.SetDeadline(time.Now().Add(answerTimeout))
	defer c.nc.SetDeadline(time.Time{})
	if err := c.write(opText, b); err != nil {
		return nil, err
	}
	for {
		payload, err := c.receive()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", frame["type"], err)
		}
		var answered, errcode []byte
		s := scanner{b: payload}
		for key, v, ok := s.next(); ok && (answered == nil || errcode == nil); key, v, ok = s.next() {
			switch string(key) {
			case "id":
				answered = unquote(v)
			case "errcode":
				errcode = v
			}
		}
		if string(answered) != id {
			continue
		}
		if number(errcode) == 0 {
			return payload, nil
		}
		var r refusal
		if err := json.Unmarshal(payload, &r); err != nil {
			return nil, err
		}
		return nil, &r
	}
}
