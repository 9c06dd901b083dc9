package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// frame is what this client reads of a frame of any type; it is an own reading
// of docs/protocol.md, as a proof should not lean on the code it is about.
type frame struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Errcode int    `json:"errcode"`
	Code    string `json:"code"`
	Error   string `json:"error"`
	Offset  int64  `json:"offset"`

	entry
	Duplicate bool `json:"duplicate"`

	Epoch     string    `json:"epoch"`
	OffsetNow int64     `json:"offsetNow"`
	Resumed   bool      `json:"resumed"`
	Snapshot  *snapshot `json:"snapshot"`
	Next      string    `json:"next"`

	Messages []*entry         `json:"messages"`
	HeadSeq  int64            `json:"headSeq"`
	HasMore  bool             `json:"hasMore"`
	Gone     json.RawMessage  `json:"gone"` // {upTo} of sync, true of session_update
	Heads    map[string]int64 `json:"heads"`
	Head     *row             `json:"head"`

	UserID      string   `json:"userId"`
	ReadSeq     int64    `json:"readSeq"`
	Unread      int64    `json:"unread"`
	UnreadTotal int64    `json:"unreadTotal"`
	Sessions    []row    `json:"sessions"`
	Result      []string `json:"result"`
}

type entry struct {
	Session       string   `json:"session"`
	Seq           int64    `json:"seq"`
	MessagerecvID string   `json:"messagerecvId"`
	Kind          string   `json:"kind"`
	Sender        string   `json:"sender"`
	ClientMsgID   string   `json:"clientMsgId"`
	Content       *content `json:"content"`
	CreatedAt     int64    `json:"createdAt"`
	Target        int64    `json:"target"`
	Members       []string `json:"members"`
	Recalled      bool     `json:"recalled"`
	Expired       bool     `json:"expired"`
}

type content struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type row struct {
	Session string `json:"session"`
	HeadSeq int64  `json:"headSeq"`
	ReadSeq int64  `json:"readSeq"`
	Unread  int64  `json:"unread"`
}

type snapshot struct {
	Sessions    []row  `json:"sessions"`
	UnreadTotal int64  `json:"unreadTotal"`
	Next        string `json:"next"`
}

func (e *entry) seen() *history.Entry {
	h := &history.Entry{
		Session: e.Session, Seq: e.Seq, ID: e.MessagerecvID, Kind: e.Kind, Sender: e.Sender, Cmid: e.ClientMsgID,
		CreatedAt: e.CreatedAt, Target: e.Target, Members: e.Members, Recalled: e.Recalled, Expired: e.Expired,
	}
	if h.Kind == "message" {
		h.Kind = ""
	}
	if e.Content != nil && h.Kind == "" {
		h.Text = e.Content.Text
	}
	return h
}

func seenAll(entries []*entry) []*history.Entry {
	var all []*history.Entry
	for _, e := range entries {
		all = append(all, e.seen())
	}
	return all
}

func seenRows(rows []row) []history.Row {
	var all []history.Row
	for _, r := range rows {
		all = append(all, history.Row{Session: r.Session, Head: r.HeadSeq, Read: r.ReadSeq, Unread: r.Unread})
	}
	return all
}

// goneUpTo reads sync's gone{upTo}.
func (f *frame) goneUpTo() int64 {
	var gone struct {
		UpTo int64 `json:"upTo"`
	}
	if len(f.Gone) > 0 && f.Gone[0] == '{' && json.Unmarshal(f.Gone, &gone) != nil {
		return 0
	}
	return gone.UpTo
}

// token mints what an outside identity system would: HS256 over {sub, exp}.
func token(secret, user string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	claims, _ := json.Marshal(map[string]any{"sub": user, "exp": time.Now().Add(6 * time.Hour).Unix()}) // a map of a string and a number
	signed := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}
